"""Rules on sample weights, which a target may be taken for, and on class weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from helpers.contract.facts import ERROR, WARNING, Facts, Finding, each_value, values_of
from helpers.contract.fitting import (
    compare_keys,
    matched_targets,
    not_batched,
    show_shape,
)
from helpers.contract.nests import flat, is_nested


def flat_targets(facts: Facts) -> Finding | None:
    """Return what is wrong where inputs and targets stand side by side, flat, in three parts."""
    weights, outputs = facts.part("weights"), facts.model.outputs
    if weights is None:
        return None
    targets = flat(facts.part("targets"))
    inputs = facts.model.inputs
    if inputs and len(inputs) > 1 and not is_nested(facts.part("inputs")):
        return Finding(
            ERROR,
            "weights",
            f"a third part, and one input where the model has {len(inputs)}",
            "((input, input), targets)",
            "flat parts are inputs, targets, weights: put the inputs into a tuple of their own",
        )
    if outputs and len(targets) < len(outputs) and not facts.model.loss_is_partial():
        return Finding(
            ERROR,
            "weights",
            f"a third part, and {len(targets)} of {len(outputs)} targets",
            "(inputs, (target, target))",
            "the third part is taken as sample weights: put the targets into a tuple or a dict",
        )
    return None


def _weights_or_target(facts: Facts) -> Iterator[Finding]:
    finding = flat_targets(facts)
    if finding is not None:
        yield finding


def _weight_shapes(facts: Facts) -> Iterator[Finding]:
    weights, outputs = facts.part("weights"), facts.model.outputs
    if weights is None or facts.model.custom_step or not_batched(facts):
        return
    if flat_targets(facts) is not None:
        return
    if is_nested(weights) and outputs is not None:
        yield from compare_keys("weights", weights, outputs, what="output")
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


def _weight_values(facts: Facts) -> Iterator[Finding]:
    zero: dict[str, bool] = {}
    for path, name, value in each_value(facts):
        if not path.startswith("weights") or value.dtype.kind not in "iufb" or not value.size:
            continue
        zero[path] = zero.get(path, True) and not value.any()
        if value.min() < 0:
            found = f"weights down to {value.min():g} in the {name}"
            change = "a negative weight drives the model away from its target"
            yield Finding(ERROR, path, found, "0 or more", change)
    for path in (path for path, is_zero in zero.items() if is_zero):
        change = "nothing trains and the loss is 0.0: yield 1 for a sample that counts"
        yield Finding(ERROR, path, "all weights zero", "weights above 0", change)


def _suffixes(facts: Facts, role: str) -> list[str]:
    return [path for path in facts.leaves if path.startswith(role)]


def _class_weight(facts: Facts) -> Iterator[Finding]:
    given, where = facts.class_weight, "class_weight"
    if given is None:
        return
    if not isinstance(given, Mapping):
        found, change = f"a {type(given).__name__}", "dict(enumerate(weights))"
        yield Finding(ERROR, where, found, "a dict of class number to weight", change)
    elif facts.model.outputs and len(facts.model.outputs) > 1:
        yield Finding(
            ERROR,
            where,
            f"class weights and {len(facts.model.outputs)} outputs",
            "one output",
            "yield sample weights for each output as a third part",
        )
    elif facts.part("weights") is not None:
        change = "multiply them into the sample weights"
        yield Finding(ERROR, where, "sample weights too", "one of the two", change)
    elif facts.source.kind == "generator":
        change = "make a dataset of its function with datasets.from_batches"
        found = "class weights and a generator object: fit refuses them"
        yield Finding(ERROR, where, found, "a dataset or arrays", change)
    elif is_nested(facts.part("targets")) and facts.source.kind != "PyDataset":
        found = "class weights and targets in a tuple or a dict"
        yield Finding(ERROR, where, found, "targets as one array", "take them out")
    elif not all(isinstance(key, int | np.integer) for key in given):
        found, change = f"keys {list(given)}", "{0: …, 1: …}"
        yield Finding(ERROR, where, found, "whole numbers, as the labels", change)
    else:
        yield from _classes(facts)


def _classes(facts: Facts) -> Iterator[Finding]:
    """Compare the classes that have a weight with the labels.

    Keras takes the largest column of a row with several, and else rounds the number. For a dataset
    it looks the class up in a table from 0 to the largest key, gaps filled with 1: what is above
    fails. For arrays and a ``PyDataset`` whatever has no weight of its own has 1.
    """
    weights, where = facts.class_weight, "class_weight"
    by_table = facts.source.kind == "tf.data"
    pairs = matched_targets(facts)
    path = pairs[0][0] if pairs else "targets"
    leaf, slot = facts.leaves.get(path), pairs[0][1] if pairs else None
    if leaf is None or leaf.shape is None or leaf.kind != "dense" or not_batched(facts):
        return
    loss = None if slot is None else facts.model.loss_of(slot)
    name = "" if loss is None else loss.name
    columns = len(leaf.shape) > 1 and leaf.shape[-1] != 1
    if columns and name.startswith(("sparse", "binary")) and leaf.shape[-1] is not None:
        found = f"targets of shape {show_shape(leaf.shape)}: only the largest of a row counts"
        change = "yield sample weights as a third part"
        yield Finding(ERROR, where, found, "one class a sample", change)
        return
    if not by_table and len(leaf.shape) > 2:
        found = f"targets of shape {show_shape(leaf.shape)}: fit fails for arrays and PyDataset"
        change = "yield sample weights as a third part"
        yield Finding(ERROR, where, found, "one class a sample", change)
        return
    if by_table and not weights:
        yield Finding(ERROR, where, "an empty dict", "a weight for each class", "leave it out")
        return
    top = max(weights, default=0)
    for batch, value in values_of(facts, path):
        labels = _class_numbers(value)
        if by_table and labels.size and not 0 <= labels.min() <= labels.max() <= top:
            low, high = labels.min(), labels.max()
            found = f"keys up to {top}, and labels {low} to {high} in the {batch}: fit fails in "
            change = f"add {high}: 1.0" if low >= 0 else "number the classes from 0"
            yield Finding(ERROR, where, found + "GatherV2", "a weight for each label", change)
            return
    units = slot.shape[-1] if slot is not None and slot.shape else None
    if not name.startswith(("sparse", "categorical", "binary")) or not units:
        return
    count = 2 if name.startswith("binary") else units
    if top >= count:
        found = f"a weight for class {top} of {count}"
        change = "number the classes from 0: this one is never looked up"
        yield Finding(WARNING, where, found, f"keys 0 to {count - 1}", change)
    elif by_table and top < count - 1:
        found = f"keys up to {top}: the first label above them makes fit fail in GatherV2"
        change = f"add {count - 1}: 1.0"
        yield Finding(WARNING, where, found, f"keys 0 to {count - 1}", change)


def _class_numbers(value: np.ndarray) -> np.ndarray:
    """Return the classes as Keras reads them off targets."""
    if value.dtype.kind not in "iufb" or not np.isfinite(value).all():
        return np.zeros(0, int)
    if value.ndim > 1:
        value = value.argmax(axis=-1) if value.shape[-1] > 1 else value[..., 0]
    return np.round(value).astype(int)


RULES = (
    _weights_or_target,
    _weight_shapes,
    _weight_values,
    _class_weight,
)
