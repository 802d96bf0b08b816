"""Whether a generator's code has an end, read from its bytecode: Python 3.11 to 3.13.

Nothing is run, so this costs nothing and moves nothing on.
"""

from __future__ import annotations

import dis
import types

__all__ = ["NEVER", "RAISES", "RETURNS", "ending"]

RETURNS, RAISES, NEVER = "returns", "raises", "never"


def ending(code: types.CodeType) -> str:
    """Say how a generator's code can end.

    The compiler drops what cannot be reached, the ``return`` behind a ``while True`` with no
    ``break`` among it. So an instruction that is there is a way out. Only an explicit ``raise``
    or ``assert`` counts: Python 3.12 wraps each generator in a handler that raises again.

    Parameters
    ----------
    code : types.CodeType
        Such as ``generator.gi_code``, or ``function.__code__``.

    Returns
    -------
    str
        ``"returns"`` where it has a way to its end. ``"raises"`` where the only way out is an
        error: ``raise`` as the last line, or in a loop without ``break`` and ``return``.
        ``"never"`` where it jumps back and has no way out at all.

    Examples
    --------
    >>> def counting():
    ...     number = 0
    ...     while True:
    ...         yield number
    ...         number += 1
    >>> ending(counting.__code__)
    'never'
    """
    names = {step.opname for step in dis.get_instructions(code)}
    if names & {"RETURN_VALUE", "RETURN_CONST"}:
        return RETURNS
    if "RAISE_VARARGS" in names:
        return RAISES
    return NEVER if any(name.startswith("JUMP_BACKWARD") for name in names) else RETURNS
