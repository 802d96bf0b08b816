"""Plans and what is made from them, against epochs of flows of ImageDataGenerator."""

import collections
import gc
import subprocess
import sys
import threading
import time
import tracemalloc

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import contract
from helpers import parallel as parallel_module
from helpers.datasets import BatchError, from_batches
from helpers.generators import AlignedEpochs, Epochs
from helpers.parallel import Plan, from_plan
from helpers.transforms import SharedTransforms

Original = tf.keras.preprocessing.image.ImageDataGenerator

# Keras imports SciPy by a name that SciPy has given up, once per image.
pytestmark = pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning")

OPTIONS = {
    "rotation_range": 20,
    "width_shift_range": 0.1,
    "height_shift_range": 0.2,
    "zoom_range": 0.2,
    "horizontal_flip": True,
}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (22, 16, 16, 3)).astype("uint8")


def made_from(images, *, options=None, shuffle=True, batch_size=8, seed=3, workers=None):
    """Return a dataset of (images, rows)."""
    datagen = Original(**(OPTIONS if options is None else options))
    shared = SharedTransforms(datagen, seed=seed, photometric=["images"], masks=[])
    plan = Plan(len(images), batch_size=batch_size, shuffle=shuffle, seed=seed)

    def make_batch(rows, epoch):
        return shared({"images": images[rows]}, rows, epoch)["images"], rows

    return from_plan(plan, make_batch, workers=workers)


class ListedPlan:
    """A plan from a list, the same each epoch."""

    def __init__(self, batches, length=None):
        self.batches = batches
        self.length = len(batches) if length is None else length
        self.started = 0

    def __len__(self):
        return self.length

    def __call__(self):
        self.started += 1
        return iter(self.batches)

    def peek(self):
        return self.batches[0]


def numbered(count):
    return ListedPlan([(np.array([number]),) for number in range(count)])


def values(dataset, found=None):
    """Return what a dataset holds; `found` has it also where an error comes in between."""
    found = [] if found is None else found
    for batch in dataset:
        found.append(batch.numpy().tolist())
    return found


# --- Plan -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 8, 11, 30])
def test_epochs_of_a_plan_are_those_of_a_flow(images, shuffle, batch_size):
    """Bit for bit what `Epochs` reads from a flow with the same seed."""
    flow = Original(**OPTIONS).flow(
        images, np.arange(22), batch_size=batch_size, shuffle=shuffle, seed=3
    )
    epochs = Epochs(flow)
    dataset = made_from(images, shuffle=shuffle, batch_size=batch_size)
    assert dataset.cardinality() == len(epochs)
    for _ in range(3):
        for (found, rows), (expected, expected_rows) in zip(dataset, epochs(), strict=True):
            np.random.seed(len(rows))  # somebody else's affair
            np.testing.assert_array_equal(rows, expected_rows)
            np.testing.assert_array_equal(found, expected)


def test_two_images_and_a_mask_go_fast_unchanged():
    """What `AlignedEpochs` does with shared transforms, `from_plan` does with the same lines."""
    random = np.random.default_rng(1)
    sources = {
        "imagery": random.integers(0, 256, (22, 32, 48, 3)).astype("uint8"),
        "relief": random.integers(0, 256, (22, 16, 24, 3)).astype("uint8"),
        "cover": random.integers(0, 9, (22, 32, 48, 1)).astype("uint8"),
    }
    options = {**OPTIONS, "brightness_range": (0.5, 1.5), "rescale": 1 / 255}
    shared = SharedTransforms(Original(**options), seed=9)

    def assemble(images, rows):
        return (images["imagery"], images["relief"]), {"cover": images["cover"], "rows": rows}

    flows = {
        name: Original().flow(source, np.arange(22), batch_size=8, seed=9)
        for name, source in sources.items()
    }
    slow = AlignedEpochs(flows, assemble, transforms=shared)

    def make_batch(rows, epoch):
        images = {name: source[rows] for name, source in sources.items()}
        return assemble(shared(images, rows, epoch), rows)

    fast = from_plan(Plan(22, batch_size=8, seed=9), make_batch)
    for _ in range(2):
        for found, expected in zip(fast, slow(), strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, found, expected)
            assert found[1]["cover"].dtype == tf.uint8


def test_plans_leave_the_global_random_state_alone():
    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    list(Plan(22, seed=3)())
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_peek_starts_nothing():
    plan, twin = Plan(22, batch_size=8, seed=3), Plan(22, batch_size=8, seed=3)
    for expected_epoch in range(2):
        peeked = plan.peek()
        plan.peek()
        batches, others = list(plan()), list(twin())
        tf.nest.map_structure(np.testing.assert_array_equal, batches, others)
        tf.nest.map_structure(np.testing.assert_array_equal, batches[0], peeked)
        assert [epoch for _, epoch in batches] == [expected_epoch] * 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"count": 0}, "count: expected 1 or more, found 0"),
        ({"batch_size": 0}, "batch_size: expected 1 or more, found 0"),
        ({"seed": None}, "seed: expected an integer from 0, found None"),
        ({"seed": -1}, "seed: expected an integer from 0, found -1"),
    ],
)
def test_plans_that_cannot_be(changed, message):
    with pytest.raises(ValueError, match=message):
        Plan(**{"count": 3, "seed": 0, **changed})


# --- from_plan --------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_batches_come_in_order_whoever_makes_them(workers):
    naps = np.random.default_rng(1).uniform(0, 0.01, 40)
    at_work, most_at_work = [], []

    def make_batch(number):
        at_work.append(number)
        most_at_work.append(len(at_work))
        time.sleep(naps[number[0]])
        at_work.remove(number)
        return number

    dataset = from_plan(numbered(40), make_batch, workers=workers)
    most_at_work.clear()
    assert values(dataset) == [[number] for number in range(40)]
    assert max(most_at_work) <= workers
    assert workers == 1 or max(most_at_work) > 1


def test_workers_that_wait_wait_side_by_side():
    """Whatever the number of cores: nine must be at work at once, or none goes on."""
    meeting = threading.Barrier(9)

    def make_batch(number):
        if threading.current_thread() is not threading.main_thread():  # which asks for the first
            meeting.wait(timeout=30)
        return number

    found = values(from_plan(numbered(27), make_batch, workers=9))
    assert found == [[number] for number in range(27)]


UNFINISHED = """
import time
import keras
import numpy as np
from helpers.datasets import from_batches
from helpers.parallel import Plan, from_plan

def slowly(rows, epoch=0):
    time.sleep(0.02)
    return rows

class Batches:
    def __len__(self):
        return 50

    def __call__(self):
        return map(slowly, np.zeros((50, 3)))

dataset = DATASET
kept = iter(dataset)
next(kept)
cycle = [iter(dataset)]
next(cycle[0])
cycle.append(cycle)
del cycle  # destroyed when Python ends, and no sooner
print("the last line", flush=True)
"""


@pytest.mark.parametrize("run", range(3))
@pytest.mark.parametrize(
    "dataset",
    [
        "from_plan(Plan(64, batch_size=2, seed=0), slowly, epochs=None, workers=4)",
        "from_batches(Batches()).prefetch(2)",
    ],
    ids=["from_plan", "from_batches"],
)
def test_a_script_ends_though_its_dataset_does_not(dataset, run):
    script = UNFINISHED.replace("DATASET", dataset)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "the last line\n"
    assert "Traceback" not in done.stderr


def test_each_batch_gets_its_own_arguments_though_threads_are_late(monkeypatch):
    """The thread of a later batch may ask first; what it gets belongs to its own batch."""
    asked = []
    arguments = parallel_module._Epoch.arguments

    def late(self, batch):
        time.sleep(0.01 if batch % 3 == 0 else 0)
        asked.append(batch)
        return arguments(self, batch)

    monkeypatch.setattr(parallel_module._Epoch, "arguments", late)
    dataset = from_plan(numbered(30), lambda number: number, workers=4)
    assert values(dataset) == [[number] for number in range(30)]
    assert asked != sorted(asked)


def test_a_dataset_knows_its_length_and_its_signature(images):
    dataset = made_from(images)
    assert dataset.cardinality() == len(dataset) == 3
    spec, rows = dataset.element_spec
    assert spec == tf.TensorSpec((None, 16, 16, 3), tf.float32)
    assert rows == tf.TensorSpec((None,), tf.int64)
    assert [len(rows) for _, rows in dataset] == [8, 8, 6]


def test_a_second_epoch_has_other_transforms_and_a_new_dataset_the_same(images):
    first, second = made_from(images), made_from(images)
    epochs = [[batch.numpy() for batch, _ in first] for _ in range(2)]
    again = [batch.numpy() for batch, _ in second.repeat(2)]
    assert np.abs(epochs[0][0] - epochs[1][0]).max() > 10
    for found, expected in zip(again, [*epochs[0], *epochs[1]], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_epochs_left_half_way_are_epochs_too(images):
    left, whole = made_from(images, batch_size=2), made_from(images, batch_size=2)
    for _ in range(3):
        expected = [rows.numpy() for _, rows in whole]
        for (_, rows), expected_rows in zip(left.take(2), expected, strict=False):
            np.testing.assert_array_equal(rows, expected_rows)


def test_epochs_at_once_are_apart(images):
    dataset = made_from(images, batch_size=2, shuffle=False)
    iterators = [iter(dataset) for _ in range(3)]
    for batches in zip(*iterators, strict=True):
        rows = [rows.numpy().tolist() for _, rows in batches]
        assert rows[0] == rows[1] == rows[2]
        assert np.abs(batches[0][0] - batches[1][0]).max() > 10


def test_epochs_are_forgotten():
    """Whole, left half way or failed: no plan of an epoch outlives it."""
    arguments = (np.zeros(3),)
    alive = []

    class Watched:
        def __len__(self):
            return 20

        def peek(self):
            return arguments

        def __call__(self):
            alive.append(True)
            try:
                for _ in range(20):
                    yield arguments
            finally:
                alive.pop()

    dataset = from_plan(Watched(), lambda values: values + 1, workers=3)
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
    ("batches", "length", "message"),
    [
        (3, 4, "plan: expected 4 batches in an epoch, found 3"),
        (5, 4, "plan: expected 4 batches in an epoch, found more"),
    ],
)
@pytest.mark.parametrize("workers", [1, 3])
def test_too_few_and_too_many_batches(batches, length, message, workers):
    plan = ListedPlan(numbered(batches).batches, length)
    found = []
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        values(from_plan(plan, lambda number: number, workers=workers), found)
    assert found == [[number] for number in range(3)]


def test_plans_that_are_none():
    with pytest.raises(ValueError, match="plan: expected 1 or more batches in an epoch, found"):
        from_plan(ListedPlan([]), lambda number: number)
    with pytest.raises(TypeError, match=r"has len\(\) and peek\(\).* found function"):
        from_plan(lambda: iter([]), lambda number: number)
    with pytest.raises(ValueError, match="workers: expected 1 or more, found 0"):
        from_plan(numbered(3), lambda number: number, workers=0)


def test_plans_that_raise_say_so_once_in_order():
    class Broken(ListedPlan):
        def __call__(self):
            yield from self.batches[:2]
            raise OSError("no more ink")

    found = []
    with pytest.raises(tf.errors.OpError, match="no more ink"):
        values(from_plan(Broken(numbered(9).batches), lambda number: number, workers=4), found)
    assert found == [[0], [1]]


def test_plans_that_raise_say_so_to_every_thread():
    def broken():
        raise OSError("no more ink")
        yield

    epoch = parallel_module._Epoch(broken(), 5)
    for batch in (3, 0, 1):  # the first batch's error is the one that is shown
        with pytest.raises(OSError, match="no more ink"):
            epoch.arguments(batch)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_make_batch_that_raises_reaches_the_reader(workers):
    def make_batch(number):
        if number[0] == 2:
            raise KeyError("row 17 has no label")
        return number

    found = []
    with pytest.raises(tf.errors.OpError, match="KeyError: 'row 17 has no label'"):
        values(from_plan(numbered(6), make_batch, workers=workers), found)
    assert found == [[0], [1]]
    with pytest.raises(KeyError, match="at once"):
        from_plan(numbered(6), lambda number: {}["at once"])


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
def test_a_later_batch_that_does_not_conform(later, message):
    def make_batch(number):
        return later if number[0] == 1 else {"a": np.ones((2, 3), "float32")}

    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(from_plan(numbered(3), make_batch))


def test_a_first_batch_that_does_not_conform_is_refused_at_once():
    with pytest.raises(BatchError, match=r"expected shape \(None, 3\), found \(2, 4\)"):
        from_plan(
            numbered(3),
            lambda number: np.ones((2, 4), "float32"),
            signature=tf.TensorSpec((None, 3)),
        )
    with pytest.raises(BatchError, match="found a tuple of 4"):
        from_plan(numbered(3), lambda number: (number,) * 4)


def test_structures():
    Pair = collections.namedtuple("Pair", "right left")

    def make_batch(number):
        ones = np.ones((1, 1))
        return (
            # tf.nest sorts keys; a list becomes a tuple, as in from_batches
            {"b": ones * 2, "a": [ones * 3, ones * 4], "B": Pair(ones * 5, ones * 6)},
            np.array([["ä", "text"]]),
            number.astype("float64") == 0,
        )

    dataset = from_plan(numbered(2), make_batch)
    for count, (inputs, text, first) in enumerate(dataset):
        assert isinstance(inputs["a"], tuple)
        assert isinstance(inputs["B"], Pair)
        found = [inputs["b"], *inputs["a"], inputs["B"].right, inputs["B"].left]
        assert [leaf.numpy().item() for leaf in found] == [2, 3, 4, 5, 6]
        assert [word.decode() for word in text.numpy()[0]] == ["ä", "text"]
        assert first.numpy().tolist() == [count == 0]
    assert (
        dataset.element_spec
        == from_batches(lambda: [make_batch(np.zeros(1))], length=1).element_spec
    )


def test_a_signature_may_hold_lists_and_other_dtypes():
    dataset = from_plan(
        numbered(2),
        lambda number: [number, (number * 2,)],
        signature=[tf.TensorSpec((None,), tf.int32), [tf.TensorSpec((None,), tf.float32)]],
    )
    number, (double,) = list(dataset)[1]
    assert (number.dtype, double.dtype) == (tf.int32, tf.float32)
    assert (number.numpy().tolist(), double.numpy().tolist()) == ([1], [2])


def test_a_plan_may_hold_anything():
    batches = [("file.txt", 3, None, {"seed": 5}, [number]) for number in range(4)]

    def make_batch(path, size, nothing, options, number):
        assert (path, size, nothing, options) == ("file.txt", 3, None, {"seed": 5})
        return np.array(number)

    assert values(from_plan(ListedPlan(batches), make_batch)) == [[0], [1], [2], [3]]


# --- Memory -----------------------------------------------------------------------------------


def test_batches_that_are_kept_keep_their_values(images):
    dataset = made_from(images, batch_size=2, workers=3)
    twin = made_from(images, batch_size=2, workers=1)
    expected = [[batch.numpy().copy() for batch, _ in twin] for _ in range(8)]
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
        list(made_from(images, batch_size=2))  # fills what is free
    kept[6] = [batch for batch, _ in cached]
    for number, (batches, right) in enumerate(zip(kept, expected, strict=True)):
        for batch, whole in zip(batches, right, strict=True):
            part = {2: whole[1:, ::2], 3: whole[1:]}.get(number, whole)
            np.testing.assert_array_equal(batch, part)


def test_batches_of_threads_keep_their_values(images):
    twin = made_from(images, batch_size=2)
    expected = [[batch.numpy().copy() for batch, _ in twin] for _ in range(4)]
    wrong = []

    def read():
        dataset = made_from(images, batch_size=2)
        for epoch in expected:
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


def test_memory_does_not_grow(images):
    dataset = made_from(images)
    some = dataset.take(2)
    batch_bytes = 8 * 16 * 16 * 3 * 4

    def run(epochs):
        for _ in range(epochs):
            list(dataset)
            list(some)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        run(5)
        before = run(1)
        after = run(20)
    finally:
        tracemalloc.stop()
    assert after - before < 8 * batch_bytes


# --- Training ---------------------------------------------------------------------------------


def test_a_training_has_the_losses_of_the_textbook_pipeline(images):
    targets = np.random.default_rng(2).normal(size=(22, 2)).astype("float32")
    options = {**OPTIONS, "rescale": 1 / 255}
    flow = Original(**options).flow(images, np.arange(22), batch_size=8, seed=4)
    textbook = from_batches(Epochs(flow)).map(lambda x, rows: (x, tf.gather(targets, rows)))
    fast = made_from(images, options=options, seed=4)
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
    np.testing.assert_array_equal(losses[0], losses[1])
    assert losses[0][0] != losses[0][1]


@pytest.mark.parametrize("epochs", [2, None])
def test_several_epochs_in_one_pass(epochs):
    def make_batch(rows, epoch):
        return rows, np.full(len(rows), epoch)

    one_pass = from_plan(Plan(7, batch_size=3, seed=5), make_batch, epochs=epochs)
    assert one_pass.cardinality() == (tf.data.INFINITE_CARDINALITY if epochs is None else 6)
    single = from_plan(Plan(7, batch_size=3, seed=5), make_batch)
    expected = [*single, *single]
    assert len(expected) == 6
    for found, one in zip(one_pass.take(6), expected, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, found, one)


def test_epochs_below_one():
    with pytest.raises(ValueError, match="epochs: expected 1 or more, or None, found 0"):
        from_plan(Plan(7, seed=5), lambda rows, epoch: rows, epochs=0)


def test_a_check_looks_at_the_batches_and_starts_no_epoch():
    plan = Plan(6, batch_size=2, seed=0)
    dataset = from_plan(plan, lambda rows, epoch: (np.full((len(rows), 3), epoch), rows))
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(6, activation="softmax")(inputs))
    model.compile(loss="sparse_categorical_crossentropy")
    report = contract.check(dataset, model)
    assert not report.not_checked
    assert [numbers[0, 0].numpy() for numbers, _ in dataset] == [0, 0, 0]
