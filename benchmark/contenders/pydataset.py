"""`keras.utils.PyDataset` with workers, and albumentations."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import albumentations as A
import cv2
import numpy as np
import tensorflow as tf
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

from benchmark.cases import AUGMENTATION, BATCH, SCALE, SEED, Case, cores
from benchmark.opencv import Images

_ANGLE = AUGMENTATION["rotation_range"]
_SHIFT = AUGMENTATION["width_shift_range"]
_ZOOM = AUGMENTATION["zoom_range"]


class PyDatasetAlbumentations:
    """What Keras' documentation offers for parallel work in Python, consumed as ``fit`` does.

    Tuned: as many workers as cores, and threads, which were faster here than processes (OpenCV
    lets go of the interpreter's lock; a batch from a process is pickled, and a pool is forked again
    each epoch). keras.io/api/utils/python_utils, "PyDataset". One `Affine` in place of single
    transforms, uint8 until it is done, OpenCV's reader and OpenCV's own threads off:
    albumentations.ai/docs, "Optimizing Augmentation Pipelines for Speed".
    """

    use_multiprocessing = False

    def __init__(self, case: Case) -> None:
        cv2.setNumThreads(0)
        batches = Batches(
            case,
            workers=cores(),
            use_multiprocessing=self.use_multiprocessing,
            max_queue_size=10,
        )
        # What `fit` makes of a PyDataset: keras/src/trainers/data_adapters.
        self._adapter = PyDatasetAdapter(batches)
        self.dataset = self._adapter.get_tf_dataset()

    def epoch(self) -> Iterator[Any]:
        """Start an epoch and yield its batches."""
        self._adapter.on_epoch_begin()
        yield from self.dataset
        self._adapter.on_epoch_end()


class Batches(tf.keras.utils.PyDataset):
    """Batches by number, in another order each epoch."""

    def __init__(self, case: Case, **workers: Any) -> None:
        super().__init__(**workers)
        self._case = case
        self._images = Images(case)
        self._order = np.arange(case.rows)
        self._random = np.random.default_rng(SEED)
        self._own: dict[tuple[int, int], A.Compose] = {}
        self._random.shuffle(self._order)

    def __len__(self) -> int:
        """Return the number of batches."""
        return self._case.batches

    def __getitem__(self, index: int) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """Return one batch."""
        rows = self._order[index * BATCH : (index + 1) * BATCH]
        augment = self._augmentation()
        batches = tuple(
            np.empty((len(rows), *self._case.shape), np.float32) for _ in self._case.folders
        )
        for place, row in enumerate(rows):
            plain = self._images.plain(row)
            named = {"image": plain[0]} | {f"image{n}": plain[n] for n in range(1, len(plain))}
            augmented = augment(**named)
            for batch, name in zip(batches, named, strict=True):
                np.multiply(augmented[name], np.float32(SCALE), out=batch[place])
        return batches, rows

    def on_epoch_end(self) -> None:
        """Shuffle again."""
        self._random.shuffle(self._order)

    def _augmentation(self) -> A.Compose:
        """Return the calling worker's own augmentation: they must not sample the same numbers."""
        worker = (os.getpid(), threading.get_ident())
        if worker not in self._own:
            self._own[worker] = A.Compose(
                [
                    A.Affine(
                        rotate=(-_ANGLE, _ANGLE),
                        translate_percent={"x": (-_SHIFT, _SHIFT), "y": (-_SHIFT, _SHIFT)},
                        scale={"x": _ZOOM, "y": _ZOOM},
                        interpolation=cv2.INTER_LINEAR,
                        border_mode=cv2.BORDER_REPLICATE,
                        p=1,
                    ),
                    A.HorizontalFlip(p=0.5),
                ],
                additional_targets={
                    f"image{n}": "image" for n in range(1, len(self._case.folders))
                },
                seed=SEED + hash(worker) % 2**31,
            )
        return self._own[worker]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the workers' augmentations behind: each worker makes its own."""
        return self.__dict__ | {"_own": {}}
