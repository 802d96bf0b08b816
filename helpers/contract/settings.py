"""Rules on what the model was compiled with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import keras

from helpers.contract.facts import ERROR, WARNING, Facts, Finding
from helpers.contract.fitting import names_of, nearest
from helpers.contract.nests import flat, is_nested, is_sequence


def _compiled(facts: Facts) -> Iterator[Finding]:
    if facts.model.compiled is False:
        yield Finding(ERROR, "compile", "no loss: not compiled", "a loss", "model.compile(loss=…)")


def _unknown_losses(facts: Facts) -> Iterator[Finding]:
    """Keras looks up the names that were given at the first batch."""
    for name in flat(facts.model.loss):
        if isinstance(name, str) and name.lower() not in ("crossentropy", "ce"):
            try:
                keras.losses.get(name)
            except ValueError:
                change = "see keras.losses for the names"
                yield Finding(ERROR, "loss", f"{name!r}", "the name of a loss", change)


def _names_of_settings(facts: Facts) -> Iterator[Finding]:
    model = facts.model
    if model.outputs is None or model.custom_step:
        return
    names = names_of(model.outputs)
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
                    nearest(key, names, "output"),
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
    names, count = names_of(model.outputs), len(model.outputs)
    weights = model.loss_weights
    if is_sequence(weights) and any(not isinstance(part, int | float) for part in weights):
        change = "compile's third argument is loss_weights: write metrics=[…]"
        yield Finding(ERROR, "loss_weights", f"{list(weights)}", "numbers", change)
        return
    settings = {"loss": model.loss, "loss_weights": weights, "metrics": model.metrics}
    settings["weighted_metrics"] = model.weighted_metrics
    for argument, setting in settings.items():
        if not is_sequence(setting) or (not setting) or (count == 1 and "metrics" in argument):
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
    if isinstance(weights, Mapping | list | tuple) and count > 1 and not is_nested(model.loss):
        found = f"{len(weights)} weights for one loss"
        change = "give a loss for each output too, as a dict"
        yield Finding(ERROR, "loss_weights", found, f"loss for each of {names}", change)


def _softmax(facts: Facts) -> Iterator[Finding]:
    for slot in facts.model.outputs or ():
        loss = facts.model.loss_of(slot)
        leaf = f"output {slot.name!r}"
        units = slot.shape[-1] if slot.shape else None
        if slot.activation == "softmax" and units == 1:
            wanted, change = "sigmoid", "use activation='sigmoid'"
            if loss is not None and loss.elementwise and not loss.on_probabilities:
                wanted, change = "no activation", "leave the activation out"
            yield Finding(ERROR, leaf, "softmax over one unit: always 1", wanted, change)
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
            # Seen: the loss is the same number as that of a model without the activation.
            yield Finding(
                WARNING,
                leaf,
                f"{wanted} in the model and from_logits=True in the loss: Keras goes back to the "
                "logits, and warns",
                "one of the two",
                "activation=None, or from_logits=False",
            )


RULES = (
    _compiled,
    _unknown_losses,
    _names_of_settings,
    _lists_of_settings,
    _softmax,
)
