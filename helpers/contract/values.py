"""Rules on the values of any leaf, and on those of pictures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from helpers.contract.facts import ERROR, WARNING, Facts, Finding, each_value, values_of
from helpers.contract.fitting import matched


def _not_finite(facts: Facts) -> Iterator[Finding]:
    for path, name, value in each_value(facts):
        if value.dtype.kind == "f" and value.size and not np.isfinite(value).all():
            count = int((~np.isfinite(value)).sum())
            kind = "NaN" if np.isnan(value).any() else "infinite"
            found = f"{count} {kind} values in the {name}"
            change = "fill or drop them before training: one makes the loss NaN"
            yield Finding(ERROR, path, found, "finite numbers", change)


def _vocabulary(facts: Facts) -> Iterator[Finding]:
    for path, slot in matched("inputs", facts.part("inputs"), facts.model.inputs):
        size = slot.vocabulary
        for name, value in values_of(facts, path):
            if size is None or value.dtype.kind not in "iuf" or not value.size:
                continue
            if not np.isfinite(value).all() or 0 <= value.min() <= value.max() < size:
                continue
            found = f"numbers {value.min():g} to {value.max():g} in the {name}"
            change = (
                f"give the Embedding input_dim={int(value.max()) + 1}, or map rare words to one"
            )
            change = "count words from 0" if value.min() < 0 else change
            yield Finding(ERROR, path, found, f"0 to {size - 1}, as the Embedding has", change)
            break


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


RULES = (
    _not_finite,
    _vocabulary,
    _picture_values,
)
