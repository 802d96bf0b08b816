"""What is known about a dataset, and how its first batches are read."""

from __future__ import annotations

import types
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from helpers.contract import bytecode, functions
from helpers.messages import essence

__all__ = ["Source", "read", "see_end", "unreadable"]


@dataclass
class Source:
    """What is known about a dataset.

    Attributes
    ----------
    kind : str
        Such as ``"tf.data"``, ``"arrays"`` or ``"generator"``.
    element : nest or None
        A signature, or one batch; None where neither is known.
    length : int or None
        Batches in an epoch; None where it is not known.
    endless : bool
        The dataset has no end.
    raises : bool
        Its generator has no way out but an error.
    batches : dict of str to nest
        Batches that were looked at, by name: ``"first batch"``.
    unseen : str
        Why no batch was looked at.
    cut : dict of str to (str, str)
        Leaves whose fractions a signature of whole numbers cuts off: the dtypes of both.
    problem : tuple or None
        What went wrong on the way: (what is, what should be, the change).
    """

    kind: str
    element: Any = None
    length: int | None = None
    endless: bool = False
    batches: dict[str, Any] = field(default_factory=dict)
    unseen: str = ""
    problem: tuple[str, str, str] | None = None
    shuffles: bool = False
    order_dropped: bool = False
    repeats_random: bool = False
    ends: bool = False
    raises: bool = False
    cut: dict[str, tuple[str, str]] = field(default_factory=dict)
    counted: int | None = None


def read(dataset: Iterable[Any], source: Source, whole_pass: bool) -> None:
    """Read the first two batches, or all, into the source; or what went wrong."""
    number = 0
    try:
        for batch in dataset if whole_pass and not source.endless else islice(dataset, 2):
            number += 1
            name = {1: "first batch", 2: "second batch"}.get(number, "last batch")
            source.batches[name] = batch
    except Exception as error:
        change = "mend the generator; next(generator()) shows its own error"
        source.problem = unreadable(number + 1, error, change)
        return
    if (number < 2 or whole_pass) and not source.order_dropped:
        source.counted = number


def unreadable(number: int, error: Exception, change: str) -> tuple[str, str, str]:
    """Return the problem of a batch that raised instead of being read."""
    found = f"batch {number} cannot be read: {essence(error, 250)}".replace("\n    ", " ")
    return found, "a batch", change


def see_end(generator: types.GeneratorType, reachable: list[Any], source: Source) -> None:
    """Note whether a generator has an end, from its code and from what it draws on."""
    ending = bytecode.ending(generator.gi_code)
    source.endless |= ending == bytecode.NEVER
    source.raises |= ending == bytecode.RAISES
    source.ends = ending == bytecode.RETURNS and not any(map(functions.may_be_endless, reachable))
