"""What all of them feed: the same rows in the same order, and one model to train."""

import keras
import numpy as np
from PIL import Image

from helpers import models, tiles

BATCH = 32
ORDER = np.random.default_rng(525).permutation(480)
PATHS = {name: np.array(tiles.paths(name, "train")) for name in ("imagery", "relief")}
SITE = tiles.columns("train", tiles.SITE)
TARGETS = {
    "land_cover": tiles.one_hot("train"),
    "composition": tiles.columns("train", tiles.COMPOSITION),
}


def read(path):
    with Image.open(path) as image:
        return np.asarray(image, "float32") / 255


def make_batch(rows):
    inputs = {name: np.stack([read(path) for path in paths[rows]]) for name, paths in PATHS.items()}
    return inputs | {"site": SITE[rows]}, {name: values[rows] for name, values in TARGETS.items()}


def build_model():
    keras.utils.set_random_seed(0)
    model = models.build_model([*PATHS, "site"], [*TARGETS], named=True)
    losses = {"land_cover": "categorical_crossentropy", "composition": "mse"}
    model.compile(optimizer="adam", loss=losses)
    return model
