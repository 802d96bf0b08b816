"""Rules on shapes and dtypes of the inputs, and on the number of samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from helpers.contract.facts import ERROR, WARNING, Facts, Finding
from helpers.contract.fitting import (
    agree,
    is_text,
    lacks_batch_axis,
    matched,
    not_batched,
    show_shape,
    single_numbers,
    squeezable,
)


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
    pairs = matched("inputs", facts.part("inputs"), facts.model.inputs)
    for path, slot in pairs:
        leaf = facts.leaves[path]
        if leaf.kind != "dense" or leaf.shape is None or slot.shape is None:
            continue
        if is_text(leaf.dtype) != is_text(slot.dtype) and slot.dtype:
            continue  # said by its dtype
        found, wanted = f"shape {show_shape(leaf.shape)}", f"shape {show_shape(slot.shape)}"
        if lacks_batch_axis(leaf, slot):
            yield Finding(ERROR, path, found, wanted, _batch_change(facts))
        elif not agree(leaf.shape, slot.shape) and not squeezable(leaf.shape, slot.shape):
            change = _shape_change(leaf.shape, slot.shape)
            fits = [other.name for _, other in pairs if _fits_exactly(leaf.shape, other.shape)]
            change = f"it fits {fits[0]!r}: are inputs swapped?" if fits else change
            yield Finding(ERROR, path, found, wanted, change)


def _single_numbers(facts: Facts) -> Iterator[Finding]:
    pairs = matched("inputs", facts.part("inputs"), facts.model.inputs)
    if facts.model.custom_step or any(
        lacks_batch_axis(facts.leaves[path], slot) for path, slot in pairs
    ):
        return  # said of the inputs, or a number that the model's own step wants
    for path in single_numbers(facts)[:1]:
        yield Finding(ERROR, path, "a single number", "a batch of samples", _batch_change(facts))


def _batch_change(facts: Facts) -> str:
    if facts.source.kind == "tf.data":
        return "it is not batched: dataset.batch(batch_size)"
    return "it is not batched: stack several samples, or add an axis with array[None]"


def _input_dtypes(facts: Facts) -> Iterator[Finding]:
    for path, slot in matched("inputs", facts.part("inputs"), facts.model.inputs):
        found = facts.leaves[path].dtype
        text = [is_text(name) for name in (found, slot.dtype)]
        if text[0] != text[1] and slot.dtype:
            change = "decode or look up the text first" if text[0] else "give the text itself"
            if found == "object":
                change = "make one array of numbers: np.stack of equal rows, or encode the texts"
            yield Finding(ERROR, path, found, slot.dtype, change)
        elif slot.dtype.startswith("int") and found.startswith(("float", "bfloat")):
            change = f"tf.cast(…, {slot.dtype!r}), or an Input of dtype {found!r}"
            yield Finding(ERROR, path, f"{found}, cut to whole numbers", slot.dtype, change)


def _cut(facts: Facts) -> Iterator[Finding]:
    for path, (found, wanted) in facts.source.cut.items():
        found = f"{found} with fractions, cut to whole numbers by the signature's {wanted}"
        change = "give the signature a float dtype, or use datasets.from_batches, which refuses"
        yield Finding(ERROR, path, found, "whole numbers, or a signature of floats", change)


def _batch_lengths(facts: Facts) -> Iterator[Finding]:
    if not_batched(facts):
        return
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


def _no_samples(facts: Facts) -> Iterator[Finding]:
    for name, values in facts.values.items():
        sizes = [len(value) for value in values.values() if value.ndim]
        if sizes and not any(sizes) and facts.source.length != 0:
            change = "the number of batches is that of samples / batch size, rounded up"
            yield Finding(WARNING, "dataset", f"no samples in the {name}", "1 or more", change)


def _fits_exactly(found: Sequence[int | None], wanted: Sequence[int | None] | None) -> bool:
    return wanted is not None and agree(found, wanted)


def _shape_change(found: Sequence[int | None], wanted: Sequence[int | None]) -> str:
    if len(found) == len(wanted) == 4 and agree((0, found[2], found[3], found[1]), wanted):
        return "the channels come first: np.moveaxis(…, 1, -1)"
    if len(found) == len(wanted) == 4 and agree(found[:3], wanted[:3]):
        return "read 1 channel with color_mode='grayscale', 3 with 'rgb', 4 with 'rgba'"
    if len(found) == len(wanted) == 4:
        return "resize the picture (target_size=, color_mode=), or change the Input"
    if len(found) == len(wanted) + 1 and agree(found[1:], wanted):
        return "it is batched twice: leave out one dataset.batch"
    return "change what is yielded, or the Input's shape"


RULES = (
    _unknown_shapes,
    _input_shapes,
    _single_numbers,
    _input_dtypes,
    _cut,
    _batch_lengths,
    _no_samples,
)
