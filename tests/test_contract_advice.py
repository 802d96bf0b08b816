"""The advice of the contract check is true: it is followed to the letter, and then `fit` trains.

`follow` knows nothing of the faults. It reads the leaf and the change of each finding, and does
what they say to the batch, the dataset or the arguments of `fit`.
"""

import re

import numpy as np
import pytest
import tensorflow as tf
from test_contract import (
    COMPOSITION,
    IMAGERY,
    LABELS,
    LAND_COVER,
    MASK,
    SITE,
    SPARSE,
    N,
    Numbered,
    X,
    Y,
    changed,
    function_of,
    mask_model,
    one_by_one,
    two_by_two,
)  # fmt: skip
from test_contract_cases import BITS, IMAGES, MASKS, fixed, segmentation, siamese, texts

from helpers.contract import check

CODE = re.compile(r"(?:np|tf)\.[\w.]+\(….*?\)(?= round|,|;|$)|array\[[^]]*\]|tuple\(…\)")
ROLES = ("inputs", "targets", "weights")
#: What a person has and a batch lacks, by the leaf that a finding names.
SUPPLIED = {
    "inputs['site']": SITE, "targets['composition']": COMPOSITION, "weights['composition']": np.ones(N),
}  # fmt: skip


def follow(finding, batch, options):
    """Return the batch after a finding's advice; `options` of fit are changed in place."""
    change, part, leaf = finding.change, None, finding.leaf
    parts = list(batch) if isinstance(batch, tuple | list) else [batch]
    role, _, rest = leaf.partition("[")
    key = rest.strip("]'")
    if role in ROLES[: len(parts)]:
        place = ROLES.index(role)
        part = parts[place]
    key = int(key) if key.isdigit() else key
    value = part if not rest else part.get(key) if isinstance(part, dict) else part[key]

    def put(new):
        if not rest:
            parts[place] = new
        elif isinstance(part, dict):
            parts[place] = {**part, key: new}
        else:
            parts[place] = tuple(new if at == key else old for at, old in enumerate(part))

    code = CODE.search(change)
    if "rename the key to" in change or change == "leave the key out":
        near = re.findall("rename the key to '(.+)'", change)
        parts[place] = {**{k: v for k, v in part.items() if k != key}, **dict.fromkeys(near, value)}
    elif "add the key" in change or "zeros for what is missing" in change:
        put(SUPPLIED[leaf])
    elif "swapped?" in change:  # both findings say so: the first swaps
        options["swapped"] = not options.get("swapped")
        keys = [*part] if isinstance(part, dict) else None
        values = [*part.values()][::-1] if keys else part[::-1]
        swapped = dict(zip(keys, values, strict=True)) if keys else tuple(values)
        parts[place] = swapped if options["swapped"] else part
    elif "tuple of their own" in change and finding.rule == "flat-parts":
        return (tuple(parts[:2]), parts[2])
    elif "into a tuple" in change:
        return (
            (tuple(parts[:2]), tuple(parts[2:]))
            if len(parts) == 4
            else (parts[0], tuple(parts[1:]))
        )
    elif "tf.one_hot" in change:
        put(tf.one_hot(value.ravel(), int(re.findall(r", (\d+)\)", finding.expected)[0])).numpy())
    elif "out of the dict" in change:
        parts[place] = next(iter(part.values()))
    elif "subtract" in change:
        put(value - int(re.findall(r"subtract (\d+)", change)[0]))
    elif "divide" in change:
        put(value / int(re.findall(r"by (\d+)", change)[0]))
    elif change.startswith(".astype("):
        put(
            value.astype(
                {"str": str, "'float32'": "float32"}[re.findall(r"astype\((.+?)\)", change)[0]]
            )
        )
    elif "name the" in change:
        names = re.findall(r"'(\w+)': …", change)
        parts[place] = dict(zip(names, part, strict=True))
    elif "keras.layers.StringLookup" in change:
        put(
            tf.keras.layers.StringLookup(vocabulary=sorted({*value}), num_oov_indices=0)(
                value
            ).numpy()
        )
    elif "fill" in change:
        put(np.nan_to_num(value, posinf=0))
    elif "add 2: 1.0" in change:
        options["class_weight"] |= {2: 1.0}
    elif "a tuple, the outer one too" in change:
        return tuple(parts)
    elif "it is not batched: dataset.batch" in change:
        return tuple(np.stack([part] * 4) for part in parts)
    elif "batched twice" in change:
        return tuple(part[0] for part in parts)
    elif "one weight vector" in change:
        put(value[..., 0])
    elif "yield 1 for a sample" in change:
        put(np.ones(len(value)))
    elif "the same rows" in change:
        fewest = min(map(len, parts))
        return tuple(part[:fewest] for part in parts)
    elif "drop_remainder" in change:
        return tuple(part[:8] for part in parts)
    elif code:
        text = code.group().replace("…", "array")
        put(eval(text, {"np": np, "tf": tf, "array": value, "tuple": tuple}))
    else:
        raise AssertionError(f"not followed here: {change}")
    return tuple(np.asarray(part) if tf.is_tensor(part) else part for part in parts)


#: The batch at fault, the model, options of fit, the rule that finds it.
FAULTS = {
    "a key misspelled": lambda: (({"imagery": IMAGERY, "sites": SITE}, Y), two_by_two(), {}, "input-keys"),
    "two keys misspelled": lambda: (({"imagry": IMAGERY, "sites": SITE}, Y), two_by_two(), {}, "input-keys"),
    "a key missing": lambda: (({"imagery": IMAGERY}, Y), two_by_two(), {}, "input-keys"),
    "a target's key misspelled": lambda: (
        (X, {"land_cover": LAND_COVER, "compositions": COMPOSITION}), two_by_two(), {}, "target-keys"),
    "a target missing": lambda: ((X, {"land_cover": LAND_COVER}), two_by_two(), {}, "target-keys"),
    "a target too many": lambda: ((X, {**Y, "z": SITE}), two_by_two(), {}, "target-keys"),
    "a dict for one output": lambda: ((SITE, {"out": LAND_COVER}), one_by_one(), {}, "target-keys"),
    "inputs swapped": lambda: (
        ((SITE, IMAGERY), (LAND_COVER, COMPOSITION)), two_by_two(False), {}, "input-shape"),
    "targets swapped": lambda: (
        ((IMAGERY, SITE), (COMPOSITION, LAND_COVER)), two_by_two(False), {}, "target"),
    "targets in a tuple": lambda: ((X, (LAND_COVER, COMPOSITION)), two_by_two(), {}, "sorted-order"),
    "four parts": lambda: (
        (IMAGERY, SITE, LAND_COVER, COMPOSITION), two_by_two(False), {}, "element-parts"),
    "inputs side by side": lambda: ((IMAGES, IMAGES, BITS), siamese(), {}, "flat-parts"),
    "targets side by side": lambda: (
        ((IMAGERY, SITE), LAND_COVER, COMPOSITION), two_by_two(False), {}, "flat-parts"),
    "None": lambda: (({"imagery": IMAGERY, "site": None}, Y), two_by_two(), {}, "no-array"),
    "a list of inputs": lambda: (
        ([IMAGERY, SITE], (LAND_COVER, COMPOSITION)), two_by_two(False), {}, "lists"),
    "a list of samples": lambda: ((list(IMAGERY), MASK), mask_model(), {}, "lists"),
    "a list of numbers": lambda: ((SITE, LABELS.tolist()), one_by_one(loss=SPARSE), {}, "lists"),
    "an outer list": lambda: ([SITE, LAND_COVER], one_by_one(), {}, "element-parts"),
    "not batched": lambda: ((SITE[0], LAND_COVER[0]), one_by_one(), {}, "not-batched"),
    "batched twice": lambda: ((SITE[None], LAND_COVER[None]), one_by_one(), {}, "input-shape"),
    "channels first": lambda: ((IMAGERY.transpose(0, 3, 1, 2), MASK), mask_model(), {}, "input-shape"),
    "a fixed batch size": lambda: ((IMAGES[:, 0, 0, :].repeat(2, 1)[:20, :5], LABELS[np.arange(20) % N]), fixed(), {}, "fixed-batch"),
    "lengths": lambda: ((SITE, LAND_COVER[:8]), one_by_one(), {}, "batch-lengths"),
    "one-hot": lambda: ((SITE, LAND_COVER), one_by_one(loss=SPARSE), {}, "target"),
    "class numbers": lambda: ((SITE, LABELS), one_by_one(), {}, "target"),
    "labels from 1": lambda: ((SITE, LABELS + 1), one_by_one(loss=SPARSE), {}, "target"),
    "a mask to 255": lambda: ((IMAGES, MASKS * 255), segmentation(), {}, "target"),
    "labels as strings": lambda: (
        (SITE, np.array(["a", "b"] * 8)), one_by_one(loss=SPARSE), {}, "text"),
    "objects": lambda: ((np.array(["a", "b"] * 8, object), BITS[:N]), texts(), {}, "text"),
    "NaN": lambda: ((changed(SITE, (3, 1), np.nan), LAND_COVER), one_by_one(), {}, "not-finite"),
    "a weight missing": lambda: (
        (X, Y, {"land_cover": np.ones(N)}), two_by_two(), {}, "weight-keys"),
    "weights for each task": lambda: (
        (SITE, LAND_COVER, np.ones((N, 3))), one_by_one(3, "sigmoid", "binary_crossentropy"), {}, "weight-shape"),
    "weights of zero": lambda: ((SITE, LAND_COVER, np.zeros(N)), one_by_one(), {}, "weight-values"),
    "a class without a weight": lambda: (
        (SITE, LABELS), one_by_one(loss=SPARSE), {"class_weight": {0: 1.0, 1: 2.0}}, "class-weight"),
}  # fmt: skip


#: What a dataset of tensors could not hold comes by number, or from a generator function.
BY_NUMBER = {
    "None",
    "a list of inputs",
    "a list of samples",
    "a list of numbers",
    "objects",
    "lengths",
}


def source_of(name, batch):
    if name in BY_NUMBER:
        return Numbered(batch)
    return function_of(batch) if isinstance(batch, list) else tf.data.Dataset.from_tensors(batch)


@pytest.mark.parametrize("name", FAULTS)
def test_the_advice_is_true(name):
    batch, model, options, rule = FAULTS[name]()
    report = check(source_of(name, batch), model, **options)
    found = [finding for finding in report if finding.rule == rule]
    refused = {rule} if found and found[0].severity == "error" else {"keras"}
    assert found, str(report)
    assert {finding.rule for finding in report.errors} == refused, str(report)
    for finding in found:
        batch = follow(finding, batch, options)
    options.pop("swapped", None)
    dataset = tf.data.Dataset.from_tensors(batch)
    assert check(dataset, model, **options).errors == []
    history = model.fit(dataset, verbose=0, **options).history
    assert np.isfinite(history["loss"]).all()
