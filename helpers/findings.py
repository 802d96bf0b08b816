"""The rules by which a dataset, a model and ``fit`` agree, one small function each.

A rule takes `Facts` and yields a `Finding` for each thing that breaks it. What a rule cannot
know, it leaves alone: a model whose inputs have no names breaks no rule about names.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from helpers.datasets import leaves
from helpers.looking import Source
from helpers.model_facts import ModelFacts, Slot

__all__ = ["ERROR", "NOT_CHECKED", "WARNING", "Facts", "Finding", "Leaf", "all_findings"]

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
        return _matched("targets", self.part("targets"), self.model.outputs)


def facts_of(source: Source, model: ModelFacts, **options: Any) -> Facts:
    """Put together what the rules look at."""
    facts = Facts(source, model, **options)
    if source.element is not None:
        facts.parts = source.element if _is_sequence(source.element) else (source.element,)
        facts.parts = tuple(facts.parts)
        facts.leaves = {path: _leaf(part) for path, part in leaves(_wrapped(source.element))}
    for name, batch in source.batches.items():
        found = {path: _value(part) for path, part in leaves(_wrapped(batch))}
        facts.values[name] = {path: value for path, value in found.items() if value is not None}
    return facts


# Structure.


def _problem_with_source(facts: Facts) -> Iterator[Finding]:
    if facts.source.problem is not None:
        yield Finding(ERROR, "dataset", *facts.source.problem)
    if facts.source.unseen and facts.source.problem is None:
        change = "pass batch=<one batch> to have values checked"
        yield Finding(NOT_CHECKED, "values", facts.source.unseen, "", change)


def _lists(facts: Facts) -> Iterator[Finding]:
    if facts.source.kind not in ("PyDataset", "epochs"):
        return
    for path, part in _containers(_wrapped(facts.source.element)):
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
    if inputs and len(inputs) > 1 and not _is_nested(facts.part("inputs")):
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
    if _is_nested(weights) and outputs is not None:
        yield from _keys("weights", weights, outputs, partial=False, what="output")
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
        allowed = [(), (1,)]
        if target is not None and target.shape is not None:
            allowed += [target.shape[1:stop] for stop in range(2, len(target.shape) + 1)]
            if len(target.shape) == 2:
                allowed = [(), (1,)]
        if extra not in allowed:
            yield Finding(
                ERROR,
                path,
                f"shape {_shown(leaf.shape)}",
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
    yield from _keys("inputs", part, slots, partial=False, what="input")
    if isinstance(part, Mapping) or kind != "dict" or not _is_nested(part):
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
    if not slots or not _is_sequence(part) or len(part) != len(slots):
        return
    by_shape: dict[Any, list[str]] = {}
    for slot in slots:
        by_shape.setdefault(slot.shape, []).append(slot.name)
    for shape, names in by_shape.items():
        if len(names) > 1 and facts.model.input_kind != "dict":
            yield Finding(
                WARNING,
                "inputs",
                f"inputs of one shape {_shown(shape)}, told apart by position only",
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
    if facts.model.output_kind != "dict" and len(needed) < len(slots) and _is_nested(part):
        needed = slots
    yield from _keys("targets", part, slots, needed=needed, partial=False, what="output")
    if not _is_nested(part) and len(needed) > 1:
        found = "one array"
        yield Finding(
            ERROR, "targets", found, f"{len(slots)} targets: {_names(slots)}", "yield one an output"
        )
    elif facts.model.output_kind == "dict" and _is_sequence(part) and len(part) > 1:
        declared = [slot.name for slot in slots]
        yield Finding(
            WARNING if declared == sorted(declared) else ERROR,
            "targets",
            "a tuple, matched to the model's keys in sorted order",
            f"a dict with keys {sorted(declared)}",
            "name the targets: {" + ", ".join(f"{name!r}: …" for name in declared) + "}",
        )


# Shapes and dtypes.


def _unknown_shapes(facts: Facts) -> Iterator[Finding]:
    for path, leaf in facts.leaves.items():
        if leaf.shape is None and leaf.kind == "dense":
            yield Finding(
                ERROR,
                path,
                "unknown shape",
                "a known number of axes",
                "give from_generator output_signature= with shapes, or use tf.ensure_shape",
            )


def _input_shapes(facts: Facts) -> Iterator[Finding]:
    pairs = _matched("inputs", facts.part("inputs"), facts.model.inputs)
    for path, slot in pairs:
        leaf = facts.leaves[path]
        if leaf.kind != "dense" or leaf.shape is None or slot.shape is None:
            continue
        found, wanted = f"shape {_shown(leaf.shape)}", f"shape {_shown(slot.shape)}"
        if len(leaf.shape) == len(slot.shape) - 1 and _agree(leaf.shape, slot.shape[1:]):
            if slot.shape[-1] != 1 or not _agree(leaf.shape, slot.shape[:-1]):
                yield Finding(
                    ERROR, path, found, wanted, "it is not batched: dataset.batch(batch_size)"
                )
        elif not _agree(leaf.shape, slot.shape) and not _squeezable(leaf.shape, slot.shape):
            yield Finding(ERROR, path, found, wanted, _shape_change(leaf.shape, slot.shape))


def _input_dtypes(facts: Facts) -> Iterator[Finding]:
    for path, slot in _matched("inputs", facts.part("inputs"), facts.model.inputs):
        found = facts.leaves[path].dtype
        text = [name in ("string", "object") for name in (found, slot.dtype)]
        if text[0] != text[1] and slot.dtype:
            change = "decode or look up the text first" if text[0] else "give the text itself"
            yield Finding(ERROR, path, found, slot.dtype, change)
        elif slot.dtype.startswith("int") and found.startswith(("float", "bfloat")):
            change = f"tf.cast(…, {slot.dtype!r}), or an Input of dtype {found!r}"
            yield Finding(ERROR, path, f"{found}, cut to whole numbers", slot.dtype, change)


def _target_shapes(facts: Facts) -> Iterator[Finding]:
    for path, slot in facts.matched_targets():
        leaf, loss = facts.leaves[path], facts.model.loss_of(slot)
        if leaf.shape is None or slot.shape is None or loss is None or leaf.kind != "dense":
            continue
        shown = f"shape {_shown(leaf.shape)}"
        if leaf.dtype in ("string", "object"):
            change = "encode the labels as numbers, with StringLookup for one"
            yield Finding(ERROR, path, leaf.dtype, "numbers", change)
        elif loss.name == "sparse_categorical_crossentropy":
            labels = slot.shape[:-1]
            if slot.shape == leaf.shape and slot.shape[-1] != 1:
                change = "use loss='categorical_crossentropy', or tf.argmax(…, axis=-1)"
                found = f"one-hot {shown} with a sparse loss"
                yield Finding(ERROR, path, found, "class numbers", change)
            elif not _agree(leaf.shape, labels) and not _agree(leaf.shape, (*labels, 1)):
                wanted = f"class numbers of shape {_shown(labels)}"
                yield Finding(ERROR, path, shown, wanted, "compare target and output")
        elif loss.name in ("categorical_crossentropy", "categorical_focal_crossentropy"):
            if _agree(leaf.shape, slot.shape):
                continue
            found, change = shown, "compare the output's units with the target's"
            if _agree(leaf.shape, slot.shape[:-1]) or _agree(
                leaf.shape, (*slot.shape[:-1], 1)
            ):
                found = f"class numbers {shown} with a one-hot loss"
                change = "use loss='sparse_categorical_crossentropy', or tf.one_hot"
            yield Finding(ERROR, path, found, f"one-hot {_shown(slot.shape)}", change)
        elif loss.elementwise and not _agree(leaf.shape, slot.shape):
            if _squeezable(leaf.shape, slot.shape):
                continue
            change = "target and output must agree, or they are broadcast in silence"
            yield Finding(ERROR, path, shown, f"shape {_shown(slot.shape)}", change)


def _batch_lengths(facts: Facts) -> Iterator[Finding]:
    for name, values in facts.values.items():
        lengths = {path: len(value) for path, value in values.items() if value.ndim}
        if len(set(lengths.values())) > 1:
            (first, wanted), *others = lengths.items()
            for path, found in others:
                if found != wanted:
                    yield Finding(
                        ERROR,
                        path,
                        f"{found} samples in the {name}",
                        f"{wanted} as in {first}",
                        "draw all streams by the same rows; mind the last, partial batch",
                    )


# Losses, weights and metrics.


def _compiled(facts: Facts) -> Iterator[Finding]:
    if facts.model.compiled is False:
        yield Finding(ERROR, "compile", "no loss: not compiled", "a loss", "model.compile(loss=…)")


def _names_of_settings(facts: Facts) -> Iterator[Finding]:
    model = facts.model
    if model.outputs is None or model.custom_step:
        return
    names = _names(model.outputs)
    settings = {"loss": model.loss, "loss_weights": model.loss_weights}
    settings |= {"metrics": model.metrics, "weighted_metrics": model.weighted_metrics}
    for argument, setting in settings.items():
        if not isinstance(setting, Mapping) or (len(names) == 1 and "metrics" in argument):
            continue
        for key in setting:
            if key not in names:
                silent = ", matched by sorted position in silence" * (argument == "loss_weights")
                yield Finding(
                    ERROR,
                    f"{argument}[{key!r}]",
                    f"a name that is no output{silent}",
                    _near(key, names, "output"),
                    f"rename the key in compile({argument}=…)",
                )
        lacking = [name for name in names if name not in setting]
        if argument in ("loss", "loss_weights"):
            for name in lacking:
                luck = argument == "loss" and model.output_kind == "dict"
                yield Finding(
                    WARNING if luck else ERROR,
                    f"{argument}[{name!r}]",
                    "none: the output does not train" if argument == "loss" else "none",
                    f"one for each of {names}",
                    f"add {name!r}" + (": None if that is meant" if argument == "loss" else ""),
                )


def _lists_of_settings(facts: Facts) -> Iterator[Finding]:
    model = facts.model
    if not model.outputs or model.custom_step:
        return
    names, count = _names(model.outputs), len(model.outputs)
    weights = model.loss_weights
    if _is_sequence(weights) and any(not isinstance(part, int | float) for part in weights):
        change = "compile's third argument is loss_weights: write metrics=[…]"
        yield Finding(ERROR, "loss_weights", f"{list(weights)}", "numbers", change)
        return
    settings = {"loss": model.loss, "loss_weights": weights, "metrics": model.metrics}
    settings["weighted_metrics"] = model.weighted_metrics
    for argument, setting in settings.items():
        if not _is_sequence(setting) or (not setting) or (count == 1 and "metrics" in argument):
            continue
        if len(setting) != count:
            found = f"a list of {len(setting)} for {count} outputs"
            if argument == "loss" and len(setting) < count:
                found += f": {names[len(setting) :]} do not train"
            wanted = f"one for each of {names}"
            yield Finding(ERROR, argument, found, wanted, "use a dict by output name")
        elif model.output_kind == "dict" and argument == "loss" and names != sorted(names):
            found = "a list, matched to the outputs' keys in sorted order"
            yield Finding(ERROR, argument, found, f"{sorted(names)}", "use a dict by output name")
    if isinstance(weights, Mapping | list | tuple) and count > 1 and not _is_nested(model.loss):
        found = f"{len(weights)} weights for one loss"
        change = "give a loss for each output too, as a dict"
        yield Finding(ERROR, "loss_weights", found, f"loss for each of {names}", change)


def _softmax(facts: Facts) -> Iterator[Finding]:
    for slot in facts.model.outputs or ():
        loss = facts.model.loss_of(slot)
        leaf = f"output {slot.name!r}"
        units = slot.shape[-1] if slot.shape else None
        if slot.activation == "softmax" and units == 1:
            change = "use activation='sigmoid'"
            yield Finding(ERROR, leaf, "softmax over one unit: always 1", "sigmoid", change)
            continue
        if loss is None or not slot.activation:
            continue
        wanted = {True: "sigmoid", False: "softmax"}[loss.name.startswith("binary")]
        if not loss.on_probabilities or slot.activation not in ("linear", "relu", "tanh", wanted):
            continue
        if not loss.from_logits and slot.activation != wanted:
            yield Finding(
                ERROR,
                leaf,
                f"activation {slot.activation!r}, and {loss.name} of probabilities",
                f"{wanted}, or from_logits=True",
                f"activation={wanted!r}, or a loss with from_logits=True",
            )
        elif loss.from_logits and slot.activation == wanted:
            yield Finding(
                ERROR,
                leaf,
                f"{wanted} in the model and, by from_logits=True, again in the loss",
                "one of the two",
                "activation=None, or from_logits=False",
            )


def _class_weight(facts: Facts) -> Iterator[Finding]:
    if not facts.class_weight:
        return
    if facts.model.outputs and len(facts.model.outputs) > 1:
        yield Finding(
            ERROR,
            "class_weight",
            f"class weights and {len(facts.model.outputs)} outputs",
            "one output",
            "yield sample weights for each output as a third part",
        )
    elif facts.part("weights") is not None:
        change = "multiply them into the sample weights"
        yield Finding(ERROR, "class_weight", "sample weights too", "one of the two", change)


# Values.


def _not_finite(facts: Facts) -> Iterator[Finding]:
    for path, name, value in _each_value(facts):
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
        for name, value in _values_of(facts, path):
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
        values = [value for _, value in _values_of(facts, path) if value.ndim and len(value)]
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
    scales = {}
    for path, name, value in _each_value(facts):
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
    for path, name, value in _each_value(facts):
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


# Length.


def _length(facts: Facts) -> Iterator[Finding]:
    source, steps = facts.source, facts.steps
    if source.problem is not None and source.kind != "tf.data":
        return
    if source.length == 0:
        yield Finding(ERROR, "dataset", "no batch", "1 or more", "does the generator yield at all?")
    elif source.endless and steps is None:
        change = "pass steps_per_epoch=<batches in an epoch>"
        yield Finding(ERROR, "dataset", "it never ends: fit never returns", "an end", change)
    elif source.kind == "generator" and not source.endless and steps is None and facts.epochs > 1:
        found = "a generator object that ends: later epochs replay the first batches"
        change = "make a dataset of its function with datasets.from_batches"
        yield Finding(ERROR, "dataset", found, f"{facts.epochs} epochs", change)
    elif source.length is None and not source.endless and source.kind == "tf.data":
        several = facts.model.outputs is not None and len(facts.model.outputs) > 1
        losses = ", and each output's loss is reported too small" * several
        if steps is None:
            yield Finding(
                WARNING,
                "dataset",
                f"unknown length: fit warns that data ran out{losses}",
                "a known length",
                "dataset.apply(tf.data.experimental.assert_cardinality(<batches>))",
            )
        else:
            yield Finding(
                NOT_CHECKED, "steps_per_epoch", "the dataset's length is not known", "", ""
            )
    elif source.length is not None and steps is not None and source.kind != "arrays":
        yield from _steps(steps, source.length, facts.epochs)
    if source.repeats_random:
        yield Finding(
            WARNING,
            "dataset",
            "a new flow each epoch: a seeded one repeats the same augmentations",
            "one flow for all epochs",
            "make the flow once; generators.Epochs draws whole epochs from it",
        )


def _steps(steps: int, length: int, epochs: int) -> Iterator[Finding]:
    if steps * epochs <= length:
        return
    if steps > length:
        found = f"{steps} steps, and {length} batches"
    elif steps == length:
        found = f"{steps} steps of {length} batches: every other epoch has none, with loss 0.0"
    else:
        found = f"{steps} steps × {epochs} epochs, and {length} batches: epochs are cut short"
    change = "leave steps_per_epoch out, or dataset.repeat()"
    yield Finding(ERROR, "steps_per_epoch", found, f"at most {length // epochs}", change)


def _validation(facts: Facts) -> Iterator[Finding]:
    source, steps = facts.validation, facts.validation_steps
    if source is None:
        return
    where = "validation_data"
    if source.endless and steps is None:
        change = "pass validation_steps=<batches>"
        yield Finding(ERROR, where, "it never ends: fit never returns", "an end", change)
    if source.length is not None and steps is not None and steps > source.length:
        found = f"{steps} steps, and {source.length} batches"
        change = "leave validation_steps out"
        yield Finding(ERROR, "validation_steps", found, f"at most {source.length}", change)
    if source.shuffles:
        change = "leave shuffle out, or shuffle=False, for validation"
        found = "shuffled anew each epoch: predictions cannot be set beside labels"
        yield Finding(WARNING, where, found, "one order", change)
    both = (facts.source.element, source.element)
    if "arrays" in (facts.source.kind, source.kind) or None in [type(part) for part in both]:
        return
    if both[0] is None or both[1] is None:
        return
    outlines = [_outline(part) for part in both]
    if outlines[0] != outlines[1]:
        change = "make both datasets by one function"
        yield Finding(ERROR, where, outlines[1], f"{outlines[0]} as in training", change)


def _what_is_unknown(facts: Facts) -> Iterator[Finding]:
    model = facts.model
    if model.inputs is None:
        found = f"{model.kind}: names and shapes of its inputs are not known before it is built"
        yield Finding(NOT_CHECKED, "model inputs", found)
    if model.outputs is None:
        found = f"{model.kind}: its outputs are not known before it runs"
        yield Finding(NOT_CHECKED, "model outputs", found)
    if model.custom_step:
        yield Finding(NOT_CHECKED, "train_step", "the model's own: what it reads is not known")
    if facts.source.element is None and facts.source.problem is None:
        change = "pass batch=<one batch>"
        yield Finding(NOT_CHECKED, "element", "its structure is not known", "", change)
    special = [path for path, leaf in facts.leaves.items() if leaf.kind != "dense"]
    for path in special:
        yield Finding(NOT_CHECKED, path, f"{facts.leaves[path].kind}: shape and values")


RULES: list[Callable[[Facts], Iterator[Finding]]] = [
    _problem_with_source,
    _lists,
    _arity,
    _weights_or_target,
    _weight_shapes,
    _input_structure,
    _ambiguous_positions,
    _target_structure,
    _unknown_shapes,
    _input_shapes,
    _input_dtypes,
    _target_shapes,
    _batch_lengths,
    _compiled,
    _names_of_settings,
    _lists_of_settings,
    _softmax,
    _class_weight,
    _not_finite,
    _label_range,
    _all_alike,
    _picture_values,
    _weight_values,
    _length,
    _validation,
    _what_is_unknown,
]

#: The rules that look at the data only, for validation data too.
DATA_RULES = [
    _problem_with_source,
    _lists,
    _arity,
    _input_structure,
    _target_structure,
    _unknown_shapes,
    _input_shapes,
    _input_dtypes,
    _target_shapes,
    _weight_shapes,
    _batch_lengths,
    _not_finite,
    _label_range,
    _picture_values,
    _weight_values,
]


def all_findings(facts: Facts) -> list[Finding]:
    """Return what all rules find, errors first, each once."""
    found = [finding for rule in RULES for finding in rule(facts)]
    if facts.validation is not None:
        inner = facts_of(facts.validation, facts.model)
        known = {(finding.leaf, finding.found) for finding in found}
        for rule in DATA_RULES:
            for finding in rule(inner):
                if (finding.leaf, finding.found) not in known:
                    leaf = f"validation {finding.leaf}"
                    change, expected = finding.change, finding.expected
                    found.append(Finding(finding.severity, leaf, finding.found, expected, change))
    once: dict[tuple[str, str, str], Finding] = {}
    for finding in found:  # what is wrong in the first batch need not be told of the second
        known_as = finding.expected and (finding.leaf, finding.expected, finding.change)
        once.setdefault(known_as or (finding.leaf, finding.found, finding.change), finding)
    order = [ERROR, WARNING, NOT_CHECKED]
    return sorted(once.values(), key=lambda finding: order.index(finding.severity))


# Small helpers.


def _keys(
    role: str,
    part: Any,
    slots: Sequence[Slot],
    *,
    needed: Sequence[Slot] | None = None,
    partial: bool,
    what: str,
) -> Iterator[Finding]:
    """Compare a dict's keys, or a tuple's length, with the model's inputs or outputs."""
    names = _names(slots)
    wanted = names if needed is None else _names(needed)
    wanted = [name for slot, name in zip(slots, names, strict=True) if name in wanted]
    optional = {slot.name for slot in slots if slot.optional}
    if isinstance(part, Mapping):
        extra = [key for key in part if key not in names]
        for key in extra:
            near = difflib.get_close_matches(str(key), [n for n in names if n not in part], 1, 0.5)
            change = f"rename the key to {near[0]!r}" if near else "leave the key out"
            expected = _near(str(key), [n for n in names if n not in part] or names, what)
            yield Finding(ERROR, f"{role}[{key!r}]", f"no {what} of that name", expected, change)
        for name in wanted:
            if name not in part and name not in optional:
                near = difflib.get_close_matches(name, [str(key) for key in extra], 1, 0.5)
                if not near:
                    expected = f"keys {sorted(wanted)}"
                    change = f"add the key {name!r}"
                    yield Finding(ERROR, f"{role}[{name!r}]", "missing", expected, change)
    elif _is_sequence(part) and len(part) != len(slots):
        expected = f"{len(slots)}: {names}"
        change = f"yield one part an {what}"
        yield Finding(ERROR, role, f"a tuple of {len(part)}", expected, change)
    elif not _is_nested(part) and len(slots) > 1 and role == "inputs":
        if slots[0].nested or part is None:
            return
        yield Finding(ERROR, role, "one array", f"{len(slots)} inputs: {names}", "yield a tuple")


def _near(key: str, names: Sequence[str], what: str) -> str:
    near = difflib.get_close_matches(key, list(names), 1, 0.5)
    return f"{near[0]!r}" if near else f"one of the {what}s {list(names)}"


def _matched(role: str, part: Any, slots: Sequence[Slot] | None) -> list[tuple[str, Slot]]:
    """Pair each leaf's path with the model's slot, where that is certain."""
    if slots is None or part is None:
        return []
    if isinstance(part, Mapping):
        by_name = {slot.name: slot for slot in slots}
        pairs = [(f"{role}[{key!r}]", by_name[key]) for key in part if key in by_name]
        return [(path, slot) for path, slot in pairs if not _is_nested(part[_key_in(path, part)])]
    if _is_sequence(part):
        if len(part) != len(slots) or any(_is_nested(child) for child in part):
            return []
        keyed = slots[0].keyed
        slots = sorted(slots, key=lambda slot: slot.name) if keyed else slots
        return [(f"{role}[{number}]", slot) for number, slot in enumerate(slots)]
    return [(role, slots[0])] if len(slots) == 1 else []


def _key_in(path: str, part: Mapping[Any, Any]) -> Any:
    return next(key for key in part if path.endswith(f"[{key!r}]"))


def _suffixes(facts: Facts, role: str) -> list[str]:
    return [path for path in facts.leaves if path.startswith(role)]


def _names(slots: Sequence[Slot]) -> list[str]:
    return [slot.name for slot in slots]


def _is_sequence(part: Any) -> bool:
    return isinstance(part, tuple | list)


def _is_nested(part: Any) -> bool:
    return isinstance(part, tuple | list | Mapping)


def _wrapped(element: Any) -> Any:
    return element if _is_sequence(element) else (element,)


def _containers(structure: Any, path: str = "element") -> Iterator[tuple[str, Any]]:
    if _is_nested(structure):
        yield path, structure
    if isinstance(structure, Mapping):
        for key, child in structure.items():
            yield from _containers(child, f"{path}[{key!r}]")
    elif _is_sequence(structure):
        roles = ("inputs", "targets", "weights")
        named = path == "element" and len(structure) <= 3
        for number, child in enumerate(structure):
            yield from _containers(child, roles[number] if named else f"{path}[{number}]")


def _leaf(part: Any) -> Leaf:
    kind = type(part).__name__
    kind = "ragged" if kind.startswith("Ragged") else "sparse" if "Sparse" in kind else "dense"
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


def _each_value(facts: Facts) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield each leaf of each batch; only the first bad batch of a leaf need be told."""
    for name, values in facts.values.items():
        for path, value in values.items():
            yield path, name, value


def _values_of(facts: Facts, path: str) -> list[tuple[str, np.ndarray]]:
    return [(name, values[path]) for name, values in facts.values.items() if path in values]


def _is_labels(value: np.ndarray, slot: Slot) -> bool:
    return slot.shape is not None and value.shape[1:] != slot.shape[1:]


def _agree(found: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    pairs = list(zip(found, wanted, strict=False))[1:]
    return len(found) == len(wanted) and all(
        None in (one, other) or one == other for one, other in pairs
    )


def _squeezable(found: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    """Keras adds or drops a last axis of 1 itself."""
    longer, shorter = (found, wanted) if len(found) > len(wanted) else (wanted, found)
    return len(longer) == len(shorter) + 1 and longer[-1] in (1, None) and _agree(
        longer[:-1], shorter
    )


def _shape_change(found: Sequence[int | None], wanted: Sequence[int | None]) -> str:
    if len(found) == len(wanted) == 4:
        return "resize the picture (target_size=, color_mode=), or change the Input"
    if len(found) == len(wanted) + 1 and _agree(found[1:], wanted):
        return "it is batched twice: leave out one dataset.batch"
    return "change what is yielded, or the Input's shape"


def _shown(shape: Any) -> str:
    return "unknown" if shape is None else str(tuple(shape))


def _outline(structure: Any) -> str:
    shown = [
        f"{path} {_shown(leaf.shape and (None, *leaf.shape[1:]))} {leaf.dtype}"
        for path, leaf in ((path, _leaf(part)) for path, part in leaves(_wrapped(structure)))
        if not path.startswith("weights")
    ]
    return ", ".join(shown)

