"""Checks of the exercises of lesson 08: when it breaks."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from helpers import contract, datasets, models, tiles


def exercise_1(batches: Any) -> str | None:
    """Check a generator function of one batch, which the check finds nothing wrong with."""
    if not callable(batches):
        return f"expected a generator function, found {type(batches).__name__}: write no call"
    model = models.build_model(["imagery", "site"], ["land_cover", "composition"], named=True)
    model.compile(loss={"land_cover": "categorical_crossentropy", "composition": "mse"})
    report = contract.check(datasets.from_batches(batches, length=1), model)
    return None if report.ok else f"expected no findings, found {report.findings[0]}"


def exercise_2(rule: Any) -> str | None:
    """Check the id of the rule on a softmax whose loss is told that there is none."""
    if not isinstance(rule, str):
        return f"expected the id of a rule as a string, found {type(rule).__name__}"
    model = _model(tf.keras.losses.CategoricalCrossentropy(from_logits=True))
    report = contract.check(_batches(), model)
    expected = report.warnings[0].rule
    if rule.strip("[]") != expected:
        return f"expected the id at the end of the line that the check prints, found {rule!r}"
    return None


def exercise_3(validation: Any) -> str | None:
    """Check validation data of another structure than the training data."""
    if not isinstance(validation, tf.data.Dataset):
        return f"expected a tf.data.Dataset, found {type(validation).__name__}"
    report = contract.check(
        _batches(), _model("categorical_crossentropy"), validation_data=validation
    )
    found = [finding for finding in report if finding.leaf.startswith("validation")]
    if not found:
        return f"expected a finding on the validation data, found {report}"
    return None


def _batches() -> tf.data.Dataset:
    site, land_cover = tiles.columns("test", tiles.SITE), tiles.one_hot("test")
    return tf.data.Dataset.from_tensor_slices((site, land_cover)).batch(8)


def _model(loss: Any) -> Any:
    model = models.build_model(["site"], ["land_cover"])
    model.compile(loss=loss)
    return model
