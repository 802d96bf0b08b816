"""Keras' preprocessing layers, in tf.data."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from benchmark.cases import AUGMENTATION, BATCH, SCALE, SEED, Case
from benchmark.contenders.tf_graph import FromDataset, samples

_ROTATION = AUGMENTATION["rotation_range"] / 360
_SHIFT = AUGMENTATION["width_shift_range"]
_ZOOM = tuple(factor - 1 for factor in AUGMENTATION["zoom_range"])
_FILL = {"fill_mode": "nearest", "interpolation": "bilinear"}


class KerasLayers(FromDataset):
    """The supported successor of `ImageDataGenerator`.

    Tuned as the guides say: layers mapped over whole batches with ``num_parallel_calls=AUTOTUNE``,
    then ``prefetch(AUTOTUNE)`` (tensorflow.org/tutorials/images/data_augmentation, option 2;
    tensorflow.org/guide/data_performance, "Vectorizing mapping"; keras.io/guides, "Working with
    preprocessing layers"). From memory, single uint8 images are cached before they are shuffled
    and augmented (tensorflow.org/guide/data_performance, "Caching"). The images of a sample go
    through the layers together, as channels of one, which is what keeps them paired.

    Each layer warps for itself: three warps where the other contenders have one.
    """

    def __init__(self, case: Case) -> None:
        layers = tf.keras.layers
        self._augment = tf.keras.Sequential(
            [
                layers.Rescaling(SCALE),
                layers.RandomFlip("horizontal", seed=SEED),
                layers.RandomRotation(_ROTATION, seed=SEED, **_FILL),
                layers.RandomTranslation(_SHIFT, _SHIFT, seed=SEED, **_FILL),
                layers.RandomZoom(_ZOOM, _ZOOM, seed=SEED, **_FILL),
            ]
        )
        self._count = len(case.folders)
        batches = samples(case).batch(BATCH).map(self._augmented, tf.data.AUTOTUNE)
        self.dataset = batches.prefetch(tf.data.AUTOTUNE)

    def _augmented(self, images: tuple[tf.Tensor, ...], rows: tf.Tensor) -> Any:
        together = self._augment(tf.concat(images, axis=-1), training=True)
        return tuple(tf.split(together, self._count, axis=-1)), rows
