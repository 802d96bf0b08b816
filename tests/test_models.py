"""Models take and give the streams they were asked for, by position or by name."""

import keras
import numpy as np
import pytest

from helpers.models import INPUT_SHAPES, OUTPUT_SIZES, build_model


def test_every_stream_at_once_by_name():
    model = build_model(list(INPUT_SHAPES), list(OUTPUT_SIZES), named=True)
    batch = {name: np.ones((2, *shape), "float32") for name, shape in INPUT_SHAPES.items()}
    outputs = model.predict(batch, verbose=0)
    assert {name: value.shape for name, value in outputs.items()} == {
        "land_cover": (2, 8),
        "composition": (2, 2),
    }
    assert np.allclose(outputs["land_cover"].sum(axis=1), 1)


@pytest.fixture(autouse=True)
def _same_weights_in_each_run():
    keras.utils.set_random_seed(0)


@pytest.mark.parametrize("named", [True, False])
def test_each_head_keeps_to_the_range_of_its_targets(named):
    """Far from the middle too: probabilities add up to 1, and fractions stay from 0 to 1."""
    model = build_model(["spectral"], ["land_cover", "composition"], named=named)
    for name in OUTPUT_SIZES:
        model.get_layer(name).set_weights(
            [100 * weights for weights in model.get_layer(name).get_weights()]
        )
    numbers = np.random.default_rng(0).normal(size=(64, 10)).astype("float32")
    outputs = model.predict({"spectral": numbers} if named else numbers, verbose=0)
    classes, fractions = outputs.values() if named else outputs
    assert np.allclose(classes.sum(axis=1), 1)
    assert (classes >= 0).all()
    assert (fractions >= 0).all()
    assert (fractions <= 1).all()
    assert (abs(fractions - 0.5) > 0.4).any()  # far from the middle, and not of a second softmax
    assert (abs(fractions.sum(axis=1) - 1) > 0.1).any()


def test_a_model_is_built_as_its_docstrings_say():
    model = build_model(["imagery", "site"], ["land_cover", "composition"])
    found = [(type(layer).__name__, getattr(layer, "activation", None)) for layer in model.layers]
    relu, softmax, sigmoid = (
        getattr(keras.activations, name) for name in ("relu", "softmax", "sigmoid")
    )
    image = [("Conv2D", relu), ("MaxPooling2D", None)] * 2 + [("GlobalAveragePooling2D", None)]
    inputs = [("InputLayer", None), ("InputLayer", None), *image, ("Dense", relu)]
    heads = [("Dense", softmax), ("Dense", sigmoid)]
    expected = [*inputs, ("Concatenate", None), ("Dense", relu), *heads]
    assert sorted(found, key=str) == sorted(expected, key=str)
    shared = model.get_layer("land_cover").input
    assert shared is model.get_layer("composition").input
    assert shared.shape == (None, 32)


def test_every_input_reaches_every_head():
    model = build_model(list(INPUT_SHAPES), list(OUTPUT_SIZES), named=True)
    batch = {name: np.ones((1, *shape), "float32") for name, shape in INPUT_SHAPES.items()}
    before = model.predict(batch, verbose=0)
    for name in INPUT_SHAPES:
        after = model.predict(batch | {name: 9 * batch[name]}, verbose=0)
        for head in OUTPUT_SIZES:
            assert not np.allclose(before[head], after[head], atol=1e-5), (name, head)


def test_tuples_keep_the_order_asked_for():
    model = build_model(["site", "imagery"], ["composition", "land_cover"])
    assert [tensor.name for tensor in model.inputs] == ["site", "imagery"]
    assert model.output_names == ["composition", "land_cover"]
    assert [output.shape[1] for output in model.output] == [2, 8]


def test_one_input_and_one_output_are_bare():
    model = build_model(["spectral"], ["land_cover"])
    assert isinstance(model.input, keras.KerasTensor)
    assert model.predict(np.ones((3, 10)), verbose=0).shape == (3, 8)


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (["images"], ["land_cover"], r"inputs: expected some of \['imagery'.*found \['images'\]"),
        (["imagery"], [], "outputs: expected some of .* found \\[\\]"),
        ("imagery", ["land_cover"], "inputs: .* found 'imagery'"),
    ],
)
def test_unknown_streams_are_refused(inputs, outputs, message):
    with pytest.raises(ValueError, match=message):
        build_model(inputs, outputs)
