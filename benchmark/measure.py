"""From the rates of single rounds to the numbers of the report.

Two contenders are only ever compared within one round: each round asks all of them, one soon
after the other, so a machine that is slow for a while is slow for all. The report's number is
the median of the rounds' ratios.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Row", "Spread", "order", "ratios", "rounds_of", "spread"]


@dataclass(frozen=True)
class Spread:
    """The median of some numbers, with the smallest and the largest."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """What the report says of one contender in one case.

    Parameters
    ----------
    name, title, kind : str
        Of the contender.
    rate : float
        Median of its pictures a second.
    ratio : Spread
        Its rate by the textbook pipeline's.
    share : Spread or None
        Its rate by the limit's; None for limits.
    difference : float or None
        Largest difference to the textbook's pixels, 0–255; None where it draws others.
    memory : tuple of int
        Bytes after the first epoch and after the last one.
    epochs : int
        How many there were.
    """

    name: str
    title: str
    kind: str
    rate: float
    ratio: Spread
    share: Spread | None
    difference: float | None
    memory: tuple[int, int]
    epochs: int


def order(names: Sequence[str], number: int) -> list[str]:
    """Return the order of one round: forwards and backwards in turn.

    Examples
    --------
    >>> order(["a", "b"], 0), order(["a", "b"], 1)
    (['a', 'b'], ['b', 'a'])
    """
    return list(names) if number % 2 == 0 else list(reversed(names))


def rounds_of(seconds: float, epoch: float) -> int:
    """Return how many whole epochs last at least so many seconds.

    Parameters
    ----------
    seconds : float
        How long a round should last.
    epoch : float
        How long an epoch lasts.

    Examples
    --------
    >>> rounds_of(1.5, 0.4), rounds_of(1.5, 9.0)
    (4, 1)
    """
    return max(1, math.ceil(seconds / epoch))


def ratios(rates: Sequence[float], reference: Sequence[float]) -> list[float]:
    """Return the ratio of each round.

    Parameters
    ----------
    rates, reference : sequence of float
        Pictures a second, one number a round.

    Raises
    ------
    ValueError
        If they are not of the same rounds.

    Examples
    --------
    >>> ratios([20, 30], [10, 10])
    [2.0, 3.0]
    """
    if len(rates) != len(reference) or not rates:
        raise ValueError(f"rates: expected {len(reference)} rounds, found {len(rates)}")
    return [rate / other for rate, other in zip(rates, reference, strict=True)]


def spread(numbers: Sequence[float]) -> Spread:
    """Return the median, the smallest and the largest.

    Examples
    --------
    >>> spread([3, 1, 2])
    Spread(median=2, low=1, high=3)
    """
    return Spread(statistics.median(numbers), min(numbers), max(numbers))
