"""The rules on values, on targets against their losses, and on weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from helpers.contract.batches import _keys, flat_parts
from helpers.contract.facts import Facts, Found, Leaf, Shape, Slot, agree, is_text, show
from helpers.datasets import parts_of

Trouble = tuple[str, str, str] | None
_REACH = {"sigmoid": (0, 1), "softmax": (0, 1), "tanh": (-1, 1)}


def between(value: np.ndarray, name: str) -> str:
    """Return the range of values as in a message."""
    return f"{value.min():g} to {value.max():g} in the {name}"


def values(facts: Facts) -> Found:
    """Yield what is wrong with numbers as such, and with those of images."""
    slots = {path: slot for path, _, slot in facts.pairs("inputs")}
    for path, value in facts.numbers():
        bad = int((~np.isfinite(value)).sum())
        if bad:
            kind = "NaN" if np.isnan(value).any() else "infinite"
            yield "not-finite", path, f"{bad} {kind} values in the {facts.name}"
    for path, value in facts.numbers("inputs"):
        image = value.ndim == 4 and value.shape[-1] in (1, 3, 4) and min(value.shape[1:3]) > 3
        if not image or (path in slots and slots[path].rescaled):
            continue
        if not value.any():
            yield "black", path, f"nothing but zeros in the {facts.name}"
        elif 0 <= value.min() <= value.max() < 1.5 / 255 and value.size > 500:
            yield "scale", path, f"values to {value.max():.2g}: all but black in the {facts.name}"


def targets(facts: Facts) -> Found:
    """Yield what is wrong with each target; where two would fit each other's place, that."""
    pairs = [] if facts.single() else facts.pairs("targets")
    for path, leaf, slot in pairs:
        trouble = _trouble(facts, path, leaf, slot)
        if trouble is None:
            continue
        found, wanted, change = trouble
        for other_path, other_leaf, other in pairs:
            strict = other is not slot and (other.elementwise or "cross" in (other.loss or ""))
            swapped = [_trouble(facts, path, leaf, other)] if strict else [trouble]
            if swapped == [None] and _trouble(facts, other_path, other_leaf, slot) is None:
                change = f"it fits {other.name!r}: are targets swapped?"
        yield "target", path, found, wanted, change


def _trouble(facts: Facts, path: str, leaf: Leaf, slot: Slot) -> Trouble:
    if not slot.loss or leaf.shape is None or is_text(leaf.dtype):
        return None
    return _of_shape(leaf.shape, slot.shape, slot) or _of_values(facts, path, leaf, slot)


def _of_shape(found: Shape, shape: Shape, slot: Slot) -> Trouble:
    loss, labels = slot.loss or "", shape[:-1]
    same, column = agree(found, shape), agree(found, (*labels, 1))
    numbers = agree(found, labels) or column
    if len(shape) == 4 and len(found) < 3 and (slot.elementwise or "cross" in loss):
        change = "masks are images: read them by a flow of their own, not by class_mode"
        return show(found), f"an image, {show(shape)}", change
    if loss.startswith("sparse"):
        if same and shape[-1] != 1:
            change = "use loss='categorical_crossentropy', or tf.argmax(…, axis=-1)"
            return f"one-hot {show(found)} with a sparse loss", "class numbers", change
        wanted = f"class numbers of {show(labels)}"
        return None if numbers else (show(found), wanted, "compare the target with the output")
    if loss.startswith("categorical"):
        if numbers and shape[-1] != 1:
            change = "use loss='sparse_categorical_crossentropy', or tf.one_hot"
            return f"class numbers {show(found)} with a one-hot loss", f"one-hot {shape}", change
        change = "compare the output's units with the target's"
        return None if same else (show(found), f"one-hot {shape}", change)
    squeezed = (numbers and shape[-1] in (1, None)) or agree(found, (*shape, 1))
    if slot.elementwise and not same and not squeezed:
        change = "target and output must agree, or they are broadcast in silence"
        return show(found), show(shape), change
    return None


def _of_values(facts: Facts, path: str, leaf: Leaf, slot: Slot) -> Trouble:
    value, loss, classes = _weighted(facts, path, leaf), slot.loss or "", slot.shape[-1]
    if value is None or not value.size or not np.isfinite(value).all():
        return None
    shown = between(value, facts.name)
    if loss.startswith("sparse") and classes:
        kept = value if slot.ignored is None else value[value != slot.ignored]
        if kept.size and (kept.min() < 0 or kept.max() >= classes):
            return f"labels {shown}", f"labels 0 to {classes - 1}", _renumbered(kept, classes)
        if (value % 1).any():
            change = "they are cut to integers: use a regression loss"
            return f"fractions, {shown}", "class numbers", change
    elif loss.startswith("categorical") and value.ndim == len(slot.shape):
        sums = value.sum(axis=-1)
        sums = sums[sums != 0] if value.any() else sums  # a row of zeros takes no part in the loss
        if value.min() < 0 or not np.allclose(sums, 1, atol=1e-2):
            change = "one-hot the labels; for several labels use binary_crossentropy"
            found = f"values {shown}, rows that sum to {sums.min():g} to {sums.max():g}"
            return found, "rows that sum to 1", change
    elif loss.startswith("binary") and (value.min() < 0 or value.max() > 1):
        masks = set(np.unique(value)) <= {0, 255}
        change = "divide the mask by 255" if masks else "scale or encode the targets to 0 to 1"
        return f"values {shown}", "values from 0 to 1", change
    low, high = _REACH.get(slot.activation, (-np.inf, np.inf))
    free = slot.elementwise and loss[:6] not in ("binary", "cosine")
    if free and not low - 0.01 <= value.min() <= value.max() <= high + 0.01:
        change = f"no activation for free numbers, or scale the targets to {low} to {high}"
        return f"values {shown}", f"{low} to {high}, all that {slot.activation} gives", change
    return None


def _weighted(facts: Facts, path: str, leaf: Leaf) -> np.ndarray | None:
    """Return the values of a target; where Keras took the batch, without samples of weight 0."""
    value, whole = leaf.value, facts.leaves.get("weights")
    own = facts.leaves.get(path.replace("targets", "weights", 1), whole)
    if value is None or value.dtype.kind not in "iufb":
        return None
    weight = None if own is None or facts.refused else own.value
    if weight is not None and weight.ndim and weight.any():
        return value[weight != 0] if weight.shape == value.shape[: weight.ndim] else value
    return value


def _renumbered(value: np.ndarray, classes: int) -> str:
    kinds = np.unique(value)
    if len(kinds) <= classes and 0 < kinds[0] == kinds[-1] - len(kinds) + 1:
        return f"number the classes from 0: subtract {kinds[0]:g}"
    if value.ndim > 2 and len(kinds) <= classes:
        return f"number them 0 to {classes - 1}; of a palette read the index, not the brightness"
    return f"number them 0 to {classes - 1}, or give the output {int(value.max()) + 1} units"


def weights(facts: Facts) -> Found:
    """Yield what is wrong with sample weights and class weights."""
    part, names = facts.parts.get("weights"), [slot.name for slot in facts.slots("targets")]
    yield from _class_weight(facts)
    if facts.model.own_step or facts.single() or [*flat_parts(facts)]:
        return
    if isinstance(part, Mapping) and names:
        yield from _keys(facts, "weights", "output", names, [s.name for s in facts.model.trained])
    elif parts_of(part) and facts.model.kinds["targets"] == "dict":
        yield "weight-keys", "weights", "a tuple"
    for path, leaf, slot in facts.pairs("weights"):
        shape, output = leaf.shape or (), slot.shape
        # An output with a class for each place of a sequence or an image may weigh each place.
        places = [output[: len(shape)], (*output[:-1], 1)] if len(output) > 2 else []
        if shape[1:] not in ((), (1,)) and not any(agree(shape, place) for place in places):
            yield "weight-shape", path, show(shape)
    for path, value in facts.numbers("weights"):
        if value.min() < 0:
            yield "weight-values", path, f"weights down to {value.min():g} in the {facts.name}"
        elif value.dtype.kind in "iu" and value.max() > 1 and facts.source.kind != "arrays":
            yield "labels-as-weights", path, f"{value.dtype} in the weights' place"


def _class_weight(facts: Facts) -> Found:
    """Yield where `class_weight` weighs other classes than meant; what Keras refuses, it says."""
    given, outputs = facts.options["class_weight"], facts.slots("targets")
    leaf, each = facts.leaves.get("targets"), "yield sample weights instead"
    if given is not None and not isinstance(given, Mapping):
        wanted, change = "a dict of class number to weight", "dict(enumerate(weights))"
        yield "class-weight", "class_weight", f"a {type(given).__name__}", wanted, change
    elif given and leaf and facts.refused and len(leaf.shape or ()) > 2:
        yield "class-weight", "class_weight", show(leaf.shape), "one class a sample", each
    if not isinstance(given, Mapping) or len(outputs) != 1 or not outputs[0].shape[-1]:
        return
    loss, units = outputs[0].loss or "", outputs[0].shape[-1]
    count = 2 if loss.startswith("binary") else units
    strange = [key for key in given if key not in range(count)]
    found, wanted, change = f"keys {list(given)}", f"keys 0 to {count - 1}", ""
    if loss.startswith("binary") and units > 1:
        found, wanted = f"{units} labels a sample: only the largest counts", "one class a sample"
        change = each
    elif strange:
        change = f"number the classes from 0: {strange[0]!r} is never looked up"
    elif facts.source.kind == "tf.data" and count - 1 not in given:  # Keras makes an array of it
        change = f"add {count - 1}: 1.0, or fit fails in GatherV2 at the first such label"
    if change and "cross" in loss:
        yield "class-weight", "class_weight", found, wanted, change


def sum_up(summary: dict[str, tuple[float, float, int, bool]], facts: Facts) -> None:
    """Note of each leaf of numbers the least, the greatest, the count, whether all are alike."""
    for path, value in facts.numbers():
        if value.ndim:
            low, high = float(value.min()), float(value.max())
            least, most, count, same = summary.get(path, (low, high, 0, True))
            same &= bool((value == value[0]).all()) and (low, high) == (least, most)
            summary[path] = min(low, least), max(high, most), count + len(value), same
