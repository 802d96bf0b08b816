"""What `import helpers` sets up for two packages that it does not import itself.

TensorFlow prints a dozen lines at start-up, from C++, straight to file descriptor 2: which
instructions the processor has, that there is no GPU, that oneDNN is on. No setting hides all of
them, and the settings that hide most hide real errors too. So while TensorFlow is being imported,
descriptor 2 leads into a temporary file; afterwards the lines that are known to mean nothing are
dropped, and every other line is passed on. Set ``TF_CPP_MIN_LOG_LEVEL=0`` to see everything.

matplotlib's figures get a text fingerprint (see `helpers.figures`) once matplotlib is imported.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import itertools
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import BinaryIO

# How a native line begins: "I0000 00:00:1795340188.050388    3346 port.cc:153] " (level, time,
# thread, source), or, in older builds, "2026-11-22 09:36:26.123456: I tensorflow/…/port.cc:153] ".
_NATIVE = rb"(?:[IWEF]\d{4} [\d:.]+ +\d+|[\d-]{10} [\d:.]+: [IWEF]) "

_IS_NATIVE = re.compile(_NATIVE)

# Lines that come at every start, and tell a reader nothing that can be acted upon.
_KNOWN = re.compile(
    rb"""WARNING:\ All\ log\ messages\ before\ absl::InitializeLog
    | To\ enable\ the\ following\ instructions:          # second line of cpu_feature_guard
    | %b\S*(?:
          port\.cc:\d+\]\ oneDNN
        | cudart_stub\.cc:\d+\]
        | cpu_feature_guard\.cc:\d+\]
        | computation_placer\.cc:\d+\]
        | cuda_(?:dnn|fft|blas|solvers?)\.cc:\d+\]\ Unable\ to\ register
        | (?:generator_dataset_op|util)\.cc:\d+\]\ (?:Memory\ patch\ applied|oneDNN)
        # No driver (303), no device (100): a machine without a GPU. Other numbers are real faults.
        | cuda_\w+\.cc:\d+\]\ failed\ call\ to\ cuInit:.*(?:\(303\)|NO_DEVICE)
        | local_rendezvous\.cc:\d+\]\ .*OUT_OF_RANGE:\ End\ of\ sequence
      )""".replace(b"%b", _NATIVE.replace(b" ", rb"\ ")),
    re.VERBOSE,
)


def is_startup_notice(line: bytes) -> bool:
    """Tell whether a line is one of TensorFlow's known start-up notices.

    Parameters
    ----------
    line
        One line as written to file descriptor 2.

    Examples
    --------
    >>> is_startup_notice(b"I0000 00:00:1795340188.050388    3346 port.cc:153] oneDNN custom ...")
    True
    >>> is_startup_notice(b"E0000 00:00:1795340188.050388    3346 port.cc:153] out of memory")
    False
    """
    return _KNOWN.match(line) is not None


def without_startup_notices() -> contextlib.AbstractContextManager[None]:
    """Hold back what is written to file descriptor 2, then pass on all but the known notices."""
    return filtered_stderr(
        lambda lines: [line for line in lines if not is_startup_notice(line)],
    )


def without_native_messages(lines: Sequence[bytes]) -> list[bytes]:
    """Return the lines before the first message of TensorFlow's native code.

    A native message may go on for any number of lines, a Python traceback among them, so nothing
    after its first line can be told from it.

    Parameters
    ----------
    lines
        What was written to file descriptor 2.

    Examples
    --------
    >>> native = b"W0000 00:00:1795340188.050388    3346 op_kernel.cc:1845] INVALID_ARGUMENT: ..."
    >>> without_native_messages([b"mine", native, b"Traceback"])
    [b'mine']
    """
    return list(itertools.takewhile(lambda line: not _IS_NATIVE.match(line), lines))


@contextlib.contextmanager
def filtered_stderr(select: Callable[[Sequence[bytes]], Sequence[bytes]]) -> Iterator[None]:
    """Hold back what is written to file descriptor 2, then pass on the lines that `select` returns.

    Also where the body raises. Where descriptor 2 is closed, or no temporary file can be made,
    the body simply runs: nothing is hidden.
    """
    _flush(sys.stderr)
    try:
        # Before the file is opened: were descriptor 2 closed, the file itself would become it.
        real = os.dup(2)
    except OSError:
        real = None
    held: BinaryIO | None = None
    if real is not None:
        with contextlib.suppress(OSError):
            held = tempfile.TemporaryFile()  # noqa: SIM115  (closed below, after its last use)
    if real is None or held is None:
        if real is not None:
            os.close(real)
        yield
        return
    os.dup2(held.fileno(), 2)
    try:
        yield
    finally:
        _flush(sys.stderr)
        os.dup2(real, 2)
        os.close(real)
        with held:
            held.seek(0)
            rest = b"".join(select(held.readlines()))
        while rest:
            rest = rest[os.write(2, rest) :]


def _flush(stream: object) -> None:
    """Flush a stream that may be missing (`pythonw`) or closed."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        stream.flush()  # type: ignore[attr-defined]


class _AroundImport(importlib.abc.MetaPathFinder):
    """Run one module's import inside a context.

    The ordinary finders find the module; only its loader's `exec_module` is replaced, on that one
    loader object and for that one import.
    """

    def __init__(
        self,
        name: str,
        context: Callable[[], contextlib.AbstractContextManager[None]],
        afterwards: Callable[[ModuleType], object],
    ) -> None:
        self.name = name
        self.context = context
        self.afterwards = afterwards

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Find the one module with the other finders, and wrap its loader."""
        if fullname != self.name:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (
            finder.find_spec(fullname, path, target)
            for finder in others
            if hasattr(finder, "find_spec")
        )
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            self._wrap(spec.loader)
        return spec

    def _wrap(self, loader: importlib.abc.Loader) -> None:
        def exec_module(module: ModuleType) -> None:
            del loader.exec_module  # the loader is its ordinary self again, even if this fails
            with self.context():
                loader.exec_module(module)
                self.afterwards(module)

        loader.exec_module = exec_module  # type: ignore[method-assign]


def quieten_tensorflow() -> None:
    """See to it that the first ``import tensorflow`` of this process is quiet.

    Does nothing where TensorFlow is imported already, or where ``TF_CPP_MIN_LOG_LEVEL=0`` asks for
    every line. Otherwise the level becomes 1 unless set (information is hidden, warnings and
    errors are not).
    """
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    if level != "0" and "tensorflow" not in sys.modules:
        _install(_AroundImport("tensorflow", without_startup_notices, _list_devices))


def _list_devices(tensorflow: ModuleType) -> None:
    """Look for devices now, so that the notice "failed call to cuInit" comes now and is dropped.

    Looking configures nothing: `tf.config` can still choose devices, threads and memory. What goes
    wrong here goes wrong again at the first operation, where it belongs.
    """
    with contextlib.suppress(Exception):
        tensorflow.config.list_physical_devices()


def fingerprint_figures() -> None:
    """Give matplotlib's figures their text fingerprint: now, or as soon as it is imported.

    Only under IPython (a notebook or a console); a script has no use for it.
    """
    if "IPython" not in sys.modules or sys.modules["IPython"].get_ipython() is None:
        return
    if "matplotlib.figure" in sys.modules:
        _register(sys.modules["matplotlib.figure"])
    else:
        _install(_AroundImport("matplotlib.figure", contextlib.nullcontext, _register))


def _register(_: ModuleType) -> None:
    from helpers import figures

    figures.register()


def _install(finder: _AroundImport) -> None:
    """Put a finder first, once for each module name."""
    installed = (getattr(other, "name", None) for other in sys.meta_path)
    if finder.name not in installed:
        sys.meta_path.insert(0, finder)
