"""What is delivered, value by value, against files and tables that are read here a second time.

Nothing here uses `helpers` to know what is right: `tiles.csv` is read with the csv module, files
with Pillow, and what a flip does is done with slices.
"""

import csv
from pathlib import Path

import numpy as np
import pytest
import readme
import tensorflow as tf
from PIL import Image

from helpers import tiles
from helpers.datasets import from_batches
from helpers.generators import AlignedEpochs, Epochs, row_flow

DATA = Path(__file__).resolve().parent.parent / "data_samples"
CLASSES = sorted(path.name for path in (DATA / "imagery/train").iterdir() if path.is_dir())
COMPOSITION = ["vegetated_fraction", "cover_diversity"]
SITE = ["latitude_sine", "longitude_sine", "longitude_cosine", "equator_distance", "roughness"]
SIZES = {"imagery": 64, "relief": 32, "cover": 64}
PLAIN = tf.keras.preprocessing.image.ImageDataGenerator(rescale=1 / 255)


def lines_of(split):
    with (DATA / "tiles.csv").open(encoding="utf-8") as file:
        return [line for line in csv.DictReader(file) if line["split"] == split]


def files_of(stream, split):
    return [
        str(DATA / stream / split / line["class"] / f"{line['id']}.png") for line in lines_of(split)
    ]


def pixels_of(stream, split):
    """Return all images of a stream as stored, uint8 of shape (rows, height, width, channels)."""
    images = []
    for path in files_of(stream, split):
        with Image.open(path) as image:
            images.append(np.asarray(image).reshape(SIZES[stream], SIZES[stream], -1))
    return np.stack(images)


def numbers_of(split, names):
    return np.array([[float(line[name]) for name in names] for line in lines_of(split)], "float32")


def one_hot_of(split):
    return np.array([[line["class"] == name for name in CLASSES] for line in lines_of(split)])


def flips(image):
    return (image, image[:, ::-1], image[::-1], image[::-1, ::-1])


def flip_of(image, original):
    """Return which flip of the stored image this is, 0 to 3; fails if it is none."""
    found = [np.allclose(image, flip / 255, atol=1e-6) for flip in flips(original.astype(float))]
    assert any(found), "an image that is no flip of the stored one"
    return found.index(True)


# The loader


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_split_is_what_the_table_and_the_files_say(split):
    every = [*SITE, *COMPOSITION, "latitude", "longitude", "red_mean", "blue_red_index"]
    assert np.array_equal(tiles.columns(split, every), numbers_of(split, every))
    assert np.array_equal(tiles.one_hot(split), one_hot_of(split))
    assert tiles.labels(split).tolist() == one_hot_of(split).argmax(axis=1).tolist()
    assert tiles.table(split)["id"].tolist() == [line["id"] for line in lines_of(split)]
    for stream in SIZES:
        assert tiles.paths(stream, split) == files_of(stream, split)
        assert np.array_equal(tiles.read_images(stream, split), pixels_of(stream, split))
    assert tuple(tiles.CLASS_NAMES) == tuple(CLASSES)
    assert (list(tiles.SITE), list(tiles.COMPOSITION)) == (SITE, COMPOSITION)


# Flows of files


def test_row_flow_without_shuffle_keeps_the_order_and_pairs_rows_with_files():
    flow = row_flow(
        PLAIN,
        files_of("relief", "validation"),
        target_size=(32, 32),
        batch_size=50,
        shuffle=False,
        seed=3,
    )
    originals = pixels_of("relief", "validation")
    for epochs in (lambda: (next(flow) for _ in range(len(flow))), Epochs(flow)):
        for _ in range(2):
            batches = list(epochs())
            assert [len(rows) for _, rows in batches] == [50, 50, 20]
            assert np.concatenate([rows for _, rows in batches]).tolist() == list(range(120))
            images = np.concatenate([images for images, _ in batches])
            assert np.allclose(images, originals / 255.0, atol=1e-6)


def test_row_flow_shuffles_otherwise_in_each_epoch_and_for_each_seed():
    def orders(seed):
        flow = row_flow(PLAIN, files_of("relief", "test"), target_size=(32, 32), seed=seed)
        epochs = Epochs(flow)
        return [tuple(np.concatenate([rows for _, rows in epochs()])) for _ in range(2)]

    seen = [*orders(3), *orders(4)]
    assert len({*seen, tuple(range(120))}) == 5
    assert orders(3) == seen[:2]


def test_row_flow_passes_its_options_on():
    options = {"target_size": (16, 24), "color_mode": "grayscale", "batch_size": 7}
    flow = row_flow(PLAIN, files_of("imagery", "test"), seed=1, shuffle=False, **options)
    images, rows = next(flow)
    assert images.shape == (7, 16, 24, 1)
    assert rows.tolist() == list(range(7))


def test_aligned_epochs_pair_every_stream_with_its_file():
    flows = {
        stream: row_flow(PLAIN, files_of(stream, "test"), target_size=(SIZES[stream],) * 2, seed=8)
        for stream in ("imagery", "relief")
    }
    epochs = AlignedEpochs(flows, lambda images, rows: (images, rows))
    for _ in range(2):
        seen = []
        for images, rows in epochs():
            seen += rows.tolist()
            for stream, batch in images.items():
                assert np.allclose(batch, pixels_of(stream, "test")[rows] / 255.0, atol=1e-6)
        assert seen != sorted(seen)
        assert sorted(seen) == list(range(120))


def test_a_dataset_keeps_each_leaf_where_the_generator_put_it():
    one, two, three, four, five, six = np.arange(6 * 4, dtype="float32").reshape(6, 2, 2)
    batch = ({"b": one, "a": two}, (three, {"z": four, "y": five}), six)
    (element,) = from_batches(lambda: iter([batch]), length=1).as_numpy_iterator()
    (inputs, (first, second), weights) = element
    for found, wanted in (
        (inputs["b"], one),
        (inputs["a"], two),
        (first, three),
        (second["z"], four),
        (second["y"], five),
        (weights, six),
    ):
        assert np.array_equal(found, wanted)


# README's two datasets


@pytest.fixture(scope="module")
def names():
    return readme.run_blocks()


def rows_of(site):
    """Return the row of each sample, found by its place, which no two training tiles share."""
    table = {line.tobytes(): row for row, line in enumerate(numbers_of("train", SITE))}
    return [table[line.tobytes()] for line in site.numpy()]


@pytest.mark.parametrize("epoch", [0, 1])
def test_the_short_answer_delivers_each_tile_whole(names, epoch):
    """Every row once; image, site, class and composition of a sample are those of one tile."""
    originals, seen, flipped = pixels_of("imagery", "train"), [], []
    for (images, site), (classes, composition) in names["dataset"]:
        rows = rows_of(site)
        assert np.array_equal(classes, one_hot_of("train")[rows])
        assert np.array_equal(composition, numbers_of("train", COMPOSITION)[rows])
        flipped += [
            flip_of(image, originals[row]) for image, row in zip(images.numpy(), rows, strict=True)
        ]
        seen += rows
    assert sorted(seen) == list(range(480))
    assert seen != sorted(seen)
    assert set(flipped) == {0, 1}  # the README asks for horizontal flips
    assert 150 < sum(flipped) < 330


def test_the_checked_dataset_delivers_each_tile_whole(names):
    """Of a sample without a vector the row is that of its images; both are flipped alike."""
    originals = {stream: pixels_of(stream, "train") for stream in ("imagery", "relief")}
    means = originals["imagery"].mean(axis=(1, 2)) / 255
    seen = []
    for (imagery, relief), (classes, composition) in names["checked"]:
        for image, small, kind, parts in zip(
            imagery.numpy(), relief.numpy(), classes.numpy(), composition.numpy(), strict=True
        ):
            row = int(np.abs(means - image.mean(axis=(0, 1))).sum(axis=1).argmin())
            assert flip_of(image, originals["imagery"][row]) == flip_of(
                small, originals["relief"][row]
            )
            assert np.array_equal(kind, one_hot_of("train")[row])
            assert np.array_equal(parts, numbers_of("train", COMPOSITION)[row])
            seen.append(row)
    assert sorted(seen) == list(range(480))
    assert seen != sorted(seen)
