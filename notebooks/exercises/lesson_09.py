"""What is not yet right with an answer to an exercise of 09 Make it fast."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from helpers import tiles
from helpers.images import Images
from helpers.transforms import SharedTransforms

SHAPES = {"imagery": (64, 64, 3), "relief": (32, 32, 3), "cover": (64, 64, 1)}
OPTIONS = {
    "rotation_range": 25,
    "width_shift_range": 0.1,
    "height_shift_range": 0.1,
    "zoom_range": 0.2,
    "horizontal_flip": True,
    "rescale": 1 / 255,
}


def exercise_1(bytes_in_memory: Any) -> str | None:
    """The size counts images, all values of each, and the bytes of a value."""
    for arguments, expected in (
        ((480, (64, 64, 3), "uint8"), 5_898_240),
        ((480, (64, 64, 3), "float32"), 23_592_960),
        ((10, (48, 32, 1), "uint16"), 30_720),
    ):
        found = bytes_in_memory(*arguments)
        if found != expected:
            return f"bytes_in_memory{arguments}: expected {expected}, found {found!r}"
    return None


def exercise_2(make_batch: Any) -> str | None:
    """The mask is a target, and has the transform of the imagery at nearest pixels."""
    rows, epoch = np.array([376, 52, 47]), 2
    batch = make_batch(rows, epoch)
    if not isinstance(batch, tuple) or len(batch) != 2:
        return f"expected a tuple (inputs, targets), found {type(batch).__name__}"
    keys = ["imagery", "relief"], ["composition", "cover", "land_cover"]
    for name, part, expected in zip(("inputs", "targets"), batch, keys, strict=True):
        found = sorted(part) if isinstance(part, dict) else type(part).__name__
        if found != expected:
            return f"{name}: expected a dict of {expected}, found {found}"
    stored = {
        name: Images(tiles.paths(name, "train"), shape)[rows] for name, shape in SHAPES.items()
    }
    datagen = tf.keras.preprocessing.image.ImageDataGenerator(**OPTIONS)
    moved = SharedTransforms(datagen, seed=525)(stored, rows, epoch)
    cover = np.asarray(batch[1]["cover"])
    if cover.dtype != np.uint8 or cover.shape != moved["cover"].shape:
        return (
            f"cover: expected uint8 of shape {moved['cover'].shape}, "
            f"found {cover.dtype} of shape {cover.shape}"
        )
    if np.array_equal(cover, stored["cover"]):
        return "cover: expected the transform of the imagery, found the mask as stored"
    parts = batch[0] | {"cover": cover}
    for name, expected in moved.items():
        share = np.mean(np.asarray(parts[name]) != expected)
        if share:
            return f"{name}: expected what `shared` returns, found {share:.0%} of values otherwise"
    land_cover = tiles.one_hot("train")[rows]
    if not np.array_equal(batch[1]["land_cover"], land_cover):
        return "land_cover: expected the classes of the rows, found others"
    return None


def exercise_3(noise: Any) -> str | None:
    """The noise of a row follows from the row and the epoch."""
    first = np.asarray(noise([3, 100, 7], 0))
    if first.shape != (3, 64, 64, 3) or first.dtype != np.float32:
        return (
            "noise([3, 100, 7], 0): expected float32 of shape (3, 64, 64, 3), "
            f"found {first.dtype} of shape {first.shape}"
        )
    if abs(first.mean()) > 0.5 or abs(first.std() - 5) > 0.5:
        return (
            "expected a mean of 0 and a standard deviation of 5, "
            f"found {first.mean():.1f} and {first.std():.1f}"
        )
    if not np.array_equal(first, noise([3, 100, 7], 0)):
        return "the same rows and epoch again: expected the same noise, found other noise"
    if not np.array_equal(first[1:], noise([100, 7], 0)):
        return "rows 100 and 7 without row 3: expected the same noise as beside it, found other"
    if np.array_equal(first[0], first[1]):
        return "rows 3 and 100: expected noise of their own, found the same noise"
    if np.array_equal(first, noise([3, 100, 7], 1)):
        return "epoch 1: expected other noise than in epoch 0, found the same noise"
    return None
