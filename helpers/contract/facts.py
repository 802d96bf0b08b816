"""What the rules look at, a finding, and what several rules need."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from helpers.contract.looking import Source
from helpers.contract.models import ModelFacts, Slot
from helpers.datasets import leaves

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
    """Shape (None for each open axis; None as a whole where unknown) and dtype of a leaf."""

    shape: tuple[int | None, ...] | None
    dtype: str
    kind: str = "dense"


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

    def matched_targets(self) -> list[tuple[str, Slot]]:
        """Return (path of a target, its output)."""
        return matched("targets", self.part("targets"), self.model.outputs)


def facts_of(source: Source, model: ModelFacts, **options: Any) -> Facts:
    """Put together what the rules look at."""
    facts = Facts(source, model, **options)
    if source.element is not None:
        facts.parts = source.element if is_sequence(source.element) else (source.element,)
        facts.parts = tuple(facts.parts)
        facts.leaves = {path: leaf_of(part) for path, part in leaves(wrapped(source.element))}
    for name, batch in source.batches.items():
        found = {path: _value(part) for path, part in leaves(wrapped(batch))}
        facts.values[name] = {path: value for path, value in found.items() if value is not None}
    return facts


def matched(role: str, part: Any, slots: Sequence[Slot] | None) -> list[tuple[str, Slot]]:
    """Pair each leaf's path with the model's slot, where that is certain."""
    if slots is None or part is None:
        return []
    if isinstance(part, Mapping):
        by_name = {slot.name: slot for slot in slots}
        pairs = [(f"{role}[{key!r}]", by_name[key]) for key in part if key in by_name]
        return [(path, slot) for path, slot in pairs if not is_nested(part[_key_in(path, part)])]
    if is_sequence(part):
        if len(part) != len(slots) or any(is_nested(child) for child in part):
            return []
        keyed = slots[0].keyed
        slots = sorted(slots, key=lambda slot: slot.name) if keyed else slots
        return [(f"{role}[{number}]", slot) for number, slot in enumerate(slots)]
    return [(role, slots[0])] if len(slots) == 1 else []


def _key_in(path: str, part: Mapping[Any, Any]) -> Any:
    return next(key for key in part if path.endswith(f"[{key!r}]"))


def names_of(slots: Sequence[Slot]) -> list[str]:
    """Return the names of inputs or outputs."""
    return [slot.name for slot in slots]


def nearest(key: str, names: Sequence[str], what: str) -> str:
    """Return the name that the key was meant to be, or all names."""
    close = difflib.get_close_matches(key, list(names), 1, 0.5)
    return f"{close[0]!r}" if close else f"one of the {what}s {list(names)}"


def is_sequence(part: Any) -> bool:
    """Say whether Keras reads it as a tuple."""
    return isinstance(part, tuple | list)


def is_nested(part: Any) -> bool:
    """Say whether it has parts."""
    return isinstance(part, tuple | list | Mapping)


def wrapped(element: Any) -> Any:
    """Return the element as a tuple: a lone part is the inputs."""
    return element if is_sequence(element) else (element,)


def show_shape(shape: Any) -> str:
    """Return a shape as text."""
    return "unknown" if shape is None else str(tuple(shape))


def agree(found: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    """Say whether two shapes agree but for the batch axis and open axes."""
    pairs = list(zip(found, wanted, strict=False))[1:]
    return len(found) == len(wanted) and all(
        None in (one, other) or one == other for one, other in pairs
    )


def squeezable(found: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    """Keras adds or drops a last axis of 1 itself."""
    longer, shorter = (found, wanted) if len(found) > len(wanted) else (wanted, found)
    return (
        len(longer) == len(shorter) + 1 and longer[-1] in (1, None) and agree(longer[:-1], shorter)
    )


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
    kind = type(part).__name__
    kind = "ragged" if kind.startswith("Ragged") else "sparse" if "Sparse" in kind else "dense"
    shape: Any
    shape, dtype = getattr(part, "shape", ()), getattr(part, "dtype", None)
    if isinstance(part, bool | int | float | str):
        shape, dtype = np.shape(part), np.asarray(part).dtype
    name = getattr(dtype, "name", str(dtype))
    name = "string" if name.startswith(("str", "bytes")) else name
    if isinstance(shape, tf.TensorShape):
        shape = None if shape.rank is None else tuple(shape.as_list())
    elif shape is not None:
        shape = (None, *shape[1:]) if len(shape) else ()
    return Leaf(shape, name, kind)


def _value(part: Any) -> np.ndarray | None:
    if part is None or isinstance(part, tf.RaggedTensor | tf.SparseTensor):
        return None
    try:
        value = np.asarray(part)
    except Exception:
        return None
    return None if value.dtype == object else value
