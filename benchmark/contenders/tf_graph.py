"""tf.data from file to batch: decoding and one warp, all in TensorFlow's graph."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from benchmark.cases import AUGMENTATION, BATCH, SCALE, SEED, Case

_TURN = math.radians(AUGMENTATION["rotation_range"])
_DOWN, _ACROSS = AUGMENTATION["height_shift_range"], AUGMENTATION["width_shift_range"]
_ZOOM = AUGMENTATION["zoom_range"]


class TensorFlowGraph:
    """`decode_png`, and one `ImageProjectiveTransformV3` for each batch; no Python at all.

    Tuned as tensorflow.org/guide/data_performance says: parallel decoding, one vectorised map over
    batches, order given up for speed (the rows are shuffled anyway), prefetching; from memory, the
    decoded uint8 pictures are cached before they are shuffled.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        rows = tf.data.Dataset.from_tensor_slices((list(range(case.rows)), case.paths))
        if case.source == "memory":
            decoded = rows.map(self._decoded, tf.data.AUTOTUNE).cache()
            decoded = decoded.shuffle(case.rows, seed=SEED)
        else:
            decoded = rows.shuffle(case.rows, seed=SEED).map(self._decoded, tf.data.AUTOTUNE)
        options = tf.data.Options()
        options.deterministic = False
        batches = decoded.batch(BATCH).map(self._augmented, tf.data.AUTOTUNE)
        self.dataset = batches.prefetch(tf.data.AUTOTUNE).with_options(options)

    def _decoded(self, row: tf.Tensor, paths: tuple[tf.Tensor, ...]) -> Any:
        pictures = (tf.io.decode_png(tf.io.read_file(path), channels=3) for path in paths)
        return tuple(tf.ensure_shape(picture, self._case.shape) for picture in pictures), row

    def _augmented(self, batches: tuple[tf.Tensor, ...], rows: tf.Tensor) -> Any:
        size = self._case.size
        maps = transforms(tf.shape(rows)[0], size)
        warped = [
            tf.raw_ops.ImageProjectiveTransformV3(
                images=tf.cast(batch, tf.float32) * SCALE,
                transforms=maps,
                output_shape=(size, size),
                interpolation="BILINEAR",
                fill_mode="NEAREST",
                fill_value=0.0,
            )
            for batch in batches
        ]
        return tuple(warped), rows

    def epoch(self) -> Iterator[Any]:
        """Start an epoch and return an iterator over its batches."""
        return iter(self.dataset)


def transforms(count: tf.Tensor, size: int) -> tf.Tensor:
    """Draw maps from a pixel of the result to a place in the picture.

    Parameters
    ----------
    count : tf.Tensor
        How many.
    size : int
        Height and width of the pictures in pixels.

    Returns
    -------
    tf.Tensor
        float32 of shape (count, 8), as ``ImageProjectiveTransformV3`` takes them.
    """
    turn = tf.random.uniform([count], -_TURN, _TURN)
    down = tf.random.uniform([count], -_DOWN, _DOWN) * size
    across = tf.random.uniform([count], -_ACROSS, _ACROSS) * size
    tall = tf.random.uniform([count], *_ZOOM)
    flipped = tf.random.uniform([count]) < 0.5
    wide = tf.random.uniform([count], *_ZOOM) * tf.where(flipped, -1.0, 1.0)
    cos, sin = tf.cos(turn), tf.sin(turn)
    a, b, c, d = cos * wide, -sin * tall, sin * wide, cos * tall
    centre = (size - 1) / 2
    right = cos * across - sin * down + centre - (a + b) * centre
    below = sin * across + cos * down + centre - (c + d) * centre
    zero = tf.zeros_like(a)
    return tf.stack([a, b, right, c, d, below, zero, zero], axis=1)
