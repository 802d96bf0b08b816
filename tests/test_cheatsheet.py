"""What CHEATSHEET.md says of the three structures trains, as it is written there."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

SHEET = (Path(__file__).resolve().parent.parent / "CHEATSHEET.md").read_text(encoding="utf-8")
COLUMNS = ("tuples", "a single input, two outputs", "dicts")
ROWS = {
    cells[0]: [re.findall(r"`([^`]+)`", cell)[0] for cell in cells[1:]]
    for cells in (
        [cell.strip() for cell in line.strip("| ").split(" | ")]
        for line in SHEET.splitlines()
        if re.match(r"\| (a batch|the model|losses|with weights|for)", line)
    )
}


@pytest.mark.parametrize("column", range(3), ids=COLUMNS)
def test_a_structure_trains_as_it_is_written(column):
    """The code of a column is run; `…` in a dict stands for the array or tensor of that name."""
    vectors = keras.Input((5,), name="vector")
    images = keras.Input((8, 8, 3), name="image")
    flat = keras.layers.Flatten()(images)
    joined = flat if column == 1 else keras.layers.Concatenate()([flat, vectors])
    tensors = {
        "image": images,
        "vector": vectors,
        "label": keras.layers.Dense(3, activation="softmax", name="label")(joined),
        "value": keras.layers.Dense(2, name="value")(joined),
        "keras": keras,
    }
    arrays = {
        "image": np.zeros((4, 8, 8, 3), "float32"),
        "vector": np.zeros((4, 5), "float32"),
        "label": np.arange(4) % 3,
        "value": np.zeros((4, 2), "float32"),
        "weight": np.ones(4, "float32"),
    }

    def evaluated(row, names):
        code = re.sub(r'"(\w+)": …', r'"\1": \1', ROWS[row][column])
        if row == "the model" and column == 2:  # the sheet leaves the second of each out
            code = code.replace('"image": image', '"image": image, "vector": vector')
            code = code.replace('"label": label', '"label": label, "value": value')
        return eval(code, dict(names))

    model = evaluated("the model", tensors)
    losses = ROWS["losses"][column].removeprefix("loss=").replace("[…, …]", "[label, value]")
    names = {"label": "sparse_categorical_crossentropy", "value": "mse"}
    losses = eval(re.sub(r'"(\w+)": …', r'"\1": \1', losses), dict(names))
    model.compile(loss=losses)
    batch = evaluated("a batch", arrays)
    rest = {"label": arrays["weight"], "value": arrays["weight"]}
    weights = arrays | {"inputs": batch[0], "targets": batch[1]}
    weighed = evaluated("with weights", weights | (rest if column == 2 else {}))
    for one in (batch, weighed):
        history = model.fit(tf.data.Dataset.from_tensors(one), shuffle=False, verbose=0).history
        assert np.isfinite(history["loss"]).all()
    found = model.predict(
        tf.data.Dataset.from_tensors(evaluated("for `predict`", arrays)), verbose=0
    )
    assert len(found) == 2


def test_there_are_ten_rules_and_ten_errors():
    assert len(re.findall(r"^\d+\. ", SHEET, re.MULTILINE)) == 10
    assert len(re.findall(r"^\| \[`", SHEET, re.MULTILINE)) == 10
