"""From a generator of batches to a ``tf.data.Dataset`` that says what it holds.

``Dataset.from_generator`` needs a signature, accepts no lists, cuts floats to integers when
the signature says so, and does not know its length. `from_batches` takes the signature from a
real batch, turns lists into tuples, refuses what does not conform with the leaf's path, and sets
the cardinality.

The lesson that builds it: 01 Tuple inputs.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = [
    "BatchError",
    "conform",
    "from_batches",
    "leaves",
    "parts_of",
    "shape_and_dtype",
    "signature_of",
    "structure_tree",
]


class BatchError(ValueError):
    """A batch does not conform to the signature; the message begins with the leaf's path."""


def from_batches(
    batches: Callable[[], Iterable[Any]],
    *,
    signature: Any = None,
    length: int | None = None,
) -> tf.data.Dataset:
    """Return a dataset whose elements are the batches that ``batches()`` yields.

    Parameters
    ----------
    batches : callable
        Called once an epoch, without arguments; returns an iterable of batches. A batch is any
        nest of tuples, lists (they become tuples) and dicts of arrays, each with its samples on
        the first axis. If it has ``peek()``, as `helpers.generators.Epochs` has, that gives the
        first batch; else one epoch is started and dropped.
    signature : nest of tf.TypeSpec, optional
        The structure, shapes and dtypes that each batch must have. Taken from the first batch
        when it is not given: batch axis ``None``, the rest as it is.
    length : int, optional
        Batches in an epoch; ``len(batches)`` when it is not given. Pass
        ``tf.data.INFINITE_CARDINALITY`` for a generator that never ends.

    Returns
    -------
    tf.data.Dataset
        With that signature and that cardinality. Each batch is checked on its way.

    Raises
    ------
    TypeError
        If `batches` is not callable or gives the same generator twice, or the length is not known.
    ValueError
        If the length is below 1.
    BatchError
        If the first batch does not conform; at once. A later one that does not, or an epoch that
        is not `length` batches long, stops the iteration with the same message.

    Examples
    --------
    >>> def batches():
    ...     for size in (4, 3):
    ...         yield {"imagery": np.zeros((size, 8, 8, 3), "float32")}, [np.ones((size, 2))]
    >>> dataset = from_batches(batches, length=2)
    >>> print(structure_tree(dataset.element_spec))
    inputs
    └── imagery  (None, 8, 8, 3)  float32
    targets
    └── [0]      (None, 2)        float64
    """
    if not callable(batches):
        raise TypeError(
            f"batches: expected a function that starts an epoch, found {type(batches).__name__}; a "
            "generator runs out after one epoch: pass its function, without the brackets"
        )
    if length is None:
        if not hasattr(batches, "__len__"):
            raise TypeError(
                "length: expected the number of batches in an epoch, found none; pass "
                "length=<int>, or length=tf.data.INFINITE_CARDINALITY if the generator never ends"
            )
        length = len(batches)
    if length < 1 and length != tf.data.INFINITE_CARDINALITY:
        raise ValueError(f"length: expected 1 or more batches in an epoch, found {length}")
    first = _first_batch(batches)
    if signature is None:
        _check_arity(first)
        signature = signature_of(first)
    else:
        signature = _map_leaves(lambda _, spec: spec, signature)  # tuples for lists
    conform(first, signature)

    def checked() -> Iterator[Any]:
        iterator = iter(batches())
        count = 0
        for batch in iterator:
            count += 1
            # tf.data stops asking at the declared length. Look past the last batch before
            # yielding it, or a generator that is too long would be cut without a word.
            if count == length and next(iterator, None) is not None:
                raise BatchError(f"length: expected {length} batches in an epoch, found more")
            yield conform(batch, signature)
        if length >= 0 and count < length:
            raise BatchError(f"length: expected {length} batches in an epoch, found {count}")

    dataset = tf.data.Dataset.from_generator(checked, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(length))


def signature_of(batch: Any) -> Any:
    """Return the signature of a batch: batch axis ``None``, the rest as it is.

    Parameters
    ----------
    batch : nest of arrays
        Each with its samples on the first axis.

    Returns
    -------
    nest of tf.TensorSpec
        The same structure, with tuples in place of lists.

    Raises
    ------
    BatchError
        If a leaf is a single number, or cannot become an array of one dtype.

    Examples
    --------
    >>> signature_of([np.zeros((32, 10), "float32")])
    (TensorSpec(shape=(None, 10), dtype=tf.float32, name=None),)
    """

    def spec(path: str, leaf: Any) -> tf.TypeSpec:
        if isinstance(leaf, tf.RaggedTensor | tf.SparseTensor):
            raise BatchError(f"{path}: a {type(leaf).__name__} needs a signature; pass signature=")
        value = _as_array(path, leaf)
        if value.ndim == 0:
            raise BatchError(
                f"{path}: expected an array with its samples on the first axis, found the single "
                f"value {value!r}; wrap a list of numbers in np.array"
            )
        return tf.TensorSpec((None, *value.shape[1:]), tf.as_dtype(value.dtype))

    return _map_leaves(spec, batch)


def conform(batch: Any, signature: Any) -> Any:
    """Return the batch in the signature's structure and dtypes, or say why it does not conform.

    Parameters
    ----------
    batch : nest of arrays
        What a generator yielded.
    signature : nest of tf.TypeSpec
        What it must be.

    Returns
    -------
    nest of numpy.ndarray
        The same values; float64 in place of float32 and the like are converted.

    Raises
    ------
    BatchError
        For another structure, another shape, leaves of different batch length, or a change of
        dtype that would lose information.

    Examples
    --------
    >>> conform([np.zeros((4, 2))], (tf.TensorSpec((None, 2)),))[0].dtype
    dtype('float32')
    """
    _check_structure(batch, signature)
    wanted = dict(leaves(signature))
    found = dict(leaves(batch))
    conformed = {path: _conform_leaf(path, found[path], spec) for path, spec in wanted.items()}
    _check_batch_length(conformed, wanted)
    return _map_leaves(lambda path, _: conformed[path], batch)


def leaves(structure: Any) -> list[tuple[str, Any]]:
    """Return ``(path, leaf)`` of each leaf, in order.

    In a tuple of up to three the first part is called ``inputs``, the second ``targets``, the
    third ``weights``: that is how Keras reads an element.

    Parameters
    ----------
    structure : nest
        A batch, an element or a signature.

    Returns
    -------
    list of (str, leaf)

    Examples
    --------
    >>> leaves(({"imagery": 1, "site": 2}, 3))
    [("inputs['imagery']", 1), ("inputs['site']", 2), ('targets', 3)]
    """
    found: list[tuple[str, Any]] = []
    _map_leaves(lambda path, leaf: found.append((path, leaf)), structure)
    return found


def structure_tree(structure: Any) -> str:
    """Return a batch, an element or a signature as a tree of names, shapes and dtypes.

    Parameters
    ----------
    structure : nest of arrays or tf.TypeSpec
        Any structure.

    Returns
    -------
    str
        One line for each part.

    Examples
    --------
    >>> print(structure_tree((np.zeros((2, 3)), {"a": np.zeros(2, "int32")})))
    inputs   (2, 3)  float64
    targets
    └── a    (2,)    int32
    """
    rows: list[tuple[str, str, str]] = []

    def walk(part: Any, path: str, indent: str) -> None:
        children = parts_of(part, path)
        for number, (below, label, child) in enumerate(children, start=1):
            last = number == len(children)
            branch = ("└── " if last else "├── ") if path else ""
            shown = ("", "") if parts_of(child, below) else shape_and_dtype(child)
            rows.append((indent + branch + label, *shown))
            walk(child, below, indent + (("    " if last else "│   ") if path else ""))

    walk(structure, "", "")
    if not rows:
        rows.append(("element", *shape_and_dtype(structure)))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(
        f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {dtype}".rstrip()
        for name, shape, dtype in rows
    )


def _first_batch(batches: Callable[[], Iterable[Any]]) -> Any:
    if hasattr(batches, "peek"):
        return batches.peek()
    started = batches()
    if not isinstance(started, Iterable):
        raise TypeError(
            f"batches: expected that batches() returns an iterable of batches, "
            f"found {type(started).__name__}"
        )
    if iter(started) is started and batches() is started:
        raise TypeError(
            f"batches: expected a new iterable at each call, found the same "
            f"{type(started).__name__} twice; it runs out after one epoch"
        )
    for batch in started:
        return batch
    raise BatchError("batches: expected at least one batch in an epoch, found none")


def parts_of(part: Any, path: str = "") -> list[tuple[str, str, Any]]:
    """Return ``(path, label, part)`` of each part of a tuple, a list or a dict; none of a leaf.

    The one rule by which everything here walks over a nest. At the top, where the path is empty,
    the parts of a tuple of up to three are called ``inputs``, ``targets`` and ``weights``: that is
    how Keras reads an element.

    Parameters
    ----------
    part : nest
        A batch, an element or a signature, or a part of one.
    path : str
        Where it stands; empty at the top.

    Returns
    -------
    list of (str, str, part)

    Examples
    --------
    >>> parts_of(({"a": 1}, 2))
    [('inputs', 'inputs', {'a': 1}), ('targets', 'targets', 2)]
    >>> parts_of({"a": 1}, "inputs")
    [("inputs['a']", 'a', 1)]
    """
    if isinstance(part, Mapping):
        return [(f"{path or 'element'}[{key!r}]", str(key), value) for key, value in part.items()]
    if not isinstance(part, tuple | list):
        return []
    if not path and 1 <= len(part) <= 3:
        roles = ("inputs", "targets", "weights")
        return [(role, role, value) for role, value in zip(roles, part, strict=False)]
    return [(f"{path or 'element'}[{i}]", f"[{i}]", value) for i, value in enumerate(part)]


def _map_leaves(function: Callable[[str, Any], Any], part: Any, path: str = "") -> Any:
    """Apply ``function(path, leaf)`` to each leaf and keep the structure, tuples for lists."""
    kind = _kind(part)
    if kind == "leaf":
        return function(path or "element", part)
    values = [_map_leaves(function, child, where) for where, _, child in parts_of(part, path)]
    if kind == "dict":
        return dict(zip(part, values, strict=True))
    return type(part)(*values) if hasattr(part, "_fields") else tuple(values)


def _kind(part: Any) -> str:
    if isinstance(part, Mapping):
        return "dict"
    return "tuple" if isinstance(part, tuple | list) else "leaf"


def _keys(part: Any) -> Iterable[Any]:
    """Return what the parts of a nest are found by."""
    return part if _kind(part) == "dict" else range(0 if _kind(part) == "leaf" else len(part))


def _check_arity(batch: Any) -> None:
    if isinstance(batch, tuple | list) and len(batch) > 3:
        raise BatchError(
            f"element: expected (inputs, targets) or (inputs, targets, weights), found a tuple of "
            f"{len(batch)}; put the inputs into a tuple of their own, and the targets too"
        )


def _check_structure(part: Any, wanted: Any, path: str = "") -> None:
    kinds = {_kind(part), _kind(wanted)}
    where = path or "element"
    if "dict" in kinds and len(kinds) == 1 and set(part) != set(wanted):
        missing = sorted(set(wanted) - set(part), key=str)
        extra = sorted(set(part) - set(wanted), key=str)
        raise BatchError(
            f"{where}: expected keys {sorted(wanted, key=str)}, found {sorted(part, key=str)}"
            + f"; missing {missing}" * bool(missing)
            + f"; not expected {extra}" * bool(extra)
        )
    if len(kinds) > 1 or ("tuple" in kinds and len(part) != len(wanted)):
        raise BatchError(f"{where}: expected {_outline(wanted)}, found {_outline(part)}")
    for (below, _, child), key in zip(parts_of(wanted, path), _keys(wanted), strict=True):
        _check_structure(part[key], child, below)


def _outline(part: Any) -> str:
    kind = _kind(part)
    if kind == "dict":
        return f"a dict with keys {sorted(part, key=str)}"
    if kind == "tuple":
        return f"a tuple of {len(part)}"
    return f"one array {shape_and_dtype(part)[0]}"


def shape_and_dtype(leaf: Any) -> tuple[str, str]:
    """Return the shape and the dtype of a leaf, or of its spec, as text.

    Parameters
    ----------
    leaf : array or tf.TypeSpec
        One leaf.

    Returns
    -------
    tuple of str
        ``<unknown>`` in place of a shape whose number of axes is not known.

    Examples
    --------
    >>> shape_and_dtype(tf.TensorSpec((None, 3), tf.float32))
    ('(None, 3)', 'float32')
    """
    shape = getattr(leaf, "shape", None)
    if shape is None and not isinstance(leaf, tf.TypeSpec):
        leaf = np.asarray(leaf)
        shape = leaf.shape
    if isinstance(shape, tf.TensorShape):
        shape = "<unknown>" if shape.rank is None else tuple(shape.as_list())
    dtype = getattr(leaf, "dtype", "")
    name = getattr(dtype, "name", str(dtype))
    return str(shape), name


def _as_array(path: str, leaf: Any) -> np.ndarray:
    try:
        value = np.asarray(leaf)
    except ValueError as error:
        raise BatchError(f"{path}: expected one array, found parts of unequal shape") from error
    if value.dtype == object:
        raise BatchError(
            f"{path}: expected numbers or strings, found {type(leaf).__name__} of objects; "
            "strings: .astype(str), numbers: .astype('float32')"
        )
    return value


def _conform_leaf(path: str, leaf: Any, spec: tf.TypeSpec) -> Any:
    if not isinstance(spec, tf.TensorSpec):
        return leaf  # ragged and sparse tensors: TensorFlow compares them itself
    value = _as_array(path, leaf)
    if not spec.shape.is_compatible_with(value.shape):
        raise BatchError(
            f"{path}: expected shape {shape_and_dtype(spec)[0]}, found {value.shape}"
            + _signature_advice(value.shape, spec)
        )
    wanted = spec.dtype.as_numpy_dtype
    if spec.dtype == tf.string or value.dtype.kind in "SU":
        if (spec.dtype == tf.string) != (value.dtype.kind in "SU"):
            raise BatchError(f"{path}: expected {spec.dtype.name}, found {value.dtype}")
        return value
    loss = _what_is_lost(value, np.dtype(wanted))
    if loss:
        raise BatchError(f"{path}: expected {spec.dtype.name}, found {value.dtype}; {loss}")
    return value.astype(wanted, copy=False)


def _signature_advice(shape: tuple[int, ...], spec: tf.TensorSpec) -> str:
    """Say which axes of the signature would have to be open."""
    if spec.shape.rank != len(shape):
        return ""
    axes = [
        axis
        for axis, pair in enumerate(zip(shape, spec.shape, strict=True))
        if pair[1] not in (None, pair[0])
    ]
    open_shape = tuple(None if axis in axes else size for axis, size in enumerate(spec.shape))
    number = f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}"
    return f"; if {number} may vary, pass signature= with None there: {open_shape}"


def _what_is_lost(value: np.ndarray, wanted: np.dtype) -> str:
    """Say what a change of dtype would lose; empty where nothing is lost but float digits."""
    kind = value.dtype.kind
    if value.dtype == wanted or value.size == 0:
        return ""
    if wanted.kind == "b":
        return "numbers would become True and False"
    if wanted.kind in "iu":
        if kind in "fc":
            return "fractions would be cut to integers"
        limits = np.iinfo(wanted)
        if kind in "iu" and (value.min() < limits.min or value.max() > limits.max):
            return f"values from {value.min()} to {value.max()} would not fit"
    elif kind == "c" and wanted.kind != "c":
        return "imaginary parts would be lost"
    elif kind in "iu":
        if not np.array_equal(value.astype(wanted).astype(value.dtype), value):
            return "integers this large would be rounded"
    elif kind in "fc":
        with np.errstate(over="ignore"):
            too_large = np.isfinite(value) & ~np.isfinite(value.astype(wanted))
        if too_large.any():
            return f"values up to {np.abs(value[too_large]).max():.3g} would become infinite"
    return ""


def _check_batch_length(conformed: Mapping[str, Any], wanted: Mapping[str, tf.TypeSpec]) -> None:
    first = None
    for path, spec in wanted.items():
        if not isinstance(spec, tf.TensorSpec) or not spec.shape.rank or spec.shape[0] is not None:
            continue
        length = len(conformed[path])
        if first is None:
            first = (path, length)
        elif length != first[1]:
            raise BatchError(
                f"{path}: expected {first[1]} samples in the batch as in {first[0]}, found {length}"
            )


@atexit.register
def _end_iterators() -> None:
    """Destroy iterators that a script leaves half way, while their threads can still run Python.

    Once Python ends, a thread of TensorFlow's that is in a Python function never returns from it,
    and whoever destroys its iterator then waits for it forever. Here the thread is waited for.
    """
    for one in gc.get_objects():
        if tf.data.Iterator in type(one).__mro__:
            vars(one).clear()
