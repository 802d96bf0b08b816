"""`helpers.tiles` gives rows in one order; that the data is whole is for test_data_samples."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from helpers import tiles


@pytest.mark.parametrize(("split", "rows"), [("train", 480), ("validation", 120), ("test", 120)])
def test_shapes_and_dtypes(split, rows):
    for stream, shape in tiles.IMAGES.items():
        images = tiles.read_images(stream, split)
        assert (images.shape, images.dtype) == ((rows, *shape), np.uint8)
    for names in (tiles.SPECTRAL, tiles.SITE, tiles.COMPOSITION):
        numbers = tiles.columns(split, names)
        assert (numbers.shape, numbers.dtype) == ((rows, len(names)), np.float32)
    assert (tiles.labels(split).shape, tiles.labels(split).dtype) == ((rows,), np.int64)
    one_hot = tiles.one_hot(split)
    assert (one_hot.shape, one_hot.dtype) == ((rows, 8), np.float32)
    assert (one_hot.sum(axis=1) == 1).all()
    assert (one_hot.argmax(axis=1) == tiles.labels(split)).all()


def test_the_table_has_all_splits_in_order():
    whole = tiles.table()
    assert whole["split"].unique().tolist() == list(tiles.SPLITS)
    assert whole.index.tolist() == list(range(720))
    for split in tiles.SPLITS:
        part = tiles.table(split)
        assert part.index.tolist() == list(range(len(part)))
        assert part["id"].tolist() == whole["id"][whole["split"] == split].tolist()


@pytest.mark.parametrize("split", tiles.SPLITS)
def test_rows_mean_the_same_in_every_function(split):
    rows = tiles.table(split)
    assert set(rows["split"]) == {split}
    names = [tiles.CLASS_NAMES[number] for number in tiles.labels(split)]
    assert names == rows["class"].tolist()
    for stream, shape in tiles.IMAGES.items():
        folder = tiles.folder(stream, split)
        paths = tiles.paths(stream, split)
        assert paths == [
            str(folder / name / f"{tile}.png") for name, tile in zip(names, rows["id"], strict=True)
        ]
        images = tiles.read_images(stream, split)
        for row in (0, 50, 119):
            with Image.open(paths[row]) as image:
                assert (images[row] == np.asarray(image).reshape(shape)).all()
    columns = tiles.columns(split, ("roughness", "red_mean"))
    assert (columns[:, 0] == rows["roughness"].to_numpy("float32")).all()
    assert (columns[:, 1] == rows["red_mean"].to_numpy("float32")).all()


def test_it_loads_no_tensorflow():
    code = "import sys, helpers.tiles; print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: tiles.table("dev"), "split: expected one of .*'validation'.* found 'dev'"),
        (lambda: tiles.labels("dev"), "split: .* found 'dev'"),
        (lambda: tiles.folder("radar", "test"), "stream: .*'relief'.* found 'radar'"),
        (lambda: tiles.folder("relief", "tests"), "split: .* found 'tests'"),
        (lambda: tiles.read_images("radar", "test"), "stream: .* found 'radar'"),
        (lambda: tiles.paths("cover", "dev"), "split: .* found 'dev'"),
    ],
)
def test_unknown_names_are_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()
