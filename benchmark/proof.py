"""Proof that an epoch held what it should have held: a pipeline that drops work is fast too."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from benchmark.cases import BATCH, Case

__all__ = ["Proof", "ProofError", "check_bits", "check_epoch", "check_pair", "check_strength"]

# How far a contender's augmentation may change the pixels less, or more, than the textbook's does:
# a part of it, and so many standard errors, since both are sampled at random.
TOLERANCE = 0.1
STANDARD_ERRORS = 3
COMPARED = 6  # batches


class ProofError(ValueError):
    """An epoch did not hold what it should have; one line says what."""


@dataclass(frozen=True)
class Proof:
    """What an epoch was found to hold.

    Parameters
    ----------
    samples : int
        Samples in it, each row once.
    strength : float
        Mean absolute difference of an augmented image to its file, on a scale of 0–255.
    error : float
        Standard error of that mean.
    """

    samples: int
    strength: float
    error: float


def check_epoch(batches: Iterable[Any], case: Case) -> Proof:
    """Go through one epoch and say what it held.

    Parameters
    ----------
    batches : iterable
        Of ``(images, rows)``: a tuple with an array of shape (batch, height, width, 3) for each
        image of a sample, and an array of integers of shape (batch,).
    case : Case
        What they should be.

    Returns
    -------
    Proof

    Raises
    ------
    ProofError
        For a batch of another shape or dtype or with values outside 0–1, and for an epoch in
        which a row is missing, comes twice or is unknown.
    """
    seen = np.zeros(case.rows, int)
    changes = []
    for number, (images, rows) in enumerate(batches):
        arrays = [np.asarray(image) for image in images]
        rows = np.asarray(rows)
        _check_batch(number, arrays, rows, case)
        np.add.at(seen, rows, 1)
        for paths, array in zip(case.paths, arrays, strict=True):
            for row, image in zip(rows, array, strict=True):
                changes.append(float(np.abs(image * 255 - _read(paths[row], case.size)).mean()))
    _check_rows(seen)
    error = float(np.std(changes)) / math.sqrt(len(changes))
    return Proof(int(seen.sum()), float(np.mean(changes)), error)


def _check_batch(number: int, arrays: Sequence[np.ndarray], rows: np.ndarray, case: Case) -> None:
    where = f"batch {number}"
    if len(arrays) != len(case.folders):
        raise ProofError(f"{where}: expected {len(case.folders)} images, found {len(arrays)}")
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not 1 <= len(rows) <= BATCH:
        raise ProofError(
            f"{where}: expected up to {BATCH} row numbers, found {rows.dtype} of shape {rows.shape}"
        )
    if rows.min() < 0 or rows.max() >= case.rows:
        raise ProofError(
            f"{where}: expected rows from 0 to {case.rows - 1}, found {rows.min()} to {rows.max()}"
        )
    for array in arrays:
        expected = (len(rows), *case.shape)
        if array.shape != expected:
            raise ProofError(f"{where}: expected images of shape {expected}, found {array.shape}")
        if array.dtype != np.float32:
            raise ProofError(f"{where}: expected float32, found {array.dtype}")
        low, high = float(array.min()), float(array.max())
        if not (-1e-6 <= low <= high <= 1 + 1e-6):  # false for NaN too
            raise ProofError(f"{where}: expected values from 0 to 1, found {low:.3g} to {high:.3g}")


def _check_rows(seen: np.ndarray) -> None:
    wrong = {"missing": np.flatnonzero(seen == 0), "more than once": np.flatnonzero(seen > 1)}
    found = [f"{len(rows)} {how} (row {rows[0]} …)" for how, rows in wrong.items() if len(rows)]
    if found:
        raise ProofError(f"epoch: expected each of {len(seen)} rows once, found {', '.join(found)}")


def _read(path: str, size: int) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.NEAREST))


def check_pair(one: np.ndarray, other: np.ndarray) -> None:
    """Refuse two batches, made of the same files, that were not augmented alike.

    Parameters
    ----------
    one, other : numpy.ndarray
        The first and the second image of each sample, values from 0 to 1.

    Raises
    ------
    ProofError
        If they differ by more than half a grey level.
    """
    difference = float(np.abs(one - other).max()) * 255
    if not difference <= 0.5:
        raise ProofError(
            f"pairs: expected one transform for both images of a sample, found a difference of "
            f"{difference:.0f} grey levels between two that were given the same file"
        )


def check_strength(found: Proof, textbook: Proof) -> None:
    """Refuse a contender that augments less or more than the textbook pipeline.

    It also finds rows that do not belong to their images: those differ far more.

    Parameters
    ----------
    found, textbook : Proof
        Of the contender and of the textbook pipeline.

    Raises
    ------
    ProofError
        If they differ by more than the tolerance.
    """
    chance = STANDARD_ERRORS * math.hypot(found.error, textbook.error)
    if not abs(found.strength - textbook.strength) <= TOLERANCE * textbook.strength + chance:
        raise ProofError(
            f"augmentation: expected a mean change of {textbook.strength:.1f} grey levels as in "
            f"the textbook pipeline, found {found.strength:.1f}"
        )


def check_bits(found: Iterable[Any], keras: Iterable[Any], batches: int = COMPARED) -> None:
    """Refuse a contender whose batches are not those that Keras' own code makes, bit for bit.

    Parameters
    ----------
    found, keras : iterable
        Each of ``(images, rows)``; only the first batches are asked for.
    batches : int
        How many.

    Raises
    ------
    ProofError
        If rows, their order or a single bit of an image differ.
    """
    # One after the other: two flows at once would share NumPy's random state.
    expected = list(itertools.islice(keras, batches))
    pairs = zip(itertools.islice(found, len(expected)), expected, strict=True)
    for number, ((ours, our_rows), (theirs, rows)) in enumerate(pairs):
        if not np.array_equal(our_rows, rows):
            raise ProofError(f"bits: expected the rows of Keras in batch {number}, in their order")
        for one, other in zip(ours, theirs, strict=True):
            one, other = np.asarray(one), np.asarray(other)
            if one.dtype != other.dtype or not np.array_equal(one, other):
                raise ProofError(
                    f"bits: expected those of Keras in batch {number}, found a difference of up to "
                    f"{255 * float(np.abs(one - other).max()):.2g} grey levels"
                )
