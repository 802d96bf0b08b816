"""Grain: a dataset of rows, batched, then made; threads read ahead."""

import grain

from feeding.samples import BATCH, make_batch

STEPS = 15  # `fit` does not ask for the length: pass repeat() and these as steps_per_epoch


def feed(rows):
    return grain.MapDataset.source(rows).batch(BATCH).map(make_batch)


def rest(rows, done):
    return feed(rows)[done:]


def share(rows, machine, machines):
    return grain.MapDataset.source(rows)[machine::machines].batch(BATCH).map(make_batch)


def with_threads(rows, count=2):
    return feed(rows).to_iter_dataset(grain.ReadOptions(num_threads=count))
