"""What each of two processes runs in lesson 11: the same training, with its half of each batch."""

from __future__ import annotations

import json
import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from helpers import tiles

BATCH = 50  # of both processes together; 120 rows make batches of 50, 50 and 20


def read() -> tf.data.Dataset:
    """Return 120 rows, with two inputs and two targets."""
    inputs = {
        "relief": tiles.read_images("relief", "validation") / np.float32(255),
        "site": tiles.columns("validation", tiles.SITE),
    }
    targets = {
        "land_cover": tiles.one_hot("validation"),
        "composition": tiles.columns("validation", tiles.COMPOSITION),
    }
    return tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(BATCH)


def build_model() -> keras.Model:
    """Return a small model, always with the same starting weights."""
    keras.utils.set_random_seed(525)
    inputs = {
        "relief": keras.Input((32, 32, 3), name="relief"),
        "site": keras.Input((5,), name="site"),
    }
    means = keras.layers.GlobalAveragePooling2D()(inputs["relief"])
    features = keras.layers.Concatenate()([means, inputs["site"]])
    features = keras.layers.Dense(16, activation="relu")(features)
    outputs = {
        "land_cover": keras.layers.Dense(8, activation="softmax", name="land_cover")(features),
        "composition": keras.layers.Dense(2, name="composition")(features),
    }
    return keras.Model(inputs, outputs)


def train(strategy: tf.distribute.Strategy, epochs: int = 2) -> list[float]:
    """Train by hand on whatever devices a strategy has; return the loss of each batch."""
    batches = strategy.experimental_distribute_dataset(read())
    with strategy.scope():
        model = build_model()
        optimizer = keras.optimizers.SGD(0.1)
        optimizer.build(model.trainable_variables)

    def count(targets: Any) -> tf.Tensor:
        return tf.cast(tf.shape(targets["land_cover"])[0], tf.float32)

    def step(inputs: Any, targets: Any, rows: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True)
            losses = keras.losses.categorical_crossentropy(
                targets["land_cover"], outputs["land_cover"]
            ) + keras.losses.mean_squared_error(targets["composition"], outputs["composition"])
            # Over the rows of all devices: a device may have fewer than another.
            loss = tf.reduce_sum(losses) / rows
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    @tf.function
    def train_step(inputs: Any, targets: Any) -> tf.Tensor:
        rows = strategy.reduce("SUM", strategy.run(count, (targets,)), axis=None)
        return strategy.reduce("SUM", strategy.run(step, (inputs, targets, rows)), axis=None)

    return [float(train_step(*batch)) for _ in range(epochs) for batch in batches]


def join(index: int, ports: list[int]) -> tf.distribute.Strategy:
    """Return the strategy of this process; TF_CONFIG says who the others are."""
    workers = [f"localhost:{port}" for port in ports]
    task = {"type": "worker", "index": index}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
    return tf.distribute.MultiWorkerMirroredStrategy()


def train_by_hand(index: int, ports: list[int]) -> list[float]:
    """Train in this process together with the others; return the losses."""
    return train(join(index, ports))


def train_with_fit(index: int, ports: list[int]) -> None:
    """Train the same with `fit`, which Keras 3 does not support."""
    with join(index, ports).scope():
        model = build_model()
        model.compile("sgd", loss={"land_cover": "categorical_crossentropy", "composition": "mse"})
    model.fit(read(), shuffle=False, verbose=0)
