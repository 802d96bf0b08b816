"""Long messages are cut to what matters, and nothing is passed over in silence."""

import logging
import os
import warnings

import numpy as np
import pytest
import tensorflow as tf

from helpers import messages
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
    model.evaluate(tf.data.Dataset.from_generator(generator, output_signature=signature), verbose=0)


@pytest.mark.parametrize(
    ("fail", "expected"),
    [
        (wrong_shapes, "InvalidArgumentError: TypeError: `generator` yielded an element of shape"),
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


def test_what_python_hides_from_users_stays_hidden(capsys):
    with shown():
        warnings.warn("for authors of libraries", DeprecationWarning, stacklevel=1)
    assert capsys.readouterr().out == "no error, no warning\n"


def test_silence_is_shown(capsys):
    with shown():
        pass
    assert capsys.readouterr().out == "no error, no warning\n"


def test_the_native_log_of_the_error_is_left_out_and_all_else_passes(capfd):
    with shown():
        os.write(2, b"mine\n")
        wrong_shapes()
    with shown():
        os.write(2, b"W0000 00:00:1.5    7 some.cc:1] a warning without an error\n")
    err = capfd.readouterr().err
    assert err == "mine\nW0000 00:00:1.5    7 some.cc:1] a warning without an error\n"


def test_that_a_generator_is_not_optimized_is_no_news(capfd):
    native = "W0000 00:00:1.5    7 dataset.cc:997] "
    with shown():
        os.write(2, f"{native}{messages._UNOPTIMIZED} because\n{native}disk full\n".encode())
    assert capfd.readouterr().err == f"{native}disk full\n"


def test_only_the_advice_on_retracing_is_left_out_of_the_log(caplog):
    log = logging.getLogger("tensorflow")
    caplog.set_level(logging.WARNING, logger="tensorflow")  # which another test may have changed
    log.addHandler(caplog.handler)
    with shown():
        log.warning("5 out of the last 5 calls to f triggered tf.function retracing.")
        log.warning("disk full")
    log.warning("6 calls triggered tf.function retracing.")
    log.removeHandler(caplog.handler)
    assert [record.message for record in caplog.records if "5 out" in record.message] == []
    assert {"disk full", "6 calls triggered tf.function retracing."} <= set(caplog.messages)


def test_a_long_message_is_cut():
    assert essence(ValueError("word " * 200), limit=50).endswith("…")
    assert len(essence(ValueError("word " * 200), limit=50)) < 70


def test_of_a_message_of_usual_length_nothing_is_cut():
    words = "word " * 70
    assert essence(ValueError(words)).split() == ["ValueError:", *words.split()]


def test_what_keras_adds_of_the_arguments_is_left_out():
    text = "two inputs\n\nArguments received by Dense.call():\n  • inputs=…\n"
    assert essence(ValueError(text)) == "ValueError: two inputs"


def test_an_address_in_memory_is_left_out():
    assert essence(ValueError(f"x={object()}")) == "ValueError: x=<object object>"


def test_an_interrupt_is_not_swallowed():
    with pytest.raises(KeyboardInterrupt), shown():
        raise KeyboardInterrupt
