"""Rules on structure: each part of an element is there, by name or by position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from helpers.contract.facts import ERROR, NOT_CHECKED, WARNING, Facts, Finding
from helpers.contract.fitting import compare_keys, names_of, show_shape
from helpers.contract.nests import (
    is_nested,
    is_sequence,
    list_of_samples,
    list_of_values,
    with_arrays,
    wrapped,
)
from helpers.contract.weights import flat_targets


def _problem_with_source(facts: Facts) -> Iterator[Finding]:
    if facts.source.problem is not None:
        yield Finding(ERROR, "dataset", *facts.source.problem)
    if facts.source.unseen and facts.source.problem is None:
        change = "pass batch=<one batch> to have values checked"
        yield Finding(NOT_CHECKED, "values", facts.source.unseen, "", change)


def _lists(facts: Facts) -> Iterator[Finding]:
    """Keras makes a signature of what a PyDataset or a generator yields: no lists may be in it."""
    kind, element = facts.source.kind, facts.source.element
    if element is None or kind not in ("PyDataset", "generator", "arrays"):
        return
    if kind == "generator" and not isinstance(element, tuple):
        found = f"a {type(element).__name__}"
        yield Finding(ERROR, "element", found, "a tuple", "yield inputs, targets")
    for path, part in _containers(wrapped(element)):
        if not isinstance(part, list) or path == "element":
            continue  # a PyDataset may give [inputs, targets]
        slots = facts.model.outputs if path == "targets" else facts.model.inputs
        if list_of_values(part):
            change = "put np.asarray(…) round it"
            if with_arrays(part).dtype == object:
                change = "its rows differ in length: keras.utils.pad_sequences(…), then an array"
            yield Finding(ERROR, path, f"a list of {len(part)} values", "an array", change)
        elif list_of_samples(part) and len(slots or ()) == 1:
            change = "put np.stack(…) round it"
            yield Finding(ERROR, path, f"a list of {len(part)} arrays", "one array", change)
        elif kind != "arrays":
            change = "put tuple(…) round it"
            yield Finding(ERROR, path, f"a list of {len(part)}", "a tuple or a dict", change)


def _datasets_inside(facts: Facts) -> Iterator[Finding]:
    for path, leaf in facts.leaves.items():
        if leaf.kind == "dataset":
            change = "window(…).flat_map(lambda part: part.batch(size)) makes arrays of it"
            yield Finding(ERROR, path, "a dataset inside the dataset", "an array", change)


def _arity(facts: Facts) -> Iterator[Finding]:
    if len(facts.parts) > 3:
        yield Finding(
            ERROR,
            "element",
            f"{len(facts.parts)} parts side by side",
            "(inputs, targets) or (inputs, targets, weights)",
            "put the inputs into a tuple of their own, and the targets too",
        )
    missing = facts.parts and len(facts.parts) < 2 and facts.model.needs_targets
    if missing and facts.source.kind != "unknown":
        found = "a dict without targets" if isinstance(facts.parts[0], Mapping) else "inputs only"
        yield Finding(
            ERROR, "element", found, "(inputs, targets)", "yield the targets as a second part"
        )


def _input_structure(facts: Facts) -> Iterator[Finding]:
    part, slots, kind = facts.part("inputs"), facts.model.inputs, facts.model.input_kind
    if slots is None or not facts.parts or len(facts.parts) > 3:
        return
    if flat_targets(facts) is not None:
        return  # said there, with what mends it
    yield from compare_keys("inputs", part, slots, what="input")
    if isinstance(part, Mapping) or kind != "dict" or not is_nested(part):
        if kind == "dict" and not isinstance(part, Mapping) and len(slots) > 1:
            names = [slot.name for slot in slots]
            yield Finding(ERROR, "inputs", "one array", f"a dict with keys {names}", "name it")
        return
    declared = [slot.name for slot in slots]
    severity = WARNING if declared == sorted(declared) else ERROR
    yield Finding(
        severity,
        "inputs",
        "a tuple, matched to the model's keys in sorted order",
        f"a dict with keys {sorted(declared)}",
        "name the inputs: {" + ", ".join(f"{name!r}: …" for name in declared) + "}",
    )


def _ambiguous_positions(facts: Facts) -> Iterator[Finding]:
    part, slots = facts.part("inputs"), facts.model.inputs
    if not slots or not is_sequence(part) or len(part) != len(slots):
        return
    by_shape: dict[Any, list[str]] = {}
    for slot in slots:
        by_shape.setdefault(slot.shape, []).append(slot.name)
    for shape, names in by_shape.items():
        if len(names) > 1 and facts.model.input_kind != "dict":
            yield Finding(
                WARNING,
                "inputs",
                f"inputs of one shape {show_shape(shape)}, told apart by position only",
                f"names: {names}",
                "yield a dict of inputs, keyed by the names of the Input layers",
            )


def _target_structure(facts: Facts) -> Iterator[Finding]:
    part, slots = facts.part("targets"), facts.model.outputs
    if slots is None or part is None or len(facts.parts) > 3 or facts.model.custom_step:
        return
    if flat_targets(facts) is not None:
        return  # said already, with what mends it
    needed = [slot for slot in slots if not facts.model.without_loss(slot)]
    if isinstance(part, Mapping) and facts.model.output_kind == "single":
        yield Finding(
            ERROR,
            "targets",
            f"a dict with keys {sorted(part, key=str)}",
            "one array",
            "take it out",
        )
        return
    if facts.model.output_kind != "dict" and len(needed) < len(slots) and is_nested(part):
        needed = slots
    yield from compare_keys("targets", part, slots, needed=needed, what="output")
    if not is_nested(part) and len(needed) > 1:
        found = "one array"
        yield Finding(
            ERROR,
            "targets",
            found,
            f"{len(slots)} targets: {names_of(slots)}",
            "yield one an output",
        )
    elif facts.model.output_kind == "dict" and is_sequence(part) and len(part) > 1:
        declared = [slot.name for slot in slots]
        yield Finding(
            WARNING if declared == sorted(declared) else ERROR,
            "targets",
            "a tuple, matched to the model's keys in sorted order",
            f"a dict with keys {sorted(declared)}",
            "name the targets: {" + ", ".join(f"{name!r}: …" for name in declared) + "}",
        )


def _containers(structure: Any, path: str = "element") -> Iterator[tuple[str, Any]]:
    if is_nested(structure):
        yield path, structure
    if list_of_values(structure):
        return
    if isinstance(structure, Mapping):
        for key, child in structure.items():
            yield from _containers(child, f"{path}[{key!r}]")
    elif is_sequence(structure):
        roles = ("inputs", "targets", "weights")
        named = path == "element" and len(structure) <= 3
        for number, child in enumerate(structure):
            yield from _containers(child, roles[number] if named else f"{path}[{number}]")


RULES = (
    _problem_with_source,
    _lists,
    _datasets_inside,
    _arity,
    _input_structure,
    _ambiguous_positions,
    _target_structure,
)
