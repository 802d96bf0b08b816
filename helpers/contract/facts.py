"""What the rules look at, a finding, and what several rules need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from helpers.contract.models import ModelFacts
from helpers.contract.nests import list_of_samples, with_arrays, wrapped
from helpers.contract.source import Source
from helpers.datasets import leaves

_NUMBERS = ("int", "uint", "float", "bool")

ERROR, WARNING, NOT_CHECKED = "error", "warning", "not checked"


@dataclass(frozen=True)
class Finding:
    """One thing that does not agree.

    Attributes
    ----------
    severity : str
        ``"error"``: fails or trains wrongly. ``"warning"``: works by luck. ``"not checked"``.
    leaf : str
        Path of the leaf, or the argument, such as ``targets['composition']``.
    found, expected, change : str
        What is, what should be, and what mends it.
    """

    severity: str
    leaf: str
    found: str
    expected: str = ""
    change: str = ""

    def __str__(self) -> str:
        text = f"{self.severity}: {self.leaf}: "
        text += f"expected {self.expected}, found {self.found}" if self.expected else self.found
        return text + (f"; {self.change}" if self.change else "")


@dataclass(frozen=True)
class Leaf:
    """Shape (None for each open axis; None as a whole where unknown) and dtype of a leaf.

    The kind is ``"dense"``, ``"ragged"``, ``"sparse"``, ``"dataset"``, or ``"none"`` for None.
    The first axis of an array is taken to be open; its length there is `first`.
    """

    shape: tuple[int | None, ...] | None
    dtype: str
    kind: str = "dense"
    first: int | None = None


@dataclass
class Facts:
    """All that the rules look at."""

    source: Source
    model: ModelFacts
    steps: int | None = None
    epochs: int = 1
    class_weight: Any = None
    parts: tuple[Any, ...] = ()
    leaves: dict[str, Leaf] = field(default_factory=dict)
    values: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    validation: Source | None = None
    validation_steps: int | None = None

    def part(self, role: str) -> Any:
        """Return ``inputs``, ``targets`` or ``weights`` of the element, or None."""
        number = ("inputs", "targets", "weights").index(role)
        return self.parts[number] if number < len(self.parts) else None


def facts_of(source: Source, model: ModelFacts, **options: Any) -> Facts:
    """Put together what the rules look at."""
    facts = Facts(source, model, **options)
    if source.element is not None:
        facts.parts = _parts(source.element, model)
        facts.leaves = {path: leaf_of(part) for path, part in leaves(facts.parts)}
    for name, batch in source.batches.items():
        found = {path: _value(part) for path, part in leaves(_parts(batch, model))}
        facts.values[name] = {path: value for path, value in found.items() if value is not None}
    return facts


def _parts(element: Any, model: ModelFacts) -> tuple[Any, ...]:
    """Return inputs, targets and weights, with arrays for the lists that stand for one array."""
    parts = list(wrapped(with_arrays(element)))
    for number, slots in enumerate((model.inputs, model.outputs)):
        if number < len(parts) and len(slots or ()) == 1 and list_of_samples(parts[number]):
            parts[number] = np.stack(parts[number])
    return tuple(parts)


def each_value(facts: Facts) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield each leaf of each batch; only the first bad batch of a leaf need be told."""
    for name, values in facts.values.items():
        for path, value in values.items():
            yield path, name, value


def values_of(facts: Facts, path: str) -> list[tuple[str, np.ndarray]]:
    """Return (name of the batch, value) of a leaf."""
    return [(name, values[path]) for name, values in facts.values.items() if path in values]


def leaf_of(part: Any) -> Leaf:
    """Return what is known of a leaf without its values."""
    if part is None or isinstance(part, tf.NoneTensorSpec):
        return Leaf(None, "", "none")
    if isinstance(part, tf.data.DatasetSpec):
        return Leaf(None, "", "dataset")
    kind = type(part).__name__
    kind = "ragged" if kind.startswith("Ragged") else "sparse" if "Sparse" in kind else "dense"
    shape: Any
    shape, dtype = getattr(part, "shape", ()), getattr(part, "dtype", None)
    if isinstance(part, bool | int | float | str):
        shape, dtype = np.shape(part), np.asarray(part).dtype
    name = getattr(dtype, "name", str(dtype))
    if dtype is None and hasattr(part, "dtypes"):  # a table: one dtype a column
        plain = all(str(column).lower().startswith(_NUMBERS) for column in part.dtypes)
        name = "float64" if plain else "object"
    first = None
    name = "string" if name.startswith(("str", "bytes")) else name
    if isinstance(shape, tf.TensorShape):
        shape = None if shape.rank is None else tuple(shape.as_list())
    elif shape is not None and len(shape):
        first, shape = shape[0], (None, *shape[1:])
    return Leaf(shape, name, kind, first)


def _value(part: Any) -> np.ndarray | None:
    if part is None or isinstance(part, tf.RaggedTensor | tf.SparseTensor):
        return None
    try:
        value = np.asarray(part)
    except Exception:
        return None
    return None if value.dtype == object else value
