"""The compiled warp against SciPy and Keras, bit for bit."""

import collections
import gc
import mmap
import threading
import weakref

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from helpers import parallel
from helpers import warp as warp_module
from helpers.warp import FILL_MODES, matrices, warp

MODES = list(FILL_MODES)


def by_scipy(image, matrix, flips=(False, False), order=1, fill_mode="nearest", cval=0.0):
    channels = [
        scipy.ndimage.affine_transform(
            channel, matrix[:, :2], matrix[:, 2], order=order, mode=fill_mode, cval=cval
        )
        for channel in np.moveaxis(image.astype("float32"), -1, 0)
    ]
    moved = np.stack(channels, axis=-1)
    moved = moved[:, ::-1] if flips[0] else moved
    return moved[::-1] if flips[1] else moved


def random_images(random, count, longest=40):
    """Noise, integers or two values: what is hard to interpolate alike."""
    shape = (count, *random.integers(1, longest, 2), random.integers(1, 6))
    images = random.uniform(0, 255, shape)
    kind = random.integers(4)
    if kind == 0:
        return np.rint(images).astype("uint8")
    if kind == 1:
        images = np.where(images > 128, 255.0, 0)
    if kind == 2:
        images -= 1e4
    return images.astype("float32")


def random_parameters(random, count, side):
    """Angles and shifts at which rounding decides, and ordinary ones."""
    table = np.zeros((count, 6))
    table[:, 0] = random.choice([0, 45, 90, 180, random.uniform(-180, 180)])
    table[:, 1:3] = random.choice(
        [0, 1, 0.5, -1.5, 1e5, 1e13, random.uniform(-3, 3) * side], (count, 2)
    )
    table[:, 3] = random.choice([0, 90, random.uniform(-90, 90)])
    table[:, 4:] = random.choice([1, 0.5, 2, -1, 0, np.exp(random.uniform(-4, 3))], (count, 2))
    return table


@pytest.mark.parametrize("fill_mode", MODES)
@pytest.mark.parametrize("order", [0, 1])
def test_pixels_are_those_of_scipy_to_the_last_bit(order, fill_mode):
    random = np.random.default_rng([1, order, FILL_MODES[fill_mode]])
    for _ in range(1200):
        images = random_images(random, 2)
        moves = matrices(random_parameters(random, 2, max(images.shape)), *images.shape[1:3])
        flips = random.integers(0, 2, (2, 2)).astype(bool)
        options = {"order": order, "fill_mode": fill_mode, "cval": float(random.choice([0, 7.3]))}
        found = warp(images, moves, flips, **options)
        assert found.dtype == np.float32
        for one, image, matrix, flip in zip(found, images, moves, flips, strict=True):
            np.testing.assert_array_equal(
                one, by_scipy(image, matrix, flip, **options), err_msg=f"{matrix} {image.shape}"
            )


@pytest.mark.parametrize("fill_mode", MODES)
def test_large_images_and_values_that_are_not_finite(fill_mode):
    random = np.random.default_rng(2)
    for side in [(224, 224), (301, 513), (700, 90)]:
        image = random.uniform(0, 255, (1, *side, 3)).astype("float32")
        image[0, ::7, ::5] = random.choice([np.inf, -np.inf, np.nan, 3e38])
        moves = matrices(np.array([[33.0, 20, -9, 5, 0.8, 1.3]]), *side)
        with np.errstate(invalid="ignore"):
            expected = by_scipy(image[0], moves[0], fill_mode=fill_mode)
        np.testing.assert_array_equal(warp(image, moves, fill_mode=fill_mode)[0], expected)


def test_scaling_is_a_multiplication_in_float32():
    random = np.random.default_rng(3)
    images = random.integers(0, 256, (4, 9, 7, 3)).astype("uint8")
    for moves in (
        matrices(random_parameters(random, 4, 9), 9, 7),
        np.tile(np.eye(3)[:2], (4, 1, 1)),
    ):
        for order in (0, 1):
            plain = warp(images, moves, order=order, fill_mode="constant", cval=77.7)
            scaled = warp(
                images, moves, order=order, fill_mode="constant", cval=77.7, scale=1 / 255
            )
            np.testing.assert_array_equal(scaled, plain * np.float32(1 / 255))


@pytest.mark.parametrize("dtype", ["bool", "int64", "uint16", "float64", "float16", ">f4"])
def test_other_dtypes_are_read_as_float32(dtype):
    images = np.random.default_rng(4).integers(0, 200, (2, 9, 7, 2)).astype(dtype)
    moves = matrices(np.array([[20.0, 1, 2, 0, 1, 1]] * 2), 9, 7)
    np.testing.assert_array_equal(warp(images, moves), warp(images.astype("float32"), moves))


@pytest.mark.parametrize(
    "view", [lambda x: x[:, ::-1, ::2], np.asfortranarray, lambda x: x[..., :1]]
)
def test_images_lie_in_memory_as_they_like_and_are_left_alone(view):
    images = view(np.random.default_rng(5).integers(0, 200, (2, 12, 10, 3)).astype("uint8"))
    images.flags.writeable = False
    moves = matrices(np.array([[20.0, 1, 2, 0, 1, 1]] * 2), *images.shape[1:3])
    for one, image, matrix in zip(warp(images, moves), images, moves, strict=True):
        np.testing.assert_array_equal(one, by_scipy(image, matrix))


def test_it_writes_where_it_is_told_to():
    out = np.full((1, 3, 3, 1), -1, "float32")
    images = np.arange(9, dtype="uint8").reshape(1, 3, 3, 1)
    assert warp(images, np.eye(3)[None, :2], out=out) is out
    np.testing.assert_array_equal(out, images)


def test_no_images_are_no_error():
    assert warp(np.zeros((0, 4, 4, 3), "uint8"), np.zeros((0, 2, 3))).shape == (0, 4, 4, 3)


def test_threads_work_side_by_side():
    """The kernel lets go of the interpreter's lock: Python goes on while it works."""
    images = np.zeros((60, 300, 300, 3), "uint8")
    moves = matrices(np.array([[20.0, 1, 2, 0, 1, 1]] * 60), 300, 300)
    warp(images[:1], moves[:1])  # compiled
    worker = threading.Thread(target=warp, args=(images, moves))
    worker.start()
    counted = 0
    while worker.is_alive():
        counted += 1
    worker.join()
    assert counted > 1000


# --- memory ---------------------------------------------------------------------------------------

BATCH = np.zeros((8, 64, 64, 3), "uint8")
BATCH_STILL = np.tile(np.eye(3)[:2], (8, 1, 1))
SIZE = 4 * BATCH.size


@pytest.fixture
def mapped(monkeypatch):
    """The sizes of what `warp` takes from the system, with nothing of earlier tests ready."""
    gc.collect()
    warp_module._ready.cache_clear()
    sizes, from_system = [], mmap.mmap
    monkeypatch.setattr(
        warp_module.mmap, "mmap", lambda place, size: sizes.append(size) or from_system(place, size)
    )
    return sizes


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x,
        lambda x: x[1:, ::2],
        lambda x: x[0][..., 0].T,
        lambda x: x.view("int32"),
        lambda x: memoryview(x),
        lambda x: tf.convert_to_tensor(x),
        lambda x: tf.numpy_function(lambda: x, [], tf.float32),
    ],
    ids=[
        "array",
        "slice",
        "slice of a slice",
        "other dtype",
        "memoryview",
        "tensor",
        "from Python",
    ],
)
def test_memory_is_not_used_again_while_anything_refers_to_it(view):
    kept = [view(warp(BATCH + level, BATCH_STILL)) for level in range(20)]
    for level, one in enumerate(kept):
        values = np.asarray(one)
        values = values.view("float32") if values.dtype == np.int32 else values
        assert set(np.unique(values)) == {level}


def test_memory_is_used_again(mapped):
    held, other = warp(BATCH, BATCH_STILL), warp(BATCH, BATCH_STILL)
    address = other.ctypes.data
    assert address % 64 == 0  # or TensorFlow copies it
    del other
    assert warp(BATCH, BATCH_STILL).ctypes.data == address
    assert held.ctypes.data != address
    assert mapped == [SIZE] * 2


@pytest.mark.parametrize("in_flight", [1, 3, 6])
def test_a_steady_pipeline_takes_nothing_more_from_the_system(mapped, in_flight):
    held = collections.deque(maxlen=in_flight)
    for _ in range(100):
        held.append(warp(BATCH, BATCH_STILL))
        warp(BATCH[:, ::2, ::2], BATCH_STILL)  # a second image of each sample
    assert sorted(mapped) == [SIZE // 4] + [SIZE] * (in_flight + 1)


def test_a_plan_takes_little_more_from_the_system(mapped):
    plan = parallel.Plan(80, batch_size=8, seed=0)
    dataset = parallel.from_plan(
        plan, lambda rows, epoch: warp(BATCH, BATCH_STILL), workers=2, epochs=None
    )
    for batch in dataset.take(200):
        assert batch.shape == BATCH.shape
    # Threads meet by chance, so now and then one more than are ready is needed; not 200.
    assert set(mapped) == {SIZE}
    assert len(mapped) < 60


def test_of_many_batches_that_were_held_a_few_stay_ready(mapped):
    """The others go back to the system: the process is as large as before."""
    held = [warp(BATCH, BATCH_STILL) for _ in range(40)]
    maps = [weakref.ref(one.base.base.obj) for one in held]
    held.clear()
    assert len(maps) == len(mapped) == 40
    assert sum(one() is not None for one in maps) == 6


def test_of_many_sizes_and_of_large_batches_less_stays_ready(mapped):
    for side in range(64, 84):
        warp(np.zeros((8, side, side, 3), "uint8"), BATCH_STILL)
    assert warp_module._ready.cache_info().currsize == 8
    large = np.zeros((3, 1700, 1700, 3), "uint8")  # 104 MB
    warp(large, BATCH_STILL[:3])
    assert not warp_module._ready(4 * large.size)


def test_memory_comes_back_from_threads_and_from_cycles(mapped):
    maps = []

    def work():
        for _ in range(50):
            cycle = [warp(BATCH, BATCH_STILL)]
            maps.append(weakref.ref(cycle[0].base.base.obj))
            cycle.append(cycle)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    alive = {id(one()) for one in maps if one() is not None}
    assert 1 <= len(alive) == len(warp_module._ready(SIZE)) <= 6


# --- what is refused ------------------------------------------------------------------------------

ONE = np.zeros((1, 4, 5, 3), "uint8")
STILL = np.eye(3)[None, :2]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((ONE[0], STILL), {}, r"images: expected shape \(count, height, width, channels\)"),
        ((ONE[:, :0], STILL), {}, r"images: .* found \(1, 0, 5, 3\)"),
        ((ONE, STILL[:, :1]), {}, r"matrices: expected shape \(1, 2, 3\) for 1 images, found"),
        ((ONE, STILL * np.nan), {}, "matrices: expected finite numbers"),
        ((ONE, STILL * 1e16), {}, "matrices: expected finite numbers"),
        ((ONE, STILL), {"order": 3}, "order: expected 0 or 1, found 3"),
        ((ONE, STILL), {"fill_mode": "mirror"}, "fill_mode: expected one of .* found 'mirror'"),
        ((ONE, STILL), {"out": np.zeros(ONE.shape)}, "out: expected float32 of shape"),
        ((ONE, STILL, np.zeros((2, 2), bool)), {}, r"flips: expected shape \(1, 2\)"),
    ],
)
def test_what_cannot_be_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        warp(*arguments, **options)


def test_matrices_are_those_that_keras_multiplies(monkeypatch):
    """What Keras passes to SciPy, caught on its way."""
    caught = []

    def catch(image, matrix, offset, **_):
        caught.append(np.column_stack([matrix, offset]))
        return image

    monkeypatch.setattr("scipy.ndimage.interpolation.affine_transform", catch)
    transform = tf.keras.preprocessing.image.apply_affine_transform
    random = np.random.default_rng(6)
    names = warp_module.PARAMETERS[:6]
    for _ in range(500):
        height, width = random.integers(1, 300, 2)
        table = random_parameters(random, 3, 50)
        found = matrices(table, height, width)
        for line, matrix in zip(table, found, strict=True):
            caught.clear()
            parameters = dict(zip(names, line.tolist(), strict=True))
            transform(
                np.zeros((height, width, 1)), channel_axis=2, row_axis=0, col_axis=1, **parameters
            )
            expected = caught[0] if caught else np.eye(3)[:2]
            np.testing.assert_array_equal(matrix, expected, err_msg=str(parameters))
