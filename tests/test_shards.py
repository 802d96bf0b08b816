"""Shards read back as what was written, or not at all: damage, interruption, other structures."""

# ruff: noqa: E501  (tables of cases: one case a line)

import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from helpers import shards
from helpers.datasets import from_batches
from helpers.shards import ShardError, read, write

ROOT = Path(__file__).resolve().parent.parent
DTYPES = [
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
]  # fmt: skip
STRINGS = [b"", b"\x00\xff\xd8", "Zürich, 7 °C".encode(), b"a" * 300]
Pair = namedtuple("Pair", "left right")


def bits_of(tensor):
    array = tensor.numpy()
    strings = tensor.dtype == tf.string
    return tensor.dtype, tensor.shape, np.asarray(array).tolist() if strings else array.tobytes()


def assert_same(one, other):
    """Check that two elements are the same nest with the same dtypes, shapes and bits."""
    tf.nest.assert_same_structure(one, other, check_types=False)
    left, right = (tf.nest.flatten(part, expand_composites=True) for part in (one, other))
    assert list(map(bits_of, left)) == list(map(bits_of, right))


def assert_equal(dataset, other):
    assert dataset.element_spec == plain(other.element_spec)
    for one, two in zip(dataset, other, strict=True):
        assert_same(one, two)


def plain(part):
    """Return a signature with tuples in place of named ones, and tensors for those not ragged."""
    if isinstance(part, tf.RaggedTensorSpec) and part.ragged_rank == 0:
        return tf.TensorSpec(part.shape, part.dtype)
    if isinstance(part, dict):
        return {key: plain(value) for key, value in part.items()}
    return tuple(map(plain, part)) if isinstance(part, tuple) else part


# --- round trips ----------------------------------------------------------------------------------


def random_leaf(rng, count):
    """Return a dataset of random bits: of a fixed shape, of varying length, ragged or sparse."""
    kind = rng.choice(["fixed", "fixed", "string", "varying", "ragged", "sparse"])
    shape = tuple(int(side) for side in rng.integers(0, 4, rng.integers(0, 4)))
    if kind == "fixed":
        dtype = tf.as_dtype(rng.choice(DTYPES))
        bits = rng.integers(0, 256, (count, *shape, dtype.size), dtype="uint8")
        if dtype == tf.bool:
            return tf.data.Dataset.from_tensor_slices(bits[..., 0] % 2 == 0)
        bits = bits[..., 0] if dtype.size == 1 else bits
        return tf.data.Dataset.from_tensor_slices(tf.bitcast(bits, dtype))
    if kind == "string":
        strings = [STRINGS[i] for i in rng.integers(0, 4, int(np.prod((count, *shape))))]
        strings = tf.reshape(tf.constant(strings, tf.string), (count, *shape))
        return tf.data.Dataset.from_tensor_slices(strings)
    if kind == "sparse":
        dense = rng.integers(0, 2, (count, 3, 4)) * rng.random((count, 3, 4))
        return tf.data.Dataset.from_tensor_slices(tf.sparse.from_dense(dense))
    lengths = rng.integers(0, 4, count)
    values = tf.random.stateless_uniform((int(lengths.sum()),), (1, int(rng.integers(1000))))
    ragged = tf.RaggedTensor.from_row_lengths(values, lengths)
    if kind == "ragged":  # each element a ragged tensor of its own
        ragged = tf.RaggedTensor.from_uniform_row_length(tf.tile(ragged, [2, 1]), 2)
    return tf.data.Dataset.from_tensor_slices(ragged)


def random_nest(rng, count, depth=0):
    kind = rng.choice(["leaf", "tuple", "dict", "named"]) if depth < 3 else "leaf"
    if kind == "leaf":
        return random_leaf(rng, count)
    parts = [random_nest(rng, count, depth + 1) for _ in range(rng.integers(1, 4))]
    if kind == "tuple":
        return tuple(parts)
    if kind == "named":
        return Pair(parts[0], parts[-1])
    return {f"key {number} é": part for number, part in enumerate(parts)}


@pytest.mark.parametrize("seed", range(30))
def test_any_nest_comes_back(seed, tmp_path):
    rng = np.random.default_rng(seed)
    count, per_shard = int(rng.integers(1, 12)), int(rng.integers(1, 6))
    dataset = tf.data.Dataset.zip(random_nest(rng, count))
    manifest = write(dataset, tmp_path, per_shard=per_shard)
    again = read(tmp_path)
    assert_equal(again, dataset)
    assert len(again) == count == manifest["count"]
    assert len(manifest["shards"]) == -(-count // per_shard)


def test_batches_of_a_generator_with_a_partial_last_one(tmp_path):
    def batches():
        for size in (4, 4, 3):
            yield {"imagery": np.full((size, 8, 8, 3), size, "uint8")}, [np.ones(size)]

    write(from_batches(batches, length=3), tmp_path, per_shard=2)
    again = read(tmp_path)
    assert [len(inputs["imagery"]) for inputs, _ in again] == [4, 4, 3]
    assert again.element_spec[0]["imagery"] == tf.TensorSpec((None, 8, 8, 3), tf.uint8)


def test_encoded_images_stay_as_they_are(tmp_path):
    path = ROOT / "data_samples/cover/test/barren/r13_c085.png"
    write(tf.data.Dataset.from_tensors((7, path.read_bytes())), tmp_path, per_shard=1)
    ((row, content),) = read(tmp_path)
    assert (int(row), content.numpy()) == (7, path.read_bytes())


def test_an_unknown_length_is_known_afterwards(tmp_path):
    source = tf.data.Dataset.range(10).filter(lambda number: number % 3 == 0)
    write(source, tmp_path, per_shard=3)
    assert len(read(tmp_path)) == 4


def test_an_unknown_shape_stays_unknown(tmp_path):
    source = tf.data.Dataset.range(3).map(
        lambda n: tf.numpy_function(lambda n: np.zeros(n), [n], tf.float64)
    )
    write(source, tmp_path, per_shard=2)
    again = read(tmp_path)
    assert again.element_spec.shape.rank is None
    assert [len(one) for one in again] == [0, 1, 2]


def test_an_empty_dataset_is_whole(tmp_path):
    source = tf.data.Dataset.range(0).map(lambda number: {"a": (number, tf.zeros(2))})
    write(source, tmp_path, per_shard=2)
    assert_equal(read(tmp_path), source)
    assert len(read(tmp_path)) == 0


def test_a_moved_folder_reads_the_same(tmp_path):
    write(tf.data.Dataset.range(5), tmp_path / "one", per_shard=2)
    (tmp_path / "one").rename(tmp_path / "two")
    assert_equal(read(tmp_path / "two"), tf.data.Dataset.range(5))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_readers_share_all_shards(count, tmp_path):
    write(tf.data.Dataset.range(11), tmp_path, per_shard=2)
    parts = [read(tmp_path, shard=(index, count)) for index in range(count)]
    numbers = [[int(number) for number in part] for part in parts]
    assert sorted(itertools.chain(*numbers)) == list(range(11))
    assert [len(part) for part in parts] == list(map(len, numbers))


# --- what is refused before anything is done ------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (tf.data.Dataset.range(3).repeat(), "source: expected one that ends"),
        (tf.data.Dataset.from_tensors({(1, 2): 3}), "expected keys that are strings, found (1, 2)"),
        (tf.data.Dataset.range(4).window(2), "element: expected numbers or strings in a tensor"),
        (tf.data.Dataset.from_tensors((1, None)), "targets: expected numbers or strings"),
    ],
)
def test_a_source_that_cannot_be_written(source, words, tmp_path):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        write(source, tmp_path / "new", per_shard=2)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    begun = []

    def batches():
        begun.append(1)
        yield np.zeros(1)

    source = tf.data.Dataset.from_generator(
        batches, output_signature=tf.TensorSpec((1,), tf.float64)
    )
    with pytest.raises(OSError, match="file"):
        write(source, tmp_path / "file" / "new", per_shard=2)
    assert begun == []


@pytest.mark.parametrize("arguments", [{"shard": (2, 2)}, {"shard": (0, 4)}, {"shard": (-1, 2)},
                                       {"shard": (0, 0)}])  # fmt: skip
def test_readers_that_cannot_be(arguments, tmp_path):
    write(tf.data.Dataset.range(5), tmp_path, per_shard=2)
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}: expected"):
        read(tmp_path, **arguments)


def test_a_whole_dataset_is_not_written_over(tmp_path):
    write(tf.data.Dataset.range(5), tmp_path, per_shard=2)
    with pytest.raises(ShardError, match="there is a whole dataset"):
        write(tf.data.Dataset.range(5), tmp_path, per_shard=2)


def test_another_structure_midway_ends_the_write_and_nothing_reads_as_whole(tmp_path):
    def batches():
        yield {"a": np.zeros((2, 3))}
        yield {"a": np.zeros((2, 3))}
        yield {"b": np.zeros((2, 3))}

    with pytest.raises(tf.errors.OpError, match="expected keys"):
        write(from_batches(batches, length=3), tmp_path, per_shard=1)
    with pytest.raises(ShardError, match=r"found manifest.interrupted.json: the write was cut off"):
        read(tmp_path)


def test_workers_that_split_the_dataset_read_each_row_once(tmp_path):
    write(tf.data.Dataset.range(20), tmp_path, per_shard=3)
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer()
    address = dispatcher.target.partition("://")[2]
    workers = [
        service.WorkerServer(service.WorkerConfig(dispatcher_address=address)) for _ in range(2)
    ]
    split = service.distribute(service.ShardingPolicy.DYNAMIC, dispatcher.target)
    rows = [int(row) for row in read(tmp_path, assert_length=False).apply(split)]
    assert sorted(rows) == list(range(20))
    with pytest.raises(tf.errors.FailedPreconditionError):
        list(read(tmp_path).apply(split))  # no worker has all
    del workers


# --- damage ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Return a small folder of shards, and what it holds."""
    folder = tmp_path_factory.mktemp("good")
    source = tf.data.Dataset.range(7).map(
        lambda n: ({"row": n, "name": tf.strings.as_string(n)}, tf.ones(5) * tf.cast(n, tf.float32))
    )
    write(source, folder, per_shard=3)
    return folder, list(source)


def damaged(content, rng):
    """Flip bits of a byte, cut the file, or lengthen it."""
    content, kind = bytearray(content), rng.random()
    if kind < 0.7:
        content[rng.randrange(len(content))] ^= rng.randrange(1, 256)
    elif kind < 0.9:
        del content[rng.randrange(len(content)) :]
    else:
        content += rng.randbytes(rng.randrange(1, 40))
    return bytes(content)


def outcome(folder, expected, **options):
    """Read a folder to its end: the message of what was refused, or "as it was"."""
    try:
        elements = list(read(folder, **options))
    except (ShardError, tf.errors.OpError) as error:
        return str(error)
    for one, two in zip(elements, expected, strict=True):
        assert_same(one, two)
    return "as it was"


@pytest.mark.parametrize("name", ["shard-00000.tfrecord", "shard-00002.tfrecord", "manifest.json"])
def test_whatever_is_damaged_is_refused_in_a_line_that_names_the_file(name, good, tmp_path):
    folder = shutil.copytree(good[0], tmp_path / "copy")
    rng = random.Random(525)
    content = (folder / name).read_bytes()
    for _ in range(300):
        (folder / name).write_bytes(damaged(content, rng))
        message = outcome(folder, good[1])
        # In the manifest white space may differ: then it says what it said.
        assert message.startswith(f"copy/{name}: ") or (name[0], message) == ("m", "as it was")
        assert "\n" not in message


def test_every_byte_of_a_shard_counts_without_the_check_too(good, tmp_path):
    """TensorFlow's own checksums: of a record's length (4 bytes of 12) and of its content."""
    folder = shutil.copytree(good[0], tmp_path / "copy")
    path = folder / "shard-00002.tfrecord"  # one record
    content = path.read_bytes()
    for place in [*range(20), *range(20, len(content), 4)]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        message = outcome(folder, good[1], check=False, shard=(2, 3))
        assert "corrupted record" in message, place


def test_a_cut_between_records_is_noticed_without_the_check_too(good, tmp_path):
    folder = shutil.copytree(good[0], tmp_path / "copy")
    path = folder / "shard-00000.tfrecord"
    path.write_bytes(path.read_bytes()[:162])  # two of three records
    assert sum(1 for _ in tf.data.TFRecordDataset(str(path))) == 2
    assert "expected 243 bytes, found 162" in outcome(folder, good[1], check=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "shard-00001.tfrecord").unlink(), "expected 243 bytes, found no"),
        (lambda folder: shutil.copy(folder / "shard-00000.tfrecord", folder / "shard-00001.tfrecord"), "expected SHA-256"),
        (lambda folder: shutil.copy(folder / "shard-00000.tfrecord", folder / "shard-00003.tfrecord"), "shard-00003.tfrecord: expected the shards that manifest.json names"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json: expected a manifest, found none"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "manifest.json: expected the checksum"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "manifest.json: expected the checksum"),
    ],
)  # fmt: skip
def test_what_is_missing_or_foreign(change, words, good, tmp_path):
    folder = shutil.copytree(good[0], tmp_path / "copy")
    change(folder)
    assert words in outcome(folder, good[1])
    with pytest.raises(ShardError, match=r"^copy/"):
        read(folder)


def test_a_manifest_of_another_dataset(good, tmp_path):
    folder = shutil.copytree(good[0], tmp_path / "copy")
    write(tf.data.Dataset.range(7), tmp_path / "other", per_shard=3)
    shutil.copy(tmp_path / "other" / "manifest.json", folder)
    assert outcome(folder, good[1]).startswith("copy/shard-00000.tfrecord: expected")


def test_another_version_is_refused(good, tmp_path):
    folder = shutil.copytree(good[0], tmp_path / "copy")
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["sha256"]
    signed = shards._signed(manifest | {"version": 2})
    (folder / "manifest.json").write_text(json.dumps(signed))
    assert "expected version 1, found 2" in outcome(folder, good[1])


# --- interruption ---------------------------------------------------------------------------------


def source(seed=0, count=7):
    return tf.data.Dataset.range(count).map(
        lambda n: {"row": n, "noise": tf.random.stateless_normal((4,), (seed, n))}
    )


def content_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def interrupted(folder, after, **options):
    """Write, and stop with an exception once so many elements were made."""
    calls = []
    original = tf.io.TFRecordWriter.write

    def counted(self, record):
        if len(calls) == after:
            raise KeyboardInterrupt
        calls.append(record)
        original(self, record)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.io.TFRecordWriter, "write", counted)
        with pytest.raises(KeyboardInterrupt):
            write(source(**options), folder, per_shard=2)


def test_a_resumed_write_keeps_whole_shards(tmp_path):
    interrupted(tmp_path / "a", 5)
    kept = (tmp_path / "a" / "shard-00001.tfrecord").stat()
    write(source(), tmp_path / "a", per_shard=2)
    assert (tmp_path / "a" / "shard-00001.tfrecord").stat() == kept
    write(source(), tmp_path / "b", per_shard=2)
    assert content_of(tmp_path / "a") == content_of(tmp_path / "b")


def test_the_progress_bar_counts_what_is_compared_and_what_is_written(tmp_path, capsys):
    interrupted(tmp_path, 5)
    write(source(), tmp_path, per_shard=2, progress=True)
    assert "7/7" in capsys.readouterr().err


def test_a_damaged_shard_is_written_again(tmp_path):
    interrupted(tmp_path / "a", 5)
    path = tmp_path / "a" / "shard-00000.tfrecord"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    write(source(), tmp_path / "a", per_shard=2)
    assert_equal(read(tmp_path / "a"), source())


@pytest.mark.parametrize(
    ("other", "per_shard", "words"),
    [
        (source(seed=1), 2, "expected the same elements from the source again"),
        (source(count=3), 2, "expected the same elements from the source again"),
        (source(), 3, "expected per_shard 3 as in the call, found 2"),
        (tf.data.Dataset.range(7), 2, "expected structure"),
    ],
)
def test_another_source_does_not_go_on(other, per_shard, words, tmp_path):
    interrupted(tmp_path, 5)
    with pytest.raises(ShardError, match=words) as caught:
        write(other, tmp_path, per_shard=per_shard)
    assert str(caught.value).startswith(f"{tmp_path.name}/")
    with pytest.raises(ShardError, match="cut off"):
        read(tmp_path)


def test_shards_without_a_manifest_are_not_written_over(tmp_path):
    write(source(), tmp_path, per_shard=2)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ShardError, match="expected a folder without shards"):
        write(source(), tmp_path, per_shard=2)


# Writes in a child that kills itself at its n-th step, one child for each n, until one ends whole.
# The children are forked once TensorFlow is imported, and before it has started any thread.
KILLED = """
import os, signal, sys
from pathlib import Path
import tensorflow as tf
from test_shards import source
from helpers.shards import write

steps, killed_at = 0, 0
def step(function):
    def counted(*arguments, **options):
        global steps
        steps += 1
        if steps == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return counted

Path.replace, Path.write_text, os.fsync = map(step, (Path.replace, Path.write_text, os.fsync))
tf.io.TFRecordWriter.write = step(tf.io.TFRecordWriter.write)
tf.io.TFRecordWriter.close = step(tf.io.TFRecordWriter.close)
Path.unlink = step(Path.unlink)
while True:
    killed_at += 1
    child = os.fork()
    if not child:
        write(source(count=3), f"{sys.argv[1]}/{killed_at}", per_shard=2)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status != signal.SIGKILL:
        sys.exit(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
def test_a_write_that_is_killed_at_any_step_reads_as_nothing_and_resumes(tmp_path):
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    subprocess.run([sys.executable, "-c", KILLED, tmp_path], env=environment, check=True)
    *killed, whole = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    assert len(killed) > 20
    expected, finished = content_of(whole), 0
    for folder in killed:
        try:
            assert_equal(read(folder), source(count=3))
            finished += 1  # only the end of the process was missing
        except ShardError:
            write(source(count=3), folder, per_shard=2)
        assert content_of(folder) == expected
    assert finished == 1
