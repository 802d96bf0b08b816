"""Rules on the length, the steps, the validation data, and what could not be known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from helpers.contract.facts import ERROR, NOT_CHECKED, WARNING, Facts, Finding, facts_of, leaf_of
from helpers.contract.fitting import not_batched, show_shape
from helpers.contract.nests import wrapped
from helpers.contract.source import Source
from helpers.datasets import leaves


def _length(facts: Facts) -> Iterator[Finding]:
    source, steps = facts.source, facts.steps
    if source.problem is not None and source.kind != "tf.data":
        return
    if 0 in (source.length, source.counted):
        change = "does the generator yield at all?"
        change = "what does len() of it count?" if source.kind == "PyDataset" else change
        change = "are the arrays empty?" if source.kind == "arrays" else change
        yield Finding(ERROR, "dataset", "no batch", "1 or more", change)
    elif source.endless and steps is None:
        if source.problem is None:
            change = "pass steps_per_epoch=<batches in an epoch>"
            yield Finding(ERROR, "dataset", "it never ends: fit never returns", "an end", change)
    elif source.raises and steps is None:
        found = "its generator has no way out but an error: fit runs into it"
        change = "end with return in place of raise; if it goes on for ever, pass steps_per_epoch"
        yield Finding(ERROR, "dataset", found, "an end", change)
    elif source.kind == "generator" and not source.endless:
        yield from _generator_object(facts)
    elif source.length is None and not source.endless and source.kind == "tf.data":
        if steps is None:
            yield Finding(
                WARNING,
                "dataset",
                _ran_out(facts),
                "a known length",
                "dataset.apply(tf.data.experimental.assert_cardinality(<batches>))",
            )
        else:
            yield from _steps_of_unknown(source, steps, facts.epochs)
    elif source.length is not None and steps is not None:
        yield from _steps(steps, source.length, facts.epochs)
    if source.repeats_random:
        yield Finding(
            WARNING,
            "dataset",
            "a new flow each epoch: a seeded one repeats the same augmentations",
            "one flow for all epochs",
            "make the flow once; generators.Epochs draws whole epochs from it",
        )


def _generator_object(facts: Facts) -> Iterator[Finding]:
    """Keras draws two batches ahead; once the generator has run out, it gives those again."""
    source, steps, epochs = facts.source, facts.steps, facts.epochs
    change = (
        "make a dataset of its function with datasets.from_batches(function, length=…); of a few "
        "batches: batches = list(generator), from_batches(lambda: batches, length=len(batches))"
    )
    if steps is None:
        if epochs > 1:
            found = "a generator object that ends: later epochs replay the first batches"
            yield Finding(ERROR, "dataset", found, f"{epochs} epochs", change)
        else:
            yield Finding(WARNING, "dataset", _ran_out(facts), "a known length", change)
    elif source.counted is None and not source.raises:
        if source.ends:
            yield Finding(NOT_CHECKED, "steps_per_epoch", "the generator's length is not known")
    elif source.counted is not None and steps * epochs > source.counted:
        found = f"{steps} steps in {epochs} epochs, and {source.counted} batches: an epoch of "
        found += "nothing, loss 0.0, and then the first batches again"
        yield Finding(ERROR, "steps_per_epoch", found, f"{steps * epochs} batches", change)


def _ran_out(facts: Facts) -> str:
    several = facts.model.outputs is not None and len(facts.model.outputs) > 1
    losses = ", and each output's loss is reported too small" * several
    return f"unknown length: fit warns that data ran out{losses}"


def _steps(steps: int, length: int, epochs: int) -> Iterator[Finding]:
    """Keras starts anew where an epoch ends with the data, and else goes on where it was."""
    change = "leave steps_per_epoch out, or dataset.repeat()"
    if steps > length:
        found = f"{steps} steps, and {length} batches: fit warns that data ran out"
        yield Finding(WARNING, "steps_per_epoch", found, f"at most {length}", change)
    elif length % steps and steps * epochs > length:
        found = f"{steps} steps of {length} batches: some epochs have {length % steps} only"
        yield Finding(ERROR, "steps_per_epoch", found, f"a divisor of {length}", change)


def _steps_of_unknown(source: Source, steps: int, epochs: int) -> Iterator[Finding]:
    """Where Keras does not know the length, an epoch that ends with the data leads to an empty one.

    The iterator is at its end but not yet seen to be: the next epoch sees it, has no batch, and
    logs loss 0.0.
    """
    change = "leave steps_per_epoch out, or dataset.repeat()"
    length = source.counted
    if length is None:
        if source.ends and epochs > 1:
            found = f"{steps} steps of an unknown length: if it ends there, every other epoch is "
            wanted = "an endless dataset, or no steps"
            yield Finding(WARNING, "steps_per_epoch", found + "empty, loss 0.0", wanted, change)
        else:
            yield Finding(NOT_CHECKED, "steps_per_epoch", "the dataset's length is not known")
    elif steps <= length < steps * epochs and length % steps == 0:
        found = f"{steps} steps of {length} batches: epochs of {steps}, then of 0, with loss 0.0"
        yield Finding(ERROR, "steps_per_epoch", found, "no steps", change)
    elif steps * epochs > length:
        yield from _steps(steps, length, epochs)


def _validation(facts: Facts) -> Iterator[Finding]:
    source, steps = facts.validation, facts.validation_steps
    if source is None:
        return
    where = "validation_data"
    if source.endless and steps is None:
        change = "pass validation_steps=<batches>"
        yield Finding(ERROR, where, "it never ends: fit never returns", "an end", change)
    if source.kind == "generator" and source.ends and facts.epochs > 1 and steps is None:
        found = "a generator object that ends: later epochs replay the first batches"
        change = "make a dataset of its function with datasets.from_batches(function, length=…)"
        yield Finding(ERROR, where, found, f"{facts.epochs} passes", change)
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
    if both[0] is None or both[1] is None or not_batched(facts_of(source, facts.model)):
        return
    outlines = [_outline(part) for part in both]
    if outlines[0] != outlines[1]:
        # A warning: what cannot work is an error of the rules on the data, which run here too.
        # Keras takes ((x,), y) for (x, y).
        change = "make both datasets by one function"
        yield Finding(WARNING, where, outlines[1], f"{outlines[0]} as in training", change)


def _outline(structure: Any) -> str:
    shown = [
        f"{path} {show_shape(leaf.shape and (None, *leaf.shape[1:]))}"
        for path, leaf in ((path, leaf_of(part)) for path, part in leaves(wrapped(structure)))
        if not path.startswith("weights")
    ]
    return ", ".join(shown)


def _what_is_unknown(facts: Facts) -> Iterator[Finding]:
    model = facts.model
    if model.inputs is None:
        found = f"{model.kind}: names and shapes of its inputs are not known before it is built"
        if model.input_kind == "nested":
            found = f"{model.kind}: its inputs are a nest of nests, which are not compared"
        yield Finding(NOT_CHECKED, "model inputs", found)
    if model.outputs is None:
        found = f"{model.kind}: its outputs are not known before it runs"
        if model.output_kind == "nested":
            found = f"{model.kind}: its outputs are a nest of nests, which are not compared"
        yield Finding(NOT_CHECKED, "model outputs", found)
    if model.custom_step:
        yield Finding(NOT_CHECKED, "train_step", "the model's own: what it reads is not known")
    if facts.source.element is None and facts.source.problem is None:
        change = "pass batch=<one batch>"
        yield Finding(NOT_CHECKED, "element", "its structure is not known", "", change)
    special = [path for path, leaf in facts.leaves.items() if leaf.kind in ("ragged", "sparse")]
    for path in special:
        yield Finding(NOT_CHECKED, path, f"{facts.leaves[path].kind}: shape and values")


RULES = (
    _length,
    _validation,
    _what_is_unknown,
)
