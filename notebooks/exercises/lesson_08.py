"""Checks of the exercises of lesson 08: when it breaks."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from helpers import contract, datasets, models, tiles

#: How many samples of exercise 3 have the class of another tile: the last three of each class.
WRONG = 24


def exercise_1(batches: Any) -> str | None:
    """Check a generator function of one batch, which the check finds nothing wrong with."""
    if not callable(batches):
        return f"expected a generator function, found {type(batches).__name__}: write no call"
    report = contract.check(datasets.from_batches(batches, length=1), _model(named=True))
    if not report.ok:
        return f"expected no findings, found {report.findings[0]}"
    found = len(next(iter(batches()))[0]["spectral"])
    return None if found == 32 else f"expected a batch of 32 samples, found {found}"


def exercise_2(rule: Any) -> str | None:
    """Check the id of the rule on a softmax whose loss is told that there is none."""
    if not isinstance(rule, str):
        return f"expected the name of a rule as a string, found {type(rule).__name__}"
    samples = tf.data.Dataset.from_tensor_slices(
        (tiles.columns("train", tiles.SPECTRAL), tiles.one_hot("train"))
    )
    model = _model(keras.losses.CategoricalCrossentropy(from_logits=True))
    expected = contract.check(samples.shuffle(480, seed=0).batch(32), model).warnings[0].rule
    if rule.strip("[]") != expected:
        return f"expected the name at the end of the line that the check prints, found {rule!r}"
    return None


def exercise_3(wrong: Any) -> str | None:
    """Check the number of samples whose class is not that of their tile."""
    if isinstance(wrong, bool) or not isinstance(wrong, int | np.integer):
        return f"expected an integer, found {type(wrong).__name__}"
    if wrong == 480 - WRONG:
        return f"expected the samples whose class is wrong, found {wrong}: those that are right"
    if wrong != WRONG:
        return f"expected another number of the 480, found {wrong}: is each sample's row its own?"
    return None


def _model(loss: Any = "categorical_crossentropy", *, named: bool = False) -> Any:
    model = models.build_model(["spectral"], ["land_cover"], named=named)
    model.compile(loss=loss)
    return model
