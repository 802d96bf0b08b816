"""What is not yet right with an answer to an exercise of 05 Augmentation you can see."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from exercises.specs import is_no
from helpers import tiles, transforms

ImageDataGenerator = tf.keras.preprocessing.image.ImageDataGenerator


def exercise_1(datagen: Any) -> str | None:
    """The `ImageDataGenerator` shifts 40 × 80 pixels by up to 20 columns, and nothing else."""
    problem = is_no(datagen, ImageDataGenerator)
    if problem:
        return problem
    table = transforms.sample(datagen, 500, (40, 80, 3), seed=0, epoch=0)
    columns, rows = np.abs(table[:, 1]).max(), np.abs(table[:, 2]).max()  # tx, ty
    if rows:
        return f"expected no shift of the rows, found up to {rows:.0f} pixels up or down"
    if not 18 <= columns <= 20:
        return f"expected shifts of up to 20 columns, found up to {columns:.0f}"
    table[:, 1] = 0
    if not np.array_equal(table, _nothing(len(table)), equal_nan=True):
        return "expected shifts alone, found another option switched on"
    return None


def exercise_2(datagen: Any) -> str | None:
    """The `ImageDataGenerator` changes brightness and yields values from −1 to 1."""
    problem = is_no(datagen, ImageDataGenerator)
    if problem:
        return problem
    if datagen.brightness_range is None or tuple(datagen.brightness_range) != (0.8, 1.2):
        return f"brightness_range: expected (0.8, 1.2), found {datagen.brightness_range}"
    image = np.linspace(0, 255, 64 * 64 * 3, dtype="float32").reshape(64, 64, 3)
    bright = datagen.apply_transform(image.copy(), {"brightness": 0.8})  # 0 to 204
    found = datagen.standardize(bright.copy())
    expected = bright / 127.5 - 1
    if not np.allclose(found, expected, atol=0.01):
        return (
            f"expected values from {expected.min():.2f} to {expected.max():.2f} for an image "
            f"from 0 to 204, found {found.min():.4g} to {found.max():.4g}"
        )
    return None


def exercise_3(diversity: Any) -> str | None:
    """The function measures the diversity of the land cover on masks."""
    cover = tiles.read_images("cover", "train")[:100]
    stored = tiles.columns("train", ["cover_diversity"])[:100, 0]
    found = np.asarray(diversity(cover))
    if found.shape != (100,):
        return f"expected the shape (100,) for 100 masks, found {found.shape}"
    if np.isnan(found).any():
        return f"expected numbers, found NaN for {np.isnan(found).sum()} of 100 masks"
    off = np.abs(found - stored)
    if off.max() > 0.001:
        row = int(off.argmax())
        return f"row {row}: expected {stored[row]:.3f} as in the table, found {found[row]:.3f}"
    return None


def _nothing(count: int) -> np.ndarray:
    return transforms.sample(ImageDataGenerator(), count, (40, 80, 3), seed=0, epoch=0)
