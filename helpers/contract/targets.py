"""Rules on targets: shape, dtype and values against the output and its loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from helpers.contract.facts import ERROR, WARNING, Facts, Finding, Leaf, values_of
from helpers.contract.fitting import agree, matched_targets, not_batched, show_shape, squeezable
from helpers.contract.models import LossKind, Slot

# What is wrong with a target: what is, what should be, what mends it.
_Problem = tuple[str, str, str]
_Values = Sequence[tuple[str, np.ndarray]]


def _fit(facts: Facts) -> Iterator[Finding]:
    if not_batched(facts):
        return
    pairs = matched_targets(facts)
    for path, slot in pairs:
        problem = _problem(facts, path, slot)
        if problem is None:
            continue
        found, wanted, change = problem
        other = _swapped_with(facts, path, slot)
        if other is not None:
            change = f"it fits {other.name!r}: are targets swapped?"
        yield Finding(ERROR, path, found, wanted, change)


def _unknown_output(facts: Facts) -> Iterator[Finding]:
    """Compare one target with one loss where the output is not known, as in a subclassed model."""
    leaf, loss = facts.leaves.get("targets"), facts.model.only_loss()
    if facts.model.outputs is not None or leaf is None or loss is None or leaf.kind != "dense":
        return
    if leaf.shape is None or not_batched(facts):
        return
    shown = f"shape {show_shape(leaf.shape)}"
    if loss.name.startswith("categorical_c") and len(leaf.shape) == 1:
        found, change = f"class numbers {shown} with a one-hot loss", "use tf.one_hot, or the loss "
        change += "'sparse_categorical_crossentropy'"
        yield Finding(ERROR, "targets", found, "one row a sample, one-hot", change)
    elif loss.name.startswith("sparse") and len(leaf.shape) == 2 and leaf.shape[-1] != 1:
        values = [value for _, value in values_of(facts, "targets") if value.dtype.kind in "iufb"]
        if values and all(map(_is_one_hot, values)):
            found = f"rows of one 1 and else 0, {shown}, with a sparse loss"
            change = "if they are one-hot: loss='categorical_crossentropy'"
            yield Finding(WARNING, "targets", found, "class numbers", change)


def _is_one_hot(value: np.ndarray) -> bool:
    return bool(((value == 0) | (value == 1)).all() and (value.sum(axis=-1) == 1).all())


def _swapped_with(facts: Facts, path: str, slot: Slot) -> Slot | None:
    """Return the output that a target fits, where that output's own target fits this one."""
    for other_path, other in matched_targets(facts):
        if other is slot or not _is_strict(facts.model.loss_of(other)):
            continue
        if _problem(facts, path, other) is None and _problem(facts, other_path, slot) is None:
            return other
    return None


def _is_strict(loss: LossKind | None) -> bool:
    return loss is not None and (loss.on_probabilities or loss.elementwise)


def _problem(facts: Facts, path: str, slot: Slot) -> _Problem | None:
    leaf, loss = facts.leaves[path], facts.model.loss_of(slot)
    if slot.shape is None or loss is None or leaf.kind != "dense":
        return None
    problem = None if leaf.shape is None else _problem_of_shape(leaf, slot.shape, loss)
    if problem is not None or not slot.shape[-1]:
        return problem
    return _problem_of_values(values_of(facts, path), slot.shape, loss)


def _problem_of_shape(leaf: Leaf, shape: tuple[int | None, ...], loss: LossKind) -> _Problem | None:
    assert leaf.shape is not None
    shown = f"shape {show_shape(leaf.shape)}"
    if leaf.dtype in ("string", "object"):
        return leaf.dtype, "numbers", "encode the labels as numbers, with StringLookup for one"
    if loss.name == "sparse_categorical_crossentropy":
        labels = shape[:-1]
        if shape == leaf.shape and shape[-1] != 1:
            change = "use loss='categorical_crossentropy', or tf.argmax(…, axis=-1)"
            return f"one-hot {shown} with a sparse loss", "class numbers", change
        if not agree(leaf.shape, labels) and not agree(leaf.shape, (*labels, 1)):
            wanted = f"class numbers of shape {show_shape(labels)}"
            return shown, wanted, "compare target and output"
    elif loss.name in ("categorical_crossentropy", "categorical_focal_crossentropy"):
        wanted = f"one-hot {show_shape(shape)}"
        if agree(leaf.shape, shape):
            return None
        if agree(leaf.shape, shape[:-1]) or agree(leaf.shape, (*shape[:-1], 1)):
            found = f"class numbers {shown} with a one-hot loss"
            return found, wanted, "use loss='sparse_categorical_crossentropy', or tf.one_hot"
        return shown, wanted, "compare the output's units with the target's"
    elif loss.elementwise and not agree(leaf.shape, shape) and not squeezable(leaf.shape, shape):
        change = "target and output must agree, or they are broadcast in silence"
        return shown, f"shape {show_shape(shape)}", change
    return None


def _problem_of_values(
    values: _Values, shape: tuple[int | None, ...], loss: LossKind
) -> _Problem | None:
    for name, value in values:
        if value.dtype.kind not in "iufb" or not value.size or not np.isfinite(value).all():
            continue
        problem = None
        if loss.name == "sparse_categorical_crossentropy":
            problem = _problem_of_numbers(value, name, shape, loss)
        elif loss.name.startswith("categorical") and value.ndim == len(shape):
            sums = value.sum(axis=-1)
            if value.min() < 0 or not np.allclose(sums, 1, atol=1e-2):
                found = f"values {_range(value, name)}, rows that sum to {sums.min():g} to "
                change = "one-hot the labels; for several labels use binary_crossentropy"
                problem = f"{found}{sums.max():g}", "rows that sum to 1", change
        elif loss.name.startswith("binary") and (value.min() < 0 or value.max() > 1):
            change = "scale or encode the targets to 0 to 1"
            problem = f"values {_range(value, name)}", "values from 0 to 1", change
        if problem is not None:
            return problem
    return None


def _problem_of_numbers(
    value: np.ndarray, name: str, shape: tuple[int | None, ...], loss: LossKind
) -> _Problem | None:
    classes = shape[-1]
    assert classes is not None
    kept = value if loss.ignored is None else value[value != loss.ignored]
    if kept.size and (kept.min() < 0 or kept.max() >= classes):
        change = f"number the classes from 0, or give the output {int(value.max()) + 1} units"
        return f"labels {_range(value, name)}", f"labels 0 to {classes - 1}", change
    if value.dtype.kind == "f" and not np.array_equal(value, np.round(value)):
        change = "they are cut to whole numbers: use a regression loss"
        return f"fractions, {_range(value, name)}", "class numbers", change
    return None


def _range(value: np.ndarray, name: str) -> str:
    return f"{value.min():g} to {value.max():g} in the {name}"


def _all_alike(facts: Facts) -> Iterator[Finding]:
    if facts.source.order_dropped or not_batched(facts):
        return  # files sorted by class, shuffled only by what was left out
    for path, slot in matched_targets(facts):
        if not _is_class(facts, slot):
            continue
        values = [value for _, value in values_of(facts, path) if value.ndim and len(value)]
        count = sum(len(value) for value in values)
        if count >= 8 and all((value == values[0][0]).all() for value in values):
            change = "shuffle rows before batching; or were the labels lost on the way?"
            found = f"all {count} samples alike"
            yield Finding(WARNING, path, found, "samples of several kinds", change)


def _is_class(facts: Facts, slot: Slot) -> bool:
    """Say whether a target is a class: a column of ones may be right, and a rare label all 0."""
    loss = facts.model.loss_of(slot)
    if loss is None or not loss.on_probabilities or facts.model.outputs is None:
        return False
    if loss.name.startswith("binary"):
        return len(facts.model.outputs) == 1 and slot.shape is not None and slot.shape[-1] == 1
    return True


RULES = (
    _fit,
    _unknown_output,
    _all_alike,
)
