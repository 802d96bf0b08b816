"""Put back what drawing a batch moves on.

Random states, flows, layers' seeds; the attributes of objects, their lists, dicts and index arrays.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import inspect
import random
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from helpers.contract.functions import is_filled, is_flow, is_own

__all__ = ["put_back"]

_INSTALLED = tuple({path for name, path in sysconfig.get_paths().items() if "lib" in name})
_MOST = 1_000_000  # items of a container that is worth a copy


@contextlib.contextmanager
def put_back(things: list[Any]) -> Iterator[None]:
    """Put back, afterwards, all of these that drawing a batch moves on."""
    undo: list[Callable[[], Any]] = [
        functools.partial(np.random.set_state, np.random.get_state()),
        functools.partial(random.setstate, random.getstate()),
    ]
    for thing in things:
        undo += _state_of(thing)
    try:
        yield
    finally:
        for step in undo:
            step()


def _state_of(thing: Any) -> list[Callable[[], Any]]:
    """Return what sets a thing back to how it is now."""
    if is_flow(thing):
        return [functools.partial(_restore_flow, thing, _flow_state(thing))]
    if isinstance(thing, np.random.Generator):
        bits = thing.bit_generator
        return [functools.partial(setattr, bits, "state", bits.state)]
    if isinstance(thing, np.random.RandomState):
        return [functools.partial(thing.set_state, thing.get_state())]
    if isinstance(thing, random.Random):
        return [functools.partial(thing.setstate, thing.getstate())]
    if isinstance(thing, tf.random.Generator):
        return [functools.partial(thing.state.assign, tf.identity(thing.state))]
    if isinstance(thing, keras.layers.Layer):
        seeds = [variable for variable in thing.variables if "seed" in variable.path]
        return [functools.partial(variable.assign, variable.numpy()) for variable in seeds]
    if isinstance(thing, types.FunctionType):
        cells = [cell for cell in thing.__closure__ or () if is_filled(cell)]
        return [functools.partial(setattr, c, "cell_contents", c.cell_contents) for c in cells]
    return _contents_of(thing)


def _contents_of(thing: Any) -> list[Callable[[], Any]]:
    """Return what sets back a container, or an object's attributes: places, shuffled indices."""
    if isinstance(thing, np.ndarray):
        # An array of numbers of rows is shuffled in place; one of samples is too large to copy.
        kept = thing.ndim == 1 and thing.size <= _MOST and thing.flags.writeable
        return [functools.partial(np.copyto, thing, thing.copy())] if kept else []
    if type(thing) in (list, collections.deque) and len(thing) <= _MOST:
        return [functools.partial(_refill, thing, list(thing))]
    if type(thing) is dict and len(thing) <= _MOST:
        return [functools.partial(_refill_dict, thing, dict(thing))]
    if _is_of_caller(thing):
        return [functools.partial(_refill_dict, vars(thing), dict(vars(thing)))]
    return []


def _is_of_caller(thing: Any) -> bool:
    """Say whether its class is the caller's own: an object of a library may have moved for good.

    A picture that PIL opens and has not read yet closes its file once it has.
    """
    file = getattr(sys.modules.get(type(thing).__module__), "__file__", None) or ""
    own = is_own(thing) and type(thing).__module__ not in sys.builtin_module_names
    return own and not file.startswith(_INSTALLED)


def _refill(container: Any, saved: list[Any]) -> None:
    if list(map(id, container)) != list(map(id, saved)):
        container.clear()
        container.extend(saved)


def _refill_dict(container: dict[Any, Any], saved: dict[Any, Any]) -> None:
    for key in container.keys() - saved.keys():
        del container[key]
    for key, value in saved.items():
        if key not in container or container[key] is not value:
            container[key] = value


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
