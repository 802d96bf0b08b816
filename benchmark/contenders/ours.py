"""Ways of this project: the very bits of Keras, faster."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from benchmark.cases import AUGMENTATION, BATCH, SEED, Case, cores
from benchmark.contenders.textbook import Textbook, aligned, flows
from helpers.fast import FastImageDataGenerator
from helpers.images import Images
from helpers.parallel import Plan, from_plan
from helpers.transforms import SharedTransforms


class DropIn(Textbook):
    """The textbook pipeline with another class in place of `ImageDataGenerator`, and prefetching.

    One word changes, and one line is added.
    """

    generator = FastImageDataGenerator

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.dataset = self.dataset.prefetch(tf.data.AUTOTUNE)


class Interleave:
    """Two generators, each with half of the rows, side by side under `interleave`.

    Both run in threads of one interpreter, whose lock most of their work needs. `AlignedEpochs`
    sample by row: two flows that share NumPy's random state would lose their pairs.
    """

    def __init__(self, case: Case) -> None:
        datagen = FastImageDataGenerator(**AUGMENTATION)
        middle = case.rows // 2
        self._first_rows = [0, middle]
        self._halves = [
            aligned(flows(case, datagen, half)) for half in (slice(middle), slice(middle, None))
        ]
        image = tf.TensorSpec((None, *case.shape), tf.float32)
        signature = ((image,) * len(case.folders), tf.TensorSpec((None,), tf.int64))
        self.dataset = (
            tf.data.Dataset.range(2)
            .interleave(
                lambda half: tf.data.Dataset.from_generator(
                    self._batches, args=[half], output_signature=signature
                ),
                cycle_length=2,
                num_parallel_calls=2,
            )
            .prefetch(tf.data.AUTOTUNE)
        )

    def _batches(self, half: np.ndarray) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]:
        for images, rows in self._halves[half]():
            yield images, rows + self._first_rows[half]

    def epoch(self) -> Iterator[Any]:
        """Start an epoch and return an iterator over its batches."""
        return iter(self.dataset)


class PlanAndWorkers:
    """A plan, and workers that make its batches in parallel: where the lesson arrives.

    One iterator lasts for all epochs, as ``fit`` takes it with ``steps_per_epoch``.
    """

    lasts = True

    def __init__(self, case: Case) -> None:
        images = {str(n): Images(paths, case.shape) for n, paths in enumerate(case.paths)}
        if case.source == "memory":
            images = {name: some.in_memory() for name, some in images.items()}
        datagen = tf.keras.preprocessing.image.ImageDataGenerator(**AUGMENTATION)
        transforms = SharedTransforms(datagen, seed=SEED, photometric=images, masks=())

        def make_batch(rows: np.ndarray, epoch: int) -> Any:
            plain = {name: some[rows] for name, some in images.items()}
            return tuple(transforms(plain, rows, epoch).values()), rows

        plan = Plan(case.rows, batch_size=BATCH, seed=SEED)
        self.dataset = from_plan(plan, make_batch, workers=cores(), epochs=None)
        self._batches = len(plan)
        self._lasting = iter(self.dataset)

    def epoch(self) -> Iterator[Any]:
        """Return an iterator over one epoch's batches of the iterator that lasts."""
        return itertools.islice(self._lasting, self._batches)
