"""Where the time of one image goes, in the textbook pipeline and in that of a plan.

Each stage runs by itself, in one thread, over whole batches; "pass on" is what a dataset that
makes nothing costs. Values are processor time in microseconds an image: the median of several
rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from benchmark.cases import AUGMENTATION, BATCH, SEED, Case
from helpers import fast
from helpers.datasets import from_batches
from helpers.images import Images
from helpers.parallel import Plan, from_plan
from helpers.transforms import sample

__all__ = ["STAGES", "measure"]

STAGES = ("read and decode", "sample", "warp and scale", "pass on")
BATCHES = 12
PASSES = 20  # so that the start of a dataset counts for little beside its batches

Actions = dict[str, Callable[[], Any]]


def measure(case: Case, rounds: int = 3) -> pd.DataFrame:
    """Measure each stage of both pipelines over the first images of a case.

    Parameters
    ----------
    case : Case
        Whose first folder is read.
    rounds : int
        How often.

    Returns
    -------
    pandas.DataFrame
        Columns ``size``, ``pipeline`` ("textbook" or "plan"), ``stage`` and ``microseconds``.
    """
    paths = case.paths[0][: BATCH * BATCHES]
    datagen = tf.keras.preprocessing.image.ImageDataGenerator(**AUGMENTATION)
    pipelines = {"textbook": _textbook(case, paths, datagen), "plan": _plan(case, paths, datagen)}
    rows = []
    for pipeline, stages in pipelines.items():
        for stage in STAGES:
            stages[stage]()
            spent = statistics.median(_seconds(stages[stage]) for _ in range(rounds))
            images = len(paths) * (PASSES if stage == "pass on" else 1)
            rows.append((case.size, pipeline, stage, spent / images * 1e6))
    return pd.DataFrame(rows, columns=["size", "pipeline", "stage", "microseconds"])


def _seconds(action: Callable[[], Any]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def _textbook(case: Case, paths: list[str], datagen: Any) -> Actions:
    keras, size = tf.keras.utils, case.shape[:2]

    def read() -> list[np.ndarray]:
        return [keras.img_to_array(keras.load_img(path, target_size=size)) for path in paths]

    def warp() -> None:
        for image, line in zip(images, parameters, strict=True):
            datagen.standardize(datagen.apply_transform(image, line))

    def finished() -> Iterator[np.ndarray]:
        for _ in range(BATCHES * PASSES):
            yield batch.copy()

    images = read()
    parameters = [datagen.get_random_transform(case.shape, seed=row) for row in range(len(paths))]
    batch = np.ones((BATCH, *case.shape), np.float32)
    dataset = from_batches(finished, length=BATCHES * PASSES)
    return {
        "read and decode": read,
        "sample": lambda: [datagen.get_random_transform(case.shape) for _ in paths],
        "warp and scale": warp,
        "pass on": lambda: [None for _ in dataset],
    }


def _plan(case: Case, paths: list[str], datagen: Any) -> Actions:
    images = Images(paths, case.shape)
    kept = images.in_memory()
    batches = np.arange(len(paths)).reshape(-1, BATCH)
    table = sample(datagen, len(paths), case.shape, seed=SEED, epoch=0)
    plan = Plan(len(paths), batch_size=BATCH, seed=SEED)
    ready = fast.apply(datagen, kept[batches[0]], table[batches[0]])

    def take(rows: np.ndarray, epoch: int) -> np.ndarray:
        return ready[: len(rows)]

    dataset = from_plan(plan, take, workers=1, epochs=PASSES)
    return {
        "read and decode": lambda: [images[rows] for rows in batches],
        "sample": lambda: sample(datagen, len(paths), case.shape, seed=SEED, epoch=1),
        "warp and scale": lambda: [
            fast.apply(datagen, kept[rows], table[rows]) for rows in batches
        ],
        "pass on": lambda: [None for _ in dataset],
    }
