"""The rules on one batch: structure, names, shapes and dtypes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from helpers.contract.facts import Facts, Found, Shape, agree, is_text, nearest, same_kind, show
from helpers.contract.looking import ARRAY_BATCH, is_list_of_values
from helpers.datasets import leaves, parts_of

_NO_ARRAY = {
    "dataset": "window(…).flat_map(lambda part: part.batch(size)) makes arrays of it",
    "none": "pass zeros for what is missing, or keras.Input(optional=True), which takes None from "
    "arrays; with a subclassed model leave the key out",
    "other": "yield NumPy arrays; of a generator take next(…) of it, or return in its function",
}


def structure(facts: Facts) -> Found:
    """Yield what is wrong with the parts of an element."""
    source, element, parts = facts.source, facts.element, facts.parts
    predict, inputs = facts.options["predict"], facts.slots("inputs")
    if source.problem is not None:
        yield "unreadable", "dataset", *source.problem
    if element is None:
        return
    if isinstance(element, tuple | list) and len(element) > 3:
        found, wanted = f"{len(element)} parts side by side", "(inputs, targets[, weights])"
        change = "put the inputs into a tuple of their own, and the targets too"
        yield "element-parts", "element", found, wanted, change
        return
    if source.kind in ("generator", "function") and not isinstance(element, tuple):
        change = "yield inputs, targets: a tuple, the outer one too"
        yield "element-parts", "element", f"a {type(element).__name__}", "a tuple", change
    if predict and len(inputs) > 1 < len(parts) and not parts_of(parts["inputs"]):
        yield "predict-form", "element", "the first part is taken for all inputs"
    if len(parts) == 1 and facts.model.settings["loss"] is not None and not predict:
        found = "a dict without targets" if isinstance(parts["inputs"], Mapping) else "inputs only"
        yield "no-targets", "element", found
    yield from flat_parts(facts)
    optional = {path for path, _, slot in facts.pairs("inputs") if slot.optional}
    for path, leaf in facts.leaves.items():
        absent = leaf.kind == "none" and path.startswith("inputs") and path not in optional
        if absent or leaf.kind in ("dataset", "other"):
            found = "None" if absent else f"a {leaf.dtype or leaf.kind} inside the batch"
            yield "no-array", path, found, "an array", _NO_ARRAY[leaf.kind]
    yield from _lists(facts, "", element)


def flat_parts(facts: Facts) -> Found:
    """Yield where inputs and targets stand side by side, and the third is taken for weights."""
    outputs, count = facts.slots("targets"), len(leaves(facts.parts.get("targets")))
    inputs, several = facts.parts.get("inputs"), len(facts.slots("inputs"))
    if facts.parts.get("weights") is None or facts.options["predict"]:
        return
    if several > 1 and not parts_of(inputs):
        found = f"a third part, and one input where the model has {several}"
        change = "flat parts are inputs, targets, weights: put the inputs into a tuple of their own"
        yield "flat-parts", "weights", found, "((input, input), targets)", change
    elif outputs and count < len(outputs) == len(facts.model.trained):
        found = f"a third part, and {count} of {len(outputs)} targets"
        change = "the third part is taken as sample weights: put the targets into a tuple or a dict"
        yield "flat-parts", "weights", found, "(inputs, (target, target))", change


def _lists(facts: Facts, path: str, part: Any) -> Found:
    """Yield the lists that should be an array, or a tuple of streams."""
    streams = len(facts.slots(path.partition("[")[0])) or 1
    if is_list_of_values(part):
        varied = len({len(row) for row in part if isinstance(row, list)}) > 1
        change = "its rows differ in length: keras.utils.pad_sequences(…), then an array"
        change = change if varied else "put np.asarray(…) round it"
        yield "lists", path or "element", f"a list of {len(part)} values", "an array", change
    elif path and isinstance(part, list) and not any(isinstance(one, list) for one in part):
        if len(part) == streams and not path.endswith("]"):
            if facts.source.kind != "arrays":
                found, change = f"a list of {len(part)}", "put tuple(…) round it"
                yield "lists", path, found, "a tuple or a dict", change
        elif len({np.shape(one) for one in part if isinstance(one, np.ndarray)}) == 1:
            change = "put np.stack(…) round it: one array for each stream"
            yield "lists", path, f"a list of {len(part)} arrays", "one array", change
    else:
        for below, _, child in parts_of(part, path):
            yield from _lists(facts, below, child)


def names(facts: Facts) -> Found:
    """Yield what is wrong with keys, counts and order."""
    for role, what in (("inputs", "input"), ("targets", "output")):
        part, slots, kind = facts.parts.get(role), facts.slots(role), facts.model.kinds[role]
        needed = [slot.name for slot in (slots if role == "inputs" else facts.model.trained)]
        known = [slot.name for slot in slots]
        if part is None or not slots:
            continue
        several = isinstance(part, tuple)
        count, wanted = (len(part), len(slots)) if several else (1, max(len(needed), 1))
        if isinstance(part, Mapping):
            if kind == "single" and role == "targets":
                found = f"a dict with keys {sorted(map(str, part))}"
                change = "take it out of the dict, or make the model's output a dict"
                yield "target-keys", role, found, "one array", change
            else:
                yield from _keys(facts, role, what, known, needed)
        elif count != wanted:
            found = f"a tuple of {count}" if several else "one array"
            change = f"yield one part for each {what}, in a tuple or a dict"
            yield "count", role, found, f"{wanted} {role}: {known}", change
        elif kind == "dict" and count > 1:
            rule = "sorted-by-luck" if known == sorted(known) else "sorted-order"
            found = "a tuple, matched to the model's keys in sorted order"
            change = f"name the {role}: {{" + ", ".join(f"{name!r}: …" for name in known) + "}"
            yield rule, role, found, f"a dict with keys {sorted(known)}", change


def _keys(facts: Facts, role: str, what: str, known: list[str], needed: list[str]) -> Found:
    part = facts.parts[role]
    optional = [slot.name for slot in facts.slots(role) if slot.optional]
    extra = [key for key in part if key not in known]
    missing = [name for name in needed if name not in part and name not in optional]
    rule = {"inputs": "input-keys", "targets": "target-keys"}.get(role, "weight-keys")
    unnamed = any(slot.unnamed for slot in facts.slots(role) if slot.name in missing)
    for key in extra:
        near = nearest(key, missing)
        change = f"rename the key to {near!r}" if near else "leave the key out"
        if unnamed and role == "inputs":
            change = "name the inputs first: keras.Input(…, name=…), and build the model with them"
        wanted = repr(near) if near else f"one of the {what}s {known}"
        name = rule if missing or role != "inputs" else "extra-input"
        yield name, f"{role}[{key!r}]", f"no {what} of that name", wanted, change
    for name in missing:
        if not nearest(name, [str(key) for key in extra]) and not (unnamed and extra):
            wanted, change = f"keys {sorted(needed)}", f"add the key {name!r}"
            yield rule, f"{role}[{name!r}]", "missing", wanted, change


def shapes(facts: Facts) -> Found:
    """Yield what is wrong with the shapes of inputs and with the number of samples."""
    path, pairs = facts.single(), facts.pairs("inputs")
    if facts.source.kind == "tf.data":
        for where, spec in leaves(facts.source.element):
            if isinstance(spec, tf.TensorSpec) and spec.shape.rank is None:
                yield "unknown-shape", where, "unknown shape"
    if path:
        leaf, shown = facts.leaves[path], [show(slot.shape) for p, _, slot in pairs if p == path]
        own = leaf.shape if leaf.value is None else leaf.value.shape
        found = "a single number" if own == () else show(own)
        change = "it is not batched: stack several samples, or add an axis with array[None]"
        if facts.source.kind == "tf.data":
            change = "it is not batched: dataset.batch(batch_size)"
        yield "not-batched", path, found, next(iter(shown), "a batch of samples"), change
        return
    for path, leaf, slot in pairs:
        if leaf.shape is not None and same_kind(leaf, slot) and not agree(leaf.shape, slot.shape):
            fits = [s.name for _, _, s in pairs if agree(leaf.shape, s.shape)]
            change = f"it fits {fits[0]!r}: are inputs swapped?" if fits else ""
            change = change or _reshaped(leaf.shape, slot.shape)
            yield "input-shape", path, show(leaf.shape), show(slot.shape), change
        size, count = next(iter(slot.shape), None), sum(np.shape(leaf.value)[:1])
        count = count % ARRAY_BATCH or size if facts.source.kind == "arrays" else count
        if size is not None and count and count != size:
            found, wanted = f"{count} samples in the {facts.name}", f"{size}, fixed in the Input"
            yield "fixed-batch", path, found, wanted
    sizes = {path: len(x.value) for path, x in facts.leaves.items() if np.ndim(x.value)}
    first, most = next(iter(sizes.items()), ("", 0))
    for path, number in sizes.items():
        if number != most:
            found = f"{number} samples in the {facts.name}"
            yield "batch-lengths", path, found, f"{most} as in {first}"


def _reshaped(found: Shape, wanted: Shape) -> str:
    if len(found) == len(wanted) == 4:
        if agree((0, found[2], found[3], found[1]), wanted):
            return "the channels come first: np.moveaxis(…, 1, -1)"
        if agree(found[:3], wanted[:3]):
            return "read 1 channel with color_mode='grayscale', 3 with 'rgb', 4 with 'rgba'"
        return "resize the image (target_size=, color_mode=), or change the Input"
    if len(found) == len(wanted) + 1 and agree(found[1:], wanted):
        return "it is batched twice: leave out one dataset.batch"
    return "change what is yielded, or the Input's shape"


def dtypes(facts: Facts) -> Found:
    """Yield what is a string, an object, or cut to integers."""
    slots = {path: slot for path, _, slot in facts.pairs("inputs")}
    encode = "encode strings as numbers, with keras.layers.StringLookup for one"
    for path, leaf in facts.leaves.items():
        unknown = path.startswith("inputs") and path not in slots
        known = slots[path].dtype if path in slots else "numbers"
        wanted = ("string" if is_text(leaf.dtype) else leaf.dtype) if unknown else known
        if leaf.dtype == "object" and leaf.kind == "dense":
            change = f".astype('float32') of numbers, once gaps are filled; {encode}"
            change = ".astype(str), once gaps are filled" if is_text(wanted) else change
            yield "text", path, "object", wanted, change
        elif leaf.kind == "dense" and is_text(leaf.dtype) != is_text(wanted):
            change = "give the strings themselves" if is_text(wanted) else encode
            yield "text", path, leaf.dtype, wanted, change
    for path, value in facts.numbers("inputs"):
        integers = path in slots and slots[path].dtype.startswith(("int", "uint"))
        if integers and value.dtype.kind == "f" and (np.nan_to_num(value) % 1).any():
            wanted = slots[path].dtype
            change = f"tf.cast(…, {wanted!r}), or an Input of dtype {value.dtype.name!r}"
            yield "cut-input", path, f"{value.dtype}, cut to integers", wanted, change
    for path, (dtype, wanted) in facts.source.cut.items():
        found = f"{dtype} with fractions, cut to integers by the signature's {wanted}"
        yield "cut-by-signature", path, found
