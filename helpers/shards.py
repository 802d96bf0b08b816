"""A dataset of any structure, written once to files that other processes can read.

A generator lives in the process that made it. What is to be read elsewhere, or many times, or by
several readers at once, is written to *shards*: TFRecord files, each with a part of the elements,
and `manifest.json`, which says what they hold. `write` leaves nothing that reads as whole unless it
is; `read` compares every shard with the manifest before it returns a dataset. Reading takes
TensorFlow's own operations only, so the dataset can go where no Python function can.

The lesson that builds it: 11 Beyond one machine.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tqdm import tqdm

from helpers.datasets import parts_of

__all__ = ["ShardError", "read", "write"]

MANIFEST, INTERRUPTED = "manifest.json", "manifest.interrupted.json"
_VERSION = 1

Manifest = dict[str, Any]


class ShardError(ValueError):
    """A file or a leaf is not what it should be; the message begins with its name."""


def write(
    source: tf.data.Dataset,
    folder: str | os.PathLike[str],
    *,
    per_shard: int,
    progress: bool = False,
) -> Manifest:
    """Write each element of a dataset to shards, in their order.

    A shard has a name of its own once it is whole and on the disk, and the manifest once all shards
    are. After an interruption, call `write` again with the same source: shards that are whole stay
    as they are. For that the source must yield the same elements again, so seed it: they are made
    again and compared with what is in those shards.

    Parameters
    ----------
    source : tf.data.Dataset
        Elements of any nest of tuples and dicts with tensors (numbers, strings, the bytes of
        encoded images), ragged or sparse tensors; batches or samples.
    folder : path
        Made if it is not there. Nothing else should be in it.
    per_shard : int
        Elements in a shard. A hundred megabytes or more for each shard is a good size, and several
        times as many shards as readers.
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict
        The manifest: ``count``, ``structure``, and ``shards`` with file, count, bytes and SHA-256.

    Raises
    ------
    ShardError
        If the folder holds a whole dataset or other shards, or its interrupted one is of another
        source; if the elements have a structure that cannot be written.
    ValueError
        If the source never ends, or `per_shard` is below 1.
    OSError
        If a file cannot be written; before the first element is made if the folder cannot be.
    tf.errors.OpError
        If the disk is full, or the source raises an error.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> manifest = write(tf.data.Dataset.range(5), folder.name, per_shard=2)
    >>> [(shard["file"], shard["count"]) for shard in manifest["shards"]]
    [('shard-00000.tfrecord', 2), ('shard-00001.tfrecord', 2), ('shard-00002.tfrecord', 1)]
    """
    folder = Path(folder).resolve()
    total = int(source.cardinality())
    if total == tf.data.INFINITE_CARDINALITY:
        raise ValueError("source: expected one that ends, found one that never does; use take(n)")
    if per_shard < 1:
        raise ValueError(f"per_shard: expected 1 or more, found {per_shard}")
    manifest = _begun(folder, source.element_spec, per_shard)
    shards, known = manifest["shards"], None if total == tf.data.UNKNOWN_CARDINALITY else total
    records = iter(tqdm(_records(source), total=known, unit=" elements", disable=not progress))
    _compare(folder, shards, records)
    for first in records:
        some = itertools.chain([first], itertools.islice(records, per_shard - 1))
        shards.append(_write_shard(folder / f"shard-{len(shards):05}.tfrecord", some))
        manifest["count"] += shards[-1]["count"]
        _store(folder / INTERRUPTED, manifest)
    for left in folder.glob("*.partial"):  # by a write that was killed
        left.unlink(missing_ok=True)
    _replace(folder / INTERRUPTED, folder / MANIFEST)
    return manifest


def read(
    folder: str | os.PathLike[str],
    *,
    shard: tuple[int, int] = (0, 1),
    check: bool = True,
    assert_length: bool = True,
) -> tf.data.Dataset:
    """Return the dataset that `write` has written: structure, order, values, dtypes and length.

    Every shard that is to be read is compared with the manifest first. While it is read, each
    record's own checksum is compared again, by TensorFlow.

    Parameters
    ----------
    folder : path
        As `write` has left it; it may have been moved.
    shard : tuple of int
        ``(index, count)``: read every `count`-th shard from number `index` on, as one reader of
        several. The shards of all readers together are all shards.
    check : bool
        Compare the SHA-256 of each shard, which reads it to its end. Without it sizes alone are
        compared. TensorFlow's checksums then find a flipped byte as its record is read, and do not
        name the file; nothing finds another shard of the same size.
    assert_length : bool
        Have the dataset know its length, and fail if another number of elements comes. Switch it
        off where the tf.data service splits the dataset: each worker has a part of it.

    Returns
    -------
    tf.data.Dataset
        Named tuples come back as tuples.

    Raises
    ------
    ShardError
        If the manifest or a shard is missing, damaged, cut, or not of this dataset.
    ValueError
        If `shard` is no such pair, or there are fewer shards than readers.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> _ = write(tf.data.Dataset.range(5), folder.name, per_shard=2)
    >>> dataset = read(folder.name)
    >>> len(dataset), [int(number) for number in dataset]
    (5, [0, 1, 2, 3, 4])
    >>> [[int(number) for number in read(folder.name, shard=(index, 2))] for index in range(2)]
    [[0, 1, 4], [2, 3]]
    """
    folder, (index, count) = Path(folder).resolve(), shard  # a reader elsewhere needs all of it
    manifest = _load(folder / MANIFEST)
    shards = manifest["shards"]
    if not 0 <= index < count <= max(1, len(shards)):
        raise ValueError(
            f"shard: expected an index from 0 below the count of readers, and a count of at most "
            f"{len(shards)} as there are shards, found {shard}"
        )
    named = {one["file"] for one in shards}
    for found in sorted(folder.glob("shard-*.tfrecord")):
        if found.name not in named:
            raise ShardError(
                f"{_name(found)}: expected the shards that {MANIFEST} names, found this one too; "
                "move it away"
            )
    own = shards[index::count]
    for one in own:
        if fault := _fault(folder, one, check):
            path = _name(folder / one["file"])
            raise ShardError(f"{path}: {fault}; copy it again or write all again")
    spec = _signature(manifest["structure"])
    paths = tf.constant([str(folder / one["file"]) for one in own], tf.string)
    records = tf.data.Dataset.from_tensor_slices(paths).flat_map(tf.data.TFRecordDataset)
    dataset = records.map(
        lambda record: _decode(record, spec), tf.data.AUTOTUNE, deterministic=True
    )
    length = sum(one["count"] for one in own)
    known = tf.data.experimental.assert_cardinality(length)
    return dataset.apply(known) if assert_length else dataset


# --- an element as one string ---------------------------------------------------------------------


def _records(dataset: tf.data.Dataset) -> Iterator[bytes]:
    """Return each element as one string: a serialised vector of its serialised tensors."""

    def encode(*element: Any) -> tf.Tensor:
        tensors = tf.nest.flatten(element, expand_composites=True)  # of ragged ones their parts
        return tf.io.serialize_tensor(tf.stack([tf.io.serialize_tensor(one) for one in tensors]))

    return iter(dataset.map(encode, tf.data.AUTOTUNE, deterministic=True).as_numpy_iterator())


def _decode(record: tf.Tensor, spec: Any) -> Any:
    parts = tf.io.parse_tensor(record, tf.string)
    tensors = [
        tf.ensure_shape(tf.io.parse_tensor(parts[number], one.dtype), one.shape)
        for number, one in enumerate(tf.nest.flatten(spec, expand_composites=True))
    ]
    return tf.nest.pack_sequence_as(spec, tensors, expand_composites=True)


def _described(part: Any, path: str = "") -> Any:
    """Return a signature as JSON holds it."""
    parts = [_described(child, below) for below, _, child in parts_of(part, path)]
    if isinstance(part, Mapping):
        if odd := [key for key in part if not isinstance(key, str | int)]:
            raise ShardError(f"{path or 'element'}: expected keys that are strings, found {odd[0]}")
        return {"dict": [list(pair) for pair in zip(part, parts, strict=True)]}
    if isinstance(part, tuple):
        return {"tuple": parts}
    kinds = tf.TensorSpec, tf.RaggedTensorSpec, tf.SparseTensorSpec
    if type(part) not in kinds or part.dtype in (tf.variant, tf.resource):
        raise ShardError(
            f"{path or 'element'}: expected numbers or strings in a tensor, ragged or sparse, "
            f"found {part}; leave it out"
        )
    shape = None if part.shape.rank is None else part.shape.as_list()
    leaf = {"kind": type(part).__name__, "shape": shape, "dtype": part.dtype.name}
    if isinstance(part, tf.RaggedTensorSpec):
        leaf |= {"ragged_rank": part.ragged_rank, "row_splits_dtype": part.row_splits_dtype.name}
    return leaf


def _signature(described: Any) -> Any:
    """Return the signature that `_described` has described."""
    if "dict" in described:
        return {key: _signature(value) for key, value in described["dict"]}
    if "tuple" in described:
        return tuple(_signature(value) for value in described["tuple"])
    more = dict(described, dtype=tf.as_dtype(described["dtype"]))
    if "row_splits_dtype" in more:
        more["row_splits_dtype"] = tf.as_dtype(more["row_splits_dtype"])
    return getattr(tf, more.pop("kind"))(**more)


# --- files ----------------------------------------------------------------------------------------


def _begun(folder: Path, spec: Any, per_shard: int) -> Manifest:
    """Store and return a manifest of the shards that are whole; in a new folder, of none."""
    manifest = {"version": _VERSION, "structure": _described(spec), "per_shard": per_shard}
    if (folder / MANIFEST).exists():
        raise ShardError(
            f"{_name(folder / MANIFEST)}: there is a whole dataset; read it, or remove the folder "
            "to write again"
        )
    shards = []
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / INTERRUPTED).exists():
        before = _load(folder / INTERRUPTED)
        for name, now in manifest.items():
            if before[name] != now:
                raise ShardError(
                    f"{_name(folder / INTERRUPTED)}: expected {name} {now} as in the call, "
                    f"found {before[name]}; remove the folder to begin again"
                )
        shards = list(itertools.takewhile(lambda one: not _fault(folder, one), before["shards"]))
    elif strange := sorted(folder.glob("shard-*")):
        raise ShardError(
            f"{_name(strange[0])}: expected a folder without shards, found one; choose another"
        )
    manifest |= {"count": sum(one["count"] for one in shards), "shards": shards}
    _store(folder / INTERRUPTED, manifest)
    return manifest


def _compare(folder: Path, shards: list[Manifest], records: Iterator[bytes]) -> None:
    """Go through the elements that whole shards hold: the source must yield the same again."""
    for one in shards:
        path = folder / one["file"]
        for number, before in enumerate(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()):
            if next(records, None) != before:
                raise ShardError(
                    f"{_name(path)}: expected the same elements from the source again, found "
                    f"another in place of number {number}; seed the source, or remove the folder "
                    "to begin again"
                )


def _write_shard(path: Path, records: Iterable[bytes]) -> Manifest:
    temporary, count = _temporary(path), 0
    with tf.io.TFRecordWriter(str(temporary)) as writer:
        for count, record in enumerate(records, start=1):  # noqa: B007
            writer.write(record)
    size, checksum = temporary.stat().st_size, _checksum(temporary)
    _replace(temporary, path)
    return {"file": path.name, "count": count, "bytes": size, "sha256": checksum}


def _store(path: Path, manifest: Manifest) -> None:
    temporary = _temporary(path)
    temporary.write_text(json.dumps(_signed(manifest), indent=1), encoding="utf-8")
    _replace(temporary, path)


def _temporary(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}.partial")


def _replace(temporary: Path, path: Path) -> None:
    """Give a file its name, once all of it is on the disk."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    if os.name == "posix":  # the name, too
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _load(path: Path) -> Manifest:
    """Return a manifest whose checksum is right."""
    if not path.exists():
        found = "none"
        if (path.parent / INTERRUPTED).exists():
            found = f"{INTERRUPTED}: the write was cut off, so call it again"
        raise ShardError(f"{_name(path)}: expected a manifest, found {found}")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        checksum = manifest.pop("sha256")
    except (ValueError, KeyError, AttributeError, TypeError):
        manifest, checksum = {}, None
    if checksum != _signed(manifest)["sha256"]:
        raise ShardError(
            f"{_name(path)}: expected the checksum of what it says, found another; copy it again "
            "or write all again"
        )
    if manifest["version"] != _VERSION:
        raise ShardError(f"{_name(path)}: expected version {_VERSION}, found {manifest['version']}")
    return manifest


def _signed(manifest: Manifest) -> Manifest:
    said = json.dumps(manifest, sort_keys=True).encode()
    return manifest | {"sha256": hashlib.sha256(said).hexdigest()}


def _fault(folder: Path, shard: Manifest, check: bool = True) -> str:
    """Say how a shard differs from what the manifest says of it; nothing if it does not."""
    path = folder / shard["file"]
    if not path.is_file():
        return f"expected {shard['bytes']} bytes, found no file"
    if path.stat().st_size != shard["bytes"]:
        return f"expected {shard['bytes']} bytes, found {path.stat().st_size}"
    if check and (found := _checksum(path)) != shard["sha256"]:
        return f"expected SHA-256 {shard['sha256'][:8]}…, found {found[:8]}…"
    return ""


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
