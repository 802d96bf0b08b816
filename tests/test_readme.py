"""The README's code runs, makes what the text says, and plots the figure that is shown."""

import json

import notebook_checks as checks
import own_files
import pytest
import readme
import tensorflow as tf

TEXT = (readme.ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def names():
    return readme.run_blocks()


def spec(*shape):
    return tf.TensorSpec((None, *shape))


def test_the_short_answer_trains_the_model_that_it_names(names):
    dataset = names["dataset"]
    assert dataset.element_spec == ((spec(64, 64, 3), spec(5)), (spec(8), spec(2)))
    assert dataset.cardinality() == 15
    image, vector = tf.keras.Input((64, 64, 3)), tf.keras.Input((5,))
    features = tf.keras.layers.Concatenate()(
        [tf.keras.layers.GlobalAveragePooling2D()(image), vector]
    )
    classes = tf.keras.layers.Dense(8, activation="softmax")(features)
    fractions = tf.keras.layers.Dense(2)(features)
    model = tf.keras.Model((image, vector), (classes, fractions))
    model.compile(loss=["categorical_crossentropy", "mse"])
    history = model.fit(dataset, epochs=2, shuffle=False, verbose=0).history
    assert history["loss"][1] < history["loss"][0]


def test_the_checked_dataset_has_two_images(names):
    images = (spec(64, 64, 3), spec(32, 32, 3))
    assert names["checked"].element_spec == (images, (spec(8), spec(2)))


def test_the_figure_is_the_batch_of_the_code(names, tmp_path):
    readme.plot(names, tmp_path / "batch.png")
    stored, new = (
        checks.pixels(path.read_bytes()) for path in (readme.FIGURE, tmp_path / "batch.png")
    )
    problem, _ = checks.image_problem(checks.shrunk(stored), checks.shrunk(new))
    assert not problem, f"batch.png: {problem}; run `make notebooks`"
    assert f'<img src="batch.png" width="{stored.shape[1] // checks.SHARPNESS}" ' in TEXT


def test_your_own_data_trains_on_files_that_nobody_here_has_seen(tmp_path, monkeypatch, capsys):
    """In an empty folder, with the files and the faults that the test puts there."""
    own_files.make(tmp_path)
    monkeypatch.chdir(tmp_path)
    (block,) = readme.code_blocks(readme.section("Your own data"))
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert printed.startswith("60 files, 60 rows, ")
    assert "\nno errors, no warnings" in printed
    assert names["bad"] == [56, 57, 58, 59]
    assert names["classes"] == list(own_files.LABELS)
    held_out, places = names["held_out"], names["table"]["place"]
    assert set(places[held_out]).isdisjoint(places[~held_out])
    assert (len(places), 6 <= held_out.sum() <= 12) == (56, True)
    history = names["history"]
    assert history["loss"][-1] < history["loss"][0]


def test_the_lesson_has_the_same_block():
    (block,) = readme.code_blocks(readme.section("Your own data"))
    lesson = (readme.ROOT / "notebooks" / "04_your_own_data.ipynb").read_text(encoding="utf-8")
    cells = ["".join(cell["source"]) for cell in json.loads(lesson)["cells"]]
    assert any(block in cell for cell in cells)


def test_every_lesson_and_every_helper_is_in_a_table():
    table = (readme.ROOT / "helpers" / "README.md").read_text(encoding="utf-8")
    missing = [
        path.name for path in readme.ROOT.glob("notebooks/*.ipynb") if f"/{path.name})" not in TEXT
    ]
    missing += [
        path.name for path in readme.ROOT.glob("helpers/[a-z]*.py") if f"({path.name})" not in table
    ]
    assert not missing
