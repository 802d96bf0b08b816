"""Ways of this project: the textbook's pixels, faster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from benchmark.cases import AUGMENTATION, BATCH, SEED, Case, cores
from benchmark.contenders.textbook import Textbook
from helpers.fast import FastImageDataGenerator
from helpers.recipes import Pictures, Recipes, from_recipes


class DropIn(Textbook):
    """The textbook pipeline with another class in place of `ImageDataGenerator`, and prefetching.

    One word changes, and one line is added.
    """

    generator = FastImageDataGenerator

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.dataset = self.dataset.prefetch(tf.data.AUTOTUNE)


class Cooked:
    """A generator of recipes, and parallel cooks: where the lesson arrives."""

    def __init__(self, case: Case) -> None:
        datagen = FastImageDataGenerator(**AUGMENTATION)
        pictures = [Pictures(paths, case.shape) for paths in case.paths]
        if case.source == "memory":
            pictures = [some.in_memory() for some in pictures]
        recipes = Recipes(datagen, case.rows, shape=case.shape, batch_size=BATCH, seed=SEED)

        def cook(rows: np.ndarray, transforms: np.ndarray) -> Any:
            return tuple(datagen.transform_batch(some[rows], transforms) for some in pictures), rows

        self.dataset = from_recipes(recipes, cook, workers=cores())

    def epoch(self) -> Iterator[Any]:
        """Start an epoch and return an iterator over its batches."""
        return iter(self.dataset)
