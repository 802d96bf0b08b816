"""Checks of the exercises of lesson 07: train, evaluate, predict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from exercises.specs import difference, is_no, spec
from helpers import models, tiles


def exercise_1(callback: Any) -> str | None:
    """Check a callback that stops where land cover no longer improves."""
    if no := is_no(callback, keras.callbacks.EarlyStopping):
        return no
    wanted = {
        "monitor": "val_land_cover_accuracy",
        "mode": "max",
        "patience": 3,
        "restore_best_weights": True,
    }
    for option, value in wanted.items():
        found = getattr(callback, option)
        if found != value:
            return f"{option}: expected {value!r}, found {found!r}"
    return None


def exercise_2(function: Callable[..., Any]) -> str | None:
    """Check a function that predicts one sample."""
    keras.utils.set_random_seed(0)
    model = models.build_model(["spectral", "site"], ["land_cover", "composition"], named=True)
    columns = {"spectral": tiles.SPECTRAL, "site": tiles.SITE}
    inputs = {name: tiles.columns("validation", names) for name, names in columns.items()}
    predicted = model.predict(inputs, verbose=0)
    numbers = predicted["land_cover"].argmax(axis=1)
    for row in (0, int((numbers != numbers[0]).argmax())):
        found = function(model, {name: values[row] for name, values in inputs.items()})
        if not isinstance(found, tuple) or len(found) != 2:
            return f"expected a tuple of two, found {type(found).__name__}"
        if (name := tiles.CLASS_NAMES[numbers[row]]) != found[0]:
            return f"row {row}: expected the class {name!r}, found {found[0]!r}"
        if np.shape(found[1]) != (2,):
            return f"composition: expected shape (2,), found {np.shape(found[1])}"
        if not np.allclose(found[1], predicted["composition"][row], atol=1e-5):
            return f"row {row}: expected the composition of that row, found {found[1]}"
    return None


def exercise_3(function: Callable[..., Any]) -> str | None:
    """Check weights and targets where a composition is missing."""
    composition = np.array([[0.25, 0.5], [np.nan, 0.5], [np.nan, np.nan]], "float32")
    land_cover = tf.constant(tiles.one_hot("train")[:3])
    targets = {"land_cover": land_cover, "composition": tf.constant(composition)}
    dataset = tf.data.Dataset.from_tensors(({"site": tf.ones((3, 5))}, targets)).map(function)
    found = next(iter(dataset))
    wanted = {
        "inputs['site']": spec(3, 5),
        "targets['land_cover']": spec(3, 8),
        "targets['composition']": spec(3, 2),
        "weights['land_cover']": spec(3),
        "weights['composition']": spec(3),
    }
    differs = difference(found, wanted)
    if differs is not None:
        return differs
    values = {
        "targets['composition']": (found[1]["composition"], [[0.25, 0.5], [0, 0], [0, 0]]),
        "weights['land_cover']": (found[2]["land_cover"], [1, 1, 1]),
        "weights['composition']": (found[2]["composition"], [1, 0, 0]),
    }
    for path, (array, expected) in values.items():
        if not np.array_equal(array, np.array(expected, "float32")):
            return f"{path}: expected {expected}, found {array.numpy().tolist()}"
    return None
