"""tf.data from file to batch: decoding and one warp, all in TensorFlow's graph."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from benchmark.cases import AUGMENTATION, BATCH, SCALE, SEED, Case

_ANGLE = math.radians(AUGMENTATION["rotation_range"])
_DOWN, _ACROSS = AUGMENTATION["height_shift_range"], AUGMENTATION["width_shift_range"]
_ZOOM = AUGMENTATION["zoom_range"]


class FromDataset:
    """A contender that is a dataset; it shuffles and augments again in each epoch."""

    dataset: tf.data.Dataset

    def epoch(self) -> Iterator[Any]:
        """Start an epoch and return an iterator over its batches."""
        return iter(self.dataset)


def samples(case: Case) -> tf.data.Dataset:
    """Return shuffled samples: a tuple of uint8 images, and the row.

    From memory, the decoded images are cached before they are shuffled.
    """

    def decoded(row: tf.Tensor, paths: tuple[tf.Tensor, ...]) -> Any:
        images = []
        for path in paths:
            content = tf.io.read_file(path)
            image = tf.io.decode_image(content, channels=3, expand_animations=False)
            if case.source == "jpeg":
                image = tf.image.resize(image, case.shape[:2], "nearest")
            images.append(tf.ensure_shape(image, case.shape))
        return tuple(images), row

    rows = tf.data.Dataset.from_tensor_slices((list(range(case.rows)), case.paths))
    if case.source == "memory":
        return rows.map(decoded, tf.data.AUTOTUNE).cache().shuffle(case.rows, seed=SEED)
    return rows.shuffle(case.rows, seed=SEED).map(decoded, tf.data.AUTOTUNE)


class TensorFlowGraph(FromDataset):
    """`decode_image`, and one `ImageProjectiveTransformV3` for each batch; no Python at all.

    Tuned as tensorflow.org/guide/data_performance says: parallel decoding, one vectorised map over
    batches, order given up for speed (the rows are shuffled anyway), prefetching.
    """

    def __init__(self, case: Case) -> None:
        self._size = case.size
        options = tf.data.Options()
        options.deterministic = False
        batches = samples(case).batch(BATCH).map(self._augmented, tf.data.AUTOTUNE)
        self.dataset = batches.prefetch(tf.data.AUTOTUNE).with_options(options)

    def _augmented(self, batches: tuple[tf.Tensor, ...], rows: tf.Tensor) -> Any:
        maps = transforms(tf.shape(rows)[0], self._size)
        warped = [
            tf.raw_ops.ImageProjectiveTransformV3(
                images=tf.cast(batch, tf.float32) * SCALE,
                transforms=maps,
                output_shape=(self._size, self._size),
                interpolation="BILINEAR",
                fill_mode="NEAREST",
                fill_value=0.0,
            )
            for batch in batches
        ]
        return tuple(warped), rows


def transforms(count: tf.Tensor, size: int) -> tf.Tensor:
    """Sample maps from a pixel of the result to a place in the image.

    Parameters
    ----------
    count : tf.Tensor
        How many.
    size : int
        Height and width of the images in pixels.

    Returns
    -------
    tf.Tensor
        float32 of shape (count, 8), as ``ImageProjectiveTransformV3`` takes them.
    """
    angle = tf.random.uniform([count], -_ANGLE, _ANGLE)
    down = tf.random.uniform([count], -_DOWN, _DOWN) * size
    across = tf.random.uniform([count], -_ACROSS, _ACROSS) * size
    tall = tf.random.uniform([count], *_ZOOM)
    flipped = tf.random.uniform([count]) < 0.5
    wide = tf.random.uniform([count], *_ZOOM) * tf.where(flipped, -1.0, 1.0)
    cos, sin = tf.cos(angle), tf.sin(angle)
    a, b, c, d = cos * wide, -sin * tall, sin * wide, cos * tall
    centre = (size - 1) / 2
    right = cos * across - sin * down + centre - (a + b) * centre
    below = sin * across + cos * down + centre - (c + d) * centre
    zero = tf.zeros_like(a)
    return tf.stack([a, b, right, c, d, below, zero, zero], axis=1)
