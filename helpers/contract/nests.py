"""Nests of arrays: what has parts, and what a Python list stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = [
    "flat",
    "is_nested",
    "is_sequence",
    "list_of_samples",
    "list_of_values",
    "with_arrays",
    "wrapped",
]


def is_sequence(part: Any) -> bool:
    """Say whether Keras reads it as a tuple."""
    return isinstance(part, tuple | list)


def is_nested(part: Any) -> bool:
    """Say whether it has parts."""
    return isinstance(part, tuple | list | Mapping)


def flat(nest: Any) -> list[Any]:
    """Return the leaves in the order they are in; ``tf.nest`` sorts keys, or fails to."""
    if isinstance(nest, Mapping):
        return [leaf for part in nest.values() for leaf in flat(part)]
    if is_sequence(nest):
        return [leaf for part in nest for leaf in flat(part)]
    return [nest]


def wrapped(element: Any) -> Any:
    """Return the element as a tuple: a lone part is the inputs."""
    return element if is_sequence(element) else (element,)


def list_of_values(part: Any) -> bool:
    """Say whether it is a list of numbers or texts, or of such lists: an array is meant."""
    if not isinstance(part, list) or not part:
        return False
    return all(
        list_of_values(value) or isinstance(value, bool | int | float | str | bytes | np.generic)
        for value in part
    )


def list_of_samples(part: Any) -> bool:
    """Say whether it is a list of arrays of one shape, as of one array a sample."""
    if not isinstance(part, list) or len(part) < 2:
        return False
    shapes = {np.shape(value) if isinstance(value, np.ndarray) else None for value in part}
    return len(shapes) == 1 and None not in shapes


def with_arrays(part: Any) -> Any:
    """Return the nest with an array in place of each list of numbers.

    Examples
    --------
    >>> with_arrays({"site": [1.0, 2.0]})
    {'site': array([1., 2.])}
    """
    if list_of_values(part):
        try:
            return np.asarray(part)
        except ValueError:  # rows of several lengths
            return np.asarray([str(row) for row in part], dtype=object)
    if isinstance(part, Mapping):
        return {key: with_arrays(value) for key, value in part.items()}
    if isinstance(part, list):
        return [with_arrays(value) for value in part]
    if type(part) is tuple:
        return tuple(with_arrays(value) for value in part)
    return part
