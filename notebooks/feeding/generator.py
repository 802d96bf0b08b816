"""A generator of batches, as in the lessons before: it works ahead in one thread."""

from feeding.samples import BATCH, make_batch
from helpers import datasets


def feed(rows):
    def batches():
        for start in range(0, len(rows), BATCH):
            yield make_batch(rows[start : start + BATCH])

    return datasets.from_batches(batches, length=-(-len(rows) // BATCH)).prefetch(2)


def rest(rows, done):
    return feed(rows[done * BATCH :])


def share(rows, machine, machines):
    return feed(rows[machine::machines])
