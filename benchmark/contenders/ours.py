"""Ways of this project: the textbook's pixels, faster."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from benchmark.cases import AUGMENTATION, BATCH, SEED, Case, cores
from benchmark.contenders.textbook import Textbook
from helpers.fast import FastImageDataGenerator
from helpers.generators import Epochs, row_flow
from helpers.recipes import Pictures, Recipes, from_recipes


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

    Both run in threads of one interpreter, whose lock most of their work needs. The flows draw
    from random states of their own (`Epochs`): two that share NumPy's would lose their pairs.
    """

    def __init__(self, case: Case) -> None:
        datagen = FastImageDataGenerator(**AUGMENTATION)
        size = (case.size, case.size)
        self._first_rows = [0, case.rows // 2]
        halves = [slice(0, case.rows // 2), slice(case.rows // 2, None)]
        self._halves = [
            [
                Epochs(
                    row_flow(datagen, paths[half], target_size=size, batch_size=BATCH, seed=SEED)
                )
                for paths in case.paths
            ]
            for half in halves
        ]
        picture = tf.TensorSpec((None, *case.shape), tf.float32)
        signature = ((picture,) * len(case.folders), tf.TensorSpec((None,), tf.int64))
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
        for drawn in zip(*(epochs() for epochs in self._halves[half]), strict=True):
            rows = drawn[0][1] + self._first_rows[half]
            yield tuple(pictures for pictures, _ in drawn), rows

    def epoch(self) -> Iterator[Any]:
        """Start an epoch and return an iterator over its batches."""
        return iter(self.dataset)


class Cooked:
    """A generator of recipes, and parallel cooks: where the lesson arrives.

    One iterator lasts for all epochs, as ``fit`` takes it with ``steps_per_epoch``.
    """

    lead_in = True

    def __init__(self, case: Case) -> None:
        datagen = FastImageDataGenerator(**AUGMENTATION)
        pictures = [Pictures(paths, case.shape) for paths in case.paths]
        if case.source == "memory":
            pictures = [some.in_memory() for some in pictures]
        recipes = Recipes(datagen, case.rows, shape=case.shape, batch_size=BATCH, seed=SEED)

        def cook(rows: np.ndarray, transforms: np.ndarray) -> Any:
            return tuple(datagen.transform_batch(some[rows], transforms) for some in pictures), rows

        self.dataset = from_recipes(recipes, cook, workers=cores(), epochs=None)
        self._batches = len(recipes)
        self._lasting = iter(self.dataset)

    def epoch(self) -> Iterator[Any]:
        """Return an iterator over one epoch's batches of the iterator that lasts."""
        return itertools.islice(self._lasting, self._batches)
