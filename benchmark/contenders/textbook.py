"""The pipeline of the books, and the first rungs of the ladder that leads away from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from benchmark.cases import AUGMENTATION, BATCH, SEED, Case
from helpers.generators import AlignedEpochs, row_flow


class Textbook:
    """`Dataset.from_generator` over `ImageDataGenerator.flow_from_dataframe`.

    As tutorials have it: nothing runs ahead, nothing runs beside anything else. Several images
    come from several flows with one seed.
    """

    generator: Any = tf.keras.preprocessing.image.ImageDataGenerator

    def __init__(self, case: Case) -> None:
        self._flows = flows(case, self.generator(**AUGMENTATION))
        image = tf.TensorSpec((None, *case.shape), tf.float32)
        rows = tf.TensorSpec((None,), tf.int64)
        self.dataset = tf.data.Dataset.from_generator(
            self.batches, output_signature=((image,) * len(self._flows), rows)
        )

    def batches(self) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]:
        """Yield the next epoch of the flows."""
        for _ in range(len(self._flows[0])):
            sampled = [next(flow) for flow in self._flows]
            yield tuple(images for images, _ in sampled), sampled[0][1]

    def epoch(self) -> Iterator[Any]:
        """Start an epoch and return an iterator over its batches."""
        return iter(self.dataset)


def flows(case: Case, datagen: Any, rows: slice = slice(None)) -> list[Any]:
    """Return a flow of some rows for each image of a sample."""
    size = (case.size, case.size)
    return [
        row_flow(datagen, paths[rows], target_size=size, batch_size=BATCH, seed=SEED)
        for paths in case.paths
    ]


def aligned(flows: list[Any]) -> AlignedEpochs:
    """Return epochs of some flows, whose transforms come from a table, by row."""
    named = {str(number): flow for number, flow in enumerate(flows)}
    return AlignedEpochs(named, lambda images, rows: (tuple(images.values()), rows))


def by_keras(case: Case) -> Iterator[Any]:
    """Yield what ``apply_transform`` of Keras makes of the first epoch of that table."""
    datagen = tf.keras.preprocessing.image.ImageDataGenerator(**AUGMENTATION)
    yield from aligned(flows(case, datagen))()


class Prefetch(Textbook):
    """The textbook pipeline with one line more, so that it runs while the model trains.

    Nothing trains here: what it gains is that a batch is passed on while the next is made.
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
        image = tf.TensorSpec(case.shape, tf.float32)
        row = tf.TensorSpec((), tf.int64)
        samples = tf.data.Dataset.from_generator(
            self._samples, output_signature=((image,) * len(case.folders), row)
        )
        self.dataset = samples.batch(BATCH).prefetch(tf.data.AUTOTUNE)

    def _samples(self) -> Iterator[tuple[tuple[np.ndarray, ...], int]]:
        keras, size = tf.keras.utils, (self._case.size, self._case.size)
        for row in self._random.permutation(self._case.rows):
            images = [
                keras.img_to_array(keras.load_img(paths[row], target_size=size), dtype="float32")
                for paths in self._case.paths
            ]
            parameters = self._datagen.get_random_transform(self._case.shape)
            yield (
                tuple(
                    self._datagen.standardize(self._datagen.apply_transform(image, parameters))
                    for image in images
                ),
                row,
            )

    def epoch(self) -> Iterator[Any]:
        """Start an epoch and return an iterator over its batches."""
        return iter(self.dataset)
