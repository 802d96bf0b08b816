"""Epochs are whole, differ, repeat, and keep every stream on the same rows."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

from helpers.fast import as_dict
from helpers.generators import AlignedEpochs, AlignmentError, Epochs, row_flow
from helpers.transforms import sample

ImageDataGenerator = tf.keras.preprocessing.image.ImageDataGenerator
SAMPLES, BATCH_SIZE = 22, 4
OPTIONS = {"rotation_range": 40, "horizontal_flip": True, "width_shift_range": 0.2}
# Each image carries its row as its level, so that an image tells which row it is.
IMAGES = np.arange(SAMPLES, dtype="float32")[:, None, None, None] + np.zeros((1, 12, 10, 3))
# A ramp shows a shift or a flip, where a flat image would hide it.
RAMPS = IMAGES + np.linspace(0, 0.9, 12 * 10).reshape(1, 12, 10, 1)


def make_flow(seed=3, images=RAMPS, **options):
    options = {"batch_size": BATCH_SIZE, **options}
    return ImageDataGenerator(**OPTIONS).flow(images, np.arange(len(images)), seed=seed, **options)


def taken(epochs, count):
    return [[(x.copy(), rows.copy()) for x, rows in epochs()] for _ in range(count)]


def same(left, right):
    return all(
        np.array_equal(a, b)
        for one, other in zip(left, right, strict=True)
        for (xa, ra), (xb, rb) in zip(one, other, strict=True)
        for a, b in ((xa, xb), (ra, rb))
    )


def test_an_epoch_has_every_row_once_and_a_partial_last_batch():
    epochs = Epochs(make_flow())
    for epoch in taken(epochs, 3):
        assert len(epoch) == len(epochs) == 6
        assert [len(rows) for _, rows in epoch] == [4, 4, 4, 4, 4, 2]
        assert sorted(np.concatenate([rows for _, rows in epoch])) == list(range(SAMPLES))


def test_a_sample_is_transformed_as_its_line_of_the_table_says():
    """Against ImageDataGenerator itself, an image at a time."""
    datagen = ImageDataGenerator(**OPTIONS)
    epochs = Epochs(make_flow())
    for epoch in range(2):
        table = sample(datagen, SAMPLES, RAMPS.shape[1:], seed=3, epoch=epoch)
        for images, rows in epochs():
            for image, row in zip(images, rows, strict=True):
                expected = datagen.apply_transform(
                    RAMPS[row].astype("float32"), as_dict(table[row])
                )
                np.testing.assert_array_equal(image, datagen.standardize(expected))


@pytest.mark.parametrize("options", [{"batch_size": 22}, {"batch_size": 5}, {"shuffle": False}])
def test_a_sample_depends_on_neither_batch_size_nor_order(options):
    def by_row(epochs):
        return {
            int(row): image
            for images, rows in epochs()
            for row, image in zip(rows, images, strict=True)
        }

    expected, found = by_row(Epochs(make_flow())), by_row(Epochs(make_flow(**options)))
    assert len(expected) == SAMPLES
    for row, image in expected.items():
        np.testing.assert_array_equal(found[row], image)


def test_without_shuffling_the_rows_are_in_order():
    for epoch in taken(Epochs(make_flow(shuffle=False)), 2):
        assert np.concatenate([rows for _, rows in epoch]).tolist() == list(range(SAMPLES))


def test_epochs_differ_from_each_other_and_repeat_from_run_to_run():
    first, second = taken(Epochs(make_flow()), 2)
    by_row = [
        {int(row): x for xs, rows in epoch for x, row in zip(xs, rows, strict=True)}
        for epoch in (first, second)
    ]
    assert sum(np.array_equal(by_row[0][row], by_row[1][row]) for row in range(SAMPLES)) <= 2
    assert same([first, second], taken(Epochs(make_flow()), 2))


def test_epochs_repeat_in_a_fresh_process():
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "import numpy as np\n"
        "from test_generators import Epochs, taken, make_flow\n"
        "print(sum(float((x * (i + 1)).sum()) for e in taken(Epochs(make_flow()), 2)"
        " for i, (x, rows) in enumerate(e)))"
    )
    results = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        for _ in range(2)
    }
    here = sum(
        float((x * (i + 1)).sum())
        for e in taken(Epochs(make_flow()), 2)
        for i, (x, _) in enumerate(e)
    )
    assert results == {str(here)}


def test_epochs_do_not_depend_on_peeks_broken_epochs_or_the_global_state():
    expected = taken(Epochs(make_flow()), 3)
    epochs = Epochs(make_flow())
    epochs.peek()
    got = [[(x, rows) for x, rows in epochs()]]
    epochs.peek()
    broken = epochs()  # epoch 1: left after two batches …
    partial = [next(broken), next(broken)]
    np.random.seed(99)
    epochs.peek()
    got.append(partial + list(broken))  # … and taken up again
    got.append(list(epochs()))
    assert same(got, expected)


def test_epochs_leave_the_flow_as_it_was():
    flow, untouched = make_flow(), make_flow()
    list(Epochs(flow)())
    assert same([[next(flow), next(flow)]], [[next(untouched), next(untouched)]])


def test_epochs_do_not_depend_on_how_the_flow_was_used_before():
    flow = make_flow()
    flow[2]
    assert same(taken(Epochs(flow), 1), taken(Epochs(make_flow()), 1))
    flow = make_flow()
    next(flow), next(flow)
    assert same(taken(Epochs(flow), 1), taken(Epochs(make_flow()), 1))


def test_epochs_leave_the_global_random_state_as_it_was():
    np.random.seed(5)
    expected = np.random.random(3)
    np.random.seed(5)
    epochs = Epochs(make_flow())
    epochs.peek()
    list(epochs())
    assert np.array_equal(np.random.random(3), expected)


def test_two_pipelines_in_threads_do_not_disturb_each_other():
    seeds = (3, 4, 5)
    expected = {seed: taken(Epochs(make_flow(seed)), 4) for seed in seeds}
    got = {}
    stop = threading.Event()

    def disturb():
        while not stop.is_set():
            np.random.seed(1)

    threads = [
        threading.Thread(
            target=lambda seed=seed: got.update({seed: taken(Epochs(make_flow(seed)), 4)})
        )
        for seed in seeds
    ]
    disturbing = threading.Thread(target=disturb)
    for thread in (disturbing, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    disturbing.join()
    assert all(same(got[seed], expected[seed]) for seed in seeds)


@pytest.mark.parametrize(
    ("flow", "error", "message"),
    [
        (lambda: ImageDataGenerator(), TypeError, "found ImageDataGenerator"),
        (lambda: make_flow(seed=None), ValueError, "expected a seed, found None"),
    ],
)
def test_epochs_refuse(flow, error, message):
    with pytest.raises(error, match=message):
        Epochs(flow())


@pytest.mark.parametrize("flow_of", [Epochs, lambda flow: AlignedEpochs({"first": flow}, by_row)])
def test_epochs_refuse_a_class_that_samples_by_itself(flow_of):
    class Wider(ImageDataGenerator):
        def get_random_transform(self, img_shape, seed=None):
            return {**ImageDataGenerator.get_random_transform(self, img_shape, seed), "zx": 2}

    flow = Wider().flow(RAMPS, np.arange(SAMPLES), seed=1)
    with pytest.raises(TypeError, match=r"Wider\.get_random_transform: expected that of Image"):
        flow_of(flow)


def test_epochs_refuse_an_empty_folder(tmp_path):
    (tmp_path / "forest").mkdir()
    flow = ImageDataGenerator().flow_from_directory(tmp_path, seed=1)
    with pytest.raises(ValueError, match="at least one sample, found 0"):
        Epochs(flow)


def by_row(images, rows):
    return (images["first"], images["second"]), rows * 10


def test_aligned_epochs_keep_every_stream_on_the_same_rows():
    small = RAMPS[:, :6, :5]
    epochs = AlignedEpochs(
        {"first": make_flow(images=IMAGES), "second": make_flow(images=small)}, by_row
    )
    for _ in range(3):
        seen = 0
        for (first, second), tens in epochs():
            assert np.array_equal(first[:, 0, 0, 0] * 10, tens)
            assert np.array_equal(np.floor(second[:, 0, 0, 0]) * 10, tens)
            seen += len(tens)
        assert seen == SAMPLES


def test_aligned_epochs_sample_the_same_transform_for_images_of_one_size():
    epochs = AlignedEpochs({"first": make_flow(), "second": make_flow()}, by_row)
    assert all(np.array_equal(first, second) for (first, second), _ in epochs())


def test_aligned_epochs_peek_without_starting():
    epochs = AlignedEpochs({"first": make_flow(), "second": make_flow()}, by_row)
    peeked = epochs.peek()
    assert np.array_equal(peeked[1], next(iter(epochs()))[1])


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (lambda: make_flow(seed=4), r"flows\['second'\]: expected rows \[.*found \["),
        (
            lambda: make_flow(images=RAMPS[:8]),
            r"expected 22 samples as in flows\[.first.\], found 8; give all flows the same files",
        ),
        (
            lambda: ImageDataGenerator().flow(RAMPS, batch_size=4, seed=3),
            r"flows\['second'\]: expected batches \(images, rows\).*found ndarray",
        ),
        (
            lambda: ImageDataGenerator().flow(RAMPS, np.zeros((22, 8)), batch_size=4, seed=3),
            r"found second part float64 of shape \(4, 8\)",
        ),
    ],
)
def test_aligned_epochs_refuse(second, message):
    with pytest.raises(AlignmentError, match=message):
        list(AlignedEpochs({"first": make_flow(), "second": second()}, by_row)())


@pytest.mark.parametrize(
    ("flows", "assemble", "message"),
    [
        (make_flow, by_row, "flows: expected a dict of name: flow, found NumpyArrayIterator"),
        (lambda: {"first": make_flow()}, lambda images, rows: None, "is a return missing"),
        (lambda: {"first": make_flow()}, lambda images: images, "positional argument"),
    ],
)
def test_aligned_epochs_refuse_at_once(flows, assemble, message):
    with pytest.raises(TypeError, match=message):
        AlignedEpochs(flows(), assemble)


def test_aligned_epochs_refuse_no_flows():
    with pytest.raises(ValueError, match="at least one flow"):
        AlignedEpochs({}, by_row)


def write_images(folder, count):
    paths = []
    for row in range(count):
        path = folder / f"{row}.png"
        tf.keras.utils.save_img(path, np.full((8, 8, 3), row * 10), scale=False)
        paths.append(path)
    return paths


def test_row_flow_yields_the_row_of_each_image(tmp_path):
    flow = row_flow(
        ImageDataGenerator(), write_images(tmp_path, 7), target_size=(8, 8), batch_size=3, seed=1
    )
    for images, rows in Epochs(flow)():
        assert images.dtype == np.float32
        assert rows.dtype == np.int64
        assert np.array_equal(images[:, 0, 0, 0], rows * 10)


def test_row_flow_names_the_row_and_the_path_that_is_missing(tmp_path):
    paths = write_images(tmp_path, 3)
    paths[1].unlink()
    with pytest.raises(
        FileNotFoundError, match=r"row 1: expected an image file, found none at .*1\.png"
    ):
        row_flow(ImageDataGenerator(), paths, target_size=(8, 8), seed=1)


def test_row_flow_names_the_file_that_keras_would_drop(tmp_path):
    paths = write_images(tmp_path, 3)
    paths[2] = paths[2].rename(tmp_path / "2.webp")
    with pytest.raises(ValueError, match=r"row 2: expected a file ending in .*, found .*2\.webp"):
        row_flow(ImageDataGenerator(), paths, target_size=(8, 8), seed=1)


def test_row_flow_of_a_subset_yields_positions_in_all_paths(tmp_path):
    datagen = ImageDataGenerator(validation_split=0.3)
    options = {"target_size": (8, 8), "shuffle": False, "seed": 1}
    for subset, expected in (("validation", [0, 1, 2]), ("training", [3, 4, 5, 6, 7, 8, 9])):
        flow = row_flow(datagen, write_images(tmp_path, 10), subset=subset, **options)
        ((images, rows),) = Epochs(flow)()
        assert rows.tolist() == expected
        assert np.array_equal(images[:, 0, 0, 0], rows * 10)


def number_flow(rows, **options):
    """Return a flow over images that carry their rows as their levels."""
    return ImageDataGenerator().flow(IMAGES[rows], rows, seed=3, **{"batch_size": 4, **options})


def test_ten_images_and_nine_masks_are_refused():
    """As many batches, so that only the counts tell."""
    flows = {"images": number_flow(np.arange(10)), "masks": number_flow(np.arange(9))}
    assert len(flows["images"]) == len(flows["masks"])
    with pytest.raises(
        AlignmentError,
        match=r"flows\['masks'\]: expected 10 samples as in flows\['images'\], found 9; give all "
        r"flows the same files: leave out those without a partner",
    ):
        AlignedEpochs(flows, lambda images, rows: (images, rows))


def test_as_many_files_that_are_not_the_same_are_refused_before_training():
    """Each flow lacks another row; without shuffling the first batches are equal."""
    flows = {
        "images": number_flow(np.delete(np.arange(10), 7), shuffle=False),
        "masks": number_flow(np.delete(np.arange(10), 5), shuffle=False),
    }
    with pytest.raises(
        AlignmentError,
        match=r"expected rows \[5, 6, 8, …\] as in flows\['images'\], found \[6, 7, 8, …\]; give "
        r"all flows the same files in the same order",
    ):
        AlignedEpochs(flows, lambda images, rows: (images, rows))


def test_another_batch_size_is_refused_with_both_numbers():
    flows = {
        "images": number_flow(np.arange(10)),
        "masks": number_flow(np.arange(10), batch_size=5),
    }
    with pytest.raises(
        AlignmentError, match=r"expected 3 batches an epoch .* found 2; .* same batch_size"
    ):
        AlignedEpochs(flows, lambda images, rows: (images, rows))


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_beyond_a_table_are_refused_before_training(shuffle):
    heights = np.arange(9.0)
    flow = number_flow(np.arange(10), shuffle=shuffle)
    with pytest.raises(
        AlignmentError,
        match="assemble: expected a value for each row up to 9, found: index 9 is out of bounds",
    ):
        AlignedEpochs({"images": flow}, lambda images, rows: (images["images"], heights[rows]))
