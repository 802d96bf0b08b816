"""The pipeline of the books, and the first rungs of the ladder that leads away from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from benchmark.cases import AUGMENTATION, BATCH, SEED, Case
from helpers.generators import row_flow


class Textbook:
    """`Dataset.from_generator` over `ImageDataGenerator.flow_from_dataframe`.

    As tutorials have it: nothing runs ahead, nothing runs beside anything else. Several pictures
    come from several flows with one seed.
    """

    generator: Any = tf.keras.preprocessing.image.ImageDataGenerator

    def __init__(self, case: Case) -> None:
        datagen = self.generator(**AUGMENTATION)
        size = (case.size, case.size)
        self._flows = [
            row_flow(datagen, paths, target_size=size, batch_size=BATCH, seed=SEED)
            for paths in case.paths
        ]
        picture = tf.TensorSpec((None, *case.shape), tf.float32)
        rows = tf.TensorSpec((None,), tf.int64)
        self.dataset = tf.data.Dataset.from_generator(
            self._batches, output_signature=((picture,) * len(self._flows), rows)
        )

    def _batches(self) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]:
        for _ in range(len(self._flows[0])):
            drawn = [next(flow) for flow in self._flows]
            yield tuple(pictures for pictures, _ in drawn), drawn[0][1]

    def epoch(self) -> Iterator[Any]:
        """Start an epoch and return an iterator over its batches."""
        return iter(self.dataset)


class Prefetch(Textbook):
    """The textbook pipeline with one line more, so that it runs while the model trains.

    Nothing trains here: what it gains is that batches are handed over while the next is made.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.dataset = self.dataset.prefetch(tf.data.AUTOTUNE)


class PerSample:
    """A generator of single samples, batched by tf.data: what many begin with.

    Each sample crosses from Python to TensorFlow by itself, and is copied once more into its batch.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self._datagen = tf.keras.preprocessing.image.ImageDataGenerator(**AUGMENTATION)
        self._random = np.random.default_rng(SEED)
        picture = tf.TensorSpec(case.shape, tf.float32)
        row = tf.TensorSpec((), tf.int64)
        samples = tf.data.Dataset.from_generator(
            self._samples, output_signature=((picture,) * len(case.folders), row)
        )
        self.dataset = samples.batch(BATCH).prefetch(tf.data.AUTOTUNE)

    def _samples(self) -> Iterator[tuple[tuple[np.ndarray, ...], int]]:
        image = tf.keras.utils
        for row in self._random.permutation(self._case.rows):
            pictures = [
                image.img_to_array(image.load_img(paths[row]), dtype="float32")
                for paths in self._case.paths
            ]
            drawn = self._datagen.get_random_transform(self._case.shape)
            yield (
                tuple(
                    self._datagen.standardize(self._datagen.apply_transform(picture, drawn))
                    for picture in pictures
                ),
                row,
            )

    def epoch(self) -> Iterator[Any]:
        """Start an epoch and return an iterator over its batches."""
        return iter(self.dataset)
