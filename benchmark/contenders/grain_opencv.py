"""Grain, with OpenCV for the work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import grain
import numpy as np

from benchmark.cases import BATCH, SEED, Case, cores
from benchmark.pictures import Pictures


class Grain:
    """Google's loader for JAX, which Keras' ``fit`` takes too.

    Rows are shuffled and batched first; each batch is then read and warped in one random map, so
    that no picture is copied into its batch afterwards. Tuned: threads in the loader's own process
    (``ReadOptions``), as many as cores, with a buffer of two batches for each. Processes
    (``mp_prefetch``) were slower here: they are started anew each epoch, or, with ``repeat()``,
    pay for copying each batch to another process. google-grain.readthedocs.io, "grain.dataset"
    (``to_iter_dataset``, ``mp_prefetch``) and "ReadOptions".
    """

    def __init__(self, case: Case) -> None:
        cv2.setNumThreads(0)
        self._case = case
        self._pictures = Pictures(case)
        self._epoch = 0

    def epoch(self) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]:
        """Start an epoch and return an iterator over its batches."""
        self._epoch += 1
        options = grain.ReadOptions(num_threads=cores(), prefetch_buffer_size=2 * cores())
        return iter(self.batches(SEED + self._epoch).to_iter_dataset(options))

    def batches(self, seed: int) -> Any:
        """Return the batches of an epoch as a `grain.MapDataset`."""
        rows = grain.MapDataset.range(self._case.rows).seed(seed).shuffle().batch(BATCH)
        return rows.random_map(self._augmented)

    def _augmented(
        self, rows: np.ndarray, random: np.random.Generator
    ) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        return self._pictures.batch(rows, random), rows
