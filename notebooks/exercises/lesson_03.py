"""Checks of the exercises of lesson 03: dict datasets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from exercises.specs import difference, spec
from helpers import tiles

TARGETS = {
    "targets['land_cover']": spec(3, 8),
    "targets['composition']": spec(3, 2),
}
ROWS = np.array([5, 0, 479])  # in the classes barren, barren and water


def exercise_1(function: Callable[..., Any]) -> str | None:
    """Check a function that drops the inputs which the model does not take."""
    inputs, targets = _element()
    found = function({"altitude": tf.ones((3, 1)), **inputs}, targets)
    wanted = {"inputs['imagery']": spec(3, 64, 64, 3), "inputs['site']": spec(3, 5)}
    return difference(found, wanted | TARGETS)


def exercise_2(function: Callable[..., Any]) -> str | None:
    """Check an `assemble` with `spectral` as a third input."""
    imagery = np.zeros((3, 64, 64, 3), "float32")
    found = function({"imagery": imagery}, ROWS)
    wanted = {
        "inputs['imagery']": spec(3, 64, 64, 3),
        "inputs['site']": spec(3, 5),
        "inputs['spectral']": spec(3, 10),
    }
    differs = difference(found, wanted | TARGETS)
    if differs is None:
        values = tiles.columns("train", tiles.SPECTRAL)[ROWS]
        equal = int((found[0]["spectral"] == values).all(axis=1).sum())
        if equal < len(ROWS):
            return f"inputs['spectral']: expected those of rows {ROWS.tolist()}, found {equal} of 3"
    return differs


def exercise_3(function: Callable[..., Any]) -> str | None:
    """Check weights of 0.5 for water, and of 1 for all else."""
    inputs, targets = _element()
    found = function(inputs, targets)
    weights = {"weights['land_cover']": spec(3), "weights['composition']": spec(3)}
    wanted = {"inputs['imagery']": spec(3, 64, 64, 3), "inputs['site']": spec(3, 5)}
    differs = difference(found, wanted | TARGETS | weights)
    if differs is not None:
        return differs
    for name, values in {"land_cover": [1, 1, 0.5], "composition": [1, 1, 1]}.items():
        if not np.allclose(found[2][name], values):
            return (
                f"weights['{name}']: expected {values} for two tiles of barren ground and one of "
                f"water, found {np.round(found[2][name], 2).tolist()}"
            )
    return None


def _element() -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Return three samples, as `map` passes them."""
    targets = {
        "land_cover": tf.constant(tiles.one_hot("train")[ROWS]),
        "composition": tf.constant(tiles.columns("train", tiles.COMPOSITION)[ROWS]),
    }
    return {"imagery": tf.ones((3, 64, 64, 3)), "site": tf.ones((3, 5))}, targets
