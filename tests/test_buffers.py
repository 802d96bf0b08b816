"""Memory that is used again, and only when nobody holds it."""

import gc
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from helpers import buffers
from helpers.buffers import empty

SHAPE = (8, 16, 16, 3)


@pytest.fixture(autouse=True)
def own_buffers(monkeypatch):
    monkeypatch.setattr(buffers, "_owners", [])


def address(array):
    return array.ctypes.data


def filled(value, shape=SHAPE, dtype="float32"):
    array = empty(shape, dtype)
    array[...] = value
    return array


@pytest.mark.parametrize("shape", [(3,), (2, 5, 7, 3), (0, 4, 4, 3), (1, 1, 1, 1), ()])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", np.dtype("int16"), bool])
def test_shape_dtype_and_alignment(shape, dtype):
    array = empty(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.flags.writeable
    assert array.flags.c_contiguous
    assert array.size == 0 or address(array) % 64 == 0


def test_free_memory_is_used_again():
    before = address(empty(SHAPE, "float32"))
    assert address(empty(SHAPE, "float32")) == before
    assert address(empty((16, 8, 16, 3), "int32")) == before  # as many bytes
    assert address(empty((9, 16, 16, 3), "float32")) != before


@pytest.mark.parametrize(
    "hold",
    [
        lambda array: array,
        lambda array: array[1:, ::2, 3],
        lambda array: array.T,
        lambda array: array.view("uint8")[..., :1],
        lambda array: memoryview(array),
        lambda array: iter(array),
        lambda array: np.lib.stride_tricks.as_strided(array, (1,), (4,)),
        lambda array: np.frombuffer(array, "uint8"),
        lambda array: np.asarray(memoryview(array)),
    ],
    ids=["it", "slice", "transposed", "view", "memory", "iterator", "strides", "buffer", "again"],
)
def test_what_is_held_is_not_given_away(hold):
    before = address(array := filled(7))
    held = hold(array)
    del array
    assert address(filled(1)) != before
    del held
    assert address(filled(1)) == before


def through_a_function(array):
    return tf.numpy_function(lambda: array, [], tf.float32)


@pytest.mark.parametrize(
    "tensor_of", [tf.convert_to_tensor, through_a_function, lambda a: tf.constant(a)[2:]]
)
@pytest.mark.parametrize("as_numpy", [False, True])
def test_a_tensor_keeps_its_values(tensor_of, as_numpy):
    tensors = []
    for value in range(10):
        tensor = tensor_of(filled(value))
        tensors.append(tensor.numpy() if as_numpy else tensor)
        del tensor
        filled(-1)
    for value, tensor in enumerate(tensors):
        np.testing.assert_array_equal(tensor, np.full(tensor.shape, value))


def test_not_more_is_kept_than_is_of_use(monkeypatch):
    monkeypatch.setattr(buffers, "_KEPT_AT_MOST", 4)
    held = [filled(value) for value in range(9)]
    assert len(buffers._owners) == 4
    for value, array in enumerate(held):
        assert (array == value).all()
    addresses = {address(array) for array in held}
    del held, array
    gc.collect()
    again = [filled(0) for _ in range(4)]
    assert {address(array) for array in again} <= addresses
    assert len(buffers._owners) == 4


def test_threads_never_share(monkeypatch):
    count = sys.getrefcount
    wrong = []

    def hesitating(thing):
        found = count(thing)
        time.sleep(1e-4)  # other threads get a chance to take the same
        return found - more

    more, alone = 0, [object()]
    more = hesitating(alone[0]) - count(alone[0])
    monkeypatch.setattr(sys, "getrefcount", hesitating)

    def work(number):
        random = np.random.default_rng(number)
        held = []
        for step in range(100):
            value = number * 1000 + step
            held.append((value, filled(value, (1, 16, 16, int(random.integers(1, 4))))))
            if random.random() < 0.6:
                expected, array = held.pop(int(random.integers(len(held))))
                wrong.extend([expected] * bool((array != expected).any()))
                del array
        wrong.extend(expected for expected, array in held if (array != expected).any())

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    assert not wrong
