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

_ROLES = ("inputs", "targets", "weights")
_NO_COUNT = (tf.data.INFINITE_CARDINALITY, tf.data.UNKNOWN_CARDINALITY)


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
        Called once per epoch; returns an iterable of batches. A batch is any nest of tuples, lists
        (they become tuples) and dicts of arrays, each with its samples on the first axis. The first
        batch is that of ``batches.peek()``, or of one more epoch, which is dropped.
    signature : nest of tf.TypeSpec, optional
        The structure, shapes and dtypes that each batch must have, with None where an axis varies.
        Else that of the first batch: batch axis None, the rest as it is.
    length : int, optional
        Batches in an epoch, else ``len(batches)``. ``tf.data.INFINITE_CARDINALITY`` says that it
        never ends, ``tf.data.UNKNOWN_CARDINALITY`` that nobody knows when.

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
        If the first batch does not conform. A later one that does not, or an epoch of another
        length, stops the iteration with the same message.

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
                "length=<int>, tf.data.INFINITE_CARDINALITY if it never ends, or "
                "tf.data.UNKNOWN_CARDINALITY"
            )
        length = len(batches)
    if length < 1 and length not in _NO_COUNT:
        raise ValueError(f"length: expected 1 or more batches in an epoch, found {length}")
    first = _first_batch(batches)
    if signature is not None:
        signature = _map_leaves(lambda _, spec: spec, signature)  # tuples for lists
    elif isinstance(first, tuple | list) and len(first) > 3:
        raise BatchError(
            f"element: expected (inputs, targets) or (inputs, targets, weights), found a tuple of "
            f"{len(first)}; put the inputs into a tuple of their own, and the targets too"
        )
    else:
        signature = signature_of(first)
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
        if count < length:
            raise BatchError(f"length: expected {length} batches in an epoch, found {count}")

    dataset = tf.data.Dataset.from_generator(checked, output_signature=signature)
    if length == tf.data.UNKNOWN_CARDINALITY:
        return dataset
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
        If a leaf is a single value, or cannot become an array of one dtype.

    Examples
    --------
    >>> signature_of([np.zeros((32, 10), "float32")])
    (TensorSpec(shape=(None, 10), dtype=tf.float32, name=None),)
    """

    def spec(path: str, leaf: Any) -> tf.TypeSpec:
        value = _as_array(path, leaf)
        if value.ndim == 0:
            raise BatchError(
                f"{path}: expected an array with its samples on the first axis, found the single "
                f"value {leaf!r}; wrap a list of numbers or strings in np.array"
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
        For another structure, shape or batch length, or a change of dtype that would lose values.

    Examples
    --------
    >>> conform([np.zeros((4, 2))], (tf.TensorSpec((None, 2)),))[0].dtype
    dtype('float32')
    """
    conformed = _conform(batch, signature)
    specs = dict(leaves(signature))
    lengths = [
        (path, leaf.shape[0])
        for path, leaf in leaves(conformed)
        if specs[path].shape.rank and specs[path].shape[0] is None
    ]
    for path, length in lengths[1:]:
        first, expected = lengths[0]
        if length != expected:
            raise BatchError(
                f"{path}: expected {expected} samples in the batch as in {first}, found {length}"
            )
    return conformed


def leaves(structure: Any) -> list[tuple[str, Any]]:
    """Return ``(path, leaf)`` of each leaf, in order; a path has the names of `parts_of`.

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
    if not path and len(part) <= 3:
        return [(name, name, value) for name, value in zip(_ROLES, part, strict=False)]
    return [(f"{path or 'element'}[{i}]", f"[{i}]", value) for i, value in enumerate(part)]


def structure_tree(structure: Any) -> str:
    """Return a batch, an element or a signature as a tree of names, shapes and dtypes.

    Parameters
    ----------
    structure : nest of arrays or tf.TypeSpec

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
            branch, rest = ("├── ", "│   ") if number < len(children) else ("└── ", "    ")
            if not path:
                branch = rest = ""
            shown = ("", "") if parts_of(child, below) else shape_and_dtype(child)
            rows.append((indent + branch + label, *shown))
            walk(child, below, indent + rest)

    walk(structure, "", "")
    if not rows:
        rows.append(("element", *shape_and_dtype(structure)))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(
        f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {dtype}".rstrip()
        for name, shape, dtype in rows
    )


def shape_and_dtype(leaf: Any) -> tuple[str, str]:
    """Return the shape and the dtype of a leaf, or of its spec, as strings.

    Parameters
    ----------
    leaf : array or tf.TypeSpec

    Returns
    -------
    tuple of str
        ``<unknown>`` in place of a shape whose number of axes is not known.

    Examples
    --------
    >>> shape_and_dtype(tf.TensorSpec((None, 3), tf.float32))
    ('(None, 3)', 'float32')
    """
    if not hasattr(leaf, "shape") and not isinstance(leaf, tf.TypeSpec):
        leaf = np.asarray(leaf)
    shape, dtype = getattr(leaf, "shape", None), getattr(leaf, "dtype", "")
    if isinstance(shape, tf.TensorShape):
        shape = "<unknown>" if shape.rank is None else tuple(shape.as_list())
    return str(shape), getattr(dtype, "name", str(dtype))


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


def _kind(part: Any) -> str:
    if isinstance(part, Mapping):
        return "dict"
    return "tuple" if isinstance(part, tuple | list) else "leaf"


def _map_leaves(function: Callable[[str, Any], Any], part: Any, path: str = "") -> Any:
    """Apply ``function(path, leaf)`` to each leaf and keep the structure, tuples for lists."""
    if _kind(part) == "leaf":
        return function(path or "element", part)
    return _rebuilt(
        part, [_map_leaves(function, child, below) for below, _, child in parts_of(part, path)]
    )


def _rebuilt(part: Any, values: list[Any]) -> Any:
    if isinstance(part, Mapping):
        return dict(zip(part, values, strict=True))
    return type(part)(*values) if hasattr(part, "_fields") else tuple(values)


def _conform(part: Any, wanted: Any, path: str = "") -> Any:
    """Compare a part of a batch with that of the signature, and convert its leaves."""
    where, kinds = path or "element", {_kind(part), _kind(wanted)}
    if kinds == {"leaf"}:
        return _conform_leaf(where, part, wanted)
    if kinds == {"dict"} and set(part) != set(wanted):
        missing = sorted(set(wanted) - set(part), key=str)
        extra = sorted(set(part) - set(wanted), key=str)
        raise BatchError(
            f"{where}: expected keys {sorted(wanted, key=str)}, found {sorted(part, key=str)}"
            + f"; missing {missing}" * bool(missing)
            + f"; not expected {extra}" * bool(extra)
        )
    if len(kinds) > 1 or len(part) != len(wanted):
        raise BatchError(
            f"{where}: expected {_outline(wanted)}, found {_outline(part)}"
            + "; wrap a list of numbers or strings in np.array" * isinstance(part, list)
        )
    specs = {below: spec for below, _, spec in parts_of(wanted, path)}
    return _rebuilt(
        part, [_conform(child, specs[below], below) for below, _, child in parts_of(part, path)]
    )


def _outline(part: Any) -> str:
    if isinstance(part, Mapping):
        return f"a dict with keys {sorted(part, key=str)}"
    if isinstance(part, tuple | list):
        return f"a {'list' if isinstance(part, list) else 'tuple'} of {len(part)}"
    return f"one array {shape_and_dtype(part)[0]}"


def _as_array(path: str, leaf: Any) -> np.ndarray:
    if isinstance(leaf, tf.RaggedTensor | tf.SparseTensor):
        raise BatchError(f"{path}: a {type(leaf).__name__} needs a signature; pass signature=")
    value = np.asarray(leaf)
    if value.dtype == object:
        kinds = {type(item).__name__ for item in value.flat}
        raise BatchError(
            f"{path}: expected numbers or strings, found {type(leaf).__name__} of objects "
            f"({', '.join(sorted(kinds))}); {_object_advice(kinds)}"
        )
    return value


def _object_advice(kinds: set[str]) -> str:
    """Say what to do with an array of objects of these types."""
    if kinds & {"list", "ndarray"}:
        return "pad its parts to one shape, or pass a tf.RaggedTensor and signature="
    convert = "use .astype('float32')"
    if kinds & {"str", "bytes"}:
        convert = "use .astype(str)" if "str" in kinds else "use .astype(bytes)"
    gaps = kinds & {"NoneType", "NAType"} or {"str", "float"} <= kinds
    return f"fill the gaps, then {convert}" if gaps else convert


def _conform_leaf(path: str, leaf: Any, spec: tf.TypeSpec) -> Any:
    if not isinstance(spec, tf.TensorSpec):
        return leaf  # ragged and sparse tensors: TensorFlow compares them itself
    value = _as_array(path, leaf)
    if not spec.shape.is_compatible_with(value.shape):
        raise BatchError(
            f"{path}: expected shape {shape_and_dtype(spec)[0]}, found {value.shape}"
            + _signature_advice(value.shape, spec)
        )
    is_string = value.dtype.kind in "SU"
    if is_string != (spec.dtype == tf.string):
        raise BatchError(f"{path}: expected {spec.dtype.name}, found {value.dtype}")
    if is_string:
        return value
    wanted = np.dtype(spec.dtype.as_numpy_dtype)
    loss = _what_is_lost(value, wanted)
    if loss:
        raise BatchError(f"{path}: expected {spec.dtype.name}, found {value.dtype}; {loss}")
    return value.astype(wanted, copy=False)


def _signature_advice(shape: tuple[int, ...], spec: tf.TensorSpec) -> str:
    """Say which axes of the signature would have to be open."""
    wanted = spec.shape.as_list()
    if len(wanted) != len(shape):
        return ""
    axes = [axis for axis, size in enumerate(wanted) if size not in (None, shape[axis])]
    opened = tuple(None if axis in axes else size for axis, size in enumerate(wanted))
    number = f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}"
    return f"; if {number} may vary, pass signature= with None there: {opened}"


def _what_is_lost(value: np.ndarray, wanted: np.dtype) -> str:
    """Say what a change of dtype would lose; empty where nothing is lost but float digits."""
    kind, is_integer = value.dtype.kind, wanted.kind in "iu"
    if value.dtype == wanted or value.size == 0:
        return ""
    if wanted.kind == "b":
        return "numbers would become True and False"
    if is_integer and kind in "fc":
        return "fractions would be cut to integers"
    if kind == "c" and wanted.kind != "c":
        return "imaginary parts would be lost"
    if is_integer and kind in "iu":
        low, high = value.min(), value.max()
        if low < np.iinfo(wanted).min or high > np.iinfo(wanted).max:
            return f"values from {low} to {high} would not fit"
    elif kind in "iu":
        if not np.array_equal(value.astype(wanted).astype(value.dtype), value):
            return "integers this large would be rounded"
    elif kind in "fc":
        with np.errstate(over="ignore"):
            too_large = np.isfinite(value) & ~np.isfinite(value.astype(wanted))
        if too_large.any():
            return f"values up to {np.abs(value[too_large]).max():.3g} would become infinite"
    return ""


@atexit.register
def _end_iterators() -> None:
    """Destroy iterators that a script leaves half way, while their threads can still run Python.

    Once Python ends, a thread of TensorFlow's that is in a Python function never returns from it,
    and whoever destroys its iterator then waits for it forever. Here the thread is waited for.
    """
    for one in gc.get_objects():
        if tf.data.Iterator in type(one).__mro__:
            vars(one).clear()
