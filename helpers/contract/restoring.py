"""Put back what drawing a batch moves on: random states, flows, counted epochs, layers' seeds."""

from __future__ import annotations

import contextlib
import functools
import inspect
import random
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from helpers.contract.functions import is_flow

__all__ = ["put_back"]


@contextlib.contextmanager
def put_back(things: list[Any]) -> Iterator[None]:
    """Put back, afterwards, all of these that drawing a batch moves on."""
    undo: list[Callable[[], Any]] = [
        functools.partial(np.random.set_state, np.random.get_state()),
        functools.partial(random.setstate, random.getstate()),
    ]
    for thing in things:
        if is_flow(thing):
            undo.append(functools.partial(_restore_flow, thing, _flow_state(thing)))
        elif isinstance(getattr(thing, "_epochs_started", None), int):
            undo.append(functools.partial(setattr, thing, "_epochs_started", thing._epochs_started))
        elif isinstance(thing, np.random.Generator):
            bits = thing.bit_generator
            undo.append(functools.partial(setattr, bits, "state", bits.state))
        elif isinstance(thing, np.random.RandomState):
            undo.append(functools.partial(thing.set_state, thing.get_state()))
        elif isinstance(thing, random.Random):
            undo.append(functools.partial(thing.setstate, thing.getstate()))
        elif isinstance(thing, tf.random.Generator):
            undo.append(functools.partial(thing.state.assign, tf.identity(thing.state)))
        elif isinstance(thing, keras.layers.Layer):
            for variable in thing.variables:
                if "seed" in variable.path:
                    undo.append(functools.partial(variable.assign, variable.numpy()))
    try:
        yield
    finally:
        for step in undo:
            step()


_FLOW_STATE = ("batch_index", "total_batches_seen", "index_array")


def _flow_state(flow: Any) -> tuple[dict[str, Any], bool]:
    state = {name: getattr(flow, name) for name in _FLOW_STATE}
    started = inspect.getgeneratorstate(flow.index_generator) != inspect.GEN_CREATED
    return state, started


def _restore_flow(flow: Any, saved: tuple[dict[str, Any], bool]) -> None:
    """Set a flow back: its index generator reads these attributes afresh at each batch."""
    state, started = saved
    for name, value in state.items():
        setattr(flow, name, value)
    if not started:
        flow.index_generator = flow._flow_index()
