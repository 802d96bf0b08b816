"""Leaving ImageDataGenerator: every row of lesson 10's tables, against the class itself.

Where a row says "the same pixels", both are given one transform; where it says "the same
distribution", many are sampled from both and compared by Kolmogorov and Smirnov's test.
"""

import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import notebook_checks as checks
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image
from scipy import stats

from helpers import leaving, tiles, transforms
from helpers.fast import as_dict, as_line

ROOT = Path(__file__).resolve().parents[1]
LESSON = ROOT / "notebooks" / "10_leaving_imagedatagenerator.ipynb"
ImageDataGenerator = tf.keras.preprocessing.image.ImageDataGenerator
layers = keras.layers
GEOMETRY = {
    "rotation_range": 90,
    "width_shift_range": 0.2,
    "height_shift_range": 0.3,
    "shear_range": 20,
    "zoom_range": 0.4,
    "horizontal_flip": True,
    "vertical_flip": True,
}
IMAGERY = tiles.read_images("imagery", "test")[::4].astype("float32")
FOLDER = tiles.folder("imagery", "test")


def by_class(datagen, images, table):
    """Return what ``apply_transform`` makes of each image, one after the other."""
    pairs = zip(images, table, strict=True)
    return np.stack([datagen.apply_transform(image.copy(), as_dict(line)) for image, line in pairs])


def standardised(datagen, images):
    return np.stack([datagen.standardize(image.copy()) for image in images])


def furthest(one, other):
    return float(np.abs(np.asarray(one, "float64") - np.asarray(other, "float64")).max())


def part_of_pixels(one, other, by=0.5):
    """Return how many of the pixels differ by more than this in some channel, as a part."""
    return float((np.abs(np.asarray(one, "float64") - other).max(-1) > by).mean())


def same_distribution(one, other):
    """Tell whether two samples may come from one distribution: p above a thousandth."""
    return stats.ks_2samp(np.asarray(one, float), np.asarray(other, float)).pvalue > 1e-3


def sampled_by_class(datagen, name, count=4000, shape=(64, 64, 3)):
    np.random.seed(0)
    return np.array([datagen.get_random_transform(shape)[name] for _ in range(count)], float)


def sampled_by_table(datagen, name, count=4000, shape=(64, 64, 3)):
    table = transforms.sample(datagen, count, shape, seed=0, epoch=0)
    return table[:, transforms.PARAMETERS.index(name)]


def sampled_by_layer(layer, name, count=4000):
    """Return what a layer samples for a batch of that many tiny images."""
    keras.utils.set_random_seed(0)
    found = layer.get_random_transformation(np.zeros((count, 64, 64, 1), "float32"))[name]
    return np.asarray(found, float)


def one_transform(images=IMAGERY, datagen=None, **parameters):
    """Return images moved by the class, all by the same transform."""
    table = np.tile(as_line(parameters), (len(images), 1))
    return by_class(datagen or ImageDataGenerator(), images, table)


def table_of(datagen, count, shape=(64, 64, 3)):
    return transforms.sample(datagen, count, shape, seed=1, epoch=0)


# The composed affine


# Of each border and dtype of the lines: how many pixels may be more than 0.01 of 255 off. Beyond a
# border of these two lies another value, and coordinates in float32 may fall on its other side.
MOST = {"float64": {}, "float32": {"constant": 1e-4, "wrap": 1e-3}}


@pytest.mark.parametrize("dtype", MOST)
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("fill_mode", leaving.FILL_MODES)
def test_the_composed_affine(fill_mode, order, dtype):
    """The same pixels as ``apply_transform``, for each border and order, all options at once."""
    border = {"fill_mode": fill_mode, "cval": 37.0}
    datagen = ImageDataGenerator(**GEOMETRY, **border, interpolation_order=order)
    table = table_of(datagen, len(IMAGERY))
    found = leaving.affine(IMAGERY, table.astype(dtype), order=order, **border)
    expected = by_class(datagen, IMAGERY, table)
    # The nearest of two pixels that are as near is the one or the other.
    most = max(MOST[dtype].get(fill_mode, 0), 0 if order else 1e-4)
    assert part_of_pixels(expected, found, by=0.01) <= most


@pytest.mark.parametrize("fill_mode", leaving.FILL_MODES)
def test_images_that_are_not_square_move_in_the_graph_in_batches_of_any_size(fill_mode):
    images = np.random.default_rng(0).uniform(0, 255, (10, 48, 70, 3)).astype("float32")
    datagen = ImageDataGenerator(**GEOMETRY, fill_mode=fill_mode)
    table = table_of(datagen, 10, (48, 70, 3))
    dataset = tf.data.Dataset.from_tensor_slices((images, table)).batch(4)
    moved = dataset.map(lambda batch, lines: leaving.affine(batch, lines, fill_mode=fill_mode))
    assert moved.element_spec.shape.as_list() == [None, 48, 70, 3]
    found = np.concatenate(list(moved.as_numpy_iterator()))
    assert furthest(by_class(datagen, images, table), found) < 0.05


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend):
    """The same pixels on another backend, in a process of its own."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed; the lessons do not need it")
    code = f"""
import keras, numpy as np
from helpers import leaving, tiles
images = tiles.read_images("imagery", "test")[::40].astype("float32")
table = np.array({table_of(ImageDataGenerator(**GEOMETRY), 3)[:, :8].tolist()}, "float32")
for fill_mode in leaving.FILL_MODES:
    moved = leaving.affine(keras.ops.convert_to_tensor(images), table, fill_mode=fill_mode)
    print(float(keras.ops.mean(moved)))
print(keras.backend.backend())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    images = tiles.read_images("imagery", "test")[::40].astype("float32")
    *means, name = done.stdout.split()
    assert name == backend
    for fill_mode, mean in zip(leaving.FILL_MODES, means, strict=True):
        datagen = ImageDataGenerator(**GEOMETRY, fill_mode=fill_mode)
        expected = by_class(datagen, images, table_of(datagen, 3))
        assert float(mean) == pytest.approx(expected.mean(), abs=0.02)


def test_a_chain_of_layers_is_another_transform():
    """Even with the same numbers for each: it resamples each time, and in another order."""
    parameters = {"theta": 30, "tx": 6.4, "ty": -3.2, "zx": 0.8, "zy": 1.1}
    expected = one_transform(**parameters)
    moved = rotated(translated(zoomed(IMAGERY, 0.8, 1.1), 6.4, -3.2), 30)
    assert part_of_pixels(expected, moved) > 0.6
    line = np.tile(as_line(parameters), (len(IMAGERY), 1))
    assert furthest(expected, leaving.affine(IMAGERY, line)) < 0.01


def alike(first, *factors, **options):
    """Return a layer that samples the same numbers each time: from a range of no length."""
    return first(*[(factor, factor) for factor in factors], fill_mode="nearest", **options)


def rotated(images, theta):
    return alike(layers.RandomRotation, theta / 360)(images, training=True)


def translated(images, tx, ty):
    """Move by a layer as the class moves by tx and ty: along columns, rows, the other way."""
    height, width = images.shape[1:3]
    return alike(layers.RandomTranslation, -ty / height, -tx / width)(images, training=True)


def zoomed(images, zx, zy):
    return alike(layers.RandomZoom, zy - 1, zx - 1)(images, training=True)


# Options, one by one


def test_rotation_range():
    assert furthest(one_transform(theta=25), rotated(IMAGERY, 25)) < 0.01
    datagen = ImageDataGenerator(rotation_range=40)
    angles = sampled_by_layer(layers.RandomRotation(40 / 360), "angle")
    assert same_distribution(sampled_by_class(datagen, "theta"), angles)
    wrong = sampled_by_layer(layers.RandomRotation(40 / 180), "angle")  # half a circle
    assert not same_distribution(sampled_by_class(datagen, "theta"), wrong)


def test_shifts():
    """height_shift_range moves along the columns: it is the layer's `width_factor`."""
    assert furthest(one_transform(tx=5.5), translated(IMAGERY, 5.5, 0)) < 0.01
    assert furthest(one_transform(ty=5.5), translated(IMAGERY, 0, 5.5)) < 0.01
    datagen = ImageDataGenerator(height_shift_range=0.3, width_shift_range=0.1)
    layer = layers.RandomTranslation(height_factor=0.1, width_factor=0.3)
    along_columns, along_rows = sampled_by_layer(layer, "translations").T
    assert same_distribution(sampled_by_class(datagen, "tx"), along_columns)
    assert same_distribution(sampled_by_class(datagen, "ty"), along_rows)
    assert not same_distribution(sampled_by_class(datagen, "tx"), along_rows)


def test_shifts_from_a_list():
    datagen = ImageDataGenerator(width_shift_range=[1, 4])
    assert set(sampled_by_class(datagen, "ty", 200)) == {-4, -1, 1, 4}
    assert set(sampled_by_table(datagen, "ty", 200)) == {-4, -1, 1, 4}
    with pytest.raises(ValueError, match=r"in the range \[-1.0, 1.0\]"):
        layers.RandomTranslation(height_factor=4, width_factor=0.0)


def test_zoom_range():
    assert furthest(one_transform(zx=0.7, zy=1.2), zoomed(IMAGERY, 0.7, 1.2)) < 0.01
    datagen = ImageDataGenerator(zoom_range=(0.7, 1.1))
    layer = layers.RandomZoom((-0.3, 0.1), (-0.3, 0.1))
    for name, theirs in (("zx", "width_zoom"), ("zy", "height_zoom")):
        found = sampled_by_layer(layer, theirs).ravel()
        assert same_distribution(sampled_by_class(datagen, name), found)
    keras.utils.set_random_seed(0)
    one_factor = layers.RandomZoom((-0.3, 0.1)).get_random_transformation(np.zeros((9, 8, 8, 1)))
    assert furthest(one_factor["width_zoom"], one_factor["height_zoom"]) == 0  # no second number


def test_shear_range():
    """RandomShear keeps the lines' lengths, moves about the corner, and has one sign for two."""
    expected = one_transform(shear=20)
    line = np.tile(as_line({"shear": 20}), (len(IMAGERY), 1))
    assert furthest(expected, leaving.affine(IMAGERY, line)) < 0.01
    layer = layers.RandomShear(x_factor=(0.5, 0.5), y_factor=(0.2, 0.2), fill_mode="nearest")
    factors = sampled_by_layer(layer, "shear_factor", 200)
    assert set(map(tuple, factors.round(3))) == {(0.5, 0.2), (-0.5, -0.2)}
    nearest = min(
        part_of_pixels(expected, sheared(layer, factor))
        for factor in (-np.sin(np.deg2rad(20)), np.sin(np.deg2rad(20)))
    )
    assert nearest > 0.5


def sheared(layer, factor):
    plan = {"shear_factor": tf.constant(np.tile(np.float32([factor, 0]), (len(IMAGERY), 1)))}
    return np.asarray(layer.transform_images(IMAGERY, plan))


@pytest.mark.parametrize(
    ("option", "mode"), [("horizontal_flip", "horizontal"), ("vertical_flip", "vertical")]
)
def test_flips(option, mode):
    datagen = ImageDataGenerator(**{option: True})
    name = f"flip_{mode}"
    flips = sampled_by_layer(layers.RandomFlip(mode), "flips").ravel()
    for found in (flips, sampled_by_table(datagen, name), sampled_by_class(datagen, name)):
        assert 0.46 < found.mean() < 0.54
    layer = layers.RandomFlip(mode)
    plan = {"flips": np.ones((len(IMAGERY), 1, 1, 1), bool), "input_shape": IMAGERY.shape}
    assert furthest(one_transform(**{name: True}), layer.transform_images(IMAGERY, plan)) == 0


def test_brightness_range():
    """The class multiplies and cuts to whole levels; RandomBrightness adds."""
    expected = one_transform(brightness=1.3)
    assert furthest(expected, np.floor(np.clip(np.float32(1.3) * IMAGERY, 0, 255))) == 0
    datagen = ImageDataGenerator(brightness_range=(0.5, 1.5))
    table = table_of(datagen, len(IMAGERY))
    replacement = leaving.replacement(datagen)
    assert furthest(by_class(datagen, IMAGERY, table), replacement_of(replacement, table)) == 0
    layer = layers.RandomBrightness((0.1, 0.1))
    assert furthest(layer(IMAGERY[:1], training=True), np.clip(IMAGERY[:1] + 25.5, 0, 255)) < 0.01
    small, large = ((layer(x, training=True) - x) for x in (IMAGERY[:1], IMAGERY[:1] / 2))
    assert furthest(np.median(small), np.median(large)) < 0.01  # the same for any value


def replacement_of(replacement, table, images=IMAGERY):
    return replacement({"imagery": images}, table)["imagery"]


def test_brightness_after_a_warp():
    """A value that the warp makes of several may fall on the other side of a level: rarely."""
    datagen = ImageDataGenerator(**GEOMETRY, brightness_range=(0.5, 1.5))
    table = table_of(datagen, len(IMAGERY))
    expected = by_class(datagen, IMAGERY, table)
    found = replacement_of(leaving.replacement(datagen), table)
    assert part_of_pixels(expected, found) < 2e-4
    assert furthest(expected, found) <= 2


def test_channel_shift_range():
    datagen = ImageDataGenerator(**GEOMETRY, channel_shift_range=40.0)
    table = table_of(datagen, len(IMAGERY))
    expected = by_class(datagen, IMAGERY, table)
    assert furthest(expected, replacement_of(leaving.replacement(datagen), table)) < 0.01
    shift = sampled_by_class(datagen, "channel_shift_intensity")
    layer = layers.RandomBrightness(40 / 255)
    found = sampled_by_layer(layer, "rgb_delta").ravel()
    assert same_distribution(shift, found)
    # The layer cuts at 0 and 255, the class at the image's own smallest and largest value.
    shifted = one_transform(channel_shift_intensity=40.0)
    own = shifted.max(axis=(1, 2, 3)) == IMAGERY.max(axis=(1, 2, 3))
    assert own.all()
    assert part_of_pixels(shifted, np.clip(IMAGERY + 40, 0, 255)) > 0


@pytest.mark.parametrize(
    ("fill_mode", "low", "high"),
    [("nearest", 0, 1e-9), ("reflect", 0, 1e-9), ("constant", 0.005, 0.1), ("wrap", 0.05, 0.4)],
)
def test_fill_mode(fill_mode, low, high):
    """Two of the four borders are other ones in Keras 3; the layers' default is "reflect"."""
    datagen = ImageDataGenerator(**GEOMETRY, fill_mode=fill_mode, cval=37.0)
    table = table_of(datagen, len(IMAGERY))
    matrix = leaving._matrices(tf.constant(table), 64, 64, (1, 1))
    plain = keras.ops.image.affine_transform(
        IMAGERY, tf.cast(tf.pad(matrix, ((0, 0), (0, 2))), "float32"),
        fill_mode=fill_mode, fill_value=37.0,
    )  # fmt: skip
    assert low <= part_of_pixels(by_class(datagen, IMAGERY, table), plain, by=0.01) <= high
    assert layers.RandomRotation(0.1).fill_mode == "reflect"
    assert ImageDataGenerator().fill_mode == "nearest"


def test_interpolation_order():
    """Orders 2 to 5 have no replacement, and are named."""
    assert "interpolation_order" in leaving._cannot_carry(ImageDataGenerator(interpolation_order=3))
    for order in (0, 1):
        assert leaving._cannot_carry(ImageDataGenerator(interpolation_order=order)) == {}
    with pytest.raises(NotImplementedError, match="interpolation"):
        layers.RandomRotation(0.1, interpolation="bicubic")


def test_rescale():
    datagen = ImageDataGenerator(rescale=1 / 255)
    expected = standardised(datagen, IMAGERY)
    assert furthest(expected, layers.Rescaling(1 / 255)(IMAGERY)) < 1e-6


def test_samplewise():
    datagen = ImageDataGenerator(samplewise_center=True, samplewise_std_normalization=True)
    expected = standardised(datagen, IMAGERY)
    found = replacement_of(leaving.replacement(datagen), neutral(len(IMAGERY)))
    assert furthest(expected, found) < 1e-4
    assert furthest(expected, tf.image.per_image_standardization(IMAGERY)) < 1e-3
    centred = ImageDataGenerator(samplewise_center=True)
    found = replacement_of(leaving.replacement(centred), neutral(len(IMAGERY)))
    assert furthest(standardised(centred, IMAGERY), found) < 1e-3
    # An image of one colour: nearly nothing is divided by nearly nothing.
    assert furthest(tf.image.per_image_standardization(np.full((1, 8, 8, 3), 9.0)), 0) == 0


def neutral(count):
    return np.tile(as_line({}), (count, 1))


def test_featurewise():
    datagen = ImageDataGenerator(
        featurewise_center=True, featurewise_std_normalization=True, rescale=1 / 255
    )
    datagen.fit(IMAGERY)
    expected = standardised(datagen, IMAGERY)
    layer = layers.Normalization(axis=-1)
    layer.adapt(IMAGERY / 255)
    assert furthest(expected, layer(IMAGERY / 255)) < 1e-3  # no 1e-6 below the line
    found = replacement_of(leaving.replacement(datagen), neutral(len(IMAGERY)))
    assert furthest(expected, found) < 1e-4


def test_zca_whitening():
    images = IMAGERY[:, ::8, ::8] / 255
    datagen = ImageDataGenerator(zca_whitening=True, zca_epsilon=0.1)
    datagen.fit(images)
    expected = standardised(datagen, images)
    flat = (images - images.mean(axis=(0, 1, 2))).reshape(len(images), -1)
    u, s, _ = np.linalg.svd(flat.T, full_matrices=False)
    white = flat @ (u * (np.sqrt(len(flat)) / (s + 0.1))) @ u.T
    assert furthest(expected, white.reshape(images.shape)) < 1e-3
    found = replacement_of(leaving.replacement(datagen), neutral(len(images)), images)
    assert furthest(expected, found) < 1e-3
    assert not hasattr(layers, "ZCA")


def test_preprocessing_function():
    """After the transform, before `rescale`; it is refused until the class has none."""
    datagen = ImageDataGenerator(preprocessing_function=lambda x: 255 - x, rescale=1 / 255)
    expected = standardised(datagen, IMAGERY)
    with pytest.raises(ValueError, match="preprocessing_function"):
        leaving.replacement(datagen)
    datagen.preprocessing_function = None
    plain = replacement_of(leaving.replacement(datagen), neutral(len(IMAGERY)))
    assert furthest(plain, IMAGERY / 255) < 1e-6
    dataset = tf.data.Dataset.from_tensor_slices(IMAGERY).batch(8)
    found = np.concatenate(list(dataset.map(lambda x: (255 - x) / 255)))
    assert furthest(expected, found) < 1e-6


def test_data_format_and_dtype():
    first = ImageDataGenerator(rotation_range=90, data_format="channels_first", dtype="float64")
    assert sorted(leaving._cannot_carry(first)) == ["data_format", "dtype"]
    table = table_of(first, len(IMAGERY), (3, 64, 64))
    expected = by_class(first, IMAGERY.transpose(0, 3, 1, 2).astype("float64"), table)
    moved = leaving.affine(IMAGERY, table)
    assert furthest(expected, np.transpose(moved, (0, 3, 1, 2))) < 0.01


def test_validation_split():
    """The class takes the first part of each class, Keras 3 the last part of all files."""
    datagen = ImageDataGenerator(validation_split=0.25)
    assert list(leaving._cannot_carry(datagen)) == ["validation_split"]
    flow = datagen.flow_from_directory(FOLDER, subset="validation", shuffle=False, seed=1)
    theirs = keras.utils.image_dataset_from_directory(
        FOLDER, validation_split=0.25, subset="validation", shuffle=False, verbose=False
    )
    names = [Path(path).parts[-2:] for path in theirs.file_paths]
    assert len({name for name, _ in names}) == 2
    assert set(flow.classes) == set(range(8))
    everything = [Path(path).parts[-2:] for path in tiles.paths("imagery", "test")]
    assert names == everything[-30:]


# Random options, all at once


EVERY = {**GEOMETRY, "channel_shift_range": 30.0, "brightness_range": (0.6, 1.2)}


@pytest.mark.parametrize("name", transforms.PARAMETERS)
def test_get_random_transform(name):
    """The table has the distribution of the class for each parameter."""
    datagen = ImageDataGenerator(**EVERY)
    expected = sampled_by_class(datagen, name, shape=(48, 80, 3))
    assert same_distribution(expected, sampled_by_table(datagen, name, shape=(48, 80, 3)))
    half = ImageDataGenerator(
        **{
            "rotation_range": 80, "width_shift_range": 0.17, "height_shift_range": 0.25,
            "shear_range": 17, "zoom_range": 0.34, "channel_shift_range": 25.0,
            "brightness_range": (0.65, 1.15),
        }
    )  # fmt: skip
    assert not same_distribution(expected, sampled_by_table(half, name, shape=(48, 80, 3)))


# Methods


def test_fit():
    test_featurewise()
    datagen = ImageDataGenerator(featurewise_center=True)
    assert "call datagen.fit" in leaving._cannot_carry(datagen)["featurewise_center"]


def test_random_transform():
    """What it does is the class's `apply_transform` of `get_random_transform`: a line, applied."""
    datagen = ImageDataGenerator(**GEOMETRY)
    np.random.seed(3)
    line = as_line(datagen.get_random_transform(IMAGERY[0].shape))
    expected = datagen.random_transform(IMAGERY[0], seed=3)
    assert furthest(expected, leaving.affine(IMAGERY[:1], line[None])[0]) < 0.01


def test_everything_at_once():
    """All that can be carried over, as one flow does it to its batches."""
    datagen = ImageDataGenerator(
        **GEOMETRY, channel_shift_range=30.0, rescale=1 / 255, featurewise_center=True
    )
    datagen.fit(IMAGERY)
    table = table_of(datagen, len(IMAGERY))
    expected = standardised(datagen, by_class(datagen, IMAGERY, table))
    assert furthest(expected, replacement_of(leaving.replacement(datagen), table)) < 1e-4


@pytest.mark.parametrize("options", [{}, {"fill_mode": "constant", "cval": 40.0}])
def test_images_and_masks_stay_in_step_at_different_sizes(options):
    rows = np.arange(0, 120, 10)
    large, cover = (tiles.read_images(name, "test")[rows] for name in ("imagery", "cover"))
    datagen = ImageDataGenerator(**EVERY, rescale=1 / 255, **options)
    replacement = leaving.replacement(datagen, masks=["cover", "small"], mask_fill=9)
    images = {"imagery": large, "cover": cover, "small": cover[:, ::2, ::2]}
    moved = replacement(images, transforms.sample(datagen, 12, (64, 64, 3), seed=5, epoch=0))
    shared = transforms.SharedTransforms(datagen, seed=5, masks=["cover", "small"], mask_fill=9)
    expected = shared(images, range(len(rows)), 0)
    for name in ("cover", "small"):
        assert moved[name].dtype == "uint8"
        assert set(np.unique(moved[name])) <= {*np.unique(cover), 9}
        assert (9 in np.unique(moved[name])) == bool(options)
        assert (np.asarray(moved[name]) == expected[name]).mean() > 0.999
    assert part_of_pixels(moved["imagery"], expected["imagery"], by=0.5 / 255) < 0.01


def test_it_stands_in_a_layer():
    datagen = ImageDataGenerator(**EVERY, fill_mode="constant")
    replacement = leaving.replacement(datagen, masks=["cover"], mask_fill=8)

    class Moved(layers.Layer):
        def call(self, images, lines):
            return replacement(images, lines)

    images = {
        name: tiles.read_images(name, "test")[::20].astype(dtype)
        for name, dtype in (("imagery", "float32"), ("cover", "uint8"))
    }
    inputs = {
        name: keras.Input(batch.shape[1:], dtype=batch.dtype.name) for name, batch in images.items()
    }
    lines = keras.Input((10,))
    model = keras.Model([*inputs.values(), lines], Moved()(inputs, lines))
    table = table_of(datagen, 6).astype("float32")
    found = model([*images.values(), table])
    for name, expected in replacement(images, table).items():
        assert furthest(expected, found[name]) == 0


def test_layers_lose_step_where_a_mask_has_another_size():
    images = (np.random.default_rng(0).random((40, 64, 64, 1)) > 0.5).astype("float32")
    images = images[:, ::16, ::16].repeat(16, 1).repeat(16, 2)
    agree = {}
    for step in (1, 2):
        keras.utils.set_random_seed(0)
        layer = layers.RandomRotation(0.25, fill_mode="nearest", interpolation="nearest")
        both = layer({"images": images, "segmentation_masks": images[:, ::step, ::step]})
        same = np.asarray(both["images"])[:, ::step, ::step] == both["segmentation_masks"]
        agree[step] = float(np.mean(same))
    assert agree[1] == 1.0
    assert agree[2] < 0.75


# Reading: flow, flow_from_directory, flow_from_dataframe


def read(**options):
    return keras.utils.image_dataset_from_directory(
        FOLDER, image_size=(64, 64), verbose=False, **{"shuffle": False, **options}
    )


def all_of(dataset):
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def flow_of(**options):
    return ImageDataGenerator().flow_from_directory(
        FOLDER, **{"target_size": (64, 64), "shuffle": False, "batch_size": 120, **options}
    )


def test_flow_from_directory():
    """The same files in the same order, the same labels, the same pixels."""
    images, labels = all_of(read())
    expected, numbers = next(flow_of(class_mode="sparse"))
    assert furthest(expected, images) == 0
    assert (numbers == labels).all()
    assert read().class_names == list(flow_of().class_indices)
    assert [Path(path).name for path in read().file_paths] == [
        Path(path).name for path in tiles.paths("imagery", "test")
    ]


def test_rows_as_labels():
    """In the order of the files, shuffled or not: image i of the directory is row i."""
    expected = tiles.read_images("imagery", "test")
    for options in ({}, {"shuffle": True, "seed": 3}):
        images, rows = all_of(read(labels=list(range(120)), **options))
        assert sorted(rows) == list(range(120))
        assert furthest(expected[rows], images) == 0
    assert (rows != np.arange(120)).any()


def test_shuffle_and_seed():
    """Another order each epoch, the same in each run; two directories with one seed stay paired."""
    one, other = (read(labels=list(range(120)), shuffle=True, seed=3) for _ in range(2))
    first, second = ([all_of(dataset)[1].tolist() for _ in range(2)] for dataset in (one, other))
    assert first == second
    assert first[0] != first[1]
    unseeded = np.random.RandomState(3).permutation(120)
    assert first[0] != unseeded.tolist()  # shuffled twice: `file_paths` is not this order
    names = [Path(path).name for path in one.file_paths]
    assert names != [Path(tiles.paths("imagery", "test")[row]).name for row in first[0]]


def test_resizing_differs():
    """Nearest pixels differ little or not at all; bilinear ones a lot, and the defaults differ."""
    for name in ("nearest", "bilinear"):
        small = resized(name)
        expected, _ = next(flow_of(interpolation=name, target_size=(48, 48)))
        part = part_of_pixels(expected, small)
        assert part > 0.1
    parameters = inspect.signature(keras.utils.image_dataset_from_directory).parameters
    assert parameters["interpolation"].default == "bilinear"
    flow_parameters = inspect.signature(ImageDataGenerator.flow_from_directory).parameters
    assert flow_parameters["interpolation"].default == "nearest"


def resized(interpolation, **options):
    return all_of(
        keras.utils.image_dataset_from_directory(
            FOLDER, image_size=(48, 48), shuffle=False, verbose=False,
            interpolation=interpolation, **options,
        )
    )[0]  # fmt: skip


@pytest.mark.parametrize("colours", ["grayscale", "rgba"])
def test_color_mode(colours):
    images, _ = all_of(read(color_mode=colours))
    expected, _ = next(flow_of(color_mode=colours))
    assert furthest(expected, images) <= 1  # of 255: grey is rounded


def test_class_names():
    names = ["water", "forest"]
    dataset = read(class_names=names)
    flow = flow_of(classes=names, class_mode="sparse")
    assert dataset.class_names == list(flow.class_indices) == names
    images, labels = next(flow)
    assert furthest(images, all_of(dataset)[0]) == 0
    assert (labels == all_of(dataset)[1]).all()


def test_links(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "linked").symlink_to(FOLDER / "water", target_is_directory=True)
    for follow in (True, False):
        flow = ImageDataGenerator().flow_from_directory(tmp_path, follow_links=follow)
        names = index(tmp_path, follow) if flow.n else []
        assert flow.n == len(names) == 15 * follow


def index(folder, follow):
    return keras.utils.image_dataset_from_directory(
        folder, follow_links=follow, verbose=False
    ).file_paths


def test_keep_aspect_ratio(tmp_path):
    """Both crop the middle; the pixels differ as those of any resizing do."""
    (tmp_path / "a").mkdir()
    wide = np.zeros((40, 80, 3), "uint8")
    wide[:, 20:60] = 200
    Image.fromarray(wide).save(tmp_path / "a" / "wide.png")
    flow = ImageDataGenerator().flow_from_directory(
        tmp_path, target_size=(40, 40), keep_aspect_ratio=True
    )
    dataset = keras.utils.image_dataset_from_directory(
        tmp_path, image_size=(40, 40), crop_to_aspect_ratio=True, verbose=False
    )
    assert np.mean(next(flow)[0]) == np.mean(all_of(dataset)[0]) == 200


def test_flow():
    """x, y and sample_weight are the parts of an element, of any structure."""
    targets, weights = np.arange(30), np.linspace(0, 1, 30)
    flow = ImageDataGenerator().flow(
        IMAGERY, targets, sample_weight=weights, batch_size=8, shuffle=False
    )
    dataset = tf.data.Dataset.from_tensor_slices((IMAGERY, targets, weights)).batch(8)
    assert len(flow) == len(dataset)
    for expected, found in zip([next(flow) for _ in range(4)], dataset, strict=True):
        assert all(furthest(*pair) < 1e-6 for pair in zip(expected, found, strict=True))
    dataset = tf.data.Dataset.from_tensor_slices({"images": IMAGERY, "rows": targets})
    assert sorted(dataset.element_spec) == ["images", "rows"]


def test_subset():
    datagen = ImageDataGenerator(validation_split=0.25)
    rows = np.arange(len(IMAGERY))
    for subset, part in (("validation", rows[:7]), ("training", rows[7:])):
        flow = datagen.flow(
            IMAGERY, rows, subset=subset, shuffle=False, ignore_class_split=True, batch_size=40
        )
        assert next(flow)[1].tolist() == part.tolist()


def test_saving_is_a_loop(tmp_path):
    flow = ImageDataGenerator().flow(
        IMAGERY[:2], shuffle=False, save_to_dir=tmp_path, save_prefix="a", save_format="png"
    )
    next(flow)
    saved = sorted(tmp_path.iterdir())
    assert all(re.fullmatch(r"a_\d_\d+\.png", path.name) for path in saved)
    for path, image in zip(saved, IMAGERY, strict=False):
        keras.utils.save_img(tmp_path / "b.png", image, scale=False)
        stored = np.asarray(Image.open(path), float)
        assert furthest(image, np.asarray(Image.open(tmp_path / "b.png"))) == 0
        assert furthest(image, stored) > 1  # the class stretches what it stores


def frame():
    return pd.DataFrame(
        {
            "path": [str(path) for path in tiles.paths("imagery", "test")],
            "class": tiles.table("test")["class"],
            "vegetated": tiles.columns("test", ["vegetated_fraction"]).ravel(),
            "diversity": tiles.columns("test", ["cover_diversity"]).ravel(),
            "row": np.arange(120),
        }
    )


def read_paths(paths, *parts):
    def decoded(path, *rest):
        image = tf.io.decode_png(tf.io.read_file(path), channels=3)
        return (tf.ensure_shape(tf.cast(image, "float32"), (64, 64, 3)), *rest)

    return tf.data.Dataset.from_tensor_slices((list(paths), *parts)).map(decoded).batch(120)


def frame_flow(**options):
    return ImageDataGenerator().flow_from_dataframe(
        frame(), x_col="path", target_size=(64, 64), shuffle=False, batch_size=120, **options
    )


def test_flow_from_dataframe():
    """flow_from_dataframe has no reader in Keras 3: each column is a part of the element."""
    table = frame()
    expected = next(frame_flow(y_col="vegetated", class_mode="raw", weight_col="diversity"))
    (found,) = read_paths(table["path"], table["vegetated"], table["diversity"])
    assert all(furthest(*pair) < 1e-6 for pair in zip(expected, found, strict=True))


def test_missing_files(tmp_path):
    """validate_filenames drops such rows with a warning; tf.data raises when it reads them."""
    table = frame().head(3)
    table.loc[1, "path"] = str(tmp_path / "gone.png")
    with pytest.warns(UserWarning, match="1 invalid image"):
        flow = ImageDataGenerator().flow_from_dataframe(table, x_col="path", y_col="class")
    assert flow.n == 2
    with pytest.raises(tf.errors.NotFoundError, match=r"gone\.png"):
        next(iter(read_paths(table["path"], table["row"])))


def test_old_arguments():
    for name in ("has_ext", "sort", "drop_duplicates"):
        with pytest.warns(DeprecationWarning, match=name):
            ImageDataGenerator().flow_from_dataframe(
                frame().head(2), x_col="path", y_col="class", **{name: True}
            )


# Class modes


@pytest.mark.parametrize(
    ("class_mode", "label_mode"), [("categorical", "categorical"), ("sparse", "int")]
)
def test_label_modes(class_mode, label_mode):
    expected = next(flow_of(class_mode=class_mode))[1]
    found = all_of(read(label_mode=label_mode))[1]
    assert furthest(expected, found) == 0
    assert found.dtype == {"int": np.int32}.get(label_mode, np.float32)


def test_class_mode_binary():
    """The layer beside it gains an axis: (batch, 1) in place of (batch,)."""
    names = ["water", "forest"]
    expected = next(flow_of(class_mode="binary", classes=names))[1]
    found = all_of(read(label_mode="binary", class_names=names))[1]
    assert (expected.shape, found.shape) == ((30,), (30, 1))
    assert furthest(expected, found[:, 0]) == 0


def test_none_and_input():
    images = next(iter(read(label_mode=None, batch_size=120)))
    assert furthest(next(flow_of(class_mode=None)), images) == 0
    one, other = next(flow_of(class_mode="input"))
    found = next(iter(read(label_mode=None, batch_size=120).map(lambda x: (x, x))))
    assert furthest(one, found[0]) == furthest(other, found[1]) == 0


def test_columns_as_targets():
    table = frame()
    expected = next(frame_flow(y_col=["vegetated", "diversity"], class_mode="raw"))[1]
    (found,) = read_paths(table["path"], table[["vegetated", "diversity"]].to_numpy())
    assert furthest(expected, found[1]) < 1e-6
    expected = next(frame_flow(y_col=["vegetated", "row"], class_mode="multi_output"))[1]
    (found,) = read_paths(table["path"], (table["vegetated"], table["row"]))
    assert isinstance(expected, list)
    assert isinstance(found[1], tuple)
    assert all(furthest(*pair) < 1e-6 for pair in zip(expected, found[1], strict=True))
    with pytest.raises(TypeError, match="unhashable"):
        read(labels=table[["vegetated", "diversity"]].to_numpy().tolist())


# The replacement refuses what it cannot do


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"preprocessing_function": abs}, ["preprocessing_function"]),
        ({"interpolation_order": 2, "dtype": "float64"}, ["interpolation_order", "dtype"]),
        ({"fill_mode": "mirror", "validation_split": 0.2}, ["fill_mode", "validation_split"]),
        ({"brightness_range": (0, 1), "fill_mode": "constant", "cval": -1}, ["cval"]),
        ({"zca_whitening": True}, ["featurewise_center", "zca_whitening"]),
        ({"data_format": "channels_first"}, ["data_format"]),
    ],
)
def test_what_cannot_be_carried_over_is_named(options, named):
    datagen = ImageDataGenerator(**options)
    assert list(leaving._cannot_carry(datagen)) == named
    with pytest.raises(ValueError, match=".*".join(named)):
        leaving.replacement(datagen)


# Of each option a value that is not the default, with what makes it show.
CHANGED = {
    **{name: {name: value} for name, value in GEOMETRY.items()},
    "featurewise_center": {"featurewise_center": True},
    "samplewise_center": {"samplewise_center": True},
    "featurewise_std_normalization": {"featurewise_std_normalization": True},
    "samplewise_std_normalization": {"samplewise_std_normalization": True},
    "zca_whitening": {"zca_whitening": True},
    "zca_epsilon": {"zca_whitening": True, "zca_epsilon": 9.0},
    "brightness_range": {"brightness_range": (0.5, 1.5)},
    "channel_shift_range": {"channel_shift_range": 50.0},
    "fill_mode": {"fill_mode": "wrap"},
    "cval": {"cval": 90.0, "fill_mode": "constant"},
    "rescale": {"rescale": 1 / 255},
    "preprocessing_function": {"preprocessing_function": np.sqrt},
    "data_format": {"data_format": "channels_first"},
    "validation_split": {"validation_split": 0.2},
    "interpolation_order": {"interpolation_order": 0},
    "dtype": {"dtype": "float64"},
}


@pytest.mark.parametrize("option", inspect.signature(ImageDataGenerator).parameters)
def test_an_option_is_carried_over_or_named(option):
    """None is dropped in silence, one that a later Keras adds included."""
    images = IMAGERY[:12, ::4, ::4]
    changed = CHANGED[option]
    without = {name: value for name, value in changed.items() if name != option}
    datagen, plain = (
        ImageDataGenerator(**{"rotation_range": 45, **options}) for options in (changed, without)
    )
    if option in leaving._cannot_carry(datagen):
        return
    moved = []
    for each in (datagen, plain):
        each.fit(images)
        table = table_of(each, len(images), images[0].shape)
        moved.append(replacement_of(leaving.replacement(each), table, images))
    expected = standardised(datagen, by_class(datagen, images, table_of(datagen, 12, (16, 16, 3))))
    assert part_of_pixels(expected, moved[0], by=0.01 if expected.std() > 2 else 1e-3) < 0.01
    assert part_of_pixels(moved[0], moved[1], by=1e-3) > 0.05


class Own(ImageDataGenerator):
    def apply_transform(self, x, transform_parameters):
        return x


def test_a_class_of_ones_own_is_named():
    assert list(leaving._cannot_carry(Own())) == ["apply_transform"]
    with pytest.raises(TypeError, match="expected an ImageDataGenerator, found str"):
        leaving._cannot_carry("datagen")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: leaving.affine(IMAGERY, neutral(30), order=2), "order: expected 0 or 1"),
        (lambda: leaving.affine(IMAGERY, neutral(30), fill_mode="mirror"), "fill_mode: expected"),
        (
            lambda: leaving.affine(IMAGERY, neutral(30), sampled_for=(64, 32)),
            "proportions of 64 × 32",
        ),
        (
            lambda: leaving.replacement(ImageDataGenerator(), masks=["imagery"]),
            "found in both",
        ),
        (
            lambda: leaving.replacement(ImageDataGenerator(fill_mode="constant"), masks=["cover"]),
            "mask_fill: expected a class number",
        ),
        (
            lambda: leaving.replacement(ImageDataGenerator())({"x": IMAGERY}, neutral(30)),
            "expected 'imagery'",
        ),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("in_a_map", [True, False])
@pytest.mark.parametrize(
    ("options", "scale", "add"),
    [
        ({"brightness_range": (0.5, 1.5)}, 1 / 255, 0),
        ({"brightness_range": (0.5, 1.5)}, 1, 5),  # up to 260
        ({"brightness_range": (0.5, 1.5)}, 1, -200),
        ({"channel_shift_range": 30.0}, 1 / 255, 0),
        ({"rescale": 1 / 255}, 1 / 255, 0),
    ],
)
def test_rescaled_images(options, scale, add, in_a_map):
    """Of values from 0 to 1 brightness makes black: in the graph, the values decide."""
    datagen = ImageDataGenerator(**options)
    move = leaving.replacement(datagen)
    table = table_of(datagen, len(IMAGERY))

    def run(images):
        if not in_a_map:
            return move({"imagery": images}, table)
        dataset = tf.data.Dataset.from_tensors((images, table))
        return next(iter(dataset.map(lambda images, lines: move({"imagery": images}, lines))))

    with pytest.raises(tf.errors.InvalidArgumentError, match="imagery: expected values from 0 to"):
        run(IMAGERY * np.float32(scale) + np.float32(add))
    for right in (IMAGERY, IMAGERY * 0, IMAGERY.astype("uint8") // 255):
        assert np.isfinite(run(right)["imagery"]).all()


# The tables of the lesson


def tables():
    """Return the rows of each table of the lesson: the names in the first column, the tests."""
    cells = json.loads(LESSON.read_text(encoding="utf-8"))["cells"]
    text = "\n\n".join(
        checks.text_of(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"
    )
    found = {}
    for first, lines in re.findall(r"^\| (\w+) \|.*\| shown by \|\n((?:\|.*\n?)+)", text, re.M):
        rows = [re.split(r"(?<!\\) \| ", line.strip("| \n")) for line in lines.splitlines()[1:]]
        found[first] = rows
    return found


def names_of(cell):
    return re.findall(r"`(\w+)`", cell)


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        ("option", set(inspect.signature(ImageDataGenerator).parameters)),
        (
            "method",
            {
                name
                for name in vars(ImageDataGenerator)
                if callable(getattr(ImageDataGenerator, name)) and not name.startswith("_")
            },
        ),
        (
            "argument",
            {
                name
                for method in ("flow", "flow_from_directory", "flow_from_dataframe")
                for name in inspect.signature(getattr(ImageDataGenerator, method)).parameters
            }
            - {"self"},
        ),
        (
            "mode",
            {"binary", "categorical", "input", "multi_output", "raw", "sparse", "None", "other"},
        ),
    ],
)
def test_a_table_has_every_name_once(table, wanted):
    listed = [name for row in tables()[table] for name in names_of(row[0])]
    assert sorted(listed) == sorted(wanted)


@pytest.mark.parametrize("table", ["option", "method", "argument", "mode"])
def test_every_row_is_shown_by_a_test(table):
    for row in tables()[table]:
        assert len(row) == len(tables()[table][0])
        assert all(cell.strip() for cell in row)
        shown = names_of(row[-1])
        assert shown
        assert [name for name in shown if not callable(globals().get(name))] == []
