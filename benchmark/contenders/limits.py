"""What the machine can do at best: bare loops on all cores, no framework, nothing drawn.

Each core runs a thread of its own over its share of the batches; OpenCV and NumPy let go of the
interpreter's lock while they work. A finished batch is dropped at once: delivering it costs
pipelines something, and the limits nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmark import affine
from benchmark.cases import BATCH, SCALE, SEED, Case, cores

try:
    import cv2

    cv2.setNumThreads(1)  # the threads are ours
    WARP = {
        "flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        "borderMode": cv2.BORDER_REPLICATE,
    }
except ImportError:  # then only Copy is asked for
    pass


class Limit:
    """A loop over batches on all cores.

    Subclasses say what is done with a batch. An epoch yields one empty batch, which says how many
    rows were worked on.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.groups = [
            range(start, min(start + BATCH, case.rows)) for start in range(0, case.rows, BATCH)
        ]
        random = np.random.default_rng(SEED)
        self.matrices = [affine.draw(random, case.size) for _ in range(case.rows)]

    def work(self, rows: range, spare: np.ndarray) -> None:
        """Do the work of one batch, for one thread.

        Parameters
        ----------
        rows : range
            Of the batch.
        spare : numpy.ndarray
            Room for one float32 picture, the thread's own.
        """
        raise NotImplementedError

    def epoch(self) -> Iterator[tuple[tuple[Any, ...], np.ndarray]]:
        """Work through all batches and yield the rows."""
        count = cores()
        with ThreadPoolExecutor(count) as threads:
            for _ in threads.map(self._share, range(count)):
                pass  # an error in a thread is raised here
        yield (), np.arange(self.case.rows)

    def _share(self, first: int) -> None:
        spare = np.empty(self.case.shape, np.float32)
        for group in self.groups[first :: cores()]:
            self.work(group, spare)


class Decode(Limit):
    """Files to uint8 pictures, and no more."""

    def work(self, rows: range, spare: np.ndarray) -> None:
        """Read each picture of each row."""
        for paths in self.case.paths:
            for row in rows:
                cv2.imread(paths[row], cv2.IMREAD_COLOR_RGB)


class DecodeWarp(Limit):
    """Files to finished batches."""

    def work(self, rows: range, spare: np.ndarray) -> None:
        """Read, scale and warp each picture into its place in a new batch."""
        size = (self.case.size, self.case.size)
        for paths in self.case.paths:
            batch = np.empty((len(rows), *self.case.shape), np.float32)
            for place, row in enumerate(rows):
                picture: Any = cv2.imread(paths[row], cv2.IMREAD_COLOR_RGB)
                np.multiply(picture, np.float32(SCALE), out=spare)
                cv2.warpAffine(spare, self.matrices[row], size, dst=batch[place], **WARP)


class Warp(Limit):
    """Decoded uint8 pictures to finished batches."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.decoded: list[list[Any]] = [
            [cv2.imread(path, cv2.IMREAD_COLOR_RGB) for path in paths] for paths in case.paths
        ]

    def work(self, rows: range, spare: np.ndarray) -> None:
        """Scale and warp each picture into its place in a new batch."""
        size = (self.case.size, self.case.size)
        for pictures in self.decoded:
            batch = np.empty((len(rows), *self.case.shape), np.float32)
            for place, row in enumerate(rows):
                np.multiply(pictures[row], np.float32(SCALE), out=spare)
                cv2.warpAffine(spare, self.matrices[row], size, dst=batch[place], **WARP)


class NakedWarp(Limit):
    """The warp alone, of one and the same float32 picture, in one and the same place."""

    def work(self, rows: range, spare: np.ndarray) -> None:
        """Warp once for each picture of each row."""
        size = (self.case.size, self.case.size)
        result = np.empty_like(spare)
        for _ in self.case.folders:
            for row in rows:
                cv2.warpAffine(spare, self.matrices[row], size, dst=result, **WARP)


class Copy(Limit):
    """Finished batches to new memory."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        random = np.random.default_rng(SEED)
        self.batches = [
            [random.random((BATCH, *case.shape), np.float32) for _ in case.folders]
            for _ in range(4 * cores())
        ]

    def work(self, rows: range, spare: np.ndarray) -> None:
        """Copy a finished batch of each picture."""
        for batch in self.batches[rows.start // BATCH % len(self.batches)]:
            batch[: len(rows)].copy()
