"""Rules on shapes and dtypes: each leaf against its input, its output and its loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from helpers.contract.facts import ERROR, Facts, Finding, agree, matched, show_shape, squeezable


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
        found, wanted = f"shape {show_shape(leaf.shape)}", f"shape {show_shape(slot.shape)}"
        if len(leaf.shape) == len(slot.shape) - 1 and agree(leaf.shape, slot.shape[1:]):
            if slot.shape[-1] != 1 or not agree(leaf.shape, slot.shape[:-1]):
                yield Finding(
                    ERROR, path, found, wanted, "it is not batched: dataset.batch(batch_size)"
                )
        elif not agree(leaf.shape, slot.shape) and not squeezable(leaf.shape, slot.shape):
            change = _shape_change(leaf.shape, slot.shape)
            fits = [other.name for _, other in pairs if _fits_exactly(leaf.shape, other.shape)]
            change = f"it fits {fits[0]!r}: are inputs swapped?" if fits else change
            yield Finding(ERROR, path, found, wanted, change)


def _input_dtypes(facts: Facts) -> Iterator[Finding]:
    for path, slot in matched("inputs", facts.part("inputs"), facts.model.inputs):
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
        shown = f"shape {show_shape(leaf.shape)}"
        if leaf.dtype in ("string", "object"):
            change = "encode the labels as numbers, with StringLookup for one"
            yield Finding(ERROR, path, leaf.dtype, "numbers", change)
        elif loss.name == "sparse_categorical_crossentropy":
            labels = slot.shape[:-1]
            if slot.shape == leaf.shape and slot.shape[-1] != 1:
                change = "use loss='categorical_crossentropy', or tf.argmax(…, axis=-1)"
                found = f"one-hot {shown} with a sparse loss"
                yield Finding(ERROR, path, found, "class numbers", change)
            elif not agree(leaf.shape, labels) and not agree(leaf.shape, (*labels, 1)):
                wanted = f"class numbers of shape {show_shape(labels)}"
                yield Finding(ERROR, path, shown, wanted, "compare target and output")
        elif loss.name in ("categorical_crossentropy", "categorical_focal_crossentropy"):
            if agree(leaf.shape, slot.shape):
                continue
            found, change = shown, "compare the output's units with the target's"
            if agree(leaf.shape, slot.shape[:-1]) or agree(leaf.shape, (*slot.shape[:-1], 1)):
                found = f"class numbers {shown} with a one-hot loss"
                change = "use loss='sparse_categorical_crossentropy', or tf.one_hot"
            yield Finding(ERROR, path, found, f"one-hot {show_shape(slot.shape)}", change)
        elif loss.elementwise and not agree(leaf.shape, slot.shape):
            if squeezable(leaf.shape, slot.shape):
                continue
            change = "target and output must agree, or they are broadcast in silence"
            yield Finding(ERROR, path, shown, f"shape {show_shape(slot.shape)}", change)


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


def _fits_exactly(found: Sequence[int | None], wanted: Sequence[int | None] | None) -> bool:
    return wanted is not None and agree(found, wanted)


def _shape_change(found: Sequence[int | None], wanted: Sequence[int | None]) -> str:
    if len(found) == len(wanted) == 4:
        return "resize the picture (target_size=, color_mode=), or change the Input"
    if len(found) == len(wanted) + 1 and agree(found[1:], wanted):
        return "it is batched twice: leave out one dataset.batch"
    return "change what is yielded, or the Input's shape"


RULES = (
    _unknown_shapes,
    _input_shapes,
    _input_dtypes,
    _target_shapes,
    _batch_lengths,
)
