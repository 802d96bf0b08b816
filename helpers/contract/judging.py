"""One batch through the model, and the model afterwards as it was before.

Keras knows best what it takes. So a batch goes through ``evaluate`` (or through one step of
``fit``, or ``predict``) in the form in which it would come: as a dataset, a ``PyDataset``, a
generator, arrays. What that changes (variables, what was built, compiled, counted) is put back.
"""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR
from keras.src.utils.tracking import Tracker
from tensorflow.python.eager import context

from helpers.contract.looking import Source, refusal

_OWN: tuple[type, ...] = (keras.layers.Layer, keras.optimizers.Optimizer, keras.losses.Loss)
_OWN += (keras.metrics.Metric, keras.random.SeedGenerator, Tracker)


class Judge:
    """Asks Keras about a batch; `logged` are the names of what it logged."""

    def __init__(self, model: Any, predict: bool, step: bool, class_weight: Any) -> None:
        self._model, self._predict, self._class_weight = model, predict, class_weight
        own = type(model).train_step is not keras.Model.train_step
        own &= type(model).test_step is keras.Model.test_step  # evaluate tells nothing of fit
        self._step = step or own
        self.logged: list[str] = []

    def __call__(self, source: Source, batch: Any, validation: bool) -> str:
        """Return what Keras refuses the batch with, empty where it takes it."""
        model, weight = self._model, None if validation else self._class_weight

        def run() -> None:
            given = _as_given(source, batch)
            given = given if isinstance(given, tuple) else (given,)
            data = dict(zip(("x", "y", "sample_weight"), given, strict=False))
            if self._predict:
                model.predict(data["x"], steps=1, verbose=0)
            elif weight is None and (validation or not self._step):
                self.logged = [*model.evaluate(**data, steps=1, verbose=0, return_dict=True)]
            else:
                one = {"steps_per_epoch": 1, "verbose": 0, "shuffle": False}
                self.logged = [*model.fit(**data, class_weight=weight, **one).history]

        return refusal(run)


@contextlib.contextmanager
def judge(model: Any, predict: bool, step: bool, class_weight: Any) -> Iterator[Judge]:
    """Yield what asks Keras about batches; put the model and the random states back at the end."""
    undo = [*_random_states(), *_states(model)]
    try:
        yield Judge(model, predict, step, class_weight)
    finally:
        for back in undo:
            back()


def _as_given(source: Source, batch: Any) -> Any:
    """Return the one batch as what `fit` would get it in."""
    if source.kind == "arrays":
        return batch
    if source.kind == "PyDataset":
        return _One(batch)
    if source.kind != "tf.data":
        return (one for one in [batch])
    try:
        spec = source.element
        one = tf.data.Dataset.from_generator(lambda: iter([batch]), output_signature=spec)
        return one.apply(tf.data.experimental.assert_cardinality(1))
    except (TypeError, ValueError):  # a signature that from_generator does not take
        return tf.data.Dataset.from_tensors(batch)


class _One(keras.utils.PyDataset):
    def __init__(self, batch: Any) -> None:
        super().__init__()
        self._batch = batch

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        return self._batch


def _random_states() -> list[Callable[[], Any]]:
    """Return what puts back the random states of NumPy, Python, TensorFlow and Keras."""
    numpy, python = np.random.get_state(), random.getstate()
    native = getattr(context.context(), "_rng", None)  # there once a seed was set
    tensorflow = native.getstate() if native is not None else None
    own = global_state.get_global_attribute(GLOBAL_SEED_GENERATOR)
    return [
        lambda: np.random.set_state(numpy),
        lambda: random.setstate(python),
        lambda: native.setstate(tensorflow) if native is not None else None,
        lambda: global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, own),
        *_states(own),
    ]


def _states(root: Any) -> list[Callable[[], Any]]:
    """Return what puts back a model, all that belongs to it, and each variable's value.

    An object is its attributes, and the items of those that are lists, dicts or sets. So what was
    not built is not built afterwards, and can be built for other shapes.
    """
    undo: list[Callable[[], Any]] = []
    seen: dict[int, Any] = {}
    waiting = [root]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, keras.Variable | tf.Variable):
            if getattr(thing, "_value", thing) is not None:
                undo.append(functools.partial(thing.assign, thing.numpy()))
        elif isinstance(thing, list | tuple | set | dict):
            waiting += thing.values() if isinstance(thing, dict) else thing
            undo += [] if isinstance(thing, tuple) else [_refiller(thing)]
        elif isinstance(thing, _OWN):
            waiting += vars(thing).values()
            undo.append(_refiller(vars(thing)))
    return undo


def _refiller(container: Any) -> Callable[[], Any]:
    """Return what puts a container's items back, past what its class would do with them."""
    container = getattr(container, "__wrapped__", container)  # TensorFlow wraps what it tracks,
    inner = getattr(container, "_storage", None)  # and its list keeps the items twice
    kind: Any = next(kind for kind in (dict, set, list) if isinstance(container, kind))
    items = dict(container) if kind is dict else list(container)

    def refill() -> None:
        for one in [container] if inner is None else [container, inner]:
            kind.clear(one)
            (kind.extend if kind is list else kind.update)(one, items)

    return refill
