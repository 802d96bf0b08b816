"""PyTorch's DataLoader, with OpenCV for the work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, get_worker_info

from benchmark.cases import BATCH, SEED, Case, cores
from benchmark.contenders import as_fit_takes_it
from benchmark.opencv import Images


class PyTorch:
    """Worker processes that pass batches on in shared memory, given to Keras' ``fit``.

    Tuned: as many workers as cores, kept from epoch to epoch (``persistent_workers``), batches put
    together by the dataset itself ("Disable automatic batching": ``batch_size=None`` with a
    `BatchSampler`), so that no image is copied into its batch afterwards; OpenCV's own threads
    off in workers. pytorch.org/docs, "torch.utils.data"; pytorch.org/tutorials, "Performance Tuning
    Guide", "Enable asynchronous data loading and augmentation".
    """

    def __init__(self, case: Case) -> None:
        random = torch.Generator().manual_seed(SEED)
        batches = Batches(case)
        order = RandomSampler(range(case.rows), generator=random)
        loader = DataLoader(
            batches,
            batch_size=None,
            collate_fn=_as_it_is,  # the default would make lists of tuples, which `fit` refuses
            sampler=BatchSampler(order, BATCH, drop_last=False),
            num_workers=cores(),
            persistent_workers=True,
            worker_init_fn=_start,
            generator=random,
        )
        self._dataset = as_fit_takes_it(loader)

    def epoch(self) -> Iterator[Any]:
        """Start an epoch and return an iterator over its batches."""
        return iter(self._dataset)


class Batches(Dataset):
    """Batches by the list of their rows."""

    def __init__(self, case: Case) -> None:
        self._images = Images(case)
        self._random: np.random.Generator | None = None

    def __getitem__(self, rows: list[int]) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """Return one batch."""
        if self._random is None:
            worker: Any = get_worker_info()
            self._random = np.random.default_rng(worker.seed)
        wanted = np.array(rows)
        batches = self._images.batch(wanted, self._random)
        return tuple(torch.from_numpy(batch) for batch in batches), torch.from_numpy(wanted)


def _as_it_is(batch: Any) -> Any:
    return batch


def _start(number: int) -> None:
    cv2.setNumThreads(0)
