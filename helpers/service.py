"""The tf.data service on one machine: a dispatcher and workers as processes of their own.

The service is made for many machines. To see what it does, and to try a pipeline before it goes
there, its processes can run here and talk through the loopback interface. `Cluster` starts them and
kills any of them on demand. None outlives the process that started it, however that ends.

How: the first process that is started imports TensorFlow once and forks the others, so that each is
up in a fraction of a second. It ends when its standard input does, and the system closes that when
this process dies. The others end with it, because each reads a pipe that it alone keeps open.

The lesson that builds it: 11 Beyond one machine.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

__all__ = ["Cluster", "Processes", "Reader", "free_ports"]

# The only one that TensorFlow is built with: no password, and a server listens on every interface.
PROTOCOL = "grpc"

_BEGIN = (
    "import json, sys; path, *arguments = json.loads(sys.argv[1]); sys.path[:] = path; "
    "from helpers import service; service._serve(*arguments)"
)
_servers: list[Any] = []  # of a process that runs one; it would stop if nobody knew it


class Processes:
    """Processes that begin with modules imported, and that end with this one.

    Parameters
    ----------
    modules : sequence of str
        What is imported once, before the first of them is forked.
    log : path, optional
        The file that gets what they print. Without one it is dropped.

    Attributes
    ----------
    ids : list of int
        The system's number of each process that was started, those that have ended included.

    Raises
    ------
    NotImplementedError
        On Windows, where no process can be forked.

    Examples
    --------
    >>> with Processes(modules=["math"]) as processes:
    ...     number = processes.start("math:sqrt", 2.25)
    ...     processes.result(number)
    1.5
    """

    def __init__(
        self, *, modules: Sequence[str] = ("tensorflow",), log: str | Path | None = None
    ) -> None:
        if not hasattr(os, "fork"):
            raise NotImplementedError(
                "service: expected a system that can fork a process, found Windows; "
                "run this on Linux or macOS, or in the Windows Subsystem for Linux"
            )
        self.ids: list[int] = []
        self._numbers = itertools.count()
        self._messages: dict[tuple[int, str], Any] = {}
        self._unread = b""
        self._folder = Path(tempfile.mkdtemp(prefix="service-"))
        arguments = json.dumps([sys.path, str(self._folder), list(modules)])
        with Path(log or os.devnull).open("ab") as output:
            self._first = subprocess.Popen(
                [sys.executable, "-P", "-c", _BEGIN, arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                bufsize=0,
                start_new_session=True,  # an interrupt in a terminal or a notebook is not for them
                env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},  # a GPU is for who trains
            )
        self.ids.append(self._first.pid)
        #: End all of them. Called when this object or this process goes, too.
        self.close = weakref.finalize(self, _end, self._first)

    def __enter__(self) -> Self:
        """Return this object."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        self.close()

    def start(self, function: str | Callable[..., Any], *arguments: Any) -> int:
        """Start a process that calls a function, and stays after that until it is ended.

        Parameters
        ----------
        function : str or callable
            A function of a module that can be imported, or ``"module:name"``.
        *arguments
            What it is called with: numbers, strings, and lists and dicts of them.

        Returns
        -------
        int
            The number of the process, from 0, for `result` and `kill`.

        Raises
        ------
        ValueError
            If the function is one of a notebook or a script.
        """
        if not isinstance(function, str):
            function = f"{function.__module__}:{function.__qualname__}"
        if function.startswith("__main__:"):
            raise ValueError(
                f"function: expected one of a module that can be imported, found "
                f"{function.partition(':')[2]} of {sys.argv[0] or 'this session'}; "
                f"write it to a file of its own"
            )
        number = next(self._numbers)
        self._send({"number": number, "function": function, "arguments": arguments})
        self.ids.append(self._receive(number, "id"))
        return number

    def result(self, number: int, *, seconds: float = 120) -> Any:
        """Return what the function of a process has returned; wait so many seconds at most.

        Raises
        ------
        RuntimeError
            If the function has raised, or the process has ended before.
        TimeoutError
            If it has not returned in time.
        """
        return self._receive(number, "result", seconds)

    def kill(self, number: int) -> None:
        """Kill a process with SIGKILL, as an accident would, and wait until it is gone."""
        self._send({"number": number})
        self._receive(number, "ended")

    def _send(self, command: dict[str, Any]) -> None:
        assert self._first.stdin is not None
        try:
            self._first.stdin.write(json.dumps(command).encode() + b"\n")
        except (ValueError, BrokenPipeError):
            raise RuntimeError(
                "service: expected processes that run, found that they were ended; start them again"
            ) from None

    def _receive(self, number: int, kind: str, seconds: float = 120) -> Any:
        assert self._first.stdout is not None
        until = time.monotonic() + seconds
        while (number, kind) not in self._messages:
            for sad in {"error", "ended"} - {kind}:
                if (number, sad) in self._messages:
                    found = self._messages[number, sad]
                    raise RuntimeError(f"process {number}: expected its {kind}, found {found}")
            left = max(0.0, until - time.monotonic())
            if not select.select([self._first.stdout], [], [], left)[0]:
                raise TimeoutError(
                    f"process {number}: expected its {kind} within {seconds:g} seconds, found none"
                )
            read = os.read(self._first.stdout.fileno(), 65536)
            if not read:
                raise RuntimeError("service: the process that starts the others was ended")
            *lines, self._unread = (self._unread + read).split(b"\n")
            for who, what, value in map(json.loads, lines):
                self._messages[who, what] = value
        return self._messages[number, kind]


class Cluster(Processes):
    """A dispatcher and workers of the tf.data service, on this machine, for this machine only.

    Parameters
    ----------
    workers : int
        How many, from 1.
    journal : bool
        Whether the dispatcher writes down what it knows, so that another can go on in its place.
    fixed : bool
        Whether it is told the workers beforehand. Static sharding needs that; then it lets in no
        worker at another address.
    log : path, optional
        The file that gets what the processes print. Without one it is dropped.

    Attributes
    ----------
    address : str
        What ``tf.data.experimental.service.distribute(service=…)`` needs.

    Raises
    ------
    ValueError
        If there is to be no worker.

    Examples
    --------
    >>> import tensorflow as tf
    >>> with Cluster(workers=2) as cluster:
    ...     rows = tf.data.Dataset.range(5).apply(
    ...         tf.data.experimental.service.distribute("distributed_epoch", cluster.address)
    ...     )
    ...     sorted(int(row) for row in rows)
    [0, 1, 2, 3, 4]
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        journal: bool = False,
        fixed: bool = False,
        log: str | Path | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers: expected 1 or more, found {workers}")
        super().__init__(log=log)
        self._port, *self._ports = free_ports(1 + workers)
        self.address = f"{PROTOCOL}://localhost:{self._port}"
        self._running: dict[str, int] = {}
        try:
            self.start_dispatcher(journal=journal, fixed=fixed)
            numbers = [self._start_worker(worker) for worker in range(workers)]
            for number in numbers:
                self.result(number)
        except BaseException:  # an interrupt, too
            self.close()
            raise

    def start_dispatcher(self, *, journal: bool = False, fixed: bool = False) -> None:
        """Start the dispatcher at its address; with a journal it reads what one before it wrote."""
        folder = str(self._folder) if journal else ""
        workers = [f"localhost:{port}" for port in self._ports] if fixed else []
        self._running["dispatcher"] = self.start(_run_dispatcher, self._port, folder, workers)
        self.result(self._running["dispatcher"])

    def start_worker(self, worker: int) -> None:
        """Start a worker that was killed, at the address that it had, or one more elsewhere.

        Parameters
        ----------
        worker : int
            Its number, from 0; the next one for a worker more.

        Raises
        ------
        ValueError
            If it runs, or if there are fewer workers than that number.
        """
        if f"worker {worker}" in self._running or not 0 <= worker <= len(self._ports):
            raise ValueError(
                f"worker: expected one that was killed, or {len(self._ports)} for one more, "
                f"found {worker}"
            )
        if worker == len(self._ports):
            self._ports += free_ports(1)
        self.result(self._start_worker(worker))

    def kill_dispatcher(self) -> None:
        """Kill the dispatcher with SIGKILL."""
        self.kill(self._running.pop("dispatcher"))

    def kill_worker(self, worker: int) -> None:
        """Kill a worker, numbered from 0, with SIGKILL."""
        self.kill(self._running.pop(f"worker {worker}"))

    def _start_worker(self, worker: int) -> int:
        number = self.start(_run_worker, self._ports[worker], self._port)
        self._running[f"worker {worker}"] = number
        return number


class Reader:
    """A pass through a dataset in a thread of its own, so that one which never ends can be left.

    Parameters
    ----------
    dataset : iterable
        Is passed through once, from now on.

    Attributes
    ----------
    elements : list
        What has come so far.

    Examples
    --------
    >>> reader = Reader(range(3))
    >>> reader.ended(seconds=60), reader.elements
    (True, [0, 1, 2])
    """

    def __init__(self, dataset: Any) -> None:
        self.elements: list[Any] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._read, args=(dataset,), daemon=True)
        self._thread.start()

    def ended(self, *, seconds: float) -> bool:
        """Tell whether the pass is at its end; wait for that so many seconds at most.

        Raises
        ------
        Exception
            Whatever has stopped the pass.
        """
        self._thread.join(seconds)
        if self._error is not None:
            raise self._error
        return not self._thread.is_alive()

    def _read(self, dataset: Any) -> None:
        try:
            for element in dataset:
                self.elements.append(element)
        except Exception as error:
            self._error = error


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that the system has free now.

    Parameters
    ----------
    count : int
        How many.

    Returns
    -------
    list of int
        All different.

    Examples
    --------
    >>> len(set(free_ports(3)))
    3
    """
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("localhost", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _end(first: subprocess.Popen[bytes]) -> None:
    """End the first process, which ends the others; kill all of them if that takes too long."""
    assert first.stdin is not None
    assert first.stdout is not None
    try:
        first.stdin.close()
        first.wait(30)
    except BaseException as error:  # an interrupt, too
        with contextlib.suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
    finally:
        first.stdout.close()


# --- in the other processes -----------------------------------------------------------------------


def _run_dispatcher(port: int, folder: str, workers: list[str]) -> None:
    import tensorflow as tf

    service = tf.data.experimental.service
    config = service.DispatcherConfig(
        port=port,
        protocol=PROTOCOL,
        work_dir=folder,
        fault_tolerant_mode=bool(folder),
        worker_addresses=workers,
    )
    _servers.append(service.DispatchServer(config))


def _run_worker(port: int, dispatcher_port: int) -> None:
    import tensorflow as tf

    service = tf.data.experimental.service
    config = service.WorkerConfig(
        dispatcher_address=f"localhost:{dispatcher_port}",
        worker_address=f"localhost:{port}",
        port=port,
        protocol=PROTOCOL,
        heartbeat_interval_ms=500,
    )
    _servers.append(service.WorkerServer(config))


def _serve(folder: str, modules: list[str]) -> None:
    """Do what the commands on standard input say, until it ends; then end all that was started."""
    tell = os.dup(1)
    os.dup2(2, 1)  # what functions print is no message
    watched, kept = os.pipe()
    running: dict[int, int] = {}  # the system's number of a process → ours
    unread = b""
    try:
        for module in modules:
            importlib.import_module(module)
        while True:
            for one in [one for one in running if os.waitpid(one, os.WNOHANG)[0]]:
                _tell(tell, running.pop(one), "ended", "its end")
            if not select.select([0], [], [], 0.1)[0]:
                continue
            read = os.read(0, 65536)
            if not read:
                return
            *lines, unread = (unread + read).split(b"\n")
            for command in map(json.loads, lines):
                if "function" not in command:
                    for one in [one for one in running if running[one] == command["number"]]:
                        os.kill(one, signal.SIGKILL)
                    continue
                forked = os.fork()
                if not forked:
                    os.close(kept)
                    _call(tell, watched, **command)
                running[forked] = command["number"]
                _tell(tell, command["number"], "id", forked)
    finally:
        for one in running:
            os.kill(one, signal.SIGKILL)
            os.waitpid(one, 0)
        shutil.rmtree(folder, ignore_errors=True)


def _call(
    tell: int, watched: int, number: int, function: str, arguments: list[Any]
) -> None:  # pragma: no cover
    """Call a function and tell what it returns; then wait for the end of the first process."""

    def end_with_the_first() -> None:
        os.read(watched, 1)  # nobody writes there: it returns when the other end is closed
        os._exit(0)

    threading.Thread(target=end_with_the_first, daemon=True).start()
    try:
        module, _, name = function.partition(":")
        _tell(tell, number, "result", getattr(importlib.import_module(module), name)(*arguments))
        threading.Event().wait()
    except BaseException as error:
        message = str(error).partition("\n")[0]
        _tell(tell, number, "error", f"{type(error).__name__}: {message}")
    finally:
        os._exit(1)


def _tell(tell: int, number: int, kind: str, value: Any) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody is there any more: the end comes
        os.write(tell, json.dumps([number, kind, value]).encode() + b"\n")
