"""What is not yet right with an answer to an exercise of 10 Leaving ImageDataGenerator."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from exercises.specs import is_no
from helpers import leaving, tiles, transforms


def exercise_1(layer: Any) -> str | None:
    """The layer shifts along columns and rows as the class does, and fills as it does."""
    problem = is_no(layer, keras.layers.Layer)
    if problem:
        return problem
    places = np.indices((64, 64), "float32").transpose(1, 2, 0)  # of each pixel its row and column
    moved = np.asarray(layer(np.tile(places, (200, 1, 1, 1)), training=True))
    furthest = np.abs(moved[:, 32, 32] - 32).max(axis=0)
    for name, found, wanted in zip(("rows", "columns"), furthest, (0.3, 0.1), strict=True):
        if not 0.9 * wanted * 64 < found < wanted * 64 + 0.01:
            return (
                f"along the {name}: expected shifts of up to {wanted * 64:.1f} pixels of 64, as "
                f"the class has them, found up to {found:.1f}"
            )
    right = moved[:, 32, 32, 1] < 30  # the content went to the right, so the left is filled
    filled = moved[right][:, 32, 0, 1]
    if filled.max() > 0.01:
        return (
            "the border: expected the pixel of the border, which is column 0 on the left, "
            f"found column {filled.max():.1f}, so the fill mode is another"
        )
    return None


def exercise_2(inverted: Any) -> str | None:
    """The function does in the graph what the class does: transform, function, rescale."""
    datagen = leaving.ImageDataGenerator(
        rotation_range=90,
        fill_mode="constant",
        preprocessing_function=lambda image: 255 - image,
        rescale=1 / 255,
    )
    images = tiles.read_images("imagery", "test")[::20].astype("float32")
    lines = transforms.sample(datagen, len(images), (64, 64, 3), seed=7, epoch=0)
    pairs = zip(images, lines, strict=True)
    expected = np.stack(
        [
            datagen.standardize(datagen.apply_transform(image.copy(), {"theta": line[0]}))
            for image, line in pairs
        ]
    )
    found = np.asarray(inverted(images, lines))
    if found.shape != expected.shape:
        return f"expected the shape {expected.shape}, found {found.shape}"
    if found.max() > 1.01:
        return f"expected values from 0 to 1, found up to {found.max():.1f}"
    outside = expected == 1
    if abs(found[outside].mean() - 1) > 0.01:
        return f"the border: expected 1.00 (0 inverted), found {found[outside].mean():.2f}"
    difference = np.abs(found - expected).max()
    if difference > 0.01:
        return f"expected the pixels of the class, found some that differ by {difference:.2f} of 1"
    return None


def exercise_3(rows_of_machine: Any) -> str | None:
    """Every machine has equally many rows, none is on two, and as few as can be are left out."""
    for count, machines in ((480, 2), (479, 2), (100, 7)):
        order = np.random.default_rng(count).permutation(count)
        parts = [np.asarray(rows_of_machine(order, one, machines)) for one in range(machines)]
        where, size = f"{count} rows, {machines} machines", count // machines
        for number, part in enumerate(parts):
            if part.shape != (size,):
                found = part.size if part.ndim == 1 else f"an array of shape {part.shape}"
                return f"{where}: expected {size} rows on machine {number}, found {found}"
        together = np.concatenate(parts)
        distinct = np.unique(together)
        if len(distinct) < len(together):
            twice = len(together) - len(distinct)
            return f"{where}: expected each row once, found {twice} a second time"
        if not np.isin(distinct, order).all():
            return f"{where}: expected values of `order`, found others"
    return None
