"""The tf.data service on one machine: a dispatcher and workers as processes of their own.

The service is made for many machines. To see what it does, and to try a pipeline before it goes
there, its processes can run here. `Cluster` starts them and kills any of them on demand. None
outlives the process that started it, however that ends.

How: the first process that is started imports TensorFlow once and forks the others, so that each is
up in a fraction of a second. All of them hold one end of a socket, and end when the other end is
closed; the system closes it when this process dies.

The lesson that builds it: 11 Beyond one machine.
"""

from __future__ import annotations

import contextlib
import importlib
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
import weakref
from collections.abc import Callable, Iterable, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Self

__all__ = ["Cluster", "Process", "Processes", "Reader", "free_ports"]

_BEGIN = (
    "import json, sys; path, *arguments = json.loads(sys.argv[1]); sys.path[:] = path; "
    "from helpers import service; service._begin(*arguments)"
)
_servers: list[Any] = []  # of a process that runs one; it would stop if nobody knew it


class Process:
    """A process that `Processes.start` has started; ``id`` is the system's number of it.

    Parameters
    ----------
    name : str
        Of the function that it runs, for messages.
    connection : multiprocessing.connection.Connection
        Where its number comes from, and later its result.

    Examples
    --------
    >>> import math
    >>> with Processes(modules=[]) as processes:
    ...     process = processes.start(math.sqrt, -1)
    ...     process.result()
    Traceback (most recent call last):
    RuntimeError: sqrt: expected a result, found ValueError: math domain error
    """

    def __init__(self, name: str, connection: Connection) -> None:
        self._name, self._connection = name, connection
        self.id: int = self.result()

    def result(self, *, seconds: float = 120) -> Any:
        """Return what the function has returned; wait so many seconds at most. Call it once.

        Raises
        ------
        RuntimeError
            If the function has raised, or the process has ended before.
        TimeoutError
            If it has not returned in time.
        """
        if not self._connection.poll(seconds):
            raise TimeoutError(f"{self._name}: expected a result in {seconds:g} s, found none")
        try:
            error, value = self._connection.recv()
        except (EOFError, ConnectionError):
            error, value = "that the process has ended", None
        if error:
            raise RuntimeError(f"{self._name}: expected a result, found {error}")
        return value

    def kill(self) -> None:
        """Kill it with SIGKILL, as an accident would, and wait until it has let go of its files."""
        with contextlib.suppress(EOFError, OSError):
            os.kill(self.id, signal.SIGKILL)
            while True:  # until its end of the connection is closed
                self._connection.recv()


class Processes:
    """Processes that begin with modules imported, and that end with this one.

    Parameters
    ----------
    modules : sequence of str
        What is imported once, before the first of them is forked.

    Attributes
    ----------
    ids : list of int
        The system's number of each process that was started, those that have ended included.
    close : callable
        Ends all of them. It is called when this object or this process goes, too.

    Raises
    ------
    NotImplementedError
        On Windows, where no process can be forked.

    Examples
    --------
    >>> import math
    >>> with Processes(modules=["math"]) as processes:
    ...     processes.start(math.sqrt, 2.25).result()
    1.5
    """

    def __init__(self, *, modules: Sequence[str] = ("tensorflow",)) -> None:
        if not hasattr(os, "fork"):
            raise NotImplementedError(
                "service: expected a system that can fork a process, found Windows; "
                "run this on Linux, on macOS, or in the Windows Subsystem for Linux"
            )
        self._folder = tempfile.mkdtemp(prefix="service-")
        self._socket, theirs = socket.socketpair()
        arguments = json.dumps([sys.path, self._folder, list(modules)])
        with theirs:
            first = subprocess.Popen(
                [sys.executable, "-P", "-c", _BEGIN, arguments],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # an interrupt in a terminal or a notebook is not for them
                env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},  # a GPU is for who trains
            )
        self.ids = [first.pid]
        self.close = weakref.finalize(self, _end, first, self._socket)

    def __enter__(self) -> Self:
        """Return this object."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        self.close()

    def start(self, function: Callable[..., Any], *arguments: Any) -> Process:
        """Start a process that calls a function, and stays after that until it is ended.

        Parameters
        ----------
        function : callable
            A function of a module that can be imported, so not of a notebook or a script.
        *arguments
            What it is called with; they are pickled.

        Raises
        ------
        RuntimeError
            If the processes were ended.
        """
        ours, theirs = Pipe()
        try:  # their end of the connection goes through the socket, all else through that
            with theirs:
                socket.send_fds(self._socket, [b"1"], [theirs.fileno()])
            ours.send((function, arguments))
        except OSError:
            raise RuntimeError("service: the processes were ended; start them again") from None
        process = Process(function.__name__, ours)
        self.ids.append(process.id)
        return process


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

    Attributes
    ----------
    address : str
        What ``tf.data.experimental.service.distribute(service=…)`` needs.
    dispatcher : Process
        The one that was started last.
    workers : dict of Process
        By number, from 0.

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

    def __init__(self, *, workers: int = 2, journal: bool = False, fixed: bool = False) -> None:
        if workers < 1:
            raise ValueError(f"workers: expected 1 or more, found {workers}")
        super().__init__()
        self._port, *self._ports = free_ports(1 + workers)
        self.address = f"grpc://localhost:{self._port}"
        self.workers: dict[int, Process] = {}
        try:
            self.start_dispatcher(journal=journal, fixed=fixed)
            for worker in range(workers):
                self.start_worker(worker)
        except BaseException:  # an interrupt, too
            self.close()
            raise

    def start_dispatcher(self, *, journal: bool = False, fixed: bool = False) -> None:
        """Start the dispatcher at its address; with a journal it reads what one before it wrote."""
        self.dispatcher = self._serve(
            "DispatchServer",
            "DispatcherConfig",
            port=self._port,
            work_dir=self._folder if journal else "",
            fault_tolerant_mode=journal,
            worker_addresses=[f"localhost:{port}" for port in self._ports] if fixed else [],
        )

    def start_worker(self, worker: int) -> None:
        """Start a worker by its number: at the address that it had, or one more at a new one."""
        while worker >= len(self._ports):
            self._ports += free_ports(1)
        self.workers[worker] = self._serve(
            "WorkerServer",
            "WorkerConfig",
            port=self._ports[worker],
            worker_address=f"localhost:{self._ports[worker]}",
            dispatcher_address=f"localhost:{self._port}",
            heartbeat_interval_ms=500,
        )

    def _serve(self, server: str, config: str, **options: Any) -> Process:
        process = self.start(_run_server, server, config, options)
        process.result()
        return process


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

    def __init__(self, dataset: Iterable[Any]) -> None:
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

    def _read(self, dataset: Iterable[Any]) -> None:
        try:
            self.elements.extend(dataset)
        except Exception as error:
            self._error = error


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that the system has free now, all different.

    Parameters
    ----------
    count : int
        How many.

    Returns
    -------
    list of int
        They may be taken by another program before you use them.

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


def _end(first: subprocess.Popen[bytes], ours: socket.socket) -> None:
    """End the first process, which ends the others; kill all of them if that takes too long."""
    with ours, contextlib.suppress(OSError):
        ours.shutdown(socket.SHUT_RDWR)  # a process that was forked here may hold a copy
    try:
        first.wait(30)
    finally:  # after an interrupt, too
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(first.pid, signal.SIGKILL)
        first.wait()


# --- in the other processes -----------------------------------------------------------------------


def _run_server(server: str, config: str, options: dict[str, Any]) -> None:
    from tensorflow.data.experimental import service

    _servers.append(getattr(service, server)(getattr(service, config)(**options)))


def _begin(folder: str, modules: list[str]) -> None:
    """Fork a process for each connection that comes, until the socket is closed; then end all."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has ended is gone, without being asked for
    for module in modules:
        importlib.import_module(module)
    with socket.socket(fileno=0) as commands:
        while (received := socket.recv_fds(commands, 1, 1))[0]:
            (handle,) = received[1]
            if not os.fork():
                _call(Connection(handle))
            os.close(handle)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # all in this group, except for this one
    os.killpg(0, signal.SIGTERM)
    with contextlib.suppress(ChildProcessError):
        os.wait()  # for all of them
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)  # TensorFlow takes seconds to leave properly


def _call(connection: Connection) -> None:  # pragma: no cover
    """Call a function and tell what it returns; then wait for the end."""

    def end_with_the_socket() -> None:
        socket_is_closed = select.poll()
        socket_is_closed.register(0, select.POLLHUP)
        socket_is_closed.poll()
        os._exit(0)

    watching = threading.Thread(target=end_with_the_socket, daemon=True)
    watching.start()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        connection.send(("", os.getpid()))
        function, arguments = connection.recv()
        connection.send(("", function(*arguments)))
        watching.join()
    except BaseException as error:
        message = str(error).partition("\n")[0]
        connection.send((f"{type(error).__name__}: {message}", None))
    finally:
        os._exit(1)
