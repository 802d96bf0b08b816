"""Texts whose numbers may differ a little, as a cell's tag states, and nothing else of them.

A cell that is tagged ``within-2%`` shows numbers that do not repeat to the last digit: losses on
another processor, ratios of times. Each number must be within so many percent of the stored one,
of the larger of the two; all text between the numbers must be the same.
"""

from __future__ import annotations

import re
from itertools import zip_longest

TAG = re.compile(r"within-(\d{1,2}(?:\.\d+)?)%")
LOOSEST = 60.0

# Not within a word, such as float32 or x1, nor a part of a version or a date.
_NUMBER = re.compile(
    r"(?<![\w.])(?<!\d[:/-])[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?(?![\w]|\.\d|[:/]\d)"
)


def percent_of(tags: list[str]) -> float | None:
    """Return the tolerance that a cell's tags state, in percent; None where there is none.

    Raises
    ------
    ValueError
        If there is more than one, or it is not well-formed, or too loose.

    Examples
    --------
    >>> percent_of(["starter"]), percent_of(["within-2.5%"])
    (None, 2.5)
    """
    stated = [tag for tag in tags if tag.startswith("within")]
    if not stated:
        return None
    found = TAG.fullmatch(stated[0])
    if len(stated) > 1 or not found or not 0 < float(found[1]) <= LOOSEST:
        raise ValueError(
            f"tags {stated}: expected one like 'within-2%', at most {LOOSEST:g} %, found another"
        )
    return float(found[1])


def numbers(text: str) -> list[float]:
    """Return the numbers in a text that may differ.

    Examples
    --------
    >>> numbers("float32: loss 2.07 → 1.31, 480 of 1,440 pairs, -3e-05")
    [2.07, 1.31, 480.0, 1440.0, -3e-05]
    """
    return [float(found.replace(",", "").replace("−", "-")) for found in _NUMBER.findall(text)]


def difference(stored: str, new: str, percent: float) -> str:
    """Say where two texts differ by more than the tolerance allows; empty if they do not.

    Examples
    --------
    >>> difference("loss 2.07 → 1.31", "loss 2.07 → 1.32", 1)
    ''
    >>> difference("loss 2.07 → 1.31", "loss 2.07 → 1.41", 1)
    "line 1: stored 1.31, now 1.41, which is 7.1 % apart (allowed 1 %): 'loss 2.07 → 1.41'"
    """
    for count, (old, drawn) in enumerate(zip_longest(stored.splitlines(), new.splitlines()), 1):
        if old is None or drawn is None or _frame(old) != _frame(drawn):
            shown = ["nothing" if line is None else repr(line[:200]) for line in (old, drawn)]
            return f"line {count}: stored {shown[0]}, now {shown[1]}"
        for one, other in zip(numbers(old), numbers(drawn), strict=True):
            apart = distance(one, other)
            if apart > percent:
                return (
                    f"line {count}: stored {one:g}, now {other:g}, which is {apart:.1f} % apart "
                    f"(allowed {percent:g} %): {drawn[:200]!r}"
                )
    return ""


def distance(one: float, other: float) -> float:
    """Return how far two numbers are apart, in percent of the larger one."""
    return 0.0 if one == other else 100 * abs(one - other) / max(abs(one), abs(other))


def _frame(line: str) -> str:
    """Return all of a line but its numbers; columns are as wide as the widest number in them."""
    return re.sub(r"[ ─-]*#[ ─-]*", "#", _NUMBER.sub("#", line.replace("#", "♯")))
