"""Every image of a sample gets the same transform, whatever else is going on."""

import itertools
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from helpers.datasets import from_batches
from helpers.fast import as_dict
from helpers.generators import AlignedEpochs
from helpers.transforms import SharedTransforms, move_points, order_of_rows, sample
from helpers.warp import PARAMETERS, matrices, warp

ImageDataGenerator = tf.keras.preprocessing.image.ImageDataGenerator
SAMPLES, BATCH_SIZE, SIZE = 70, 16, 32
GEOMETRY = {
    "rotation_range": 60,
    "width_shift_range": 0.2,
    "height_shift_range": 0.2,
    "shear_range": 20,
    "zoom_range": 0.3,
    "horizontal_flip": True,
    "vertical_flip": True,
    "fill_mode": "nearest",
}
COLOURS = {"brightness_range": (0.5, 1.5), "channel_shift_range": 30}


def coordinates(height, width):
    """Return images that tell of each pixel where it came from, as parts of the whole, 0–255."""
    rows, columns = np.mgrid[:height, :width]
    down, across = (rows + 0.5) / height, (columns + 0.5) / width
    return np.stack([down, across, np.zeros_like(down)], axis=-1) * 255


def samples(sizes):
    return {
        name: np.repeat(coordinates(*size)[None].astype("float32"), SAMPLES, axis=0)
        for name, size in sizes.items()
    }


SIZES = {"imagery": (SIZE, SIZE), "relief": (SIZE // 2, SIZE // 2)}


def make_epochs(sizes=SIZES, seed=5, options=GEOMETRY, **transform_options):
    images = samples(sizes)
    rows = np.arange(SAMPLES)
    flows = {
        name: ImageDataGenerator().flow(values, rows, batch_size=BATCH_SIZE, seed=seed)
        for name, values in images.items()
    }
    transforms = SharedTransforms(ImageDataGenerator(**options), seed=seed, **transform_options)
    return AlignedEpochs(flows, lambda images, rows: (images, rows), transforms=transforms)


def halved(batch):
    return batch.reshape(len(batch), SIZE // 2, 2, SIZE // 2, 2, 3).mean(axis=(2, 4))


def count_pairs(images):
    """Count the samples whose imagery, at half size, is where its relief is.

    Half a pixel of relief is the most that two ways of sampling the same place may differ by,
    away from the border, where the coarser image repeats its edge earlier.
    """
    gap = np.abs(halved(images["imagery"]) - images["relief"])[..., :2]
    pixel = 255 / (SIZE // 2)
    return int((np.median(gap, axis=(1, 2, 3)) < 0.25 * pixel).sum())


def test_images_of_two_sizes_show_the_same_place_in_every_epoch():
    epochs = make_epochs()
    for _ in range(4):
        batches = list(epochs())
        assert sum(count_pairs(images) for images, _ in batches) == SAMPLES
        assert sorted(np.concatenate([rows for _, rows in batches])) == list(range(SAMPLES))
        assert len(batches[-1][1]) == SAMPLES % BATCH_SIZE


@pytest.mark.parametrize("option", ["width_shift_range", "height_shift_range"])
def test_shifts_scale_with_the_size_of_images_that_are_not_square(option):
    sizes = {"imagery": (24, 64), "relief": (12, 32)}
    transforms = SharedTransforms(ImageDataGenerator(**{option: 0.1}), seed=3)
    got = transforms(samples(sizes), np.arange(SAMPLES), 0)
    halves = got["imagery"].reshape(SAMPLES, 12, 2, 32, 2, 3).mean(axis=(2, 4))
    gap = np.abs(halves - got["relief"])[..., :2]
    assert np.median(gap, axis=(1, 2)).max() < 1e-3


def test_the_count_of_pairs_can_fall():
    (images, _), *_ = make_epochs()()
    images["relief"] = np.roll(images["relief"], 1, axis=0)
    assert count_pairs(images) <= 2


def test_ten_thousand_samples_keep_their_pairs():
    transforms = SharedTransforms(ImageDataGenerator(**GEOMETRY), seed=1)
    kept = 0
    for epoch in range(144):
        images = samples(SIZES)
        kept += count_pairs(transforms(images, np.arange(SAMPLES), epoch))
    assert kept == 144 * SAMPLES


def seen(epochs, count=3):
    return [
        (rows.copy(), *(value.copy() for value in images.values()))
        for _ in range(count)
        for images, rows in epochs()
    ]


def same(left, right):
    return all(
        np.array_equal(a, b)
        for one, other in zip(left, right, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def disturb(stop):
    """Do what spoils pairs that hang on NumPy's global random state: use it, seed it."""
    while not stop.is_set():
        np.random.seed(1)
        np.random.random(100)


def test_nothing_that_runs_beside_it_matters():
    expected = {seed: seen(make_epochs(seed=seed)) for seed in (5, 6)}
    stop, got = threading.Event(), {}

    def run(seed):
        epochs = make_epochs(seed=seed)
        epochs.peek()
        got[seed] = seen(epochs)

    threads = [threading.Thread(target=disturb, args=(stop,))]
    runs = [threading.Thread(target=run, args=(seed,)) for seed in expected]
    for thread in threads + runs:
        thread.start()
    for thread in runs:
        thread.join()
    stop.set()
    threads[0].join()
    assert all(same(got[seed], expected[seed]) for seed in expected)


def test_two_prefetching_datasets_zipped_keep_their_pairs():
    def dataset(name):
        epochs = make_epochs({name: SIZES[name]}, photometric=(), masks=())
        batches = from_batches(epochs, length=len(epochs))
        return batches.map(lambda images, rows: (images[name], rows)).prefetch(4)

    both = tf.data.Dataset.zip(dataset("imagery"), dataset("relief"))
    for _ in range(3):
        pairs = total = 0
        for (imagery, rows), (relief, other_rows) in both.as_numpy_iterator():
            assert np.array_equal(rows, other_rows)
            pairs += count_pairs({"imagery": imagery, "relief": relief})
            total += len(rows)
        assert pairs == total == SAMPLES


def test_a_sample_does_not_depend_on_its_batch():
    transforms = SharedTransforms(ImageDataGenerator(**GEOMETRY, **COLOURS), seed=2)
    images = samples(SIZES)
    rows = np.arange(SAMPLES)
    whole = transforms(images, rows, epoch=3)
    order = np.random.default_rng(0).permutation(SAMPLES)
    for part in np.array_split(order, 9):
        some = transforms({name: values[part] for name, values in images.items()}, rows[part], 3)
        assert all(np.array_equal(some[name], whole[name][part]) for name in some)


def test_epochs_and_seeds_differ():
    transforms = SharedTransforms(ImageDataGenerator(**GEOMETRY), seed=2)
    other_seed = SharedTransforms(ImageDataGenerator(**GEOMETRY), seed=3)
    angles = [
        angle
        for source, epoch in itertools.product((transforms, other_seed), range(20))
        for angle in source.lines(range(20), epoch, (SIZE, SIZE, 3))[:, 0]
    ]
    assert len(set(angles)) == len(angles) == 800


def test_it_repeats_in_a_fresh_process():
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from test_transforms import fingerprint\n"
        "print(fingerprint())"
    )
    fresh = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert fresh.strip() == str(fingerprint())


def fingerprint():
    return sum(float((x * (i + 1)).sum()) for i, (x, *_) in enumerate(seen(make_epochs(), 2)))


@pytest.mark.parametrize(
    "options",
    [
        {**GEOMETRY, **COLOURS},
        {"width_shift_range": 3, "height_shift_range": [1, 2, 5], "zoom_range": (0.5, 2.0)},
        {"width_shift_range": [0.1, 0.3], "height_shift_range": 4.5, "zoom_range": (1, 1)},
        {"width_shift_range": np.array([0, 7]), "height_shift_range": -0.25},
        {"height_shift_range": 1, "data_format": "channels_first", "width_shift_range": 0.5},
        {},
    ],
    ids=range(6),
)
def test_the_parameters_are_distributed_as_the_class_distributes_them(options):
    if isinstance(options.get("width_shift_range"), np.ndarray):  # Keras asks for its truth
        options = {**options, "width_shift_range": options["width_shift_range"].tolist()}
    datagen = ImageDataGenerator(**options)
    shape = (3, 40, 20) if options.get("data_format") == "channels_first" else (40, 20, 3)
    count = 4000
    table = sample(datagen, count, shape, seed=0, epoch=0)
    np.random.seed(0)
    theirs = [datagen.get_random_transform(shape) for _ in range(count)]
    for column, name in zip(table.T, PARAMETERS, strict=True):
        own = np.array([np.nan if one[name] is None else one[name] for one in theirs], float)
        if np.isnan(own).any():
            assert np.isnan(own).all()
            assert np.isnan(column).all()
            continue
        # At 0.1 %, for two samples of 4,000 each.
        assert scipy.stats.ks_2samp(column, own).statistic < 1.95 * np.sqrt(2 / count), name
        if len(np.unique(own)) < 20:
            assert set(np.abs(column)) == set(np.abs(own)), name


def test_a_line_depends_on_seed_epoch_and_row_alone():
    datagen = ImageDataGenerator(**GEOMETRY, **COLOURS)
    table = sample(datagen, 100, (40, 20, 3), seed=7, epoch=2)
    np.testing.assert_array_equal(sample(datagen, 9, (40, 20, 3), seed=7, epoch=2), table[:9])
    for seed, epoch in ((7, 3), (8, 2), (2, 7)):
        other = sample(datagen, 100, (40, 20, 3), seed=seed, epoch=epoch)
        assert not np.isclose(other[:, 0], table[:, 0]).any()


def test_an_option_more_leaves_the_other_columns_as_they_are():
    one, more = (
        sample(ImageDataGenerator(**options), 50, (8, 8, 3), seed=1, epoch=0)
        for options in ({"rotation_range": 9}, {"rotation_range": 9, **COLOURS})
    )
    np.testing.assert_array_equal(one[:, :8], more[:, :8])


def test_the_order_holds_every_row_once_and_differs_by_seed_and_epoch():
    orders = [order_of_rows(50, seed=seed, epoch=epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({order.tobytes() for order in orders}) == 4
    np.testing.assert_array_equal(orders[0], order_of_rows(50, seed=0, epoch=0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width_shift_range": "0.1"}, "width_shift_range: expected a float, .*, found '0.1'"),
        ({"height_shift_range": -2}, "height_shift_range: expected .*, found -2"),
    ],
)
def test_options_that_cannot_be_followed_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        sample(ImageDataGenerator(**options), 5, (8, 8, 3), seed=1, epoch=0)


@pytest.mark.parametrize(("seed", "epoch"), [(-1, 0), (None, 0), (1, -1), (1.5, 0), (True, 0)])
def test_seeds_and_epochs_are_integers_from_0(seed, epoch):
    with pytest.raises(ValueError, match=r"(seed|epoch): expected an integer from 0, found"):
        sample(ImageDataGenerator(), 5, (8, 8, 3), seed=seed, epoch=epoch)


def test_with_one_image_it_is_the_generators_own_transform():
    datagen = ImageDataGenerator(**GEOMETRY, **COLOURS, rescale=1 / 255)
    transforms = SharedTransforms(datagen, seed=4)
    image = samples(SIZES)["imagery"][0]
    parameters = as_dict(transforms.lines([8], 1, image.shape)[0])
    expected = datagen.standardize(datagen.apply_transform(image.copy(), parameters))
    got = transforms({"imagery": image[None]}, [8], epoch=1)["imagery"][0]
    assert np.array_equal(got, expected)


def test_the_global_random_state_is_left_alone():
    np.random.seed(5)
    expected = np.random.random(3)
    np.random.seed(5)
    SharedTransforms(ImageDataGenerator(**GEOMETRY), seed=2)(samples(SIZES), np.arange(SAMPLES), 0)
    assert np.array_equal(np.random.random(3), expected)


def test_masks_get_no_new_class_numbers_and_keep_their_dtype():
    cover = np.random.default_rng(0).choice([0, 3, 8], (40, 24, 24, 1)).astype("uint8")
    for mode in ("nearest", "reflect", "wrap"):
        datagen = ImageDataGenerator(**{**GEOMETRY, "fill_mode": mode}, **COLOURS, rescale=1 / 255)
        got = SharedTransforms(datagen, seed=1)({"cover": cover}, np.arange(40), 0)["cover"]
        assert set(np.unique(got)) == {0, 3, 8}
        assert got.dtype == np.uint8
        assert not np.array_equal(got, cover)


def test_masks_are_filled_with_the_class_that_is_asked_for():
    cover = np.ones((8, 24, 24, 1), "uint8")
    datagen = ImageDataGenerator(width_shift_range=[6], fill_mode="constant")
    got = SharedTransforms(datagen, seed=1, mask_fill=8)({"cover": cover}, np.arange(8), 0)["cover"]
    assert (np.sort(got.reshape(8, -1)) == np.sort(np.r_[[8] * 6, [1] * 18].repeat(24))).all()


def test_masks_move_with_the_imagery():
    sizes = {"imagery": (SIZE, SIZE), "cover": (SIZE, SIZE)}
    images = samples(sizes)
    images["cover"] = (images["cover"][..., :1] > 127).astype("uint8")
    transforms = SharedTransforms(ImageDataGenerator(**GEOMETRY), seed=6)
    got = transforms(images, np.arange(SAMPLES), 0)
    from_imagery = got["imagery"][..., :1] > 127
    assert (from_imagery == got["cover"].astype(bool)).mean() > 0.99


def test_colours_change_in_the_imagery_only():
    datagen = ImageDataGenerator(**COLOURS, rescale=1 / 255)
    images = samples(SIZES)
    got = SharedTransforms(datagen, seed=1)(images, np.arange(SAMPLES), 0)
    assert np.allclose(got["relief"], images["relief"] / 255, atol=1e-6)
    assert np.abs(got["imagery"] - images["imagery"] / 255).mean() > 0.02
    assert got["imagery"].max() > 0.5


def test_standardisation_touches_the_imagery_only():
    images = samples(SIZES)
    datagen = ImageDataGenerator(featurewise_center=True, preprocessing_function=lambda x: x * 2)
    datagen.fit(images["imagery"])
    got = SharedTransforms(datagen, seed=1)(images, np.arange(SAMPLES), 0)
    assert np.allclose(got["relief"], images["relief"])
    assert np.allclose(got["imagery"], images["imagery"] * 2 - datagen.mean, atol=1e-3)


def test_images_are_left_as_they_are():
    images = samples(SIZES)
    before = {name: values.copy() for name, values in images.items()}
    SharedTransforms(ImageDataGenerator(**GEOMETRY, rescale=2.0), seed=1)(images, range(SAMPLES), 0)
    assert all(np.array_equal(before[name], images[name]) for name in images)


def test_channels_first():
    last = SharedTransforms(ImageDataGenerator(**GEOMETRY), seed=1)
    first = SharedTransforms(ImageDataGenerator(**GEOMETRY, data_format="channels_first"), seed=1)
    images = {"imagery": samples({"imagery": (20, 30)})["imagery"][:9]}
    moved = {"imagery": np.moveaxis(images["imagery"], -1, 1)}
    got = np.moveaxis(first(moved, range(9), 0)["imagery"], 1, -1)
    assert np.allclose(got, last(images, range(9), 0)["imagery"], atol=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: SharedTransforms(ImageDataGenerator(), seed=1, photometric=["a"], masks=["a"]),
            "'a': expected in photometric or in masks, found in both",
        ),
        (
            lambda: SharedTransforms(ImageDataGenerator(fill_mode="constant"), seed=1),
            'mask_fill: expected a class number, since fill_mode="constant"',
        ),
        (
            lambda: SharedTransforms(ImageDataGenerator(), seed=1)(samples(SIZES), range(3), 0),
            r"imagery: expected 3 images .*, found shape \(70, 32, 32, 3\)",
        ),
        (
            lambda: SharedTransforms(ImageDataGenerator(), seed=1)(
                samples({"imagery": (32, 32), "relief": (12, 32)}), range(SAMPLES), 0
            ),
            "relief: expected the proportions of 32 × 32, .*, found 12 × 32",
        ),
        (
            lambda: SharedTransforms(ImageDataGenerator(), seed=1)(
                samples({"imagery": (400, 440), "relief": (10, 10)}), range(SAMPLES), 0
            ),
            "relief: expected the proportions of 400 × 440",
        ),
        (
            lambda: SharedTransforms(ImageDataGenerator(), seed=1)(
                {"mask": np.zeros((2, 8, 8, 1), "uint8")}, range(2), 0
            ),
            "mask: expected a one-channel image to be named in masks",
        ),
        (
            lambda: SharedTransforms(ImageDataGenerator(), seed=1, mask_fill=-1)(
                {"cover": np.zeros((2, 8, 8, 1), "uint8")}, range(2), 0
            ),
            "mask_fill: expected a value of uint8 as cover, found -1",
        ),
        (
            lambda: SharedTransforms(ImageDataGenerator(), seed=1)(
                {"imagery": np.zeros((1, 8, 8, 3))}, [-1], 0
            ),
            r"rows: expected a list of numbers from 0, found \[-1\]",
        ),
        (
            lambda: SharedTransforms(ImageDataGenerator(**COLOURS), seed=1)(
                {"imagery": np.linspace(-1, 1, 384).reshape(2, 8, 8, 3)}, range(2), 0
            ),
            "imagery: expected values from 0 to 255, found -1 to 1",
        ),
        (
            lambda: SharedTransforms(ImageDataGenerator(**COLOURS), seed=1)(
                {"imagery": np.full((2, 8, 8, 3), 0.5, "float32")}, range(2), 0
            ),
            "imagery: expected values from 0 to 255, found 0.5 to 0.5",
        ),
    ],
)
def test_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class ThroughSuper(ImageDataGenerator):
    def get_random_transform(self, img_shape, seed=None):
        return {**super().get_random_transform(img_shape, seed), "zx": 2}


class ByName(ImageDataGenerator):
    def get_random_transform(self, img_shape, seed=None):
        return {**ImageDataGenerator.get_random_transform(self, img_shape, seed), "zx": 2}


def with_method_set():
    datagen = ImageDataGenerator()
    datagen.get_random_transform = lambda shape, seed=None: {"theta": np.random.random()}
    return datagen


@pytest.mark.parametrize("make", [ThroughSuper, ByName, with_method_set])
def test_a_class_that_samples_by_itself_is_refused(make):
    message = r"\w+\.get_random_transform: expected that of ImageDataGenerator, found .* pass it as"
    with pytest.raises(TypeError, match=message):
        SharedTransforms(make(), seed=1)
    with pytest.raises(TypeError, match=message):
        sample(make(), 5, (8, 8, 3), seed=1, epoch=0)


def test_a_sampler_of_ones_own_changes_the_table():
    def quarters(datagen, count, shape, *, seed, epoch):
        table = sample(datagen, count, shape, seed=seed, epoch=epoch)
        table[:, 0] = 90 * np.round(table[:, 0] / 90)
        return table

    datagen = ImageDataGenerator(rotation_range=180)
    shared = SharedTransforms(datagen, seed=1, sampler=quarters)
    found = shared({"imagery": samples(SIZES)["imagery"][:9]}, range(9), 0)["imagery"]
    lines = shared.lines(range(9), 0, (SIZE, SIZE, 3))
    assert set(lines[:, 0]) == {-180, -90, 0, 90, 180}
    for image, line in zip(found, lines, strict=True):
        expected = np.rot90(coordinates(SIZE, SIZE), round(line[0] / 90))
        np.testing.assert_allclose(image, expected, atol=1e-3)


def test_lines_may_be_asked_for_in_any_order_and_from_many_threads():
    shared = SharedTransforms(ImageDataGenerator(**GEOMETRY), seed=3)
    expected = [
        sample(ImageDataGenerator(**GEOMETRY), 400, (8, 8, 3), seed=3, epoch=epoch)
        for epoch in range(8)
    ]
    random = np.random.default_rng(0)
    asked = [(random.integers(0, 400, 5), int(random.integers(8))) for _ in range(400)]
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda one: shared.lines(*one, (8, 8, 3)), asked)
        for lines, (rows, epoch) in zip(found, asked, strict=True):
            np.testing.assert_array_equal(lines, expected[epoch][rows])


def test_one_channel_images_that_are_named_are_only_moved():
    heights = np.arange(64.0).reshape(1, 8, 8, 1)
    datagen = ImageDataGenerator(horizontal_flip=True, brightness_range=(2, 2))
    transforms = SharedTransforms(datagen, seed=1, others=["heights"])
    moved = [transforms({"heights": heights}, [row], 0)["heights"] for row in range(20)]
    assert {values.tobytes() for values in moved} == {
        values.astype("float32").tobytes() for values in (heights, heights[:, :, ::-1])
    }


def test_an_empty_batch_stays_empty():
    empty = {"imagery": np.zeros((0, 8, 8, 3))}
    assert SharedTransforms(ImageDataGenerator(), seed=1)(empty, [], 0)["imagery"].shape == (
        0,
        8,
        8,
        3,
    )


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_all_frames_of_a_clip_get_the_one_transform(data_format):
    colours = COLOURS if data_format == "channels_last" else {}  # Keras cannot
    options = {**GEOMETRY, **colours, "data_format": data_format, "rescale": 1 / 255}
    shared = SharedTransforms(ImageDataGenerator(**options), seed=3)
    clips = {
        "imagery": np.random.default_rng(0).integers(0, 256, (5, 4, 16, 24, 3)).astype("uint8"),
        "cover": np.random.default_rng(1).integers(0, 9, (5, 4, 16, 24, 1)).astype("uint8"),
    }
    if data_format == "channels_first":
        clips = {name: np.moveaxis(clip, -1, 2) for name, clip in clips.items()}
    rows = [7, 0, 3, 2, 9]
    found = shared(clips, rows, 2)
    for time in range(4):
        frames = shared({name: clip[:, time] for name, clip in clips.items()}, rows, 2)
        for name, expected in frames.items():
            np.testing.assert_array_equal(found[name][:, time], expected)
            assert found[name].dtype == expected.dtype
            assert not np.array_equal(expected, frames[name][::-1])


def test_two_seeds_are_independent():
    """So two images of a sample can have a transform each."""
    left, right = (
        SharedTransforms(ImageDataGenerator(**GEOMETRY, **COLOURS), seed=seed).lines(
            range(4000), 0, (SIZE, SIZE, 3)
        )
        for seed in (1, 2)
    )
    correlations = np.corrcoef(left.T, right.T)[:10, 10:]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(4000)  # of 100 that are chance
    assert not (left[:, 0] == right[:, 0]).any()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"photometric": ["imagry"]}, r"photometric: .*, \['imagery', 'relief'\], found 'imagry'"),
        ({"masks": ["mask"]}, r"masks: expected names of images, .*, found 'mask'"),
        ({"others": ["height"]}, r"others: expected names of images, .*, found 'height'"),
    ],
)
def test_names_of_no_image_are_refused(names, message):
    shared = SharedTransforms(ImageDataGenerator(), seed=1, **names)
    with pytest.raises(ValueError, match=message):
        shared(samples(SIZES), range(SAMPLES), 0)


def test_colours_that_would_change_in_no_image_are_refused():
    photos = {"photos": samples(SIZES)["imagery"]}
    shared = SharedTransforms(ImageDataGenerator(**COLOURS), seed=1)
    message = r"photometric: expected names of images, \['photos'\], found 'imagery'"
    with pytest.raises(ValueError, match=message):
        shared(photos, range(SAMPLES), 0)
    none = SharedTransforms(ImageDataGenerator(**COLOURS), seed=1, photometric=[])
    np.testing.assert_array_equal(none(photos, range(SAMPLES), 0)["photos"], photos["photos"])


def test_points_move_as_their_pixels_do():
    """A single bright pixel, its image enlarged so that it covers several: where is its middle?"""
    height, width, count = 96, 144, 400
    options = {**GEOMETRY, "shear_range": 9, "zoom_range": (0.3, 0.5)}
    random = np.random.default_rng(0)
    x, y = random.integers(40, 104, count), random.integers(24, 72, count)
    images = np.zeros((count, height, width, 1), "float32")
    images[np.arange(count), y, x] = 255
    table = sample(ImageDataGenerator(**options), count, (height, width, 1), seed=4, epoch=0)
    moves = matrices(table, height, width)
    after = warp(images, moves, table[:, 6:8] != 0, fill_mode="constant")[..., 0]
    points = np.stack([x, y], axis=-1)
    moved = move_points(points[:, None], table, (height, width, 1))[:, 0]
    seen = ((moved > 6) & (moved < np.array([width, height]) - 7)).all(axis=1)
    assert min(seen.sum(), table[seen, 6].sum(), table[seen, 7].sum()) > 40
    after = after[seen] / after[seen].sum(axis=(1, 2), keepdims=True)
    found = [after.sum(axis=1) @ np.arange(width), after.sum(axis=2) @ np.arange(height)]
    np.testing.assert_allclose(moved[seen], np.transpose(found), atol=0.1)
    assert np.abs(moved - points)[seen].mean() > 10


def test_points_that_are_missing_stay_so():
    points = np.array([[[1.0, 2], [np.nan, np.nan], [5, 6]]])
    table = sample(ImageDataGenerator(**GEOMETRY), 1, (32, 32, 3), seed=4, epoch=0)
    moved = move_points(points, table, (32, 32, 3))
    assert np.isnan(moved).any(axis=-1).tolist() == [[False, True, False]]
    np.testing.assert_allclose(
        moved[:, ::2], move_points(points[:, ::2], table, (32, 32)), atol=1e-9
    )
    with pytest.raises(ValueError, match=r"points: expected shape \(1, points, 2\) for 1 lines"):
        move_points(points[0], table, (32, 32))
