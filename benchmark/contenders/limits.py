"""What the machine can do at best: bare loops on all cores, no framework, nothing sampled.

Each core runs a thread of its own over its share of the batches; OpenCV and NumPy let go of the
interpreter's lock while they work. A finished batch is dropped at once: delivering it costs
pipelines something, and the limits nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np

from benchmark import opencv
from benchmark.cases import BATCH, SEED, Case, cores


class Decode:
    """Files to uint8 images, and no more.

    An epoch yields one empty batch, which says how many rows were worked on.
    """

    def __init__(self, case: Case) -> None:
        cv2.setNumThreads(1)  # the threads are ours
        self.case = case
        random = np.random.default_rng(SEED)
        self.matrices = [opencv.sample(random, case.size) for _ in range(case.rows)]

    def image(self, number: int, row: int) -> np.ndarray:
        """Return one image of a row."""
        return opencv.read(self.case.paths[number][row], self.case.size)

    def work(self, rows: range) -> None:
        """Do the work of one batch."""
        for number in range(len(self.case.folders)):
            for row in rows:
                self.image(number, row)

    def epoch(self) -> Iterator[tuple[tuple[Any, ...], np.ndarray]]:
        """Work through all batches and yield the rows."""
        count = cores()
        with ThreadPoolExecutor(count) as threads:
            for _ in threads.map(self._share, range(count)):
                pass  # an error in a thread is raised here
        yield (), np.arange(self.case.rows)

    def _share(self, first: int) -> None:
        for start in range(first * BATCH, self.case.rows, cores() * BATCH):
            self.work(range(start, min(start + BATCH, self.case.rows)))


class DecodeWarp(Decode):
    """Files to finished batches."""

    def work(self, rows: range) -> None:
        """Scale and warp each image into its place in a new batch."""
        spare = np.empty(self.case.shape, np.float32)
        for number in range(len(self.case.folders)):
            batch = np.empty((len(rows), *self.case.shape), np.float32)
            for place, row in enumerate(rows):
                opencv.warp(self.image(number, row), self.matrices[row], spare, batch[place])


class Warp(DecodeWarp):
    """Decoded uint8 images to finished batches."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.decoded = [[opencv.read(path, case.size) for path in paths] for paths in case.paths]

    def image(self, number: int, row: int) -> np.ndarray:
        """Return one image of a row."""
        return self.decoded[number][row]
