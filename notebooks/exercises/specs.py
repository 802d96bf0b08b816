"""How the checks say in what a structure differs from the one that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helpers.datasets import leaves, shape_and_dtype

__all__ = ["difference", "is_no", "lists_in", "spec"]


def spec(*shape: int | None, dtype: str = "float32") -> tuple[str, str]:
    """Return what a leaf must be: its shape and its dtype, as text.

    Examples
    --------
    >>> spec(None, 5)
    ('(None, 5)', 'float32')
    """
    return str(shape), dtype


def difference(structure: Any, wanted: Mapping[str, tuple[str, str]]) -> str | None:
    """Say in what a structure differs first from the wanted leaves by path; None if in nothing.

    Examples
    --------
    >>> import tensorflow as tf
    >>> wanted = {"inputs": spec(None, 5), "targets": spec(None, 8)}
    >>> difference((tf.TensorSpec((None, 5)), tf.TensorSpec((32, 8))), wanted)
    'targets: expected shape (None, 8) float32, found (32, 8) float32'
    """
    if lists_in(structure):
        return "expected tuples and dicts, found a list, which TensorFlow takes for one tensor"
    found = {path: shape_and_dtype(leaf) for path, leaf in leaves(structure)}
    for path, leaf in wanted.items():
        if path not in found:
            return f"expected a leaf {path} {' '.join(leaf)}, found {', '.join(found) or 'none'}"
        if found[path] != leaf:
            return f"{path}: expected shape {' '.join(leaf)}, found {' '.join(found[path])}"
    extra = [path for path in found if path not in wanted]
    return f"expected no leaf {extra[0]}, found {', '.join(found)}" if extra else None


def is_no(answer: Any, kind: type) -> str | None:
    """Say that an answer is not of a class; None if it is.

    Examples
    --------
    >>> is_no("8", int)
    'expected an int, found str'
    """
    if isinstance(answer, kind):
        return None
    article = "an" if kind.__name__[0] in "AEIOUaeiou" else "a"
    return f"expected {article} {kind.__name__}, found {type(answer).__name__}"


def lists_in(structure: Any) -> bool:
    """Tell whether there is a list anywhere in a nest.

    Examples
    --------
    >>> lists_in((1, {"a": [2]}))
    True
    """
    if isinstance(structure, Mapping):
        structure = tuple(structure.values())
    return isinstance(structure, list) or (
        isinstance(structure, tuple) and any(lists_in(part) for part in structure)
    )
