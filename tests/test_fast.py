"""The fast transforms against those of ImageDataGenerator, bit for bit."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import tensorflow as tf

from helpers.fast import FastImageDataGenerator, apply, as_dict, as_line
from helpers.transforms import sample
from helpers.warp import PARAMETERS

Original = tf.keras.preprocessing.image.ImageDataGenerator

# Keras imports SciPy by a name that SciPy has given up, once per image.
pytestmark = pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning")


@pytest.fixture
def left_to_keras(monkeypatch):
    """Count the warps that FastImageDataGenerator leaves to ImageDataGenerator."""
    counted = []
    original = Original.apply_transform

    def counting(self, x, parameters):
        if isinstance(self, FastImageDataGenerator) and "theta" in parameters:
            counted.append(parameters)
        return original(self, x, parameters)

    monkeypatch.setattr(Original, "apply_transform", counting)
    return counted


def random_options(random, **fixed):
    some = random.choice
    options = {
        "rotation_range": some([0, 15, 90, 180]),
        "width_shift_range": float(some([0, 0.1, 0.7])),
        "height_shift_range": float(some([0, 0.1, 0.7])),
        "shear_range": some([0, 10, 40]),
        "zoom_range": float(some([0, 0.2, 0.6])),
        "horizontal_flip": bool(random.integers(2)),
        "vertical_flip": bool(random.integers(2)),
        "channel_shift_range": float(some([0, 30])),
        "brightness_range": [None, (0.3, 1.7)][random.integers(2)],
        "cval": float(some([0, 7.5, 255])),
    }
    return options | fixed


def transformed(options, image, seed):
    """Return what the two classes make of an image with one seed."""
    pair = [
        kind(**options).random_transform(image.copy(), seed=seed)
        for kind in (FastImageDataGenerator, Original)
    ]
    assert pair[0].dtype == pair[1].dtype
    return pair


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fill_mode", ["nearest", "reflect", "constant", "wrap"])
def test_pixels_are_those_of_the_original(fill_mode, channels, order, left_to_keras):
    random = np.random.default_rng([1, channels, len(fill_mode), order])
    for seed in range(100):
        options = random_options(random, fill_mode=fill_mode, interpolation_order=order)
        image = random.uniform(0, 255, (*random.integers(1, 70, 2), channels)).astype("float32")
        image = np.rint(image) if seed % 2 else image
        fast, slow = transformed(options, image, seed)
        np.testing.assert_array_equal(fast, slow, err_msg=f"{options} {image.shape} {seed}")
    assert not left_to_keras


@pytest.mark.parametrize("factor", [0, 0.3, 0.5, 0.999, 1, 1.001, 1.7, 3.14159, 40, 1e9, -1])
def test_every_level_is_brightened_as_pillow_does(factor):
    levels = np.arange(256, dtype="float32").reshape(16, 16, 1)
    for image in (levels, np.concatenate([levels] * 3, axis=2) + np.float32(0.4)):
        image = image.clip(0, 255)
        one = {"brightness": factor}
        fast = FastImageDataGenerator().apply_transform(image, one)
        np.testing.assert_array_equal(fast, Original().apply_transform(image, one))


@pytest.mark.parametrize(
    "options",
    [
        {"fill_mode": "mirror"},
        {"interpolation_order": 2},
        {"interpolation_order": 3, "fill_mode": "constant"},
        {"data_format": "channels_first"},
    ],
    ids=str,
)
def test_the_rest_is_left_to_keras(options, left_to_keras):
    image = np.random.default_rng(6).uniform(0, 255, (20, 30, 3)).astype("float32")
    np.testing.assert_array_equal(*transformed({"rotation_range": 20, **options}, image, 1))
    assert len(left_to_keras) == 1


@pytest.mark.parametrize(
    "image",
    [
        np.full((9, 9, 3), np.nan, "float32"),
        np.arange(243, dtype="uint8").reshape(9, 9, 3),
        np.random.default_rng(0).uniform(0, 255, (9, 9, 3)),
        np.random.default_rng(0).uniform(-400, 255, (9, 9, 3)).astype("float32"),
        np.random.default_rng(0).uniform(0, 400, (9, 9, 1)).astype("float32"),
        np.random.default_rng(0).uniform(0, 255, (9, 9, 4)).astype("float32"),
        np.random.default_rng(0).uniform(0, 255, (9, 9, 3)).astype(">f4"),
        np.asfortranarray(np.random.default_rng(0).uniform(0, 255, (9, 9, 3)).astype("float32")),
        np.zeros((9, 9, 0), "float32"),
        np.zeros((9, 9), "float32"),
    ],
    ids=["nan", "uint8", "float64", "<0", ">255", "rgba", "big-endian", "fortran", "empty", "flat"],
)
@pytest.mark.parametrize(
    "parameters",
    [{"theta": 20}, {"theta": 20, "brightness": 1.2}, {"channel_shift_intensity": 9.0, "hue": 1}],
    ids=str,
)
def test_odd_images_are_what_keras_makes_of_them(image, parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NaN cut to a level
        try:
            slow = Original().apply_transform(image, parameters)
        except (ValueError, IndexError) as error:
            with pytest.raises(type(error), match=str(error)[:20]):
                FastImageDataGenerator().apply_transform(image, parameters)
            return
        fast = FastImageDataGenerator().apply_transform(image, parameters)
    np.testing.assert_array_equal(fast, slow)
    assert fast.dtype == slow.dtype


def test_the_image_is_left_as_it_is():
    image = np.random.default_rng(8).uniform(0, 255, (20, 30, 3)).astype("float32")
    before = image.copy()
    datagen = FastImageDataGenerator(
        rotation_range=30, horizontal_flip=True, channel_shift_range=9.0, brightness_range=(0.5, 1)
    )
    for seed in range(8):
        datagen.random_transform(image, seed=seed)
    apply(datagen, image[None], sample(datagen, 1, image.shape, seed=0, epoch=0))
    np.testing.assert_array_equal(image, before)


OPTIONS = {
    "rotation_range": 25,
    "width_shift_range": 0.1,
    "zoom_range": 0.2,
    "horizontal_flip": True,
}


@pytest.mark.parametrize(
    "options",
    [
        {"rescale": 1 / 255},
        {"rescale": np.float64(1 / 255)},
        {"samplewise_center": True, "samplewise_std_normalization": True},
        {"featurewise_center": True, "featurewise_std_normalization": True},
        {"preprocessing_function": lambda x: x[..., ::-1] * 2},
        {"zca_whitening": True},
        {"brightness_range": (0.5, 1.5), "rescale": 1 / 255},
        {"channel_shift_range": 30.0, "fill_mode": "constant", "cval": 80.5},
        {"fill_mode": "constant", "cval": 80.5, "rescale": 1 / 255},
        {"dtype": "float64"},
        {"interpolation_order": 0},
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("kind", [Original, FastImageDataGenerator])
def test_a_batch_is_that_of_a_flow(options, dtype, kind):
    """Both `apply` on a table, and the class in a flow of its own, against the original's flow."""
    images = np.random.default_rng(11).integers(0, 255, (12, 16, 16, 3)).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zca overrides featurewise_center, says Keras
        ours, slow = kind(**OPTIONS, **options), Original(**OPTIONS, **options)
    if "featurewise_center" in options or "zca_whitening" in options:
        for datagen in (ours, slow):
            datagen.fit(images)
    sampled = []
    sampler = slow.get_random_transform
    slow.get_random_transform = lambda *args: sampled.append(sampler(*args)) or sampled[-1]
    flow = slow.flow(images, batch_size=12, shuffle=False, seed=12)
    expected = next(flow)
    found = apply(ours, images, np.array([as_line(one) for one in sampled]))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    dropped_in = next(ours.flow(images, batch_size=12, shuffle=False, seed=12))
    np.testing.assert_array_equal(dropped_in, expected)


def test_a_batch_of_a_class_of_ones_own_is_that_of_its_flow():
    def standardize(self, x):
        return x / x.max()  # of an image, not of the batch

    def apply_transform(self, x, parameters):
        return super(type(self), self).apply_transform(x, parameters) * 0.5

    images = np.random.default_rng(21).integers(0, 99, (5, 16, 16, 3)).astype("uint8")
    table = sample(Original(rotation_range=20), 5, (16, 16, 3), seed=2, epoch=0)
    for own in ({"standardize": standardize}, {"apply_transform": apply_transform}):
        fast, slow = (type("Own", (kind,), own)() for kind in (FastImageDataGenerator, Original))
        expected = [
            slow.standardize(slow.apply_transform(image.astype("float32"), as_dict(line)))
            for image, line in zip(images, table, strict=True)
        ]
        np.testing.assert_array_equal(apply(fast, images, table), expected)
        assert not np.array_equal(apply(Original(), images, table), expected)


def test_a_method_set_on_the_object_is_asked_too():
    datagen = Original()
    datagen.apply_transform = lambda x, parameters: x * 0 + 7
    image = np.ones((1, 4, 4, 1), "uint8")
    assert (apply(datagen, image, as_line({})[None]) == 7).all()


def test_it_can_be_copied_and_pickled():
    image = np.random.default_rng(22).uniform(0, 255, (9, 9, 3)).astype("float32")
    datagen = FastImageDataGenerator(rotation_range=20, rescale=1 / 255)
    expected = datagen.random_transform(image, seed=3)
    for twin in (copy.deepcopy(datagen), pickle.loads(pickle.dumps(datagen))):
        np.testing.assert_array_equal(twin.random_transform(image, seed=3), expected)


def test_fit_sees_the_same_statistics():
    images = np.random.default_rng(23).uniform(0, 255, (20, 16, 16, 3)).astype("float32")
    options = {"featurewise_center": True, "featurewise_std_normalization": True}
    fast, slow = (kind(**OPTIONS, **options) for kind in (FastImageDataGenerator, Original))
    for datagen in (fast, slow):
        datagen.fit(images, augment=True, rounds=2, seed=4)
    np.testing.assert_array_equal(fast.mean, slow.mean)
    np.testing.assert_array_equal(fast.std, slow.std)


def test_shifts_scale_with_the_size():
    line = as_line({"tx": 6, "ty": -4, "theta": 10})[None]
    half = as_line({"tx": 3, "ty": -2, "theta": 10})[None]
    images = np.random.default_rng(14).integers(0, 255, (1, 16, 24, 1)).astype("uint8")
    found = apply(Original(), images, line, sampled_for=(32, 48, 3))
    np.testing.assert_array_equal(found, apply(Original(), images, half))


def test_other_proportions_are_refused_but_for_rounding():
    line = as_line({"tx": 6})[None]
    message = r"images: expected the proportions of 96 × 96, .*, found 48 × 64; resize or crop"
    with pytest.raises(ValueError, match=message):
        apply(Original(), np.zeros((1, 48, 64, 3)), line, sampled_for=(96, 96, 3))
    apply(Original(), np.zeros((1, 32, 48, 3)), line, sampled_for=(65, 97, 3))


def test_as_many_lines_as_images():
    message = r"table: expected shape \(2, 10\) for 2 images, found \(3, 10\)"
    with pytest.raises(ValueError, match=message):
        apply(Original(), np.zeros((2, 8, 8, 3), "uint8"), np.zeros((3, 10)))


def test_a_line_says_what_a_dict_says():
    parameters = Original(
        rotation_range=20, brightness_range=(0.5, 1), horizontal_flip=True
    ).get_random_transform((8, 8, 3), seed=1)
    there_and_back = as_dict(as_line(parameters))
    assert list(there_and_back) == list(PARAMETERS)
    assert there_and_back == parameters
