"""The service's processes: none is left whatever happens, and rows are counted when some die.

Nothing here depends on how long anything takes; the limits are there so that no test waits forever.
"""

import math
import os
import random
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from helpers import service

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 120  # seconds

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that can fork")


def alive(ids):
    return [
        one for one in ids if psutil.pid_exists(one) and psutil.Process(one).status() != "zombie"
    ]


def left(ids):
    """Return how many of these processes there are once they have had time to end."""
    until = time.monotonic() + LIMIT
    while alive(ids) and time.monotonic() < until:
        time.sleep(0.05)
    return len(alive(ids))


# --- no process is left ---------------------------------------------------------------------------

# Two processes that would stay forever; their numbers are printed once both are up.
BEGIN = """
import math, os, signal, sys, time
from helpers import service
with service.Processes(modules=[]) as processes:
    started = [processes.start(math.sqrt, 4) for _ in range(2)]
    print(*[process.result() for process in started], *processes.ids, flush=True)
"""
ENDS = {
    "at the end": "pass",
    "an exception": "raise ValueError('in the body')",
    "an interrupt": "os.kill(os.getpid(), signal.SIGINT); time.sleep(1000)",
    "an interrupt of the whole group": "os.killpg(0, signal.SIGINT); time.sleep(1000)",
    "a kill": "os.kill(os.getpid(), signal.SIGKILL)",
    "an exit without cleaning up": "os._exit(3)",
    "a kill of the first process": "os.kill(processes.ids[0], signal.SIGKILL)",
    "a kill of the first process and of this one": (
        "os.kill(processes.ids[0], signal.SIGKILL); os.kill(os.getpid(), signal.SIGKILL)"
    ),
    "a close while another process, forked here, goes on": (
        "if os.fork(): processes.close(); os._exit(0)\n"
        "    os.close(1); os.close(2); time.sleep(1000)"
    ),
    "an interrupt while a result is waited for": (
        "signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.2)\n"
        "    processes.start(time.sleep, 1000).result()"
    ),
}


def run(script):
    """Run a script that prints numbers, in a session of its own; return them."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        start_new_session=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("body", ENDS.values(), ids=ENDS)
def test_no_process_is_left(body):
    first, second, *ids = run(f"{BEGIN}    {body}\n")
    assert (first, second, len(ids)) == ("2.0", "2.0", 3)
    assert left(list(map(int, ids))) == 0


def test_no_server_is_left_when_a_notebooks_process_is_killed():
    script = """
        import os, signal
        from helpers import service
        cluster = service.Cluster(workers=2, journal=True)
        print(cluster._folder, cluster._port, *cluster._ports, *cluster.ids, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    folder, *numbers = run(textwrap.dedent(script))
    ports, ids = numbers[:3], list(map(int, numbers[3:]))
    assert len(ids) == 4
    assert left(ids) == 0
    assert not Path(folder).exists()
    assert [port for port in map(int, ports) if answers(port)] == []


def answers(port):
    with socket.socket() as one:
        return one.connect_ex(("localhost", port)) == 0


def test_an_object_that_nobody_holds_ends_its_processes():
    processes = service.Processes(modules=[])
    processes.start(math.sqrt, 4)
    ids = processes.ids
    del processes
    assert left(ids) == 0


# --- what is told ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def processes():
    with service.Processes(modules=[]) as started:
        yield started


def test_what_a_function_raises_is_told(processes):
    process = processes.start(math.sqrt, -1)
    with pytest.raises(RuntimeError, match="sqrt: expected a result, found ValueError: math dom"):
        process.result(seconds=LIMIT)


def test_a_process_that_dies_is_told(processes):
    process = processes.start(os.abort)
    with pytest.raises(RuntimeError, match="expected a result, found that the process has ended"):
        process.result(seconds=LIMIT)


def test_a_process_that_is_killed_is_gone_and_may_be_killed_again(processes):
    process = processes.start(math.sqrt, 4)
    process.kill()
    assert left([process.id]) == 0
    process.kill()
    with pytest.raises(RuntimeError, match="found that the process has ended"):
        process.result(seconds=LIMIT)


def test_nobody_waits_forever(processes):
    process = processes.start(time.sleep, 1000)
    with pytest.raises(TimeoutError, match=r"sleep: expected a result in 0\.1 s, found none"):
        process.result(seconds=0.1)


def test_a_function_of_a_notebook_is_not_found(processes, monkeypatch):
    def own():
        pass

    own.__module__, own.__qualname__ = "__main__", "own"
    monkeypatch.setattr(sys.modules["__main__"], "own", own, raising=False)
    with pytest.raises(RuntimeError, match=r"own: .* found AttributeError: .* 'own' on .*__main__"):
        processes.start(own).result(seconds=LIMIT)


def test_what_was_ended_says_so():
    with service.Processes(modules=[]) as ended:
        pass
    with pytest.raises(RuntimeError, match="the processes were ended; start them again"):
        ended.start(math.sqrt, 4)


def test_a_cluster_needs_a_worker():
    with pytest.raises(ValueError, match="workers: expected 1 or more, found 0"):
        service.Cluster(workers=0)


def test_windows_is_told_what_it_lacks(monkeypatch):
    monkeypatch.delattr(os, "fork")
    with pytest.raises(NotImplementedError, match="can fork a process, found Windows; run this on"):
        service.Cluster()


def test_an_error_in_a_reader_is_raised():
    def rows():
        yield 1
        raise OSError("gone")

    reader = service.Reader(rows())
    with pytest.raises(OSError, match="gone"):
        reader.ended(seconds=LIMIT)
    assert reader.elements == [1]


# --- rows, when something dies --------------------------------------------------------------------

ROWS = 1200


@pytest.fixture(scope="module")
def cluster():
    with service.Cluster(workers=2, journal=True) as started:
        yield started


def read(cluster, happens, at):
    """Read an epoch, in which something happens once so many rows have come; return its rows."""
    import tensorflow as tf

    def slow(row):
        values = tf.random.stateless_uniform([30_000], [0, row])
        return row + tf.cast(tf.reduce_sum(values) * 0, tf.int64)

    dataset = tf.data.Dataset.range(ROWS).map(slow).batch(4)
    distribute = tf.data.experimental.service.distribute
    reader = service.Reader(dataset.apply(distribute("distributed_epoch", cluster.address)))
    until = time.monotonic() + LIMIT
    while 4 * len(reader.elements) < at and time.monotonic() < until:
        time.sleep(0.005)
    happens()
    assert reader.ended(seconds=LIMIT)
    return [int(row) for batch in reader.elements for row in batch]


@pytest.mark.parametrize("seed", range(3))
def test_a_worker_that_dies_and_comes_back_loses_rows_and_repeats_none(cluster, seed):
    chosen = random.Random(seed)
    worker, at = chosen.randrange(2), chosen.randrange(1, ROWS // 2)

    def happens():
        cluster.workers[worker].kill()
        cluster.start_worker(worker)

    rows = read(cluster, happens, at)
    assert len(rows) == len(set(rows)) <= ROWS
    assert len(rows) >= at


def test_a_dispatcher_that_comes_back_with_its_journal_loses_nothing(cluster):
    def happens():
        cluster.dispatcher.kill()
        cluster.start_dispatcher(journal=True)

    assert sorted(read(cluster, happens, ROWS // 4)) == list(range(ROWS))


def test_a_worker_more_takes_part(cluster):
    before = len(cluster.ids)
    cluster.start_worker(2)
    assert sorted(read(cluster, lambda: None, 1)) == list(range(ROWS))
    assert len(cluster.ids) == before + 1
