"""Checks of the exercises of lesson 04: your own data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd


def exercise_1(function: Callable[[np.ndarray], Any]) -> str | None:
    """Check a function that scales 16 bits to 8."""
    levels = np.arange(256, dtype="uint16").reshape(16, 16)
    found = np.asarray(function(levels * 257))
    if found.dtype != np.uint8 or found.shape != levels.shape:
        return f"expected uint8 of shape (16, 16), found {found.dtype} of shape {found.shape}"
    wrong = np.flatnonzero(found.ravel() != levels.ravel())
    if wrong.size:
        first = int(wrong[-1])
        return (
            f"expected {first} for a pixel of {first * 257}, found {found.ravel()[first]}; "
            f"{wrong.size} of 256 levels are wrong"
        )
    return None


def exercise_2(function: Callable[[Sequence[str], Sequence[str]], Any]) -> str | None:
    """Check pairs of names by their numbers."""
    numbers = np.random.default_rng(0).permutation(np.arange(1, 13)).tolist()
    masks = [f"{number:02d}.png" for number in reversed(numbers)]
    found = list(function([f"img{number}.jpg" for number in numbers], masks))
    wanted = [(f"img{number}.jpg", f"{number:02d}.png") for number in range(1, 13)]
    if len(found) != len(wanted):
        return f"expected 12 pairs, found {len(found)}"
    for place, (pair, right) in enumerate(zip(found, wanted, strict=True)):
        if tuple(pair) != right:
            return f"pair {place}: expected {right}, found {tuple(pair)}"
    return None


def exercise_3(function: Callable[[pd.DataFrame], Any]) -> str | None:
    """Check a split by place on a table whose index is no row number."""
    places = np.repeat([f"place {number}" for number in range(10)], 3)
    order = np.random.default_rng(1).permutation(30)
    table = pd.DataFrame({"place": places[order]}, index=order + 100)
    train, validation = (np.asarray(rows) for rows in function(table))
    together = np.concatenate([train, validation])
    if sorted(together.tolist()) != list(range(30)):
        return (
            f"expected each position from 0 to 29 once, found {len(together)} from "
            f"{together.min()} to {together.max()}"
        )
    both = set(table["place"].iloc[train]) & set(table["place"].iloc[validation])
    if both:
        return f"expected no place in both splits, found {len(both)} of 10"
    count = table["place"].iloc[validation].nunique()
    return None if count == 2 else f"expected 2 of 10 places in validation, found {count}"
