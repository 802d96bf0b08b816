"""The rules on what is around a batch: compile, the pipeline, lengths, validation."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from helpers.contract import looking
from helpers.contract.facts import Facts, Found, nearest
from helpers.contract.looking import Source, chain_of, generator_of, reachable

_RANGES = ("rotation", "width_shift", "height_shift", "brightness", "shear", "channel_shift")
_FUNCTION = "datasets.from_batches(function, length=…)"


def compiled(facts: Facts) -> Found:
    """Yield what is wrong with losses, loss weights and metrics."""
    model, names = facts.model, [slot.name for slot in facts.slots("targets")]
    if not model.model.compiled and not facts.options["predict"]:
        yield "not-compiled", "compile", "no loss: not compiled"
    if not model.own_step and names:
        yield from _settings(facts, names)
        yield from _activations(facts)


def _settings(facts: Facts, names: list[str]) -> Found:
    """Yield what Keras gives to another output than is meant, or to none."""
    model = facts.model
    sorts = model.kinds["targets"] == "dict" and names != sorted(names)
    for argument, setting in model.settings.items():
        if isinstance(setting, Mapping) and (len(names) > 1 or "loss" in argument):
            for key in set(setting) - set(names):
                near = nearest(key, names)
                wanted = repr(near) if near else f"one of the outputs {names}"
                found = "a name that is no output"
                found += ", matched by sorted position in silence" * (argument == "loss_weights")
                change = f"rename the key in compile({argument}=…)"
                yield "setting-keys", f"{argument}[{key!r}]", found, wanted, change
            missing = set(names) - set(setting) if argument == "loss" else ()
            for name in missing if set(setting) <= set(names) else ():
                found, change = "none: the output does not train", "None if that is meant"
                wanted = f"one for each of {names}"
                yield "loss-missing", f"loss[{name!r}]", found, wanted, f"add {name!r}: {change}"
        elif isinstance(setting, list | tuple):
            if argument == "loss_weights" and any(
                isinstance(n, str) or callable(n) for n in setting
            ):
                change = "compile's third argument is loss_weights: write metrics=[…]"
                yield "setting-keys", argument, str([*setting]), "numbers", change
            if sorts and any(part != setting[0] for part in setting):
                found = "a list, matched to the outputs' keys in sorted order"
                yield "setting-order", argument, found, str(sorted(names))
            if argument == "loss" and len(setting) < len(names):
                found = f"a list of {len(setting)}: {names[len(setting) :]} do not train"
                yield "loss-missing", "loss", found, f"one for each of {names}", "add the others"


def _activations(facts: Facts) -> Found:
    for slot in facts.slots("targets"):
        leaf, loss, given = f"output {slot.name!r}", slot.loss or "", slot.activation
        wanted = "sigmoid" if loss.startswith("binary") else "softmax"
        if given == "softmax" and slot.shape[-1] == 1:
            free = slot.elementwise and wanted == "softmax"
            change = "leave the activation out" if free else "use activation='sigmoid'"
            wanted = "no activation" if free else "sigmoid"
            yield "activation", leaf, "softmax over one unit: always 1", wanted, change
        elif "cross" in loss and slot.from_logits and given == wanted:
            found = f"{wanted} in the model and from_logits=True in the loss: Keras goes back to "
            yield "two-activations", leaf, f"{found}the logits, and warns"
        elif "cross" in loss and not slot.from_logits and given in {"linear", "relu", "tanh"}:
            found = f"activation {given!r}, and {loss} of probabilities"
            change = f"activation={wanted!r}, or a loss with from_logits=True"
            yield "activation", leaf, found, f"{wanted}, or from_logits=True", change


def pipeline(facts: Facts) -> Found:
    """Yield what happens between the files and the batch."""
    source = facts.source
    if source.overwritten:
        found = "the second batch overwrites the first: both are one array in memory"
        yield "overwritten", source.overwritten, found
    yield from _flows(source)
    if any(flow.seed is not None for flow in source.made):
        found = "a new flow each epoch: a seeded one repeats the same augmentations"
        yield "new-flow", "dataset", found
    caches = [part for part in source.chain if type(part).__name__ == "CacheDataset"]
    below = [part for cache in caches[:1] for part in chain_of(cache)]
    behind = [thing for part in below for thing in reachable(generator_of(part))]
    behind += source.made if any(map(generator_of, below)) else []
    random = any(looking.is_flow(thing) and _is_random(thing) for thing in behind)
    if random or any("Random" in node.op for part in below for node in _nodes(part)):
        found = "a cache behind random transforms: each epoch repeats the first one's"
        yield "cached-random", "dataset", found
    for part in source.chain:
        of_map = "Map" in type(part).__name__ and generator_of(part) is None
        if of_map and _constants(part) != _constants(part):
            found = "numbers in a map's function that differ each time it is traced"
            yield "frozen-random", "dataset", found
    for path, (low, high, *_) in facts.options["summary"].items():
        if path.startswith("weights") and low == high == 0:
            change = "nothing trains and the loss is 0.0: yield 1 for a sample that counts"
            yield "weight-values", path, "all weights zero", "weights above 0", change
    shuffled = any(type(part).__name__ == "_ShuffleDataset" for part in source.chain)
    for path, leaf, slot in facts.pairs("targets"):
        rare = (slot.loss or "").startswith("binary") and (
            len(facts.slots("targets")) > 1 or slot.shape[-1] != 1
        )
        soft = leaf.value is not None and leaf.dtype.startswith("float") and (leaf.value % 1).any()
        *_, count, alike = facts.options["summary"].get(path, (0, 0, 0, False))
        if alike and count >= 8 and "cross" in (slot.loss or "") and not (rare or soft or shuffled):
            yield "alike", path, f"all {count} samples alike"


def _flows(source: Source) -> Found:
    for first, other in itertools.pairwise(source.moved):
        random = first.shuffle or _is_random(first) or _is_random(other)
        for name in ("n", "batch_size", "shuffle", "seed"):
            pair = getattr(first, name), getattr(other, name)
            unseeded = pair == (None, None) and name == "seed"
            if (random or name != "seed") and (pair[0] != pair[1] or unseeded):
                found = f"two flows behind it, with {name} {pair[0]} and {pair[1]}"
                yield "flows-apart", "dataset", found
                return
    tables = [one for one in source.held if hasattr(one, "columns") or isinstance(one, np.ndarray)]
    sizes = [len(one) for one in tables if one.ndim]
    for flow in source.moved:
        longer = [size for size in sizes if flow.n < size <= flow.n * 1.5 + 1]
        looks_up_rows = getattr(flow, "class_mode", "raw") == "raw"
        if longer and flow.n not in sizes and not looks_up_rows:
            wanted = f"{longer[0]}, as the table beside it"
            yield "flow-count", "dataset", f"a flow over {flow.n} files", wanted


def _is_random(flow: Any) -> bool:
    datagen = getattr(flow, "image_data_generator", None)
    options = [getattr(datagen, f"{name}_range", False) for name in _RANGES]
    options += [getattr(datagen, f"{way}_flip", False) for way in ("horizontal", "vertical")]
    return any(options) or [*getattr(datagen, "zoom_range", (1, 1))] != [1, 1]


def _nodes(part: Any, graph: Any = None) -> list[Any]:
    """Return the nodes of the graph of a map's function."""
    with contextlib.suppress(Exception):
        graph = (graph or part._map_func.function.graph).as_graph_def()
        return [*graph.node, *(node for one in graph.library.function for node in one.node_def)]
    return []


def _constants(part: Any) -> list[bytes]:
    """Trace a map's function once more, and return its constants."""
    with contextlib.suppress(Exception):
        spec = part._inputs()[0].element_spec
        spec = spec if type(spec) is tuple else (spec,)
        traced = tf.function(looking.function_of(part)).get_concrete_function(*spec)
        nodes = [node for node in _nodes(part, traced.graph) if node.op == "Const"]
        return sorted(node.attr["value"].SerializeToString() for node in nodes)
    return []


def lengths(facts: Facts) -> Found:
    """Yield what is wrong with lengths, steps and monitors."""
    options, source = facts.options, facts.source
    if 0 in (source.length, source.counted):
        yield "no-batch", "dataset", "no batch"
        return
    yield from _length(source, "dataset", "steps_per_epoch", facts)
    if options["validation"] is not None:
        yield from _length(options["validation"], "validation_data", "validation_steps", facts)
    yield from _monitors(facts)


def _length(source: Source, where: str, argument: str, facts: Facts) -> Found:
    steps, epochs, flows = facts.options[argument], facts.options["epochs"], source.flows
    length = source.counted if source.length is None else source.length
    if facts.options["predict"]:
        return
    if steps is not None:
        if length and source.kind not in ("arrays", "generator"):
            yield from _steps(source, argument, steps, epochs, length)
        return
    batches = f"{len(flows[0])}, as len(flow) says" if flows else "<batches in an epoch>"
    change = f"pass {argument}={batches}" + ", or yield len(flow) batches an epoch" * bool(flows)
    known = ".apply(tf.data.experimental.assert_cardinality({}))"
    ran_out = "unknown length{}: fit warns that data ran out"
    if len(facts.slots("targets")) > 1:
        ran_out += ", and each output's loss is reported too small"
    generator = source.kind == "generator"
    if (source.endless and source.kind != "PyDataset") or (generator and flows):
        yield "endless", where, "it never ends: fit never returns", "an end", change
    elif source.endless or (source.length is None and source.counted is None and source.seen > 2):
        found = f"no end in {source.seen} batches: if it never ends, fit never returns"
        change += "; if it ends: " + known.format("<batches>")
        yield "endless", where, found, "an end", change
    elif generator and epochs > 1:
        found = "a generator object: if it ends, later epochs replay its first batches; if not, "
        found += "fit never returns"
        change = f"pass {argument} if it never ends, or a dataset: {_FUNCTION}"
        yield "replayed", where, found, f"{epochs} epochs", change
    elif generator and where == "dataset":
        change = f"{_FUNCTION}, with signature= where an axis varies"
        change += f"; if it never ends, fit never returns: pass {argument}"
        found = ran_out.format(" of a generator object")
        yield "unknown-length", where, found, "a known length", change
    elif source.kind == "tf.data" and where == "dataset" and source.length is None and length:
        found, change = ran_out.format(""), "dataset" + known.format(length)
        yield "unknown-length", where, found, "a known length", change


def _steps(source: Source, argument: str, steps: int, epochs: int, length: int) -> Found:
    """Keras starts again where an epoch ends with the data, and else goes on where it was.

    Where it does not know the length it is at the end, and does not see it: an empty epoch comes.
    """
    change = f"leave {argument} out, or dataset.repeat()"
    training = argument == "steps_per_epoch"
    if steps > length:
        found = f"{steps} steps, and {length} batches: fit warns that data ran out"
        yield "steps-over", argument, found, f"at most {length}", f"leave {argument} out"
    elif training and source.length is None and not length % steps and length < steps * epochs:
        found = (
            f"{steps} steps of {length} batches, of unknown length: epochs of {steps}, then of 0"
        )
        yield "steps", argument, f"{found}, with loss 0.0", "no steps", change
    elif training and length % steps and length < steps * epochs and source.kind != "PyDataset":
        found = f"{steps} steps of {length} batches: some epochs have {length % steps} only"
        yield "steps", argument, found, f"a divisor of {length}", change


def _monitors(facts: Facts) -> Found:
    logged = facts.options["logged"]
    validated = facts.options["validation_data"] is not None
    known = [*logged, *(f"val_{name}" for name in logged if validated)]
    for callback in facts.options["callbacks"] or ():
        name, kind = getattr(callback, "monitor", None), type(callback).__name__
        unused = not logged or not getattr(callback, "save_best_only", True)
        if not isinstance(name, str) or not hasattr(callback, "monitor_op") or unused:
            continue
        plain, leaf = name.removeprefix("val_"), f"callbacks: {kind}"
        metrics = [m for one in facts.model.model.metrics for m in getattr(one, "metrics", ())]
        clear = plain == "loss" or any(metric.name == plain for metric in metrics)
        if name not in known:
            lacks = "pass validation_data, or " if name != plain and not validated else ""
            near = plain if plain in known else nearest(name, known)
            change = f"{lacks}monitor={near or 'loss'!r}"
            yield "monitor", leaf, f"monitor={name!r}", f"one of {known}", change
        elif getattr(callback, "mode", "auto") == "auto" and not clear:
            change = f"{kind}(…, mode='min') for a loss or an error, 'max' for an accuracy"
            yield "monitor", leaf, f"monitor={name!r} without mode: fit raises", "a mode", change


def validation(facts: Facts) -> Found:
    """Yield where validation data differs from training data."""
    source, other = facts.source, facts.options["validation"]
    where = "validation_data"
    if other is None:
        return
    if any(getattr(part, "_reshuffle_each_iteration", False) for part in other.chain):
        found = "shuffled again each epoch: predictions cannot be set beside labels"
        yield "shuffled", where, found
    classes = [_classes(one) for one in (source, other)]
    if all(classes) and classes[0] != classes[1]:
        names = {**classes[0], **classes[1]}
        name = next(name for name in names if classes[0].get(name) != classes[1].get(name))
        found, wanted = (f"{name!r} is class {one.get(name, 'none')}" for one in classes[::-1])
        yield "class-numbers", where, found, f"{wanted}, as in training"
    for path, (low, high, *_) in facts.options["summary"].items():
        found = facts.options["validation_summary"].get(path)
        if found is None or not path.startswith("inputs") or path not in facts.leaves:
            continue
        tops = sorted([max(abs(low), abs(high)), max(abs(found[0]), abs(found[1]))])
        signs = sorted([low / (abs(high) or 1), found[0] / (abs(found[1]) or 1)])
        image = len(facts.leaves[path].shape or ()) > 3 and signs[0] < -0.2 <= 0 <= signs[1]
        if image or tops[1] > 20 * tops[0] > 0:
            shown = f"values {found[0]:g} to {found[1]:g}"
            wanted = f"about {low:g} to {high:g}, as in training"
            yield "other-range", f"validation {path}", shown, wanted


def _classes(source: Source) -> dict[str, int]:
    for thing in [*source.flows, *source.chain]:
        names = getattr(thing, "class_names", None) or ()
        numbers = getattr(thing, "class_indices", None) or dict(
            zip(names, range(1000), strict=False)
        )
        if numbers:
            return dict(numbers)
    return {}
