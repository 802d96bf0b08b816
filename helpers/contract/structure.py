"""Rules on structure: each part of an element is there, by name or by position."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from helpers.contract.facts import (
    ERROR,
    NOT_CHECKED,
    WARNING,
    Facts,
    Finding,
    is_nested,
    is_sequence,
    matched,
    names_of,
    nearest,
    show_shape,
    wrapped,
)
from helpers.contract.models import Slot


def _problem_with_source(facts: Facts) -> Iterator[Finding]:
    if facts.source.problem is not None:
        yield Finding(ERROR, "dataset", *facts.source.problem)
    if facts.source.unseen and facts.source.problem is None:
        change = "pass batch=<one batch> to have values checked"
        yield Finding(NOT_CHECKED, "values", facts.source.unseen, "", change)


def _lists(facts: Facts) -> Iterator[Finding]:
    if facts.source.kind not in ("PyDataset", "epochs"):
        return
    for path, part in _containers(wrapped(facts.source.element)):
        if isinstance(part, list):
            yield Finding(
                ERROR, path, f"a list of {len(part)}", "a tuple or a dict", "put tuple(…) round it"
            )


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


def _weights_or_target(facts: Facts) -> Iterator[Finding]:
    weights, outputs = facts.part("weights"), facts.model.outputs
    if weights is None:
        return
    targets = tf.nest.flatten(facts.part("targets"))
    inputs = facts.model.inputs
    if inputs and len(inputs) > 1 and not is_nested(facts.part("inputs")):
        yield Finding(
            ERROR,
            "weights",
            f"a third part, and one input where the model has {len(inputs)}",
            "((input, input), targets)",
            "flat parts are inputs, targets, weights: put the inputs into a tuple of their own",
        )
    elif outputs and len(targets) < len(outputs) and not facts.model.loss_is_partial():
        yield Finding(
            ERROR,
            "weights",
            f"a third part, and {len(targets)} of {len(outputs)} targets",
            "(inputs, (target, target))",
            "the third part is taken as sample weights: put the targets into a tuple or a dict",
        )


def _weight_shapes(facts: Facts) -> Iterator[Finding]:
    weights, outputs = facts.part("weights"), facts.model.outputs
    if weights is None or facts.model.custom_step:
        return
    if is_nested(weights) and outputs is not None:
        yield from _keys("weights", weights, outputs, what="output")
        if isinstance(weights, Mapping) != (facts.model.output_kind == "dict"):
            if len(outputs) > 1:
                wanted = "a dict by output name"
                wanted = wanted if facts.model.output_kind == "dict" else "a tuple by position"
                found = f"a {type(weights).__name__}"
                yield Finding(ERROR, "weights", found, wanted, "give it the outputs' structure")
            return
    by_target = dict(zip(_suffixes(facts, "weights"), _suffixes(facts, "targets"), strict=False))
    for path, leaf in facts.leaves.items():
        if not path.startswith("weights") or leaf.shape is None:
            continue
        target = facts.leaves.get(by_target.get(path, "targets" + path[len("weights") :]))
        extra = leaf.shape[1:]
        allowed: list[Any] = [(), (1,)]
        if target is not None and target.shape is not None:
            allowed += [target.shape[1:stop] for stop in range(2, len(target.shape) + 1)]
            if len(target.shape) == 2:
                allowed = [(), (1,)]
        if extra not in allowed:
            yield Finding(
                ERROR,
                path,
                f"shape {show_shape(leaf.shape)}",
                "one number a sample, shape (None,)",
                "if this is a target, put it into the targets' tuple or dict",
            )
        elif leaf.dtype.startswith(("int", "uint", "string")) and facts.source.kind != "arrays":
            yield Finding(
                WARNING,
                path,
                f"{leaf.dtype} in the weights' place",
                "sample weights, float32",
                "if these are labels, put them into the targets' tuple; else cast to float32",
            )


def _input_structure(facts: Facts) -> Iterator[Finding]:
    part, slots, kind = facts.part("inputs"), facts.model.inputs, facts.model.input_kind
    if slots is None or not facts.parts or len(facts.parts) > 3:
        return
    yield from _keys("inputs", part, slots, what="input")
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
    if facts.part("weights") is not None and list(_weights_or_target(facts)):
        return  # said already, with what mends it
    needed = [slot for slot in slots if not facts.model.without_loss(slot)]
    if isinstance(part, Mapping) and facts.model.output_kind == "single":
        yield Finding(
            ERROR, "targets", f"a dict with keys {sorted(part)}", "one array", "take it out"
        )
        return
    if facts.model.output_kind != "dict" and len(needed) < len(slots) and is_nested(part):
        needed = slots
    yield from _keys("targets", part, slots, needed=needed, what="output")
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


def _keys(
    role: str,
    part: Any,
    slots: Sequence[Slot],
    *,
    needed: Sequence[Slot] | None = None,
    what: str,
) -> Iterator[Finding]:
    """Compare a dict's keys, or a tuple's length, with the model's inputs or outputs."""
    names = names_of(slots)
    wanted = names if needed is None else names_of(needed)
    wanted = [name for slot, name in zip(slots, names, strict=True) if name in wanted]
    optional = {slot.name for slot in slots if slot.optional}
    if isinstance(part, Mapping):
        extra = [key for key in part if key not in names]
        for key in extra:
            near = difflib.get_close_matches(str(key), [n for n in names if n not in part], 1, 0.6)
            change = f"rename the key to {near[0]!r}" if near else "leave the key out"
            expected = f"one of the {what}s {names}"
            expected = repr(near[0]) if near else expected
            yield Finding(ERROR, f"{role}[{key!r}]", f"no {what} of that name", expected, change)
        for name in wanted:
            if name not in part and name not in optional:
                near = difflib.get_close_matches(name, [str(key) for key in extra], 1, 0.6)
                if not near:
                    expected = f"keys {sorted(wanted)}"
                    change = f"add the key {name!r}"
                    yield Finding(ERROR, f"{role}[{name!r}]", "missing", expected, change)
    elif is_sequence(part) and len(part) != len(slots):
        expected = f"{len(slots)}: {names}"
        change = f"yield one part an {what}"
        yield Finding(ERROR, role, f"a tuple of {len(part)}", expected, change)
    elif not is_nested(part) and len(slots) > 1 and role == "inputs":
        if slots[0].nested or part is None:
            return
        yield Finding(ERROR, role, "one array", f"{len(slots)} inputs: {names}", "yield a tuple")


def _suffixes(facts: Facts, role: str) -> list[str]:
    return [path for path in facts.leaves if path.startswith(role)]


def _containers(structure: Any, path: str = "element") -> Iterator[tuple[str, Any]]:
    if is_nested(structure):
        yield path, structure
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
    _arity,
    _weights_or_target,
    _weight_shapes,
    _input_structure,
    _ambiguous_positions,
    _target_structure,
)
