"""`keras.utils.PyDataset`: batches by number."""

import keras

from feeding.samples import BATCH, make_batch


class Batches(keras.utils.PyDataset):
    def __init__(self, rows, **workers):
        super().__init__(**workers)
        self.rows = rows

    def __len__(self):
        return -(-len(self.rows) // BATCH)  # rounded up: the last batch may be smaller

    def __getitem__(self, number):
        return make_batch(self.rows[number * BATCH : (number + 1) * BATCH])


def feed(rows, **workers):
    return Batches(rows, **workers)


def rest(rows, done):
    return Batches(rows[done * BATCH :])


def share(rows, machine, machines):
    return Batches(rows[machine::machines])
