"""`image_dataset_from_directory` and Keras' preprocessing layers, in tf.data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from benchmark.cases import AUGMENTATION, BATCH, SCALE, SEED, Case

_TURN = AUGMENTATION["rotation_range"] / 360
_SHIFT = AUGMENTATION["width_shift_range"]
_ZOOM = tuple(factor - 1 for factor in AUGMENTATION["zoom_range"])
_FILL = {"fill_mode": "nearest", "interpolation": "bilinear"}


class KerasLayers:
    """The supported successor of `ImageDataGenerator`.

    Tuned as the guides say: layers mapped over whole batches with ``num_parallel_calls=AUTOTUNE``,
    then ``prefetch(AUTOTUNE)`` (tensorflow.org/tutorials/images/data_augmentation, option 2;
    tensorflow.org/guide/data_performance, "Vectorizing mapping"; keras.io/guides, "Working with
    preprocessing layers"). From memory, single uint8 pictures are cached before they are shuffled
    and augmented (tensorflow.org/guide/data_performance, "Caching"). The pictures of a sample go
    through the layers together, as channels of one, which is what keeps them paired.

    Each layer warps for itself: three warps where the other contenders have one.
    """

    def __init__(self, case: Case) -> None:
        layers = tf.keras.layers
        self._augment = tf.keras.Sequential(
            [
                layers.Rescaling(SCALE),
                layers.RandomFlip("horizontal", seed=SEED),
                layers.RandomRotation(_TURN, seed=SEED, **_FILL),
                layers.RandomTranslation(_SHIFT, _SHIFT, seed=SEED, **_FILL),
                layers.RandomZoom(_ZOOM, _ZOOM, seed=SEED, **_FILL),
            ]
        )
        self._pictures = len(case.folders)
        plain = from_directory(case) if self._pictures == 1 else from_files(case)
        self.dataset = plain.map(self._augmented, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

    def _augmented(self, pictures: tf.Tensor, rows: tf.Tensor) -> Any:
        together = self._augment(pictures, training=True)
        apart = tf.split(together, self._pictures, axis=-1) if self._pictures > 1 else [together]
        return tuple(apart), rows

    def epoch(self) -> Iterator[Any]:
        """Start an epoch and return an iterator over its batches."""
        return iter(self.dataset)


def from_directory(case: Case) -> tf.data.Dataset:
    """Return shuffled batches of one picture and its row, from ``image_dataset_from_directory``."""
    in_memory = case.source == "memory"
    dataset = tf.keras.utils.image_dataset_from_directory(
        case.folders[0],
        labels=list(range(case.rows)),
        image_size=(case.size, case.size),
        batch_size=None if in_memory else BATCH,
        shuffle=not in_memory,
        seed=SEED,
    )
    if not in_memory:
        return dataset
    whole = dataset.map(lambda picture, row: (tf.cast(picture, tf.uint8), row)).cache()
    return whole.shuffle(case.rows, seed=SEED).batch(BATCH)


def from_files(case: Case) -> tf.data.Dataset:
    """Return shuffled batches of pictures, side by side as channels, and their rows."""

    def decoded(row: tf.Tensor, *paths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pictures = [tf.io.decode_png(tf.io.read_file(path), channels=3) for path in paths]
        together = tf.concat(pictures, axis=-1)
        return tf.ensure_shape(together, (*case.shape[:2], 3 * len(paths))), row

    files = tf.data.Dataset.from_tensor_slices((list(range(case.rows)), *case.paths))
    if case.source == "memory":
        whole = files.map(decoded, tf.data.AUTOTUNE).cache()
        return whole.shuffle(case.rows, seed=SEED).batch(BATCH)
    return files.shuffle(case.rows, seed=SEED).map(decoded, tf.data.AUTOTUNE).batch(BATCH)
