"""Checks of the exercises of lesson 02: separate generators."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from exercises.specs import difference, is_no, spec
from helpers import generators, tiles


def exercise_1(function: Callable[..., Any]) -> str | None:
    """Check a function that nests two targets."""
    found = function(tf.ones((2, 64, 64, 3)), tf.ones((2, 8)), tf.ones(2))
    wanted = {"inputs": spec(2, 64, 64, 3), "targets[0]": spec(2, 8), "targets[1]": spec(2)}
    return difference(found, wanted)


def exercise_2(epochs: Any) -> str | None:
    """Check `AlignedEpochs` with the relief as a third input."""
    problem = is_no(epochs, generators.AlignedEpochs)
    if problem:
        return problem
    batch = epochs.peek()
    count = len(batch[1][0])
    wanted = {
        "inputs[0]": spec(count, 64, 64, 3),
        "inputs[1]": spec(count, 10),
        "inputs[2]": spec(count, 32, 32, 3),
        "targets[0]": spec(count, 8),
        "targets[1]": spec(count, 2),
    }
    differs = difference(batch, wanted)
    if differs is None and len(epochs) != 15:
        return f"expected 15 batches of training tiles, found {len(epochs)}"
    if differs is None:
        _, spectral, relief = batch[0]
        rows = _rows_of(spectral, "train")
        stored = tiles.read_images("relief", "train")[rows].mean(axis=(1, 2)) / 255
        pairs = np.abs(relief.mean(axis=(1, 2)) - stored).max(axis=1) < 0.001
        if not pairs.all():
            return f"expected the relief of the same rows, found it in {pairs.sum()} of {count}"
    return differs


def exercise_3(function: Callable[[], Iterable[Any]]) -> str | None:
    """Check one epoch of the validation tiles, and the next."""
    for epoch in ("the first call", "the second call"):
        batches = list(itertools.islice(function(), 5))
        if len(batches) != 4:
            found = "more" if len(batches) == 5 else len(batches)
            return f"{epoch}: expected 4 batches, found {found}"
        for number, batch in enumerate(batches):
            count = 24 if number == 3 else 32
            wanted = {
                "inputs[0]": spec(count, 64, 64, 3),
                "inputs[1]": spec(count, 10),
                "targets[0]": spec(count, 8),
                "targets[1]": spec(count, 2),
            }
            differs = difference(batch, wanted)
            if differs:
                return f"{epoch}, batch {number}: {differs}"
        parts = [np.concatenate(part) for part in zip(*map(tf.nest.flatten, batches), strict=True)]
        differs = _unpaired(*parts)
        if differs:
            return f"{epoch}: {differs}"
    return None


def _unpaired(imagery: Any, spectral: Any, land_cover: Any, composition: Any) -> str | None:
    """Say which stream does not belong to the images, and in how many samples."""
    pairs = np.abs(imagery.mean(axis=(1, 2)) - spectral[:, :3]).max(axis=1) < 0.001
    if not pairs.all():
        return f"expected 120 pairs of imagery and spectral that belong, found {pairs.sum()}"
    rows = _rows_of(spectral, "validation")
    if len(set(rows.tolist())) != 120:
        return f"expected 120 different tiles, found {len(set(rows.tolist()))}"
    streams = {
        "land_cover": (land_cover, tiles.one_hot("validation")),
        "composition": (composition, tiles.columns("validation", tiles.COMPOSITION)),
    }
    for name, (found, stored) in streams.items():
        equal = int((found == stored[rows]).all(axis=1).sum())
        if equal != 120:
            return f"expected {name} of the same rows in 120 samples, found it in {equal}"
    return None


def _rows_of(spectral: np.ndarray, split: str) -> np.ndarray:
    """Return the rows of tiles, known again by their ten numbers."""
    stored = tiles.columns(split, tiles.SPECTRAL)
    return np.abs(spectral[:, None] - stored[None]).max(axis=2).argmin(axis=1)
