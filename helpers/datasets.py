"""From a generator of batches to a ``tf.data.Dataset`` that says what it holds.

``Dataset.from_generator`` needs a signature, accepts no lists, cuts floats to whole numbers when
the signature says so, and does not know its length. `from_batches` takes the signature from a
real batch, turns lists into tuples, refuses what does not fit with the leaf's path, and sets the
cardinality.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = [
    "BatchError",
    "conform",
    "from_batches",
    "leaves",
    "shape_and_dtype",
    "signature_of",
    "structure_tree",
]


class BatchError(ValueError):
    """A batch does not fit the signature; the message begins with the leaf's path."""


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
        If the first batch does not fit; at once. A later batch that does not fit, or an epoch
        that is not `length` batches long, stops the iteration with the same message.

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
        signature = _without_lists(signature)
    conform(first, signature)

    def checked() -> Iterator[Any]:
        iterator = iter(batches())
        count = 0
        for batch in iterator:
            count += 1
            # tf.data stops asking at the declared length. Look past the last batch before
            # handing it over, or a generator that is too long would be cut without a word.
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

    return _map_leaves(spec, _without_lists(batch))


def conform(batch: Any, signature: Any) -> Any:
    """Return the batch in the signature's structure and dtypes, or say why it does not fit.

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
    """
    batch = _without_lists(batch)
    wanted = dict(leaves(signature))
    found = dict(leaves(batch))
    _check_structure("", batch, signature)
    fitted = {path: _fit_leaf(path, found[path], spec) for path, spec in wanted.items()}
    _check_batch_length(fitted, wanted)
    return _map_leaves(lambda path, _: fitted[path], batch)


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

    def walk(part: Any, name: str, indent: str, branch: str, parts: Mapping[str, Any]) -> None:
        children = parts or _children(part)
        shape, dtype = ("", "") if children else shape_and_dtype(part)
        if name:
            rows.append((indent + branch + name, shape, dtype))
            indent += {"├── ": "│   ", "└── ": "    "}.get(branch, "")
        for number, (key, child) in enumerate(children.items(), start=1):
            label = key if parts or isinstance(part, Mapping) else f"[{key}]"
            last = number == len(children)
            walk(child, str(label), indent, ("└── " if last else "├── ") if name else "", {})

    walk(structure, "", "", "", _roles(structure))
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


def _check_arity(batch: Any) -> None:
    if isinstance(batch, tuple | list) and len(batch) > 3:
        raise BatchError(
            f"element: expected (inputs, targets) or (inputs, targets, weights), found a tuple of "
            f"{len(batch)}; put the inputs into a tuple of their own, and the targets too"
        )


def _roles(structure: Any) -> dict[str, Any]:
    """Name the parts of a top-level tuple as Keras reads them; empty for anything else."""
    if isinstance(structure, tuple | list) and 1 <= len(structure) <= 3:
        return dict(zip(("inputs", "targets", "weights"), structure, strict=False))
    return {}


def _children(part: Any) -> dict[Any, Any]:
    if isinstance(part, Mapping):
        return dict(part)
    if isinstance(part, tuple | list):
        return dict(enumerate(part))
    return {}


def _map_leaves(function: Callable[[str, Any], Any], structure: Any) -> Any:
    """Apply ``function(path, leaf)`` to each leaf and keep the structure."""
    roles = _roles(structure)
    if roles:
        parts = [_map_below(function, part, role) for role, part in roles.items()]
        return _rebuilt(structure, parts)
    return _map_below(function, structure, "element")


def _map_below(function: Callable[[str, Any], Any], part: Any, path: str) -> Any:
    # Not a function within a function: one that calls itself holds itself, and would hold its
    # arrays with it until Python next looks for such circles.
    if isinstance(part, Mapping):
        return {key: _map_below(function, value, f"{path}[{key!r}]") for key, value in part.items()}
    if isinstance(part, tuple | list):
        values = [_map_below(function, value, f"{path}[{i}]") for i, value in enumerate(part)]
        return _rebuilt(part, values)
    return function(path, part)


def _rebuilt(part: Any, values: list[Any]) -> Any:
    """Return a tuple, a named tuple or a list of the same type with other values."""
    return type(part)(*values) if hasattr(part, "_fields") else type(part)(values)


def _without_lists(structure: Any) -> Any:
    if isinstance(structure, Mapping):
        return {key: _without_lists(value) for key, value in structure.items()}
    if hasattr(structure, "_fields"):
        return type(structure)(*(_without_lists(value) for value in structure))
    if isinstance(structure, tuple | list):
        return tuple(_without_lists(value) for value in structure)
    return structure


def _check_structure(path: str, part: Any, wanted: Any) -> None:
    kinds = [_kind(part), _kind(wanted)]
    where = path or "element"
    if kinds[0] != kinds[1]:
        raise BatchError(f"{where}: expected {_outline(wanted)}, found {_outline(part)}")
    if kinds[0] == "dict" and set(part) != set(wanted):
        missing, extra = sorted(set(wanted) - set(part)), sorted(set(part) - set(wanted))
        details = [f"; missing {missing}"] * bool(missing) + [f"; not expected {extra}"] * bool(
            extra
        )
        raise BatchError(
            f"{where}: expected keys {sorted(wanted)}, found {sorted(part)}{''.join(details)}"
        )
    if kinds[0] == "tuple" and len(part) != len(wanted):
        raise BatchError(f"{where}: expected {_outline(wanted)}, found {_outline(part)}")
    roles = _roles(wanted) if not path else {}
    names = list(roles) if roles else None
    for number, (key, child) in enumerate(_children(wanted).items()):
        child_path = names[number] if names else f"{where}[{key!r}]"
        _check_structure(child_path, part[key], child)


def _kind(part: Any) -> str:
    if isinstance(part, Mapping):
        return "dict"
    return "tuple" if isinstance(part, tuple | list) else "leaf"


def _outline(part: Any) -> str:
    kind = _kind(part)
    if kind == "dict":
        return f"a dict with keys {sorted(part)}"
    if kind == "tuple":
        return f"a tuple of {len(part)}"
    return f"one array {shape_and_dtype(part)[0]}"


def shape_and_dtype(leaf: Any) -> tuple[str, str]:
    """Return the shape and the dtype of a leaf, or of its spec, as text.

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
            f"{path}: expected numbers or text, found {type(leaf).__name__} of objects"
        )
    return value


def _fit_leaf(path: str, leaf: Any, spec: tf.TypeSpec) -> Any:
    if not isinstance(spec, tf.TensorSpec):
        return leaf  # ragged and sparse tensors: TensorFlow compares them itself
    value = _as_array(path, leaf)
    if not spec.shape.is_compatible_with(value.shape):
        raise BatchError(f"{path}: expected shape {shape_and_dtype(spec)[0]}, found {value.shape}")
    wanted = spec.dtype.as_numpy_dtype
    if spec.dtype == tf.string or value.dtype.kind in "SU":
        if (spec.dtype == tf.string) != (value.dtype.kind in "SU"):
            raise BatchError(f"{path}: expected {spec.dtype.name}, found {value.dtype}")
        return value
    loss = _what_is_lost(value, np.dtype(wanted))
    if loss:
        raise BatchError(f"{path}: expected {spec.dtype.name}, found {value.dtype}; {loss}")
    return value.astype(wanted, copy=False)


def _what_is_lost(value: np.ndarray, wanted: np.dtype) -> str:
    """Say what a change of dtype would lose; empty where nothing is lost but float digits."""
    kind = value.dtype.kind
    if value.dtype == wanted or value.size == 0:
        return ""
    if wanted.kind == "b":
        return "numbers would become True and False"
    if wanted.kind in "iu":
        if kind in "fc":
            return "fractions would be cut to whole numbers"
        limits = np.iinfo(wanted)
        if kind in "iu" and (value.min() < limits.min or value.max() > limits.max):
            return f"values from {value.min()} to {value.max()} would not fit"
    elif kind == "c" and wanted.kind != "c":
        return "imaginary parts would be lost"
    elif kind in "iu":
        if not np.array_equal(value.astype(wanted).astype(value.dtype), value):
            return "whole numbers this large would be rounded"
    elif kind in "fc":
        with np.errstate(over="ignore"):
            too_large = np.isfinite(value) & ~np.isfinite(value.astype(wanted))
        if too_large.any():
            return f"values up to {np.abs(value[too_large]).max():.3g} would become infinite"
    return ""


def _check_batch_length(fitted: Mapping[str, Any], wanted: Mapping[str, tf.TypeSpec]) -> None:
    first = None
    for path, spec in wanted.items():
        if not isinstance(spec, tf.TensorSpec) or not spec.shape.rank or spec.shape[0] is not None:
            continue
        length = len(fitted[path])
        if first is None:
            first = (path, length)
        elif length != first[1]:
            raise BatchError(
                f"{path}: expected {first[1]} samples in the batch as in {first[0]}, found {length}"
            )
