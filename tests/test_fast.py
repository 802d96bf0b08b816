"""The fast transforms against those of ImageDataGenerator."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from helpers import fast as fast_module
from helpers import warps
from helpers.fast import PARAMETERS, FastImageDataGenerator, draw_transforms, matrices
from helpers.transforms import SharedTransforms, with_own_random

Original = tf.keras.preprocessing.image.ImageDataGenerator

# Keras imports SciPy by a name that SciPy has given up, once a picture.
pytestmark = pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning")

AS_NEAR = 0.01  # on a scale of 0 to 255


@pytest.fixture
def handed_over(monkeypatch):
    """Count the warps that FastImageDataGenerator leaves to ImageDataGenerator."""
    counted = []
    original = Original.apply_transform

    def counting(self, x, parameters):
        if isinstance(self, FastImageDataGenerator) and "theta" in parameters:
            counted.append(parameters)
        return original(self, x, parameters)

    monkeypatch.setattr(Original, "apply_transform", counting)
    return counted


def random_picture(random, channels, data_format, longest=96):
    """Noise, whole levels or two values: what is hard to interpolate alike."""
    height, width = random.integers(2, longest, 2)
    if random.random() < 0.3:
        width = height
    shape = (
        (channels, height, width) if data_format == "channels_first" else (height, width, channels)
    )
    picture = random.uniform(0, 255, shape)
    kind = random.integers(3)
    if kind == 1:
        picture = np.rint(picture)
    if kind == 2:
        picture = np.where(picture > 128, 255, 0)
    return picture.astype("float32")


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
        "cval": float(some([0, 7.5, 255])),
    }
    if random.random() < 0.3:
        options["channel_shift_range"] = 30.0
    return options | fixed


def largest_difference(options, picture, seed):
    fast = FastImageDataGenerator(**options).random_transform(picture.copy(), seed=seed)
    slow = Original(**options).random_transform(picture.copy(), seed=seed)
    assert fast.dtype == slow.dtype
    assert fast.shape == slow.shape
    return np.abs(fast - slow).max()


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("fill_mode", ["nearest", "reflect", "constant"])
def test_pixels_are_those_of_the_original(fill_mode, channels, data_format, handed_over):
    random = np.random.default_rng([1, channels, len(fill_mode), len(data_format)])
    count = 100
    for seed in range(count):
        options = random_options(random, fill_mode=fill_mode, data_format=data_format)
        picture = random_picture(random, channels, data_format)
        assert largest_difference(options, picture, seed) < AS_NEAR, (options, picture.shape, seed)
    assert len(handed_over) < count / 10


@pytest.mark.parametrize("fill_mode", ["nearest", "reflect", "constant", "wrap"])
def test_masks_are_equal_to_the_last_bit(fill_mode, handed_over):
    random = np.random.default_rng(2)
    count = 200
    for seed in range(count):
        options = random_options(random, fill_mode=fill_mode, interpolation_order=0)
        picture = random_picture(random, 1, "channels_last")
        assert largest_difference(options, picture, seed) == 0, (options, picture.shape, seed)
    assert len(handed_over) < count / 10


@pytest.mark.parametrize(
    ("sides", "fill_mode"),
    [
        ((224, 224), "nearest"),
        ((300, 513), "nearest"),
        ((260, 400), "reflect"),
        ((512, 130), "constant"),
    ],
)
def test_large_pictures_are_as_near(sides, fill_mode, handed_over):
    random = np.random.default_rng(3)
    for seed in range(8):
        options = random_options(random, fill_mode=fill_mode, rotation_range=180, zoom_range=0.6)
        picture = random.uniform(0, 255, (*sides, 3)).astype("float32")
        assert largest_difference(options, picture, seed) < AS_NEAR
    assert not handed_over


def test_without_blocks_large_pictures_are_not_near(monkeypatch):
    monkeypatch.setattr(warps, "_BLOCK_SIDE", 10_000)
    monkeypatch.setattr(warps, "_FARTHEST", 10_000)
    picture = np.random.default_rng(3).uniform(0, 255, (512, 512, 3)).astype("float32")
    options = {"rotation_range": 180, "width_shift_range": 0.5, "zoom_range": 0.6}
    assert max(largest_difference(options, picture, seed) for seed in range(6)) > AS_NEAR


def differences(parameters, picture, **options):
    fast, slow = (
        kind(**options).apply_transform(picture, parameters)
        for kind in (FastImageDataGenerator, Original)
    )
    assert fast.dtype == slow.dtype
    return np.abs(np.asarray(fast - slow, float))


@pytest.mark.parametrize("fill_mode", ["nearest", "reflect", "constant"])
def test_transforms_that_lead_far_away_are_as_near(fill_mode):
    random = np.random.default_rng(17)
    for _ in range(300):
        picture = random_picture(random, 3, "channels_last", longest=140)
        parameters = {
            "theta": random.choice([0, 45, random.uniform(-180, 180)]),
            "tx": random.choice([0, 1e5, -400.5, random.uniform(-20, 20) * len(picture)]),
            "ty": random.choice(
                [0, -1e5, 1e13 * random.random(), random.uniform(-20, 20) * len(picture)]
            ),
            "shear": random.choice([0, 90, random.uniform(-90, 90)]),
            "zx": random.choice([0, -1, 1, 20, np.exp(random.uniform(-4, 3))]),
            "zy": random.choice([0, -0.5, 1, np.exp(random.uniform(-4, 3))]),
        }
        far = differences(parameters, picture, fill_mode=fill_mode)
        assert far.max() < AS_NEAR, (parameters, picture.shape)
        masks = differences(parameters, picture, fill_mode=fill_mode, interpolation_order=0)
        assert masks.max() == 0, (parameters, picture.shape)


@pytest.mark.parametrize(
    ("parameters", "options"),
    [
        # a half, mirrored: SciPy rounds it up after it is mirrored
        ({"tx": 9.5}, {"fill_mode": "reflect"}),
        # a half turn takes the shift times 1e-16 away, which is lost in a matrix of halves
        (
            {"theta": 180, "ty": 14.548450447577729, "zx": -1, "zy": 0, "flip_horizontal": True},
            {"fill_mode": "constant"},
        ),
    ],
)
def test_masks_where_halves_and_borders_are_met(parameters, options):
    picture = np.random.default_rng(18).uniform(9, 255, (34, 69, 1)).astype("float32")
    assert differences(parameters, picture, interpolation_order=0, cval=-3.0, **options).max() == 0


@pytest.mark.parametrize("low", [-1e6, 0, 1e6, 1e30])
def test_large_values_are_as_near_by_their_own_measure(low):
    picture = (np.random.default_rng(19).uniform(0, 255, (40, 30, 3)) + low).astype("float32")
    largest = differences({"theta": 20, "zx": 0.8}, picture).max()
    assert largest < AS_NEAR * max(abs(low), 255) / 255


def test_values_whose_difference_is_infinite_are_handed_over(handed_over):
    picture = np.full((9, 9, 1), 3e38, "float32")
    picture[::2] *= -1
    assert differences({"theta": 20, "zx": 0.8}, picture).max() == 0
    assert handed_over


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    "laid_out",
    [
        np.asfortranarray,
        lambda x: np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 2, 0)), 0, 2),
        lambda x: x[::-1, ::2],
        lambda x: np.broadcast_to(x[:, :1], x.shape),
        lambda x: x.astype(">f4"),
        lambda x: x.view(type("Own", (np.ndarray,), {})),
        lambda x: np.ma.masked_greater(x, 200),
    ],
    ids=["fortran", "channels first", "strided", "broadcast", "big-endian", "subclass", "masked"],
)
def test_pictures_may_lie_in_memory_as_they_like(laid_out, data_format):
    picture = laid_out(np.random.default_rng(20).uniform(0, 255, (20, 30, 3)).astype("float32"))
    picture.flags.writeable = False
    for parameters in ({"theta": 20}, {"flip_vertical": True, "channel_shift_intensity": 9.0}):
        assert differences(parameters, picture, data_format=data_format).max() < AS_NEAR


@pytest.mark.parametrize("fill_mode", ["nearest", "reflect", "constant"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_brightness_after_a_warp_is_exact(fill_mode, channels, handed_over):
    random = np.random.default_rng([4, channels])
    count = 60
    for seed in range(count):
        options = random_options(
            random, fill_mode=fill_mode, brightness_range=(0.3, 1.7), channel_shift_range=0.0
        )
        picture = random_picture(random, channels, "channels_last")
        assert largest_difference(options, picture, seed) == 0, (options, picture.shape, seed)
    assert len(handed_over) < count / 10


def test_brightness_needs_the_pixels_near_a_level_again(monkeypatch):
    monkeypatch.setattr(fast_module, "settle", lambda *_: None)
    picture = np.rint(np.random.default_rng(5).uniform(0, 255, (64, 64, 3))).astype("float32")
    options = {"rotation_range": 20, "brightness_range": (0.9, 1.1)}
    assert max(largest_difference(options, picture, seed) for seed in range(10)) >= 1


@pytest.mark.parametrize(
    "options",
    [
        {"fill_mode": "wrap"},
        {"fill_mode": "mirror"},
        {"interpolation_order": 2},
        {"interpolation_order": 3, "fill_mode": "constant"},
        {"brightness_range": (0.5, 1.5), "channel_shift_range": 20.0},
    ],
)
def test_the_rest_is_handed_over(options, handed_over):
    picture = np.random.default_rng(6).uniform(0, 255, (20, 30, 3)).astype("float32")
    assert largest_difference({"rotation_range": 20, **options}, picture, 1) == 0
    assert len(handed_over) == 1


@pytest.mark.parametrize(
    "picture",
    [
        np.full((9, 9, 3), np.nan, "float32"),
        np.full((9, 9, 3), np.inf, "float32"),
        np.ones((1, 9, 3), "float32"),
        np.arange(243, dtype="uint8").reshape(9, 9, 3),
        np.random.default_rng(0).uniform(0, 255, (9, 9, 3)),
        np.zeros((9, 9, 0), "float32"),
    ],
    ids=["nan", "inf", "one pixel high", "uint8", "float64", "no channels"],
)
def test_odd_pictures_are_handed_over(picture, handed_over):
    parameters = {"theta": 20}
    try:
        slow = Original().apply_transform(picture, parameters)
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)[:20]):
            FastImageDataGenerator().apply_transform(picture, parameters)
    else:
        fast = FastImageDataGenerator().apply_transform(picture, parameters)
        np.testing.assert_array_equal(fast, slow)
        assert fast.dtype == slow.dtype
    assert handed_over


def test_close_calls_are_handed_over(handed_over):
    """A quarter turn puts pixels on the border, where rounding decides."""
    picture = np.random.default_rng(7).uniform(0, 255, (33, 33, 1)).astype("float32")
    for options in ({"fill_mode": "constant", "cval": 9.0}, {"interpolation_order": 0}):
        for theta in (45.0, 90.0, 180.0, -90.0):
            fast = FastImageDataGenerator(**options).apply_transform(picture, {"theta": theta})
            slow = Original(**options).apply_transform(picture, {"theta": theta})
            assert np.abs(fast - slow).max() < AS_NEAR
    assert handed_over


def test_the_picture_is_left_as_it_is():
    picture = np.random.default_rng(8).uniform(0, 255, (20, 30, 3)).astype("float32")
    before = picture.copy()
    datagen = FastImageDataGenerator(
        rotation_range=30, horizontal_flip=True, channel_shift_range=9.0, brightness_range=(0.5, 1)
    )
    for seed in range(8):
        datagen.random_transform(picture, seed=seed)
    datagen.transform_batch(
        picture[None], draw_transforms(datagen, 1, picture.shape, np.random.RandomState(0))
    )
    np.testing.assert_array_equal(picture, before)


def test_opencv_that_warps_otherwise_is_not_used(monkeypatch, handed_over):
    monkeypatch.setattr(fast_module, "warp_blocks", lambda *places: places[-1].fill(0))
    fast_module._is_exact_enough.cache_clear()
    try:
        picture = np.random.default_rng(9).uniform(0, 255, (20, 30, 3)).astype("float32")
        with pytest.warns(UserWarning, match="cv2.warpAffine: expected the pixels"):
            assert largest_difference({"rotation_range": 20}, picture, 1) == 0
        assert handed_over
    finally:
        fast_module._is_exact_enough.cache_clear()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rotation_range": 20, "width_shift_range": 0.1, "height_shift_range": 1.0},
        {"width_shift_range": 3, "height_shift_range": [1, 2, 5]},
        {"width_shift_range": [0], "height_shift_range": -2},
        {"shear_range": 10, "zoom_range": (0.5, 2.0), "horizontal_flip": True},
        {"vertical_flip": True, "channel_shift_range": 20.0, "brightness_range": (0.5, 1.5)},
        {"zoom_range": (1, 1), "width_shift_range": 0.3, "data_format": "channels_first"},
    ],
)
def test_draws_are_those_of_get_random_transform(options):
    datagen = Original(**options)
    shape = (3, 20, 30) if options.get("data_format") == "channels_first" else (20, 30, 3)
    draw = with_own_random(datagen.get_random_transform, np.random.RandomState(10))
    drawn = [draw(shape) for _ in range(50)]
    random = np.random.RandomState(10)
    at_once = draw_transforms(datagen, 50, shape, random)
    assert at_once.shape == (50, len(PARAMETERS))
    for row, one in zip(at_once, drawn, strict=True):
        wanted = [np.nan if one[name] is None else float(one[name]) for name in PARAMETERS]
        np.testing.assert_allclose(row, wanted, rtol=1e-14)
    # and the random numbers are used up to the same place
    assert random.random_sample() == draw.__func__.__globals__["np"].random.random_sample()


def test_draws_of_a_class_of_ones_own():
    class Turned(Original):
        def get_random_transform(self, img_shape, seed=None):
            return {"theta": 7 * np.random.random()}

    drawn = draw_transforms(Turned(rotation_range=90), 3, (8, 8, 3), np.random.RandomState(0))
    np.testing.assert_allclose(drawn[:, 0], 7 * np.random.RandomState(0).random_sample(3))

    class Odd(Original):
        def get_random_transform(self, img_shape, seed=None):
            return {"hue": 1}

    with pytest.raises(ValueError, match="found 'hue' too"):
        draw_transforms(Odd(), 1, (8, 8, 3), np.random.RandomState(0))


BATCH_OPTIONS = {
    "rotation_range": 25,
    "width_shift_range": 0.1,
    "zoom_range": 0.2,
    "horizontal_flip": True,
}


@pytest.mark.parametrize(
    "options",
    [
        {"rescale": 1 / 255},
        {"samplewise_center": True, "samplewise_std_normalization": True},
        {"featurewise_center": True, "featurewise_std_normalization": True},
        {"preprocessing_function": lambda x: x[..., ::-1] * 2},
        {"zca_whitening": True},
        {"brightness_range": (0.5, 1.5), "rescale": 1 / 255},
        {"channel_shift_range": 30.0},
        {"dtype": "float64"},
        {"interpolation_order": 0},
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_batch_is_that_of_a_flow(options, dtype):
    pictures = np.random.default_rng(11).integers(0, 255, (12, 16, 16, 3)).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zca overrides featurewise_center, says Keras
        fast = FastImageDataGenerator(**BATCH_OPTIONS, **options)
        slow = Original(**BATCH_OPTIONS, **options)
    if "featurewise_center" in options or "zca_whitening" in options:
        for datagen in (fast, slow):
            datagen.fit(pictures)
    wanted = next(slow.flow(pictures, batch_size=12, shuffle=False, seed=12))
    drawn = draw_transforms(fast, 12, (16, 16, 3), np.random.RandomState(12))
    found = fast.transform_batch(pictures, drawn)
    assert found.dtype == wanted.dtype
    assert np.abs(found - wanted).max() < AS_NEAR * np.ptp(wanted) / 255


def test_a_batch_of_a_class_of_ones_own_is_that_of_its_flow():
    def standardize(self, x):
        return x / x.max()  # of a picture, not of the batch

    def apply_transform(self, x, parameters):
        return super(kinds[type(self)], self).apply_transform(x, parameters) * 0.5

    pictures = np.random.default_rng(21).integers(0, 99, (5, 16, 16, 3)).astype("uint8")
    for own in ({"standardize": standardize}, {"apply_transform": apply_transform}):
        fast, slow = (type("Own", (kind,), own) for kind in (FastImageDataGenerator, Original))
        kinds = {fast: fast, slow: slow}
        wanted = next(slow(rotation_range=20).flow(pictures, batch_size=5, shuffle=False, seed=2))
        drawn = draw_transforms(fast(rotation_range=20), 5, (16, 16, 3), np.random.RandomState(2))
        found = fast(rotation_range=20).transform_batch(pictures, drawn)
        assert np.abs(found - wanted).max() < AS_NEAR


def test_it_can_be_copied_and_pickled():
    options = {"rotation_range": 20, "rescale": 1 / 255}
    picture = np.random.default_rng(22).uniform(0, 255, (9, 9, 3)).astype("float32")
    datagen = FastImageDataGenerator(**options)
    wanted = datagen.random_transform(picture, seed=3)
    for twin in (copy.deepcopy(datagen), pickle.loads(pickle.dumps(datagen))):
        np.testing.assert_array_equal(twin.random_transform(picture, seed=3), wanted)


def test_fit_sees_the_same_statistics():
    pictures = np.random.default_rng(23).uniform(0, 255, (20, 16, 16, 3)).astype("float32")
    options = {"featurewise_center": True, "featurewise_std_normalization": True}
    fast, slow = (kind(**BATCH_OPTIONS, **options) for kind in (FastImageDataGenerator, Original))
    for datagen in (fast, slow):
        datagen.fit(pictures, augment=True, rounds=2, seed=4)
    np.testing.assert_allclose(fast.mean, slow.mean, rtol=1e-5)
    np.testing.assert_allclose(fast.std, slow.std, rtol=1e-5)


def test_a_flow_saves_the_same_pictures(tmp_path):
    pictures = np.random.default_rng(24).uniform(0, 255, (6, 16, 16, 3)).astype("float32")
    saved = []
    for kind in (FastImageDataGenerator, Original):
        folder = tmp_path / kind.__name__
        folder.mkdir()
        flow = kind(**BATCH_OPTIONS).flow(pictures, batch_size=3, seed=5, save_to_dir=str(folder))
        for _ in range(2):
            next(flow)
        loaded = {path.name: path for path in sorted(folder.iterdir())}
        saved.append({name: np.asarray(Image.open(path), int) for name, path in loaded.items()})
    fast, slow = saved
    assert fast.keys() == slow.keys()
    assert len(fast) == 6
    for name in fast:
        assert np.abs(fast[name] - slow[name]).max() <= 1  # cut to whole levels


def test_batches_keep_their_values_when_the_next_are_made():
    datagen = FastImageDataGenerator(rotation_range=25)
    pictures = np.random.default_rng(13).integers(0, 255, (4, 16, 16, 3)).astype("uint8")
    drawn = draw_transforms(datagen, 4, (16, 16, 3), np.random.RandomState(0))
    batches = [datagen.transform_batch(pictures, drawn * (k + 1)) for k in range(20)]
    copies = [datagen.transform_batch(pictures, drawn * (k + 1)).copy() for k in range(20)]
    for batch, copied in zip(batches, copies, strict=True):
        np.testing.assert_array_equal(batch, copied)


def test_geometry_of_a_mask_and_of_another_size():
    options = {**BATCH_OPTIONS, "height_shift_range": 0.2, "brightness_range": (0.5, 1.5)}
    datagen = FastImageDataGenerator(**options, rescale=1 / 255)
    mask_datagen = FastImageDataGenerator(interpolation_order=0)
    random = np.random.default_rng(14)
    pictures = random.integers(0, 255, (6, 32, 48, 3)).astype("uint8")
    masks = random.integers(0, 9, (6, 16, 24, 1)).astype("uint8")
    drawn = draw_transforms(datagen, 6, (32, 48, 3), np.random.RandomState(3))
    found = mask_datagen.transform_batch(masks, drawn, drawn_for=(32, 48, 3), geometry_only=True)
    assert found.dtype == np.uint8

    shared = SharedTransforms(Original(**options, rescale=1 / 255), seed=0)
    for picture, mask, row, one in zip(pictures, masks, drawn, found, strict=True):
        parameters = dict(zip(PARAMETERS, row, strict=True))
        wanted = shared.apply("cover", mask, parameters, picture.shape)
        np.testing.assert_array_equal(one, wanted)


def test_shared_transforms_take_the_fast_class():
    pictures = {
        "imagery": np.random.default_rng(15).uniform(0, 255, (3, 32, 32, 3)).astype("float32"),
        "cover": np.random.default_rng(16).integers(0, 9, (3, 16, 16, 1)).astype("uint8"),
    }
    found, wanted = (
        SharedTransforms(kind(**BATCH_OPTIONS), seed=1)(pictures, rows=np.arange(3), epoch=2)
        for kind in (FastImageDataGenerator, Original)
    )
    assert np.abs(found["imagery"] - wanted["imagery"]).max() < AS_NEAR
    np.testing.assert_array_equal(found["cover"], wanted["cover"])


def test_a_matrix_leads_to_the_pixel_that_the_original_takes():
    """On a ramp, a pixel's value says where it comes from."""
    columns = np.tile(np.arange(41, dtype="float32"), (31, 1))
    ramp = np.stack([columns, columns * 0 + np.arange(31, dtype="float32")[:, None]], axis=2)
    parameters = {"theta": 5, "tx": 1.5, "ty": -2, "zx": 0.9, "zy": 0.8, "flip_horizontal": True}
    moved = Original().apply_transform(ramp, parameters)
    matrix = matrices(fast_module._as_array([parameters]), 31, 41)[0]
    np.testing.assert_allclose(matrix @ (20, 15, 1), moved[15, 20], atol=1e-4)


def test_as_many_transforms_as_pictures():
    datagen = FastImageDataGenerator()
    with pytest.raises(ValueError, match=r"parameters: expected shape \(2, 10\) for 2 pictures"):
        datagen.transform_batch(np.zeros((2, 8, 8, 3), "uint8"), np.zeros((3, 10)))
