"""Rules on the values of the batches that were looked at."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from helpers.contract.facts import ERROR, WARNING, Facts, Finding, each_value, values_of
from helpers.contract.models import Slot


def _not_finite(facts: Facts) -> Iterator[Finding]:
    for path, name, value in each_value(facts):
        if value.dtype.kind == "f" and value.size and not np.isfinite(value).all():
            count = int((~np.isfinite(value)).sum())
            kind = "NaN" if np.isnan(value).any() else "infinite"
            found = f"{count} {kind} values in the {name}"
            change = "fill or drop them before training: one makes the loss NaN"
            yield Finding(ERROR, path, found, "finite numbers", change)


def _label_range(facts: Facts) -> Iterator[Finding]:
    for path, slot in facts.matched_targets():
        loss = facts.model.loss_of(slot)
        if loss is None or slot.shape is None or not slot.shape[-1]:
            continue
        classes = slot.shape[-1]
        for name, value in values_of(facts, path):
            if value.dtype.kind not in "iufb" or not value.size or not np.isfinite(value).all():
                continue
            low, high = value.min(), value.max()
            shown = f"{low:g} to {high:g} in the {name}"
            if loss.name == "sparse_categorical_crossentropy" and _is_labels(value, slot):
                ignored = loss.ignored
                kept = value if ignored is None else value[value != ignored]
                if kept.size and (kept.min() < 0 or kept.max() >= classes):
                    change = f"number the classes from 0, or give the output {int(high) + 1} units"
                    wanted = f"labels 0 to {classes - 1}"
                    yield Finding(ERROR, path, f"labels {shown}", wanted, change)
                elif value.dtype.kind == "f" and not np.array_equal(value, np.round(value)):
                    found = f"fractions, {shown}"
                    change = "they are cut to whole numbers: use a regression loss"
                    yield Finding(ERROR, path, found, "class numbers", change)
            elif loss.name.startswith("categorical") and value.ndim == len(slot.shape):
                sums = value.sum(axis=-1)
                if low < 0 or not np.allclose(sums, 1, atol=1e-2):
                    found = f"values {shown}, rows that sum to {sums.min():g} to {sums.max():g}"
                    change = "one-hot the labels; for several labels use binary_crossentropy"
                    yield Finding(ERROR, path, found, "rows that sum to 1", change)
            elif loss.name.startswith("binary") and (low < 0 or high > 1):
                change = "scale or encode the targets to 0 to 1"
                yield Finding(ERROR, path, f"values {shown}", "values from 0 to 1", change)


def _all_alike(facts: Facts) -> Iterator[Finding]:
    if facts.source.order_dropped:
        return  # files sorted by class, shuffled only by what was left out
    for path, slot in facts.matched_targets():
        values = [value for _, value in values_of(facts, path) if value.ndim and len(value)]
        if sum(len(value) for value in values) < 8 or facts.model.loss_of(slot) is None:
            continue
        first = values[0][0]
        if all((value == first).all() for value in values):
            yield Finding(
                WARNING,
                path,
                f"all {sum(len(value) for value in values)} samples alike",
                "samples of several kinds",
                "shuffle rows before batching; or were the labels lost on the way?",
            )


def _picture_values(facts: Facts) -> Iterator[Finding]:
    scales: dict[str, tuple[float, float]] = {}
    for path, name, value in each_value(facts):
        if not path.startswith("inputs") or value.ndim != 4 or value.shape[-1] not in (1, 3, 4):
            continue
        if value.dtype.kind not in "fu" or not value.size or not np.isfinite(value).all():
            continue
        high = float(value.max())
        if high == 0 and float(value.min()) == 0:
            found = f"nothing but zeros in the {name}"
            change = "brightness_range wants values 0–255; was the picture scaled twice?"
            yield Finding(ERROR, path, found, "pictures", change)
        elif 0 < high < 1.5 / 255 and float(value.min()) >= 0 and value.size > 500:
            change = "scale once: rescale=1/255, or a Rescaling layer, not both"
            found = f"values to {high:.2g}: all but black in the {name}"
            yield Finding(WARNING, path, found, "values 0–1 or 0–255", change)
        else:
            scales.setdefault(path, (float(value.min()), high))
    large = [path for path, (low, high) in scales.items() if high > 2 and low >= 0]
    small = [path for path, (low, high) in scales.items() if high <= 1]
    for path in large if small else ():
        yield Finding(
            WARNING,
            path,
            f"values {scales[path][0]:g} to {scales[path][1]:g}",
            f"one scale for all pictures; {small[0]} has {scales[small[0]][0]:.2g} to "
            f"{scales[small[0]][1]:.2g}",
            "rescale=1/255 for both",
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


def _is_labels(value: np.ndarray, slot: Slot) -> bool:
    return slot.shape is not None and value.shape[1:] != slot.shape[1:]


RULES = (
    _not_finite,
    _label_range,
    _all_alike,
    _picture_values,
    _weight_values,
)
