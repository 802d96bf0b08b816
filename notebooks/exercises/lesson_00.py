"""Checks of the exercises of lesson 00: meet the data."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from exercises.specs import difference, spec
from helpers import tiles


def exercise_1(name: Any) -> str | None:
    """Check the name of the class with the roughest relief."""
    means = tiles.table("train").groupby("class")["roughness"].mean()
    if not isinstance(name, str) or name not in means:
        return f"expected one of {list(means.index)}, found {name!r}"
    rougher = int((means > means[name]).sum())
    if rougher:
        return f"expected the largest mean, found that of {name!r}, and {rougher} are larger"
    return None


def exercise_2(batch: Any) -> str | None:
    """Check a nest of one input and two targets."""
    wanted = {
        "inputs": spec(32, 64, 64, 3),
        "targets[0]": spec(32, 8),
        "targets[1]": spec(32, 2),
    }
    return difference(batch, wanted)


def exercise_3(function: Callable[[], Iterable[Any]]) -> str | None:
    """Check batches of 100 rows and a last one of 80, in order."""
    batches = list(itertools.islice(function(), 6))
    for number, batch in enumerate(batches):
        count = len(batch[0])
        differs = difference(batch, {"inputs": spec(count, 5), "targets": spec(count, 2)})
        if differs:
            return f"batch {number}: {differs}"
    lengths = [len(site) for site, _ in batches]
    if lengths != [100, 100, 100, 100, 80]:
        return f"expected batches of [100, 100, 100, 100, 80] samples, found {lengths}"
    parts = (np.concatenate(part) for part in zip(*batches, strict=True))
    for found, names in zip(parts, ("SITE", "COMPOSITION"), strict=True):
        equal = (found == tiles.columns("train", getattr(tiles, names))).all(axis=1)
        if not equal.all():
            return f"{names.lower()}: expected 480 rows in order, found {equal.sum()} in place"
    return None
