"""Does this dataset fit this model? All mismatches at once, before training.

>>> import keras, numpy as np, tensorflow as tf
>>> inputs = keras.Input((5,), name="site")
>>> model = keras.Model({"site": inputs}, keras.layers.Dense(2, name="composition")(inputs))
>>> model.compile(loss="mse")
>>> element = ({"sites": np.zeros((4, 5), "float32")}, np.ones((4, 2), "float32"))
>>> print(check(tf.data.Dataset.from_tensors(element), model))
1 error, 0 warnings
error: inputs['sites']: expected 'site', found no input of that name; rename the key to 'site'
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterator
from typing import Any

from helpers.contract import lengths, settings, shapes, structure, targets, values, weights
from helpers.contract.facts import ERROR, NOT_CHECKED, WARNING, Facts, Finding, facts_of
from helpers.contract.looking import look
from helpers.contract.models import facts_of_model

__all__ = ["ContractError", "Finding", "Report", "check"]


# Rules on the data, for validation data too; then those on the model and on fit's arguments.
_DATA_RULES = (
    *structure.RULES,
    *shapes.RULES,
    *values.RULES,
    *targets.RULES,
    *weights.RULES,
)
_OTHER_RULES = (*settings.RULES, *lengths.RULES)


class ContractError(ValueError):
    """A dataset does not fit the model; the message is the whole report."""


class Report:
    """What `check` found; prints as a table in a notebook, and as lines of text.

    Parameters
    ----------
    findings : list of Finding
        Errors first.
    """

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings

    @property
    def errors(self) -> list[Finding]:
        """What will fail, or train wrongly."""
        return [finding for finding in self.findings if finding.severity == ERROR]

    @property
    def warnings(self) -> list[Finding]:
        """What works by luck."""
        return [finding for finding in self.findings if finding.severity == WARNING]

    @property
    def not_checked(self) -> list[Finding]:
        """What could not be known."""
        return [finding for finding in self.findings if finding.severity == NOT_CHECKED]

    @property
    def ok(self) -> bool:
        """Whether there is no error and no warning."""
        return not self.errors and not self.warnings

    def __bool__(self) -> bool:
        return self.ok

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        return "\n".join([self._summary(), *map(str, self.findings)])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        head = ("", "leaf", "what is", "what should be", "what mends it")
        rows = [
            (finding.severity, finding.leaf, finding.found, finding.expected, finding.change)
            for finding in self.findings
        ]
        lines = [f"<p>{html.escape(self._summary())}</p>"]
        if rows:
            lines.append("<table>" + _html_row(head, "th"))
            lines += [_html_row(row, "td") for row in rows]
            lines.append("</table>")
        return "\n".join(lines)

    def _summary(self) -> str:
        errors, warnings, left = len(self.errors), len(self.warnings), len(self.not_checked)
        text = "no errors, no warnings"
        if not self.ok:
            text = f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
        return text + (f"; {left} thing{'s' * (left != 1)} not checked" if left else "")

    def raise_for_errors(self) -> None:
        """Raise `ContractError` with the whole report if there is an error.

        Raises
        ------
        ContractError
            If there is an error; warnings alone do not raise.
        """
        if self.errors:
            raise ContractError(str(self))


def check(
    dataset: Any,
    model: Any,
    *,
    steps_per_epoch: int | None = None,
    epochs: int = 1,
    validation_data: Any = None,
    validation_steps: int | None = None,
    class_weight: Any = None,
    batch: Any = None,
    whole_pass: bool = False,
    strict: bool = False,
) -> Report:
    """Compare a dataset with a model and with what is to be passed to ``fit``.

    Nothing is trained, built or compiled. The first two batches are looked at, and the last one
    where that costs nothing (of two batches, of a ``PyDataset``, in a whole pass). Whatever
    moves on when a batch is drawn is put back: random states, flows, the epochs that
    `helpers.generators` counts. A shuffle is left out for the look, since its order would move on.
    Of a generator object another one is made, from its code and its arguments, and looked at.
    A generator that draws from an open iterator, or has begun, is not run: pass `batch`. What
    a function changes elsewhere (a file, a global counter) is not seen and not put back.

    Parameters
    ----------
    dataset : tf.data.Dataset, keras.utils.PyDataset, generator object, or tuple of arrays
        What is to be passed to ``fit``; arrays as ``(x, y)``.
    model : keras.Model
        Compiled as for ``fit``.
    steps_per_epoch, epochs, validation_data, validation_steps, class_weight
        As for ``fit``.
    batch : nest of arrays, optional
        A batch to look at in place of the dataset's own.
    whole_pass : bool
        Read one whole epoch, so that its last batch is looked at too.
    strict : bool
        Raise instead of returning a report with errors.

    Returns
    -------
    Report
        All findings, errors first. True where there is no error and no warning.

    Raises
    ------
    ContractError
        With `strict`, if there is an error.
    TypeError
        If `model` is no Keras model.
    """
    if dataset is None:
        raise TypeError(
            "dataset: expected what fit is to be given, found None; is a return missing?"
        )
    facts = facts_of(
        look(dataset, batch=batch, whole_pass=whole_pass),
        facts_of_model(model),
        steps=steps_per_epoch,
        epochs=epochs,
        class_weight=class_weight,
        validation=None if validation_data is None else look(validation_data),
        validation_steps=validation_steps,
    )
    report = Report(_all_findings(facts))
    if strict:
        report.raise_for_errors()
    return report


def _all_findings(facts: Facts) -> list[Finding]:
    """Return what all rules find, errors first, each once."""
    found = [finding for rule in (*_DATA_RULES, *_OTHER_RULES) for finding in rule(facts)]
    if facts.validation is not None:
        inner = facts_of(facts.validation, facts.model)
        known = {(finding.leaf, finding.found) for finding in found}
        found += [
            dataclasses.replace(finding, leaf=f"validation {finding.leaf}")
            for rule in _DATA_RULES
            for finding in rule(inner)
            if (finding.leaf, finding.found) not in known
        ]
    once: dict[tuple[str, str, str], Finding] = {}
    for finding in found:  # what is wrong in the first batch need not be told of the second
        once.setdefault((finding.leaf, finding.expected or finding.found, finding.change), finding)
    order = (ERROR, WARNING, NOT_CHECKED)
    return sorted(once.values(), key=lambda finding: order.index(finding.severity))


def _html_row(cells: tuple[str, ...], tag: str) -> str:
    style = ' style="text-align:left"'
    return (
        "<tr>" + "".join(f"<{tag}{style}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"
    )
