"""The lines of a warning or an error that matter.

TensorFlow wraps one useful line in sixty: node names, a trace of its own source, the C++ call.
Lessons that provoke an error print it through `shown`.
"""

from __future__ import annotations

import contextlib
import logging
import re
import textwrap
import warnings
from collections.abc import Iterator

from helpers._startup import filtered_stderr, without_native_messages

__all__ = ["essence", "shown"]

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

# What Python itself does not show to users: it is meant for the authors of libraries.
_HIDDEN_BY_DEFAULT = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


@contextlib.contextmanager
def shown() -> Iterator[None]:
    """Run the block; print each warning and the error, if any, in the lines that matter.

    The error ends the block and goes no further. Where nothing comes, that is printed too: a
    mistake that says nothing is the kind to look out for.

    Two things are left out. TensorFlow's native code logs an error that Python then raises: it is
    shown once. And the advice against building functions in a loop, which whoever tries one
    mistake after the other does on purpose.

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
    log = logging.getLogger("tensorflow")
    log.addFilter(_is_no_retracing_advice)
    with (
        warnings.catch_warnings(record=True) as caught,
        filtered_stderr(lambda lines: without_native_messages(lines) if error else lines),
    ):
        warnings.simplefilter("always")
        for hidden in _HIDDEN_BY_DEFAULT:
            warnings.simplefilter("ignore", hidden)
        try:
            yield
        except Exception as raised:
            error = raised
        finally:
            log.removeFilter(_is_no_retracing_advice)
    lines = [essence(warning.message) for warning in caught]  # type: ignore[arg-type]
    lines += [essence(error)] if error is not None else []
    print("\n".join(dict.fromkeys(lines)) or "no error, no warning")


def _is_no_retracing_advice(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in record.getMessage()


def essence(error: BaseException, limit: int = 400) -> str:
    r"""Return an error's or a warning's class and message without its wrapping.

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
    kept = []
    for line in _WRAPPING.sub("", message).splitlines():
        line = line.strip()
        if line.startswith(_ENDS):
            break
        if line and not line.startswith(_NOISE):
            kept.append(line)
    text = " ".join(kept)
    text = text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
    return textwrap.fill(
        f"{type(error).__name__}: {text}",
        width=100,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
