"""Recipes and what is cooked from them, against flows of ImageDataGenerator."""

import collections
import gc
import random as python_random
import struct
import threading
import time
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from helpers import buffers, tiles
from helpers import recipes as recipes_module
from helpers.datasets import BatchError, from_batches
from helpers.fast import FastImageDataGenerator
from helpers.generators import Epochs, row_flow
from helpers.recipes import Pictures, Recipes, from_recipes

Original = tf.keras.preprocessing.image.ImageDataGenerator

# Keras imports SciPy by a name that SciPy has given up, once a picture.
pytestmark = pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning")

AS_NEAR = 0.01  # on a scale of 0 to 255

OPTIONS = {
    "rotation_range": 20,
    "width_shift_range": 0.1,
    "height_shift_range": 0.2,
    "zoom_range": 0.2,
    "horizontal_flip": True,
}


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (22, 16, 16, 3)).astype("uint8")


def cooked_arrays(pictures, *, options=None, shuffle=True, batch_size=8, seed=3, workers=None):
    """Return a dataset of (pictures, rows)."""
    datagen = FastImageDataGenerator(**(OPTIONS if options is None else options))
    shape = pictures.shape[1:]
    plan = Recipes(
        datagen, len(pictures), shape=shape, batch_size=batch_size, shuffle=shuffle, seed=seed
    )

    def cook(rows, transforms):
        return datagen.transform_batch(pictures[rows], transforms), rows

    return from_recipes(plan, cook, workers=workers)


class Plan:
    """Recipes from a list, the same each epoch."""

    def __init__(self, recipes, length=None):
        self.recipes = recipes
        self.length = len(recipes) if length is None else length
        self.started = 0

    def __len__(self):
        return self.length

    def __call__(self):
        self.started += 1
        return iter(self.recipes)

    def peek(self):
        return self.recipes[0]


def numbered(count):
    return Plan([(np.array([number]),) for number in range(count)])


def values(dataset, found=None):
    """Return what a dataset holds; `found` has it also where an error comes in between."""
    found = [] if found is None else found
    for batch in dataset:
        found.append(batch.numpy().tolist())
    return found


# --- Recipes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 8, 11, 30])
def test_cooked_epochs_are_those_of_a_flow(pictures, shuffle, batch_size):
    flow = Original(**OPTIONS).flow(
        pictures, np.arange(22), batch_size=batch_size, shuffle=shuffle, seed=3
    )
    dataset = cooked_arrays(pictures, shuffle=shuffle, batch_size=batch_size)
    assert dataset.cardinality() == len(flow)
    for _ in range(3):
        for found, rows in dataset:
            np.random.seed(python_random.randrange(1000))  # somebody else's affair
            wanted, wanted_rows = next(flow)
            np.testing.assert_array_equal(rows, wanted_rows)
            assert np.abs(found - wanted).max() < AS_NEAR


def test_cooked_files_are_those_of_a_flow():
    paths = tiles.paths("imagery", "test")
    options = {**OPTIONS, "rescale": 1 / 255, "brightness_range": (0.5, 1.5)}
    flow = row_flow(Original(**options), paths, target_size=(64, 64), batch_size=50, seed=5)
    datagen = FastImageDataGenerator(**options)
    files = Pictures(paths, (64, 64, 3))
    plan = Recipes(datagen, len(paths), shape=(64, 64, 3), batch_size=50, seed=5)
    dataset = from_recipes(
        plan, lambda rows, transforms: (datagen.transform_batch(files[rows], transforms), rows)
    )
    for _ in range(2):
        for found, rows in dataset:
            wanted, wanted_rows = next(flow)
            np.testing.assert_array_equal(rows, wanted_rows)
            assert np.abs(found - wanted).max() < AS_NEAR / 255


def test_recipes_leave_the_global_random_state_alone(pictures):
    plan = Recipes(Original(**OPTIONS), 22, shape=(16, 16, 3), seed=3)
    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    list(plan())
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_peek_starts_nothing():
    plan = Recipes(Original(**OPTIONS), 22, shape=(16, 16, 3), batch_size=8, seed=3)
    twin = Recipes(Original(**OPTIONS), 22, shape=(16, 16, 3), batch_size=8, seed=3)
    for _ in range(2):
        peeked = plan.peek()
        plan.peek()
        for (rows, transforms), (wanted_rows, wanted) in zip(plan(), twin(), strict=True):
            np.testing.assert_array_equal(rows, wanted_rows)
            np.testing.assert_array_equal(transforms, wanted)
            if peeked:
                np.testing.assert_array_equal(rows, peeked[0])
                np.testing.assert_array_equal(transforms, peeked[1])
                peeked = None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"count": 0}, "count: expected 1 or more, found 0"),
        ({"batch_size": 0}, "batch_size: expected 1 or more, found 0"),
        ({"seed": None}, "seed: expected an int, found None"),
    ],
)
def test_recipes_that_cannot_be(changed, message):
    with pytest.raises(ValueError, match=message):
        Recipes(Original(), **{"count": 3, "shape": (8, 8, 3), "seed": 0, **changed})


def test_two_pictures_and_a_mask_share_a_transform():
    """Imagery of 64 and relief of 32 pixels equal two flows of one seed, each of its own size."""
    # Shifts in parts of the size: the flows draw each for its own.
    sizes = {"imagery": (64, 64), "relief": (32, 32)}
    paths = {name: tiles.paths(name, "test") for name in (*sizes, "cover")}
    flows = {
        name: row_flow(Original(**OPTIONS), paths[name], target_size=size, seed=9)
        for name, size in sizes.items()
    }
    mask_options = {**OPTIONS, "interpolation_order": 0}
    mask_flow = row_flow(
        Original(**mask_options),
        paths["cover"],
        target_size=(64, 64),
        color_mode="grayscale",
        seed=9,
    )
    datagen = FastImageDataGenerator(**OPTIONS)
    mask_datagen = FastImageDataGenerator(**mask_options)
    files = {name: Pictures(paths[name], (*size, 3)) for name, size in sizes.items()}
    masks = Pictures(paths["cover"], (64, 64, 1))
    shape = (64, 64, 3)

    def cook(rows, transforms):
        moved = {
            name: datagen.transform_batch(files[name][rows], transforms, drawn_for=shape)
            for name in sizes
        }
        mask = mask_datagen.transform_batch(masks[rows], transforms, geometry_only=True)
        return moved, {"cover": mask, "rows": rows}

    plan = Recipes(datagen, len(masks), shape=shape, seed=9)
    for moved, targets in from_recipes(plan, cook):
        for name, flow in flows.items():
            wanted, rows = next(flow)
            np.testing.assert_array_equal(targets["rows"], rows)
            assert np.abs(moved[name] - wanted).max() < AS_NEAR
        assert targets["cover"].dtype == tf.uint8
        np.testing.assert_array_equal(targets["cover"], next(mask_flow)[0])


# --- from_recipes -----------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_batches_come_in_order_whoever_cooks_them(workers):
    naps = np.random.default_rng(1).uniform(0, 0.01, 40)
    at_work, most_at_work = [], []

    def cook(number):
        at_work.append(number)
        most_at_work.append(len(at_work))
        time.sleep(naps[number[0]])
        at_work.remove(number)
        return number

    dataset = from_recipes(numbered(40), cook, workers=workers)
    most_at_work.clear()
    assert values(dataset) == [[number] for number in range(40)]
    assert max(most_at_work) <= workers
    assert workers == 1 or max(most_at_work) > 1


def test_each_recipe_goes_to_its_own_batch_though_threads_are_late(monkeypatch):
    """The thread of a later batch may ask first; it must not be given an earlier recipe."""
    asked = []
    recipe = recipes_module._Epoch.recipe

    def late(self, batch):
        time.sleep(0.01 if batch % 3 == 0 else 0)
        asked.append(batch)
        return recipe(self, batch)

    monkeypatch.setattr(recipes_module._Epoch, "recipe", late)
    dataset = from_recipes(numbered(30), lambda number: number, workers=4)
    assert values(dataset) == [[number] for number in range(30)]
    assert asked != sorted(asked)


def test_a_dataset_knows_its_length_and_its_signature(pictures):
    dataset = cooked_arrays(pictures)
    assert dataset.cardinality() == len(dataset) == 3
    spec, rows = dataset.element_spec
    assert spec == tf.TensorSpec((None, 16, 16, 3), tf.float32)
    assert rows == tf.TensorSpec((None,), tf.int64)
    assert [len(rows) for _, rows in dataset] == [8, 8, 6]


def test_a_second_epoch_has_other_transforms_and_a_new_dataset_the_same(pictures):
    first, second = cooked_arrays(pictures), cooked_arrays(pictures)
    epochs = [[batch.numpy() for batch, _ in first] for _ in range(2)]
    again = [batch.numpy() for batch, _ in second.repeat(2)]
    assert np.abs(epochs[0][0] - epochs[1][0]).max() > 10
    for found, wanted in zip(again, [*epochs[0], *epochs[1]], strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_epochs_left_half_way_are_epochs_too(pictures):
    left, whole = cooked_arrays(pictures, batch_size=2), cooked_arrays(pictures, batch_size=2)
    for _ in range(3):
        wanted = [rows.numpy() for _, rows in whole]
        for (_, rows), wanted_rows in zip(left.take(2), wanted, strict=False):
            np.testing.assert_array_equal(rows, wanted_rows)


def test_epochs_at_once_are_apart(pictures):
    dataset = cooked_arrays(pictures, batch_size=2, shuffle=False)
    iterators = [iter(dataset) for _ in range(3)]
    for batches in zip(*iterators, strict=True):
        rows = [rows.numpy().tolist() for _, rows in batches]
        assert rows[0] == rows[1] == rows[2]
        assert np.abs(batches[0][0] - batches[1][0]).max() > 10


def test_epochs_are_forgotten():
    """Whole, left half way or failed: no recipe of an epoch outlives it."""
    recipe = np.zeros(3)
    alive = []

    class Watched:
        def __len__(self):
            return 20

        def peek(self):
            return (recipe,)

        def __call__(self):
            alive.append(True)
            try:
                for _ in range(20):
                    yield (recipe,)
            finally:
                alive.pop()

    dataset = from_recipes(Watched(), lambda values: values + 1, workers=3)
    for _ in range(3):
        list(dataset)
        list(dataset.take(4))
        next(iter(dataset))
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(dataset.map(lambda x: tf.ensure_shape(x, (4,))))
    gc.collect()
    until = time.monotonic() + 10
    while alive and time.monotonic() < until:
        time.sleep(0.01)
    assert not alive


@pytest.mark.parametrize(
    ("recipes", "length", "message"),
    [
        (3, 4, "recipes: expected 4 in an epoch, found 3"),
        (5, 4, "recipes: expected 4 in an epoch, found more"),
    ],
)
@pytest.mark.parametrize("workers", [1, 3])
def test_too_few_and_too_many_recipes(recipes, length, message, workers):
    plan = Plan(numbered(recipes).recipes, length)
    found = []
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        values(from_recipes(plan, lambda number: number, workers=workers), found)
    assert found == [[number] for number in range(3)]


def test_recipes_that_are_none():
    with pytest.raises(ValueError, match="recipes: expected 1 or more batches in an epoch, found"):
        from_recipes(Plan([]), lambda number: number)
    with pytest.raises(TypeError, match=r"has len\(\) and peek\(\).* found function"):
        from_recipes(lambda: iter([]), lambda number: number)
    with pytest.raises(ValueError, match="workers: expected 1 or more, found 0"):
        from_recipes(numbered(3), lambda number: number, workers=0)


def test_recipes_that_raise_say_so_once_in_order():
    class Broken(Plan):
        def __call__(self):
            yield from self.recipes[:2]
            raise OSError("no more ink")

    found = []
    with pytest.raises(tf.errors.OpError, match="no more ink"):
        values(from_recipes(Broken(numbered(9).recipes), lambda number: number, workers=4), found)
    assert found == [[0], [1]]


def test_recipes_that_raise_say_so_to_every_thread():
    def broken():
        raise OSError("no more ink")
        yield

    epoch = recipes_module._Epoch(broken(), 5)
    for batch in (3, 0, 1):  # the first batch's error is the one that is shown
        with pytest.raises(OSError, match="no more ink"):
            epoch.recipe(batch)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_cook_that_raises_reaches_the_reader(workers):
    def cook(number):
        if number[0] == 2:
            raise KeyError("row 17 has no label")
        return number

    found = []
    with pytest.raises(tf.errors.OpError, match="KeyError: 'row 17 has no label'"):
        values(from_recipes(numbered(6), cook, workers=workers), found)
    assert found == [[0], [1]]
    with pytest.raises(KeyError, match="at once"):
        from_recipes(numbered(6), lambda number: {}["at once"])


@pytest.mark.parametrize(
    ("later", "message"),
    [
        ({"a": np.ones((2, 4))}, r"element\['a'\]: expected shape \(None, 3\), found \(2, 4\)"),
        ({"b": np.ones((2, 3))}, r"expected keys \['a'\], found \['b'\]"),
        (np.ones((2, 3)), "element: expected a dict with keys"),
        ({"a": np.ones((2, 3)) * 1j}, r"element\['a'\]: expected float32, found complex128"),
        ({"a": np.array([["x", "y", "z"]])}, r"element\['a'\]: expected float32, found <U1"),
        (None, "element: expected a dict with keys"),
    ],
    ids=["shape", "key", "structure", "dtype", "text", "nothing"],
)
def test_a_later_batch_that_does_not_fit(later, message):
    def cook(number):
        return later if number[0] == 1 else {"a": np.ones((2, 3), "float32")}

    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(from_recipes(numbered(3), cook))


def test_a_first_batch_that_does_not_fit_is_refused_at_once():
    with pytest.raises(BatchError, match=r"expected shape \(None, 3\), found \(2, 4\)"):
        from_recipes(
            numbered(3),
            lambda number: np.ones((2, 4), "float32"),
            signature=tf.TensorSpec((None, 3)),
        )
    with pytest.raises(BatchError, match="found a tuple of 4"):
        from_recipes(numbered(3), lambda number: (number,) * 4)


def test_structures():
    Pair = collections.namedtuple("Pair", "right left")

    def cook(number):
        ones = np.ones((1, 1))
        return (
            # tf.nest sorts keys; a list becomes a tuple, as in from_batches
            {"b": ones * 2, "a": [ones * 3, ones * 4], "B": Pair(ones * 5, ones * 6)},
            np.array([["ä", "text"]]),
            number.astype("float64") == 0,
        )

    dataset = from_recipes(numbered(2), cook)
    for count, (inputs, text, first) in enumerate(dataset):
        assert isinstance(inputs["a"], tuple)
        assert isinstance(inputs["B"], Pair)
        found = [inputs["b"], *inputs["a"], inputs["B"].right, inputs["B"].left]
        assert [leaf.numpy().item() for leaf in found] == [2, 3, 4, 5, 6]
        assert [word.decode() for word in text.numpy()[0]] == ["ä", "text"]
        assert first.numpy().tolist() == [count == 0]
    assert dataset.element_spec == from_batches(lambda: [cook(np.zeros(1))], length=1).element_spec


def test_a_signature_may_hold_lists_and_other_dtypes():
    dataset = from_recipes(
        numbered(2),
        lambda number: [number, (number * 2,)],
        signature=[tf.TensorSpec((None,), tf.int32), [tf.TensorSpec((None,), tf.float32)]],
    )
    number, (double,) = list(dataset)[1]
    assert (number.dtype, double.dtype) == (tf.int32, tf.float32)
    assert (number.numpy().tolist(), double.numpy().tolist()) == ([1], [2])


def test_a_recipe_may_hold_anything():
    recipes = [("file.txt", 3, None, {"seed": 5}, [number]) for number in range(4)]

    def cook(path, size, nothing, options, number):
        assert (path, size, nothing, options) == ("file.txt", 3, None, {"seed": 5})
        return np.array(number)

    assert values(from_recipes(Plan(recipes), cook)) == [[0], [1], [2], [3]]


# --- Memory -----------------------------------------------------------------------------------


def test_batches_that_are_kept_keep_their_values(pictures):
    dataset = cooked_arrays(pictures, batch_size=2, workers=3)
    twin = cooked_arrays(pictures, batch_size=2, workers=1)
    wanted = [[batch.numpy().copy() for batch, _ in twin] for _ in range(8)]
    kept = [
        [batch for batch, _ in dataset],
        [batch.numpy() for batch, _ in dataset],
        [batch.numpy()[1:, ::2] for batch, _ in dataset],
        [batch[1:] for batch, _ in dataset],
        [batch for batch, _ in dataset.prefetch(9)],
        [batch for batch, _ in dataset.map(lambda batch, rows: (tf.identity(batch), rows))],
    ]
    cached = dataset.cache()
    kept += [[batch for batch, _ in cached], [batch for batch, _ in dataset]]
    for _ in range(2):
        list(cooked_arrays(pictures, batch_size=2))  # fills what is free
    kept[6] = [batch for batch, _ in cached]
    for number, (batches, right) in enumerate(zip(kept, wanted, strict=True)):
        for batch, whole in zip(batches, right, strict=True):
            part = {2: whole[1:, ::2], 3: whole[1:]}.get(number, whole)
            np.testing.assert_array_equal(batch, part)


def test_batches_of_threads_keep_their_values(pictures):
    twin = cooked_arrays(pictures, batch_size=2)
    wanted = [[batch.numpy().copy() for batch, _ in twin] for _ in range(4)]
    wrong = []

    def read():
        dataset = cooked_arrays(pictures, batch_size=2)
        for epoch in wanted:
            found = [batch for batch, _ in dataset]
            wrong.extend(
                1 for a, b in zip(found, epoch, strict=True) if not np.array_equal(a.numpy(), b)
            )

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_memory_does_not_grow(pictures):
    dataset = cooked_arrays(pictures)
    some = dataset.take(2)
    batch_bytes = 8 * 16 * 16 * 3 * 4

    def run(epochs):
        for _ in range(epochs):
            list(dataset)
            list(some)
        gc.collect()
        return tracemalloc.get_traced_memory()[0], sum(x.nbytes for x in buffers._owners)

    tracemalloc.start()
    try:
        run(5)
        before, kept_before = run(1)
        after, kept_after = run(20)
    finally:
        tracemalloc.stop()
    assert after - before < 8 * batch_bytes
    assert kept_after - kept_before < 8 * batch_bytes


# --- Training ---------------------------------------------------------------------------------


def test_a_training_has_the_losses_of_the_textbook_pipeline(pictures):
    targets = np.random.default_rng(2).normal(size=(22, 2)).astype("float32")
    options = {**OPTIONS, "rescale": 1 / 255}
    flow = Original(**options).flow(pictures, np.arange(22), batch_size=8, seed=4)
    textbook = from_batches(Epochs(flow)).map(lambda x, rows: (x, tf.gather(targets, rows)))
    fast = cooked_arrays(pictures, options=options, seed=4)
    fast = fast.map(lambda x, rows: (x, tf.gather(targets, rows)))
    losses = []
    for dataset in (textbook, fast):
        tf.keras.utils.set_random_seed(6)
        model = tf.keras.Sequential(
            [
                tf.keras.layers.Conv2D(4, 3, activation="relu"),
                tf.keras.layers.GlobalAveragePooling2D(),
                tf.keras.layers.Dense(2),
            ]
        )
        model.compile(optimizer=tf.keras.optimizers.SGD(0.1), loss="mse")
        history = model.fit(dataset, epochs=2, shuffle=False, verbose=0)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert losses[0][0] != losses[0][1]


# --- Pictures ---------------------------------------------------------------------------------


def chunk(kind, content):
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def png_of_bits(bits, levels, transparent=None):
    """Return a grey PNG file of 1, 2 or 4 bits, which Pillow does not write."""
    rows = b""
    for row in levels % 2**bits:
        text = "".join(format(level, f"0{bits}b") for level in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")
    height, width = levels.shape
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    extra = b"" if transparent is None else chunk(b"tRNS", struct.pack(">H", transparent))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def write_pictures(folder, height, width):
    """Write one picture in many formats."""
    random = np.random.default_rng(height)
    small = random.uniform(0, 255, (4, 5, 4)).astype("float32")
    smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    smooth = (smooth + random.normal(0, 9, smooth.shape)).clip(0, 255).astype("uint8")
    rgb, rgba = Image.fromarray(smooth[..., :3].copy()), Image.fromarray(smooth)
    grey = rgb.convert("L")
    palette = rgb.convert("P", palette=Image.Palette.ADAPTIVE, colors=200)
    alphas = random.integers(0, 255, 200).astype("uint8").tobytes()
    turned = Image.Exif()
    turned[274] = 6  # a quarter turn
    for name, picture, options in (
        ("rgb.png", rgb, {}),
        ("rgba.png", rgba, {}),
        ("grey.png", grey, {}),
        ("grey_alpha.png", rgba.convert("LA"), {}),
        ("grey_transparent.png", grey, {"transparency": 120}),
        ("rgb_transparent.png", rgb, {"transparency": (1, 2, 3)}),
        ("palette.png", palette, {}),
        ("palette_alphas.png", palette, {"transparency": alphas}),
        ("palette_transparent.png", palette, {"transparency": 3}),
        ("palette_4_bits.png", rgb.convert("P", palette=1, colors=16), {"bits": 4}),
        ("turned.png", rgb, {"exif": turned}),
        ("rgb.jpg", rgb, {}),
        ("coarse.jpg", rgb, {"quality": 40, "subsampling": 2}),
        ("half.jpg", rgb, {"quality": 90, "subsampling": 1}),
        ("full.jpg", rgb, {"quality": 100, "subsampling": 0}),
        ("progressive.jpg", rgb, {"progressive": True}),
        ("optimised.jpg", rgb, {"optimize": True}),
        ("grey.jpg", grey, {}),
        ("cmyk.jpg", rgb.convert("CMYK"), {}),
        ("turned.jpg", rgb, {"exif": turned}),
        ("rgb.bmp", rgb, {}),
        ("grey.bmp", grey, {}),
        ("rgba.bmp", rgba, {}),
        ("palette.bmp", palette, {}),
        ("one_bit.bmp", rgb.convert("1"), {}),
        ("rgb.tif", rgb, {}),
        ("rgb.ppm", rgb, {}),
    ):
        picture.save(folder / name, **options)
    for channels in (3, 4):
        deep = smooth[..., :channels].astype("uint16") * 250 + 3
        cv2.imwrite(str(folder / f"deep_{channels}.png"), deep)
    for bits in (1, 2, 4):
        levels = random.integers(0, 16, (height, width))
        (folder / f"grey_{bits}_bits.png").write_bytes(png_of_bits(bits, levels))
        (folder / f"grey_{bits}_bits_transparent.png").write_bytes(png_of_bits(bits, levels, 1))
    return sorted(folder.iterdir())


@pytest.mark.filterwarnings("ignore:Palette images with Transparency:UserWarning")
@pytest.mark.parametrize("sides", [(32, 32), (33, 47), (8, 5), (1, 1)])
def test_pictures_are_those_that_keras_loads(sides, tmp_path):
    paths = write_pictures(tmp_path, *sides)
    for channels, mode in ((1, "grayscale"), (3, "rgb"), (4, "rgba")):
        for size in (sides, (20, 30)):
            found = Pictures(paths, (*size, channels))[range(len(paths))]
            assert found.dtype == np.uint8
            for path, picture in zip(paths, found, strict=True):
                wanted = tf.keras.utils.load_img(path, color_mode=mode, target_size=size)
                wanted = tf.keras.utils.img_to_array(wanted)
                np.testing.assert_array_equal(picture, wanted, err_msg=f"{path.name} {mode}")


def test_grey_of_sixteen_bits_is_refused(tmp_path):
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), np.full((8, 8), 1000, "uint16"))
    with pytest.raises(ValueError, match=r"row 0: expected 8 bits a channel, found I;16 in .*deep"):
        Pictures([path], (8, 8, 1))[[0]]


def broken_files(folder):
    random = np.random.default_rng(3)
    picture = Image.fromarray(random.integers(0, 255, (64, 64, 3)).astype("uint8"))
    for ending in ("png", "jpg"):
        picture.save(folder / f"whole.{ending}")
        content = (folder / f"whole.{ending}").read_bytes()
        (folder / f"half.{ending}").write_bytes(content[: len(content) // 2])
        (folder / f"head.{ending}").write_bytes(content[:20])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no picture")
    return sorted(path for path in folder.iterdir() if path.stem != "whole")


def test_files_that_are_no_whole_pictures_are_named(tmp_path):
    paths = broken_files(tmp_path)
    assert len(paths) == 6
    files = Pictures(paths, (64, 64, 3))
    for row, path in enumerate(paths):
        with pytest.raises(ValueError, match=f"row {row}: expected a picture in .*{path.name}"):
            files[[row]]
    with pytest.raises(ValueError, match="row 0: expected a picture"):
        files.in_memory()


def test_files_and_rows_that_are_not_there(tmp_path):
    path = tmp_path / "gone.png"
    with pytest.raises(FileNotFoundError, match="row 1: expected a picture file, found none at"):
        Pictures([*tiles.paths("relief", "test")[:1], path], (32, 32, 3))
    Image.new("RGB", (8, 8)).save(path)
    files = Pictures([path], (8, 8, 3))
    kept = files.in_memory()
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        files[[0]]
    for some in (files, kept):
        with pytest.raises(IndexError, match="rows: expected 0 to 0, found -1 to 0"):
            some[[0, -1]]
        with pytest.raises(IndexError, match="rows: expected 0 to 0, found 1 to 1"):
            some[np.array([1])]
        for rows in ([True], [0.0], 0, [[0]], slice(1), "0"):
            with pytest.raises(TypeError, match="rows: expected a list of row numbers"):
                some[rows]
        assert some[[]].shape == (0, 8, 8, 3)
    with pytest.raises(ValueError, match=r"shape: expected \(height, width, 1, 3 or 4\)"):
        Pictures([], (8, 8, 2))


def test_pictures_in_memory_are_equal_and_apart():
    files = Pictures(tiles.paths("relief", "test")[:40], (32, 32, 3))
    kept = files.in_memory()
    assert len(kept) == len(files) == 40
    assert kept.shape == (40, 32, 32, 3)
    rows = np.array([7, 0, 39, 7], "uint8")
    found = kept[rows]
    np.testing.assert_array_equal(found, files[rows])
    found[...] = 0  # the caller's own
    np.testing.assert_array_equal(kept[rows], files[rows])
    np.testing.assert_array_equal(kept.in_memory()[rows], files[rows])
    assert files._kept is None


@pytest.mark.parametrize("epochs", [2, None])
def test_several_epochs_in_one_pass(epochs):
    def recipes():
        datagen = tf.keras.preprocessing.image.ImageDataGenerator(rotation_range=20)
        return Recipes(datagen, 7, shape=(8, 8, 3), batch_size=3, seed=5)

    def cook(rows, transforms):
        return rows, transforms

    one_pass = from_recipes(recipes(), cook, epochs=epochs)
    assert one_pass.cardinality() == (tf.data.INFINITE_CARDINALITY if epochs is None else 6)
    single = from_recipes(recipes(), cook)
    expected = [*single, *single]
    assert len(expected) == 6
    for found, wanted in zip(one_pass.take(6), expected, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, found, wanted)


def test_epochs_below_one():
    recipes = Recipes(tf.keras.preprocessing.image.ImageDataGenerator(), 7, shape=(8, 8, 3), seed=5)
    with pytest.raises(ValueError, match="epochs: expected 1 or more, or None, found 0"):
        from_recipes(recipes, lambda rows, transforms: rows, epochs=0)
