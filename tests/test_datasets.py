"""A dataset says what it holds, and refuses batches that do not fit."""

# ruff: noqa: E501  (tables of cases: one case a line)

from collections import namedtuple

import numpy as np
import pytest
import tensorflow as tf

from helpers.datasets import (
    BatchError,
    conform,
    from_batches,
    leaves,
    signature_of,
    structure_tree,
)
from helpers.parallel import Plan, from_plan

FLOATS = np.ones((4, 3), "float32")
ENDED = iter([FLOATS])


def spec(*shape, dtype=tf.float32):
    return tf.TensorSpec(shape, dtype)


def once(*batches):
    return lambda: iter(batches)


def test_signature_and_cardinality_come_from_the_batches():
    dataset = from_batches(
        once(
            ((FLOATS, FLOATS[:, :2]), {"a": FLOATS}),
        ),
        length=1,
    )
    assert dataset.element_spec == ((spec(None, 3), spec(None, 2)), {"a": spec(None, 3)})
    assert dataset.cardinality() == 1


def test_partial_last_batch_and_several_epochs():
    dataset = from_batches(once((FLOATS, FLOATS), (FLOATS[:1], FLOATS[:1])), length=2)
    for _ in range(2):
        assert [len(x) for x, y in dataset] == [4, 1]


def test_length_comes_from_len_and_first_batch_from_peek():
    class Counted:
        started = 0

        def __len__(self):
            return 3

        def __call__(self):
            self.started += 1
            return iter([FLOATS] * 3)

        def peek(self):
            return FLOATS

    batches = Counted()
    dataset = from_batches(batches)
    assert dataset.cardinality() == 3
    assert batches.started == 0
    list(dataset)
    assert batches.started == 1


def test_endless_generator():
    def endless():
        while True:
            yield FLOATS

    dataset = from_batches(endless, length=tf.data.INFINITE_CARDINALITY)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    assert len(list(dataset.take(5))) == 5


def test_an_unknown_length_ends_with_the_generator():
    dataset = from_batches(once(FLOATS, FLOATS), length=tf.data.UNKNOWN_CARDINALITY)
    assert dataset.cardinality() == tf.data.UNKNOWN_CARDINALITY
    for _ in range(2):
        assert len(list(dataset)) == 2


def test_lists_become_tuples_everywhere():
    dataset = from_batches(once([[FLOATS, FLOATS], [FLOATS]]), length=1)
    assert dataset.element_spec == ((spec(None, 3), spec(None, 3)), (spec(None, 3),))
    given = from_batches(
        once([[FLOATS, FLOATS], FLOATS]),
        signature=[[spec(None, 3), spec(None, 3)], spec(None, 3)],
        length=1,
    )
    assert given.element_spec == ((spec(None, 3), spec(None, 3)), spec(None, 3))


def test_named_tuples_keep_their_type():
    Sample = namedtuple("Sample", "image label")
    element = next(iter(from_batches(once(Sample(FLOATS, [FLOATS])), length=1)))
    assert isinstance(element, Sample)
    assert isinstance(element.label, tuple)


def test_float64_becomes_float32_when_the_signature_says_so():
    dataset = from_batches(once(FLOATS.astype("float64")), signature=spec(None, 3), length=1)
    assert next(iter(dataset)).dtype == tf.float32


def test_ragged_leaves_pass_with_a_signature():
    ragged = tf.ragged.constant([[1, 2], [3]])
    signature = (tf.RaggedTensorSpec((None, None), tf.int32), spec(None, 3))
    dataset = from_batches(once((ragged, FLOATS[:2])), signature=signature, length=1)
    assert next(iter(dataset))[0].to_list() == [[1, 2], [3]]
    with pytest.raises(BatchError, match="inputs: a RaggedTensor needs a signature"):
        signature_of((ragged, FLOATS))


def test_ragged_leaves_are_counted_as_samples():
    ragged = tf.ragged.constant([[1, 2], [3]])
    signature = (tf.RaggedTensorSpec((None, None), tf.int32), spec(None, 3))
    with pytest.raises(BatchError, match=r"targets: expected 2 samples .* as in inputs, found 4"):
        conform((ragged, FLOATS), signature)


def test_an_axis_that_varies_passes_with_a_signature_and_is_named_without_one():
    batches = once((np.ones((4, 5)), FLOATS), (np.ones((4, 7)), FLOATS))
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        list(from_batches(batches, length=2))
    assert (
        r"inputs: expected shape (None, 5), found (4, 7); if axis 1 may vary, pass signature= with "
        r"None there: (None, None)"
    ) in str(caught.value)
    signature = (spec(None, None), spec(None, 3))
    shapes = [x.shape[1] for x, _ in from_batches(batches, signature=signature, length=2)]
    assert shapes == [5, 7]
    images = spec(None, 8, 8, 3)
    with pytest.raises(BatchError, match=r"if axes \[1, 2\] .*: \(None, None, None, 3\)"):
        conform(np.ones((2, 9, 6, 3)), images)


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        (["a", "b"], r"found ndarray of objects \(str\); use .astype\(str\)"),
        ([b"a", b"b"], r"\(bytes\); use .astype\(bytes\)"),
        ([1, 2.5], r"\(float, int\); use .astype\('float32'\)"),
        ([1, None], r"\(NoneType, int\); fill the gaps, then use .astype\('float32'\)"),
        (["a", None], r"\(NoneType, str\); fill the gaps, then use .astype\(str\)"),
        (["a", float("nan")], r"\(float, str\); fill the gaps, then use .astype\(str\)"),
        ([[1], [1, 2]], r"\(list\); pad its parts to one shape, or pass a tf.RaggedTensor and sig"),
    ],
)
def test_object_arrays_are_refused_by_name_with_what_to_do(values, advice):
    column = np.empty(2, object)
    column[:] = values
    for signature in (None, ({"name": spec(None, dtype=tf.string)}, spec(None, 3))):
        with pytest.raises(BatchError, match=r"inputs\['name'\]: expected numbers or .*" + advice):
            from_batches(once(({"name": column}, FLOATS[:2])), signature=signature, length=1)


def test_what_the_advice_on_objects_says_works():
    column = np.array(["é", "b"], object)
    dataset = from_batches(once(column.astype(str)), length=1)
    assert [name.decode() for name in next(iter(dataset)).numpy()] == ["é", "b"]


@pytest.mark.parametrize(
    "signature", [None, ({"name": spec(None, dtype=tf.string)}, spec(None, 3))]
)
def test_lists_of_strings_are_no_arrays(signature):
    batch = ({"name": ["a", "b"]}, FLOATS[:2])
    with pytest.raises(BatchError, match=r"inputs\['name'\].*; wrap a list of .* in np.array"):
        from_batches(once(batch), signature=signature, length=1)


def test_arrays_on_disk_are_read_by_row(tmp_path):
    """A memory-mapped array does for `from_batches` and for a plan; no more is read than asked."""
    stored = np.arange(10 * 4, dtype="float32").reshape(10, 4)
    np.save(tmp_path / "series.npy", stored)
    series = np.load(tmp_path / "series.npy", mmap_mode="r")
    plan = Plan(10, batch_size=4, seed=0)

    def batches():
        for rows, _ in Plan(10, batch_size=4, seed=0)():
            yield series[rows], rows

    datasets = (
        from_batches(batches, length=3),
        from_plan(plan, lambda rows, epoch: (series[rows], rows)),
    )
    for dataset in datasets:
        seen = []
        for values, rows in dataset.as_numpy_iterator():
            np.testing.assert_array_equal(values, stored[rows])
            seen += rows.tolist()
        assert sorted(seen) == list(range(10))


def test_text_passes():
    words = np.array(["a", "b"])
    dataset = from_batches(once(words), signature=spec(None, dtype=tf.string), length=1)
    assert next(iter(dataset)).numpy().tolist() == [b"a", b"b"]
    assert from_batches(once(words), length=1).element_spec.dtype == tf.string


PAIR = ({"a": spec(None, 3), "b": spec(None)}, spec(None, 3))
GOOD = ({"a": FLOATS, "b": np.ones(4)}, FLOATS)


def with_target(target):
    return (GOOD[0], target)


@pytest.mark.parametrize(
    ("batch", "signature", "message"),
    [
        (({"a": FLOATS}, FLOATS), PAIR, r"inputs: expected keys \['a', 'b'\], found \['a'\]; missing \['b'\]"),
        (
            ({"a": FLOATS, "b": np.ones(4), "c": FLOATS}, FLOATS),
            PAIR,
            r"inputs: expected keys \['a', 'b'\], found \['a', 'b', 'c'\]; not expected \['c'\]",
        ),
        (((FLOATS, FLOATS), FLOATS), PAIR, r"inputs: expected a dict with keys \['a', 'b'\], found a tuple of 2"),
        ((*GOOD, FLOATS), PAIR, "element: expected a tuple of 2, found a tuple of 3"),
        (FLOATS, PAIR, r"element: expected a tuple of 2, found one array \(4, 3\)"),
        (with_target((FLOATS, FLOATS)), PAIR, "targets: expected one array .*, found a tuple of 2"),
        (with_target(np.ones((4, 5))), PAIR, r"targets: expected shape \(None, 3\), found \(4, 5\)"),
        (with_target(np.ones(4)), PAIR, r"targets: expected shape \(None, 3\), found \(4,\)"),
        (with_target(FLOATS[:3]), PAIR, r"targets: expected 4 samples in the batch as in inputs\['a'\], found 3"),
        (({"a": FLOATS, "b": np.ones(2)}, FLOATS), PAIR, r"inputs\['b'\]: expected 4 samples .* found 2"),
        (with_target([["a"] * 3] * 4), (PAIR[0], (spec(None),) * 4), "targets"),
        (np.array([1.7, 2.0]), spec(None, dtype=tf.int32), "element: expected int32, found float64; fractions would be cut"),
        (np.array([np.nan]), spec(None, dtype=tf.int64), "fractions would be cut"),
        (np.array([300]), spec(None, dtype=tf.uint8), "values from 300 to 300 would not fit"),
        (np.array([-1, 5]), spec(None, dtype=tf.uint8), "values from -1 to 5 would not fit"),
        (np.array([2**25 + 1]), spec(None), "integers this large would be rounded"),
        (np.array([1e300]), spec(None), r"values up to 1e\+300 would become infinite"),
        (np.array([1j]), spec(None), "imaginary parts would be lost"),
        (np.array([1, 0]), spec(None, dtype=tf.bool), "numbers would become True and False"),
        (np.array(["a"]), spec(None), "element: expected float32, found <U1"),
        (np.array([1.0]), spec(None, dtype=tf.string), "element: expected string, found float64"),
        (np.array([{}, {}]), spec(None), "expected numbers or strings, found ndarray of objects"),
    ],
)  # fmt: skip
def test_a_batch_that_does_not_fit_is_refused_with_its_path(batch, signature, message):
    with pytest.raises(BatchError, match=message) as caught:
        from_batches(once(batch), signature=signature, length=1)
    assert "\n" not in str(caught.value)


def test_integers_that_fit_are_converted():
    for value, wanted in [
        (np.array([0, 255]), tf.uint8),
        (np.array([True, False]), tf.float32),
        (np.array([1, 2]), tf.float32),
        (np.array([np.inf, np.nan, 1.0]), tf.float32),
        (np.array([], "float64"), tf.int32),
    ]:
        fitted = conform(value, spec(None, dtype=wanted))
        assert fitted.dtype == wanted.as_numpy_dtype
        assert np.array_equal(fitted, value.astype(fitted.dtype), equal_nan=value.dtype.kind == "f")


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((FLOATS, 1.0), r"targets: expected an array with its samples on the first axis, found the single value"),
        ([1.0, 2.0, 3.0], "inputs: .* wrap a list of numbers or strings in np.array"),
        (None, "element: expected numbers or strings, found NoneType of objects"),
    ],
)  # fmt: skip
def test_no_signature_can_be_taken_from(batch, message):
    with pytest.raises(BatchError, match=message):
        from_batches(once(batch), length=1)


def test_a_later_batch_is_checked_too():
    dataset = from_batches(once((FLOATS, FLOATS), (FLOATS, FLOATS[:2])), length=2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="targets: expected 4 samples"):
        list(dataset)


@pytest.mark.parametrize("count", [1, 3])
def test_an_epoch_of_another_length_is_refused(count):
    dataset = from_batches(lambda: iter([FLOATS] * count), length=2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="length: expected 2 batches"):
        list(dataset)


@pytest.mark.parametrize(
    ("batches", "length", "error", "message"),
    [
        (iter([FLOATS]), 1, TypeError, "expected a function that starts an epoch"),
        (once(FLOATS), None, TypeError, "expected the number of batches in an epoch, found none"),
        (once(FLOATS), 0, ValueError, "expected 1 or more batches"),
        (once(FLOATS), -3, ValueError, "found -3"),
        (once(), 1, BatchError, "at least one batch in an epoch, found none"),
        (lambda: ENDED, 1, TypeError, "found the same list_iterator twice"),
        (once((FLOATS,) * 4), 1, BatchError, r"found a tuple of 4; put the inputs into a tuple"),
        (lambda: 3, 1, TypeError, r"batches\(\) returns an iterable of batches, found int"),
    ],
)
def test_from_batches_refuses(batches, length, error, message):
    with pytest.raises(error, match=message):
        from_batches(batches, length=length)


def test_leaves_names_the_roles():
    assert [path for path, _ in leaves(((1, {"b": 2}), [3], 4))] == [
        "inputs[0]", "inputs[1]['b']", "targets[0]", "weights",
    ]  # fmt: skip
    assert leaves({"a": 1}) == [("element['a']", 1)]
    assert [path for path, _ in leaves((1, 2, 3, 4))] == [f"element[{i}]" for i in range(4)]


def test_structure_tree_of_a_nest():
    structure = (({"a": FLOATS}, FLOATS), FLOATS[:, 0].astype("int64"))
    assert structure_tree(structure).split("\n") == [
        "inputs",
        "├── [0]",
        "│   └── a  (4, 3)  float32",
        "└── [1]    (4, 3)  float32",
        "targets    (4,)    int64",
    ]
    assert structure_tree(FLOATS) == "element  (4, 3)  float32"
    assert structure_tree(tf.TensorSpec(None, tf.float32)) == "element  <unknown>  float32"
