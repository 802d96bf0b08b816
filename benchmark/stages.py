"""Where the time of one picture goes, in the textbook pipeline and in that of recipes.

Each stage runs by itself, in one thread, over whole batches; "hand over" is what a dataset that
only passes finished batches on costs. Values are processor time in microseconds a picture: the
median of several rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pandas as pd
import tensorflow as tf

from benchmark.cases import AUGMENTATION, BATCH, SEED, Case
from helpers.buffers import empty
from helpers.datasets import from_batches
from helpers.fast import FastImageDataGenerator, draw_transforms
from helpers.recipes import Pictures, Recipes, from_recipes

__all__ = ["STAGES", "measure"]

STAGES = ("read and decode", "draw", "warp", "scale", "hand over")
BATCHES = 12
PASSES = 20  # so that the start of a dataset counts for little beside its batches


def measure(case: Case, rounds: int = 3) -> pd.DataFrame:
    """Measure each stage of both pipelines over the first pictures of a case.

    Parameters
    ----------
    case : Case
        Whose first folder is read.
    rounds : int
        How often.

    Returns
    -------
    pandas.DataFrame
        Columns ``size``, ``pipeline`` ("textbook" or "recipes"), ``stage`` and ``microseconds``.
    """
    paths = case.paths[0][: BATCH * BATCHES]
    rows = []
    for pipeline, stages in (
        ("textbook", _textbook(case, paths)),
        ("recipes", _recipes(case, paths)),
    ):
        for stage, action in stages.items():
            action()
            spent = statistics.median(_seconds(action) for _ in range(rounds))
            pictures = len(paths) * (PASSES if stage == "hand over" else 1)
            rows.append((case.size, pipeline, stage, spent / pictures * 1e6))
    return pd.DataFrame(rows, columns=["size", "pipeline", "stage", "microseconds"])


def _seconds(action: Callable[[], Any]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def _textbook(case: Case, paths: list[str]) -> dict[str, Callable[[], Any]]:
    image = tf.keras.preprocessing.image
    datagen = image.ImageDataGenerator(**AUGMENTATION)
    pictures = [image.img_to_array(image.load_img(path)) for path in paths]
    drawn = [datagen.get_random_transform(case.shape, seed=row) for row in range(len(paths))]

    def warp() -> None:
        for picture, parameters in zip(pictures, drawn, strict=True):
            datagen.apply_transform(picture, parameters)

    batch = np.ones((BATCH, *case.shape), np.float32)

    def finished() -> Iterator[np.ndarray]:
        for _ in range(BATCHES * PASSES):
            yield batch.copy()

    dataset = from_batches(finished, length=BATCHES * PASSES)
    return {
        "read and decode": lambda: [image.img_to_array(image.load_img(path)) for path in paths],
        "draw": lambda: [datagen.get_random_transform(case.shape) for _ in paths],
        "warp": warp,
        "scale": lambda: [datagen.standardize(picture) for picture in pictures],
        "hand over": lambda: [None for _ in dataset],
    }


def _recipes(case: Case, paths: list[str]) -> dict[str, Callable[[], Any]]:
    cv2.setNumThreads(1)
    datagen = FastImageDataGenerator(**AUGMENTATION)
    unscaled = FastImageDataGenerator(**AUGMENTATION | {"rescale": None})
    pictures = Pictures(paths, case.shape)
    kept = pictures.in_memory()
    batches = np.arange(len(paths)).reshape(-1, BATCH)
    drawn = draw_transforms(datagen, BATCH, case.shape, np.random.RandomState(SEED))
    floats = np.ones((BATCH, *case.shape), np.float32)
    recipes = Recipes(datagen, len(paths), shape=case.shape, batch_size=BATCH, seed=SEED)

    def made(rows: np.ndarray, transforms: np.ndarray) -> np.ndarray:
        return empty((len(rows), *case.shape), np.float32)

    dataset = from_recipes(recipes, made, workers=1).repeat(PASSES)
    return {
        "read and decode": lambda: [pictures[rows] for rows in batches],
        "draw": lambda: list(recipes()),
        "warp": lambda: [unscaled.transform_batch(kept[rows], drawn) for rows in batches],
        "scale": lambda: [datagen.standardize(floats) for _ in batches],
        "hand over": lambda: [None for _ in dataset],
    }
