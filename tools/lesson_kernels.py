"""How a kernel that runs lessons starts: quiet, and showing what is stored.

`make lab`, `make notebooks` and the tests call `prepare`; every kernel that is started after it
runs `tools/startup.py` before its first cell, and that calls `begin`. A kernel that starts without
runs the same lessons; it shows TensorFlow's start-up notices too, and figures without the words.

What a reader saves after running a lesson differs from what is stored only where its outputs do:
the kernel names no version, figures carry no notes, and an error that a lesson expects is shown as
it is stored, by its message.

TensorFlow prints a dozen lines at start-up, from C++, straight to file descriptor 2: which
instructions the processor has, that there is no GPU, that oneDNN is on. No setting hides all of
them, and the settings that hide most hide real errors too. So descriptor 2 is held back while
TensorFlow is being imported; the lines that are known to mean nothing are dropped, and every other
line is passed on. Set ``TF_CPP_MIN_LOG_LEVEL=0`` to see everything.
"""

from __future__ import annotations

import base64
import contextlib
import importlib.abc
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, MutableMapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STARTUP = str(ROOT / "tools" / "startup.py")

# IPython runs the file that PYTHONSTARTUP names. The reader's own waits here.
OWN = "LESSONS_OWN_PYTHONSTARTUP"

# What a lesson stores of its language: nothing that differs between machines.
LANGUAGE = {
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "pygments_lexer": "ipython3",
}

# The tag of a cell that should raise, and so many lines of the error's message are shown.
RAISES = "raises-exception"
MESSAGE_LINES = 12

# Messages that come at every start, and tell a reader nothing that can be acted upon: their source
# and how they begin.
_KNOWN = re.compile(
    r"""port\.cc\ oneDNN
      | (?:cudart_stub|cpu_feature_guard|computation_placer)\.cc\b
      | cuda_(?:dnn|fft|blas|solvers?)\.cc\ Unable\ to\ register
      | (?:generator_dataset_op|util)\.cc\ (?:Memory\ patch\ applied|oneDNN)
      # No driver (303), no device (100): a machine without a GPU. Other numbers are real faults.
      | cuda_\w+\.cc\ failed\ call\ to\ cuInit:.*(?:\(303\)|NO_DEVICE)
      | local_rendezvous\.cc\ .*OUT_OF_RANGE:\ End\ of\ sequence""",
    re.VERBOSE,
)
_AROUND = (
    "WARNING: All log messages before absl::InitializeLog",
    "To enable the following instructions:",  # second line of cpu_feature_guard
)


def prepare(environ: MutableMapping[str, str], *, keep_own: bool) -> None:
    """Let the kernels that are started with these environment variables begin with `begin`.

    Parameters
    ----------
    environ : mutable mapping of str to str
        The variables, such as `os.environ`; changed in place.
    keep_own : bool
        Whether the file that the user's PYTHONSTARTUP names runs after ours. A test must not
        depend on it; a reader would miss it.
    """
    own = environ.get("PYTHONSTARTUP", "")
    if not keep_own:
        environ.pop(OWN, None)
    elif own not in ("", STARTUP):
        environ[OWN] = own
    environ["PYTHONSTARTUP"] = STARTUP


def begin() -> None:
    """Set up the process that runs this; the user's own start-up file comes last."""
    quieten_tensorflow()
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        describe_figures(shell)
        show_what_is_stored(shell)
    own = Path(os.environ.get(OWN, ""))
    if own.is_file():
        exec(compile(own.read_bytes(), str(own), "exec"), vars(sys.modules["__main__"]))


def quieten_tensorflow() -> None:
    """See to it that the first ``import tensorflow`` of this process is quiet.

    Does nothing where TensorFlow is imported already, or where ``TF_CPP_MIN_LOG_LEVEL=0`` asks for
    every line. Otherwise the level becomes 1 unless set (information is hidden, warnings and
    errors are not).
    """
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    if level != "0" and "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _TensorFlowFinder())


class _TensorFlowFinder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow where the other finders do, and has it loaded quietly."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            sys.meta_path.insert(0, self)  # an import that fails may be tried again
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader)
        return spec


class _QuietLoader(importlib.abc.Loader):
    """Loads a module as its own loader does, without the notices."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        with _load("helpers/messages.py").filtered_stderr(_without_notices):
            self.loader.exec_module(module)
            # Looking for devices now brings the notice "failed call to cuInit" now. It configures
            # nothing; what goes wrong here goes wrong again at the first operation.
            with contextlib.suppress(Exception):
                module.config.list_physical_devices()


def _without_notices(lines: Sequence[str]) -> Iterable[str]:
    return (line for line in lines if not is_startup_notice(line))


def is_startup_notice(line: str) -> bool:
    """Tell whether a line is one of TensorFlow's known start-up notices.

    Parameters
    ----------
    line : str
        One line as written to file descriptor 2.

    Examples
    --------
    >>> is_startup_notice("I0000 00:00:1795340188.050388    3346 port.cc:153] oneDNN custom ...")
    True
    >>> is_startup_notice("E0000 00:00:1795340188.050388    3346 port.cc:153] out of memory")
    False
    """
    native = _load("helpers/messages.py").NATIVE.match(line)
    if native is None:
        return line.startswith(_AROUND)
    source = native[1].rpartition("/")[2]
    return _KNOWN.match(f"{source} {line[native.end() :]}") is not None


def describe_figures(shell: Any) -> None:
    """Let an IPython shell show matplotlib's figures with a description beside the image.

    Under IPython a displayed figure comes as an image and as a text. The text is ordinarily
    ``<Figure size 640x480 with 1 Axes>``; now it is what `fingerprint` in tests/figures.py says.
    The image's metadata get what `alternative` there says, ``{"alt": …}``: static pages take it for
    the alternative text, and so does JupyterLab with the extension in tools/labextensions. The
    image itself gets as few bytes as tools/pngs.py can make of it.

    Parameters
    ----------
    shell : IPython.core.interactiveshell.InteractiveShell
    """
    from IPython.core.formatters import PlainTextFormatter, PNGFormatter

    def is_figure(obj: Any) -> bool:
        figure = sys.modules.get("matplotlib.figure")
        return figure is not None and isinstance(obj, figure.Figure)

    class Fingerprints(PlainTextFormatter):  # type: ignore[misc]
        """Describes a figure; shows all else as text, as ever."""

        def __call__(self, obj: Any) -> Any:
            described = is_figure(obj)
            return (
                _load("tests/figures.py").fingerprint(obj) if described else super().__call__(obj)
            )

    class Alternatives(PNGFormatter):  # type: ignore[misc]
        """Adds an alternative text to a figure's image, made small; shows all else as ever."""

        def __call__(self, obj: Any) -> Any:
            shown = super().__call__(obj)
            if not is_figure(obj) or not shown:
                return shown
            image, metadata = shown if isinstance(shown, tuple) else (shown, {})
            small = _load("tools/pngs.py").small(base64.b64decode(image))
            image = base64.b64encode(small).decode("ascii")
            return image, {"alt": _load("tests/figures.py").alternative(obj)} | (metadata or {})

    # Not entries in the formatters' tables: matplotlib's inline backend, whenever it is set up,
    # empties those tables of figures.
    formatter = shell.display_formatter
    formatter.formatters["text/plain"] = Fingerprints(parent=formatter)
    formatter.formatters["image/png"] = Alternatives(parent=formatter)


def show_what_is_stored(shell: Any) -> None:
    """Let an IPython shell show figures, errors and its language as lessons store them.

    Parameters
    ----------
    shell : IPython.core.interactiveshell.InteractiveShell
    """
    kernel = getattr(shell, "kernel", None)
    if kernel is not None:
        kernel.language_info = LANGUAGE
    backend = shell.config.InlineBackend
    kwargs = {"bbox_inches": "tight", "metadata": {"Software": None}}
    backend.setdefault("print_figure_kwargs", kwargs)
    backend.setdefault("figure_formats", {"retina"})  # twice the pixels, shown at the same size
    shell.set_custom_exc((Exception,), _show_error)


def _show_error(shell: Any, kind: type, error: BaseException, trace: Any, tb_offset: Any) -> None:
    """Show an error: of a cell that should raise its message, of any other all that there is."""
    cell = shell.get_parent().get("metadata", {}) if hasattr(shell, "get_parent") else {}
    if RAISES in cell.get("tags", ()):
        shell._showtraceback(kind, error, short_traceback(kind.__name__, str(error)))
    else:
        shell.showtraceback((kind, error, trace), running_compiled_code=True)


def short_traceback(name: str, message: str) -> list[str]:
    r"""Return what readers see of an expected error: its message, no colours, frames and paths.

    Examples
    --------
    >>> short_traceback("ValueError", "no such tile:\nr00_c00")
    ['ValueError: no such tile:', 'r00_c00']
    """
    lines = f"{name}: {message}".splitlines()
    return lines if len(lines) <= MESSAGE_LINES else [*lines[:MESSAGE_LINES], "…"]


def _load(path: str) -> Any:
    """Load a file of this checkout under a name of its own, once.

    Not by an import: where the reader has a folder `helpers`, that is the one to be imported.
    """
    name = "lesson_kernels_" + Path(path).stem
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]
