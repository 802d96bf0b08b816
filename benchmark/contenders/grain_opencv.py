"""Grain, with OpenCV for the work."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import cv2
import grain
import numpy as np

from benchmark.cases import BATCH, SEED, Case, cores
from benchmark.contenders import as_fit_takes_it
from benchmark.opencv import Images


class Grain:
    """Google's loader for JAX, its batches taken as it yields them: NumPy arrays.

    Rows are shuffled and batched first; each batch is then read and warped in one random map, so
    that no image is copied into its batch afterwards. Tuned: threads in the loader's own process
    (``ReadOptions``), as many as cores, with a buffer of two batches for each. Processes
    (``mp_prefetch``), one for each core, were not faster on two cores, and neither were single
    samples batched afterwards. google-grain.readthedocs.io, "grain.dataset" (``to_iter_dataset``,
    ``mp_prefetch``) and "ReadOptions".
    """

    def __init__(self, case: Case) -> None:
        cv2.setNumThreads(0)
        self._case = case
        self._images = Images(case)
        self._epoch = 0

    def epoch(self) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]:
        """Start an epoch and return an iterator over its batches."""
        self._epoch += 1
        return iter(self.batches(SEED + self._epoch).to_iter_dataset(read_options()))

    def batches(self, seed: int) -> Any:
        """Return the batches of an epoch as a `grain.MapDataset`."""
        rows = grain.MapDataset.range(self._case.rows).seed(seed).shuffle().batch(BATCH)
        return rows.random_map(self._augmented)

    def _augmented(
        self, rows: np.ndarray, random: np.random.Generator
    ) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        return self._images.batch(rows, random), rows


def read_options() -> grain.ReadOptions:
    """Return how many threads read, and how many batches wait."""
    return grain.ReadOptions(num_threads=cores(), prefetch_buffer_size=2 * cores())


class GrainInFit(Grain):
    """The same loader, given to Keras' ``fit``.

    It is repeated, which gives another order and other transforms each epoch, and one iterator
    lasts for all epochs, as with ``steps_per_epoch``.
    """

    lasts = True

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        forever = self.batches(SEED).repeat().to_iter_dataset(read_options())
        self._iterator = iter(as_fit_takes_it(forever))

    def epoch(self) -> Iterator[Any]:
        """Return an iterator over the next epoch's batches."""
        return itertools.islice(self._iterator, self._case.batches)
