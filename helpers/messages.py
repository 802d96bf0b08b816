"""The lines of a warning or an error that matter.

TensorFlow wraps one useful line in sixty: node names, a trace of its own source, the C++ call.
Lessons that provoke an error print it through `shown`.

The lesson that builds it: 01 Tuple inputs.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

__all__ = ["NATIVE", "essence", "filtered_stderr", "shown"]

#: How a message of TensorFlow's native code begins: level, time, thread and source, as in
#: "I0000 00:00:1795340188.050388    3346 port.cc:153] "; in older builds time, level and source, as
#: in "2026-11-22 09:36:26.123456: I tensorflow/core/util/port.cc:153] ".
NATIVE = re.compile(r"(?:[IWE]\d{4} [\d:.]+ +\d+|[\d-]{10} [\d:.]+: [IWE]) ([\w./-]+):\d+\] ")

# What TensorFlow and Keras put around a message.
_WRAPPING = re.compile(
    r"""^\s*\{\{function_node\ [^}]*\}\}\s*  # which node failed
      | \s*\[\[\{\{.*$                       # likewise, after the message
      | \s*\[Op:\w+\].*$                     # which operation
      | \x1b\[\d*m                           # bold on and off
      | \ at\ 0x[0-9a-fA-F]+                 # where in memory: another one in each run
    """,
    re.VERBOSE | re.MULTILINE,
)
_NOISE = (
    "Graph execution error",
    "Detected at node",
    "File ",
    "The stack trace below excludes TensorFlow-internal frames",
    "Exception encountered when calling",
)
# After these lines comes nothing that the lines before them do not say.
_ENDS = ("Traceback (most recent call last)", "Arguments received by", "Stack trace for op")

# TensorFlow logs it of a dataset from a generator where a strategy distributes it.
_UNOPTIMIZED = "Input of GeneratorDatasetOp::Dataset will not be optimized"

# What Python itself does not show to users: it is meant for the authors of libraries.
_HIDDEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


@contextlib.contextmanager
def shown() -> Iterator[None]:
    """Run the block; print each warning and the error, if any, in the lines that matter.

    The error ends the block and goes no further. Where nothing comes, that is printed too: a
    mistake that says nothing is the kind to look out for. What TensorFlow's native code logs of an
    error that Python then raises is left out; so are its advice against building functions in a
    loop, and its note that a generator "will not be optimized", which none can be.

    Yields
    ------
    None

    Examples
    --------
    >>> with shown():
    ...     int("many")
    ValueError: invalid literal for int() with base 10: 'many'
    >>> with shown():
    ...     one = int("1")
    no error, no warning
    """
    error: Exception | None = None

    def before_native(lines: Sequence[str]) -> Iterable[str]:
        # A native message may go on for any number of lines, so nothing after it can be told from
        # it. Without an error everything passes.
        before = itertools.takewhile(lambda line: not (error and NATIVE.match(line)), lines)
        return (line for line in before if not (NATIVE.match(line) and _UNOPTIMIZED in line))

    log = logging.getLogger("tensorflow")
    log.addFilter(_is_no_retracing_advice)
    with warnings.catch_warnings(record=True) as caught, filtered_stderr(before_native):
        warnings.simplefilter("always")
        try:
            yield
        except Exception as raised:
            error = raised
        finally:
            log.removeFilter(_is_no_retracing_advice)
    told: list[Any] = [one.message for one in caught if not isinstance(one.message, _HIDDEN)]
    lines = [essence(one) for one in (*told, error) if one is not None]
    print("\n".join(dict.fromkeys(lines)) or "no error, no warning")


def _is_no_retracing_advice(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in record.getMessage()


def essence(error: BaseException, limit: int = 400) -> str:
    r"""Return the class and the message of an error or a warning without its wrapping.

    Parameters
    ----------
    error : BaseException
        An exception or a warning.
    limit : int
        Characters of the message to keep.

    Returns
    -------
    str
        Lines of at most 100 characters.

    Examples
    --------
    >>> essence(ValueError("Graph execution error:\n\nshapes differ\n\t [[{{node add}}]]"))
    'ValueError: shapes differ'
    """
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    lines = map(str.strip, _WRAPPING.sub("", message).splitlines())
    before_the_end = itertools.takewhile(lambda line: not line.startswith(_ENDS), lines)
    text = " ".join(line for line in before_the_end if line and not line.startswith(_NOISE))
    if len(text) > limit:
        text = text[: limit - 1].rstrip() + "…"
    return textwrap.fill(
        f"{type(error).__name__}: {text}",
        width=100,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


@contextlib.contextmanager
def filtered_stderr(select: Callable[[Sequence[str]], Iterable[str]]) -> Iterator[None]:
    """Hold back what the block writes to file descriptor 2, then pass on what `select` returns.

    Native code writes there without going through `sys.stderr`. What is held back also comes where
    the block raises.

    Parameters
    ----------
    select : callable
        Takes the lines, each with its end, and returns those to pass on.

    Yields
    ------
    None

    Examples
    --------
    >>> with filtered_stderr(lambda lines: [line for line in lines if "port.cc" not in line]):
    ...     _ = os.write(2, b"I0000 00:00:1.5    7 port.cc:153] oneDNN is on")
    """
    _flush_stderr()
    try:
        # In this order: were descriptor 2 closed, the file would become it.
        real, held = os.dup(2), tempfile.TemporaryFile()  # noqa: SIM115  (closed below)
    except OSError:  # there is no descriptor 2, or no place for a file: nothing is held back
        yield
        return
    os.dup2(held.fileno(), 2)
    try:
        yield
    finally:
        _flush_stderr()
        os.dup2(real, 2)
        os.close(real)
        with held, open(2, "wb", closefd=False) as stderr:
            held.seek(0)
            lines = [line.decode("utf-8", "surrogateescape") for line in held]
            stderr.write("".join(select(lines)).encode("utf-8", "surrogateescape"))


def _flush_stderr() -> None:
    """Flush `sys.stderr`, which may be missing (`pythonw`) or closed."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()
