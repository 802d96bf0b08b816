"""Proof that an epoch held what it should have held: a pipeline that drops work is fast too."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from benchmark.cases import BATCH, Case

__all__ = [
    "Proof",
    "ProofError",
    "check_epoch",
    "check_pair",
    "check_strength",
    "largest_difference",
]

# How far a contender's augmentation may change the pixels less, or more, than the textbook's does:
# a part of it, and so many standard errors, since both are drawn at random.
TOLERANCE = 0.1
STANDARD_ERRORS = 3


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
        Mean absolute difference of an augmented picture to its file, on a scale of 0–255.
    error : float
        Standard error of that mean.
    """

    samples: int
    strength: float
    error: float


def check_epoch(
    batches: Iterable[Any],
    case: Case,
    keep: Callable[[int, list[np.ndarray]], None] = lambda number, arrays: None,
) -> Proof:
    """Go through one epoch and say what it held.

    Parameters
    ----------
    batches : iterable
        Of ``(pictures, rows)``: a tuple with an array of shape (batch, height, width, 3) for each
        picture of a sample, and an array of whole numbers of shape (batch,).
    case : Case
        What they should be.
    keep : callable, optional
        Called with each batch's number and its arrays: the rows, then each picture.

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
    for number, (pictures, rows) in enumerate(batches):
        arrays = [np.asarray(picture) for picture in pictures]
        rows = np.asarray(rows)
        _check_batch(number, arrays, rows, case)
        np.add.at(seen, rows, 1)
        for paths, array in zip(case.paths, arrays, strict=True):
            for row, picture in zip(rows, array, strict=True):
                changes.append(float(np.abs(picture * 255 - _read(paths[row])).mean()))
        keep(number, [rows, *arrays])
    _check_rows(seen)
    error = float(np.std(changes)) / math.sqrt(len(changes))
    return Proof(int(seen.sum()), float(np.mean(changes)), error)


def _check_batch(number: int, arrays: Sequence[np.ndarray], rows: np.ndarray, case: Case) -> None:
    where = f"batch {number}"
    if len(arrays) != len(case.folders):
        raise ProofError(f"{where}: expected {len(case.folders)} pictures, found {len(arrays)}")
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
            raise ProofError(f"{where}: expected pictures of shape {expected}, found {array.shape}")
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


def _read(path: str) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def check_pair(one: np.ndarray, other: np.ndarray) -> None:
    """Refuse two batches, made of the same files, that were not augmented alike.

    Parameters
    ----------
    one, other : numpy.ndarray
        The first and the second picture of each sample, values from 0 to 1.

    Raises
    ------
    ProofError
        If they differ by more than half a grey level.
    """
    difference = float(np.abs(one - other).max()) * 255
    if not difference <= 0.5:
        raise ProofError(
            f"pairs: expected one transform for both pictures of a sample, found a difference of "
            f"{difference:.0f} grey levels between two that were given the same file"
        )


def check_strength(found: Proof, textbook: Proof) -> None:
    """Refuse a contender that augments less or more than the textbook pipeline.

    It also finds rows that do not belong to their pictures: those differ far more.

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


def largest_difference(
    found: Iterable[Sequence[np.ndarray]], textbook: Iterable[Sequence[np.ndarray]]
) -> float:
    """Return the largest difference of two series of batches, on a scale of 0–255.

    Parameters
    ----------
    found, textbook : iterable of batches
        Each the rows, then each picture, as `check_epoch` hands them to `keep`.

    Raises
    ------
    ProofError
        If there are not as many, or their rows are not in the same order.
    """
    largest = 0.0
    for number, (ours, theirs) in enumerate(itertools.zip_longest(found, textbook)):
        if ours is None or theirs is None:
            raise ProofError(f"pixels: expected as many batches as the textbook's, not {number}")
        if not np.array_equal(ours[0], theirs[0]):
            raise ProofError(f"pixels: expected the textbook's rows in batch {number}, in order")
        for one, other in zip(ours[1:], theirs[1:], strict=True):
            largest = max(largest, float(np.abs(one - other).max()) * 255)
    return largest
