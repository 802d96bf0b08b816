"""Checks of the exercises of lesson 01: tuple inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from exercises.specs import difference, spec


def exercise_1(signature: Any) -> str | None:
    """Check a signature with `site` as a fourth input."""
    wanted = {
        "inputs[0]": spec(None, 64, 64, 3),
        "inputs[1]": spec(None, 32, 32, 3),
        "inputs[2]": spec(None, 10),
        "inputs[3]": spec(None, 5),
        "targets": spec(None, 8),
    }
    return difference(signature, wanted)


def exercise_2(dataset: Any) -> str | None:
    """Check the validation tiles in full batches, said so in the signature."""
    if not isinstance(dataset, tf.data.Dataset):
        return f"expected a tf.data.Dataset, found {type(dataset).__name__}"
    lengths = [len(batch[1]) for batch in dataset.take(10)]
    if lengths != [32, 32, 32]:
        return f"expected three batches of 32 samples, found batches of {lengths}"
    wanted = {
        "inputs[0]": spec(32, 64, 64, 3),
        "inputs[1]": spec(32, 32, 32, 3),
        "inputs[2]": spec(32, 10),
        "targets": spec(32, 8),
    }
    return difference(dataset.element_spec, wanted)


def exercise_3(function: Callable[..., Any]) -> str | None:
    """Check a function that puts the relief first."""
    imagery, relief, spectral, land_cover = (
        tf.ones((2, *shape)) for shape in ((64, 64, 3), (32, 32, 3), (10,), (8,))
    )
    found = function((imagery, relief, spectral), land_cover)
    wanted = {
        "inputs[0]": spec(2, 32, 32, 3),
        "inputs[1]": spec(2, 64, 64, 3),
        "inputs[2]": spec(2, 10),
        "targets": spec(2, 8),
    }
    return difference(found, wanted)
