"""Does this dataset agree with this model? The first mismatch, and what fixes it, before training.

A batch goes through rules in stages, and through Keras itself. ``RULES.md`` lists the rules.

>>> import keras, numpy as np, tensorflow as tf
>>> inputs = keras.Input((5,), name="site")
>>> model = keras.Model({"site": inputs}, keras.layers.Dense(2, name="composition")(inputs))
>>> model.compile(loss="mse")
>>> element = ({"sites": np.zeros((4, 5), "float32")}, np.ones((4, 2), "float32"))
>>> print(check(tf.data.Dataset.from_tensors(element), model))  # doctest: +NORMALIZE_WHITESPACE
1 error, 0 warnings
error: inputs['sites']: expected 'site', found no input of that name; rename the key to 'site'
    [input-keys]

The lesson that builds it: 08 When it breaks.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from helpers.contract import batches, training, values
from helpers.contract.facts import Facts, Found, ModelFacts
from helpers.contract.judging import Judge, judge
from helpers.contract.looking import Source, look, look_below, put_back, read
from helpers.contract.report import ERROR, NOT_CHECKED, ContractError, Finding, Report
from helpers.contract.rules import RULES

__all__ = ["ContractError", "Finding", "Report", "check"]

_FUNCTIONS: dict[str, Callable[[Facts], Found]] = {
    "compile": training.compiled,
    "structure": batches.structure,
    "names": batches.names,
    "shapes": batches.shapes,
    "dtypes": batches.dtypes,
    "values": values.values,
    "targets": values.targets,
    "weights": values.weights,
    "pipeline": training.pipeline,
    "lengths": training.lengths,
    "validation": training.validation,
}
#: What Keras takes as well, so it is no reason why it should refuse the batch.
_KERAS_TAKES = ("not-finite", "black", "weight-values")
_ON_BATCHES = [stage for stage in _FUNCTIONS if stage not in ("pipeline", "lengths", "validation")]


def check(
    dataset: Any,
    model: Any,
    *,
    steps_per_epoch: int | None = None,
    epochs: int = 1,
    validation_data: Any = None,
    validation_steps: int | None = None,
    class_weight: Any = None,
    callbacks: Iterable[Any] = (),
    batch: Any = None,
    predict: bool = False,
    trial_step: bool = False,
    whole_pass: bool = False,
    limit: int = 1000,
    strict: bool = False,
) -> Report:
    """Compare a dataset with a model and with what is to be passed to ``fit``.

    The first two batches are looked at (the last one too where it can be had by number; arrays
    wholly), by rules in stages. Each goes through the model as in ``evaluate``: what Keras refuses
    is an error, in its own words where no rule explains it, and what it takes is not called a
    failure. The model, random states, flows and epochs are put back afterwards.

    Parameters
    ----------
    dataset : tf.data.Dataset, keras.utils.PyDataset, tuple of arrays, callable or generator object
        What is to be passed to ``fit``; arrays as ``(x, y)``. Of a generator object nothing is
        read: pass its function instead, which is called for a pass of its own.
    model : keras.Model
        Compiled as for ``fit``.
    steps_per_epoch, epochs, validation_data, validation_steps, class_weight, callbacks : optional
        As for ``fit``.
    batch : nest of arrays, optional
        A batch to look at in place of the dataset's own.
    predict : bool
        The dataset is for ``predict``: elements ``(inputs,)``, such as ``((a, b),)``.
    trial_step : bool
        Take one training step in place of ``evaluate``; it is put back as well. Done unasked with
        `class_weight`, and with a model that has a ``train_step`` but no ``test_step`` of its own.
    whole_pass : bool
        Look at every batch of an epoch: `steps_per_epoch` of them, or `limit` at most.
    limit : int
        Batches after which a pass stops.
    strict : bool
        Raise instead of returning a report with errors.

    Returns
    -------
    Report
        What the first stage with errors found, and warnings. True where there is neither.

    Raises
    ------
    ContractError
        With `strict`, if there is an error.
    TypeError
        If `model` is no Keras model.

    Examples
    --------
    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
    >>> model.compile(loss="mse")
    >>> print(check((np.zeros((4, 5)), np.ones((4, 2))), model))
    no errors, no warnings
    """
    spec = getattr(dataset, "element_spec", None)
    alone = isinstance(spec, tuple) and len(spec) == 1
    facts = ModelFacts(model)
    options = {
        "predict": predict or (alone and not model.compiled),
        "steps_per_epoch": steps_per_epoch,
        "epochs": epochs,
        "validation_data": validation_data,
        "validation_steps": validation_steps,
        "class_weight": class_weight,
        "callbacks": callbacks,
        "whole_pass": whole_pass or bool(_fixed(facts)),
        "limit": limit,
        "validation": None,
    }
    with judge(model, options["predict"], trial_step, class_weight) as ask:
        report = Report(_findings(look(dataset, batch), facts, options, ask))
    if strict:
        report.raise_for_errors()
    return report


def _fixed(model: ModelFacts) -> list[Any]:
    """Return the inputs with a batch size of their own: the last batch must have it too."""
    return [slot for slot in model.inputs or () if slot.shape and slot.shape[0] is not None]


def _errs(findings: list[Finding]) -> bool:
    return any(finding.severity == ERROR for finding in findings)


def _findings(
    source: Source, model: ModelFacts, options: dict[str, Any], ask: Judge
) -> list[Finding]:
    """Run the stages over the dataset, then over the validation data, then over both."""
    found, facts, options["summary"] = _of_source(source, model, options, ask, False)
    inner: list[Finding] = []
    options["logged"] = ask.logged
    if options["validation_data"] is not None and not _errs(found):
        options["validation"] = other = look(options["validation_data"])
        steps = {"steps_per_epoch": options["validation_steps"], "class_weight": None}
        inner, _, summary = _of_source(other, model, options | steps, ask, True)
        options["validation_summary"] = summary
    for stage in ("pipeline", "lengths", "validation"):
        if not _errs(found):
            found += _apply(facts, [stage])
            if stage == "lengths":
                found += [dataclasses.replace(f, leaf=f"validation {f.leaf}") for f in inner]
    return found


def _of_source(
    source: Source, model: ModelFacts, options: dict[str, Any], ask: Judge, validation: bool
) -> tuple[list[Finding], Facts, dict[str, Any]]:
    """Read batches, run the stages on each up to the first error, and sum up their values."""
    stages = _ON_BATCHES[validation:]
    found: list[Finding] = []
    summary: dict[str, Any] = {}
    facts = Facts(source, model, "", source.element, options)
    asked: list[Any] = []
    with put_back(source.held):
        if source.problem is None and source.chain:
            look_below(source)
        readable = source.problem is None and source.start is not None and source.length != 0
        with contextlib.closing(read(source, options)) as batches:
            for name, batch in batches if readable else ():
                facts = Facts(source, model, name, batch, options)
                outline = [(p, x.dtype, np.shape(x.value)) for p, x in facts.leaves.items()]
                refused = ""
                if outline not in asked or len(asked) < 2 or name == "last batch":
                    refused = ask(source, batch, validation)
                    asked.append(outline)
                facts.refused = refused if model.model.compiled or options["predict"] else None
                found += _apply(facts, stages)
                stages = [stage for stage in stages if stage != "compile"]
                values.sum_up(summary, facts)
                if _errs(found):
                    break
    if not asked or (source.problem is not None and not _errs(found)):
        facts.refused = None
        found += _apply(facts, stages if not asked else ["structure"])
    return found + _not_checked(facts), facts, summary


def _apply(facts: Facts, stages: Iterable[str]) -> list[Finding]:
    """Run stages up to the first one with an error; add Keras' words where no rule explains."""
    found: list[Finding] = []
    accepted = None if facts.refused is None else not facts.refused
    unexplained = bool(facts.refused)
    for stage in stages:
        try:
            for name, leaf, what, *given in _FUNCTIONS[stage](facts):
                severity = RULES[name].severity(accepted)
                wanted, change = [*given, *RULES[name].advice[len(given) :]]
                found += [Finding(severity, leaf, what, wanted, change, name)] * bool(severity)
                unexplained &= severity != ERROR or name in _KERAS_TAKES
        except Exception as error:
            text = f"{stage}: its rules could not be applied: {type(error).__name__}: {error}"
            found.append(Finding(NOT_CHECKED, facts.name or "dataset", text))
        if _errs(found):
            break
    if unexplained:
        words = f"Keras refuses the {facts.name}: {facts.refused}"
        found.append(Finding(ERROR, "model", words, rule="keras"))
    return found


def _not_checked(facts: Facts) -> list[Finding]:
    source, model, texts = facts.source, facts.model, []
    if source.unseen and source.problem is None:
        change = "pass batch=<one batch> to have values checked"
        if source.kind == "generator":
            change = "pass its function to check (it is called for a pass of its own), or batch="
        texts.append(("values", source.unseen, change))
        if model.inputs is None:
            texts.append(("model", "its inputs and outputs are not known before it runs", ""))
    if source.kind == "function":
        change = "pass fit what it returns, or datasets.from_batches(…) of it"
        texts.append(("dataset", "fit itself takes no function", change))
    for path, leaf in facts.leaves.items():
        if leaf.kind in ("ragged", "sparse"):
            texts.append((path, f"{leaf.kind}: its values", ""))
    return [Finding(NOT_CHECKED, leaf, found, "", change) for leaf, found, change in texts]
