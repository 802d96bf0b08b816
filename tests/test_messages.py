"""Long messages are cut to what matters, and nothing is passed over in silence."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

from helpers.messages import essence, shown


def wrong_shapes():
    dataset = tf.data.Dataset.from_generator(
        lambda: iter([np.zeros(3)]), output_signature=tf.TensorSpec((4,))
    )
    list(dataset)


def wrong_sum():
    x = tf.keras.Input((3,))
    model = tf.keras.Model(x, tf.keras.layers.Dense(2)(x))
    model.compile(loss="mse")
    generator = lambda: iter([(np.zeros((4, 3)), np.zeros((3, 2)))])  # noqa: E731
    signature = (tf.TensorSpec((None, 3)), tf.TensorSpec((None, 2)))
    # `fit` would compute the gradient beside the loss: either may fail first, with other words.
    model.evaluate(
        tf.data.Dataset.from_generator(generator, output_signature=signature), verbose=0
    )


@pytest.mark.parametrize(
    ("fail", "expected"),
    [
        (wrong_shapes, "InvalidArgumentError: TypeError: `generator` yielded an element of shape (3,)"),
        (wrong_sum, "InvalidArgumentError: Incompatible shapes: [3,2] vs. [4,2]"),
        (lambda: {}["a"], "KeyError: a"),
    ],
)  # fmt: skip
def test_the_line_that_matters_comes_first(fail, expected, capsys):
    with shown():
        fail()
    out = capsys.readouterr().out
    assert out.replace("\n    ", " ").startswith(expected)
    assert not any(word in out for word in ("File ", "{{", "[Op", "Traceback", "\x1b"))
    assert all(len(line) <= 100 for line in out.splitlines())


def test_warnings_are_shown_once_and_before_the_error(capsys):
    with shown():
        warnings.warn("look out", stacklevel=1)
        warnings.warn("look out", stacklevel=1)
        raise ValueError("too late")
    assert capsys.readouterr().out == "UserWarning: look out\nValueError: too late\n"


def test_silence_is_shown(capsys):
    with shown():
        pass
    assert capsys.readouterr().out == "no error, no warning\n"


def test_a_long_message_is_cut():
    assert essence(ValueError("word " * 200), limit=50).endswith("…")
    assert len(essence(ValueError("word " * 200), limit=50)) < 70


def test_an_interrupt_is_not_swallowed():
    with pytest.raises(KeyboardInterrupt), shown():
        raise KeyboardInterrupt
