"""The contract check: one broken pipeline a finding, and correct ones without any."""

import itertools

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from helpers import datasets, generators, parallel
from helpers.contract import ContractError, check

keras = tf.keras
N = 16
RNG = np.random.default_rng(0)
IMAGERY = RNG.random((N, 8, 8, 3)).astype("float32")
SITE = RNG.random((N, 5)).astype("float32")
LABELS = np.arange(N) % 3
LAND_COVER = np.eye(3, dtype="float32")[LABELS]
COMPOSITION = RNG.random((N, 2)).astype("float32")
X = {"imagery": IMAGERY, "site": SITE}
Y = {"land_cover": LAND_COVER, "composition": COMPOSITION}
ONES = np.ones(N, "float32")
LOSSES = {"land_cover": "categorical_crossentropy", "composition": "mse"}


def pixel(image):
    return keras.layers.GlobalAveragePooling2D()(image)


def two_by_two(named=True, activation="softmax", **compile_options):
    imagery, site = keras.Input((8, 8, 3), name="imagery"), keras.Input((5,), name="site")
    features = keras.layers.Concatenate()([pixel(imagery), site])
    cover = keras.layers.Dense(3, activation=activation, name="land_cover")(features)
    composition = keras.layers.Dense(2, name="composition")(features)
    if named:
        heads = {"land_cover": cover, "composition": composition}
        model = keras.Model({"imagery": imagery, "site": site}, heads)
    else:
        model = keras.Model([imagery, site], [cover, composition])
    model.compile(**{"loss": LOSSES, **compile_options})
    return model


def one_by_one(units=3, activation="softmax", loss="categorical_crossentropy", **options):
    site = keras.Input((5,), name="site")
    model = keras.Model(site, keras.layers.Dense(units, activation=activation, name="out")(site))
    model.compile(loss=loss, **options)
    return model


def two_images(structure):
    images = {name: keras.Input((8, 8, 3), name=name) for name in ("relief", "imagery")}
    joined = keras.layers.Concatenate()([pixel(image) for image in images.values()])
    model = keras.Model(structure(images), keras.layers.Dense(3, "softmax")(joined))
    model.compile(loss="categorical_crossentropy")
    return model


def sliced(*element, size=8):
    return tf.data.Dataset.from_tensor_slices(element).batch(size)


def whole(*element):
    return tf.data.Dataset.from_tensors(element)


def yielded(*batches, spec=None, length=None):
    """A dataset of a plain generator function that yields these batches."""
    spec = datasets.signature_of(batches[0]) if spec is None else spec

    def generate():
        yield from batches

    dataset = tf.data.Dataset.from_generator(generate, output_signature=spec)
    length = len(batches) if length is None else length
    return dataset.apply(tf.data.experimental.assert_cardinality(length)) if length else dataset


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


class Numbered(keras.utils.PyDataset):
    def __init__(self, *batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, number):
        return self.batches[number]


def endless():
    while True:
        yield SITE, LAND_COVER


def flow(x=IMAGERY, **options):
    datagen = keras.preprocessing.image.ImageDataGenerator(horizontal_flip=True)
    return datagen.flow(x, np.arange(len(x)), batch_size=4, seed=1, **options)


def each(*batches):
    yield from batches


def function_of(*batches):
    return lambda: iter(batches)


def column():
    number = keras.Input((1,))
    return compiled(keras.Model(number, keras.layers.Dense(1)(number)), "mse")


def yields(count):
    for _ in range(count):
        yield SITE, LAND_COVER


def run_out(generator):
    assert list(generator)
    return generator


def raising():
    yield SITE, LAND_COVER
    yield SITE, LAND_COVER
    raise StopIteration


SPARSE = "sparse_categorical_crossentropy"
MASK = RNG.integers(0, 3, (N, 8, 8, 1))
SPEC = datasets.signature_of((SITE, LAND_COVER))
OPEN = iter([(SITE, LAND_COVER)])


# (dataset, model, options of check, what the report must say)
BROKEN = {
    "missing input": lambda: (
        sliced({"imagery": IMAGERY}, Y), two_by_two(), {},
        "error: inputs['site']: expected keys ['imagery', 'site'], found missing; add the key"),
    "misspelled input": lambda: (
        sliced({"imagery": IMAGERY, "sites": SITE}, Y), two_by_two(), {},
        "error: inputs['sites']: expected 'site', found no input of that name; rename"),
    "extra input": lambda: (
        sliced({**X, "noise": SITE}, Y), two_by_two(), {},
        "warning: inputs['noise']: expected one of the inputs ['imagery', 'site'], found no input"),
    "missing target": lambda: (
        sliced(X, {"land_cover": LAND_COVER}), two_by_two(), {},
        "error: targets['composition']: expected keys ['composition', 'land_cover'], found miss"),
    "misspelled target": lambda: (
        sliced(X, {"land_cover": LAND_COVER, "compositions": COMPOSITION}), two_by_two(), {},
        "error: targets['compositions']: expected 'composition', found no output of that name"),
    "extra target": lambda: (
        sliced(X, {**Y, "z": SITE}), two_by_two(), {},
        "error: targets['z']: expected one of the outputs"),
    "four parts": lambda: (
        sliced(IMAGERY, SITE, LAND_COVER, COMPOSITION), two_by_two(False), {},
        "found 4 parts side by side"),
    "inputs side by side": lambda: (
        sliced(IMAGERY, SITE, LAND_COVER), two_by_two(False), {},
        "error: weights: expected ((input, input), targets), found a third part, and one input"),
    "target as weights": lambda: (
        sliced((IMAGERY, SITE), LAND_COVER, COMPOSITION), two_by_two(False), {},
        "error: weights: expected (inputs, (target, target)), found a third part, and 1 of 2"),
    "target as weights, by shape": lambda: (
        sliced(SITE, LAND_COVER, COMPOSITION), one_by_one(), {},
        "error: weights: expected one number a sample, shape (None,), found shape (None, 2)"),
    "labels as weights": lambda: (
        sliced(SITE, LAND_COVER, LABELS), one_by_one(), {},
        "warning: weights: expected sample weights, float32, found int64 in the weights' place"),
    "no targets": lambda: (
        sliced(SITE).map(lambda x: x), one_by_one(), {},
        "error: element: expected (inputs, targets), found inputs only"),
    "list": lambda: (
        Numbered(([IMAGERY, SITE], (LAND_COVER, COMPOSITION))), two_by_two(False), {},
        "error: inputs: expected a tuple or a dict, found a list of 2"),
    "one input of two": lambda: (
        sliced(IMAGERY, (LAND_COVER, COMPOSITION)), two_by_two(False), {},
        "error: inputs: expected 2 inputs: ['imagery', 'site'], found one array"),
    "too many inputs": lambda: (
        sliced((IMAGERY, SITE, SITE), (LAND_COVER, COMPOSITION)), two_by_two(False), {},
        "error: inputs: expected 2 inputs: ['imagery', 'site'], found a tuple of 3"),
    "one target of two": lambda: (
        sliced((IMAGERY, SITE), LAND_COVER), two_by_two(False), {},
        "error: targets: expected 2 targets: ['land_cover', 'composition'], found one array"),
    "dict for one output": lambda: (
        sliced(SITE, {"out": LAND_COVER}), one_by_one(), {},
        "error: targets: expected one array, found a dict with keys ['out']"),
    "input size": lambda: (
        sliced({**X, "imagery": IMAGERY[:, :6]}, Y), two_by_two(), {},
        "error: inputs['imagery']: expected shape (None, 8, 8, 3), found shape (None, 6, 8, 3)"),
    "inputs swapped": lambda: (
        sliced((SITE, IMAGERY), (LAND_COVER, COMPOSITION)), two_by_two(False), {},
        "expected shape (None, 8, 8, 3), found shape (None, 5); it fits 'site': are inputs swap"),
    "not batched": lambda: (
        tf.data.Dataset.from_tensor_slices((SITE, LAND_COVER)), one_by_one(), {},
        "error: inputs: expected shape (None, 5), found shape (5,); it is not batched"),
    "batched twice": lambda: (
        sliced(SITE, LAND_COVER).batch(2), one_by_one(), {},
        "found shape (None, 8, 5); it is batched twice"),
    "text input": lambda: (
        sliced(SITE.astype(str), LAND_COVER), one_by_one(), {},
        "error: inputs: expected float32, found string"),
    "text target": lambda: (
        sliced(SITE, LABELS.astype(str)), one_by_one(loss="sparse_categorical_crossentropy"), {},
        "error: targets: expected numbers, found string"),
    "lengths, first batch": lambda: (
        yielded((SITE, LAND_COVER[:8])), one_by_one(), {},
        "error: targets: expected 16 as in inputs, found 8 samples in the first batch"),
    "lengths, second batch": lambda: (
        yielded((SITE, LAND_COVER), (SITE, LAND_COVER[:8])), one_by_one(), {},
        "error: targets: expected 16 as in inputs, found 8 samples in the second batch"),
    "lengths, last batch": lambda: (
        yielded(*[(SITE, LAND_COVER)] * 3, (SITE, LAND_COVER[:8])), one_by_one(),
        {"whole_pass": True}, "found 8 samples in the batch 4"),
    "lengths, last batch by number": lambda: (
        Numbered(*[(SITE, LAND_COVER)] * 3, (SITE, LAND_COVER[:8])), one_by_one(), {},
        "found 8 samples in the last batch"),
    "tuple into sorted keys": lambda: (
        sliced((IMAGERY, SITE), Y), two_by_two(), {},
        "warning: inputs: expected a dict with keys ['imagery', 'site'], found a tuple, matched"),
    "tuple into unsorted keys": lambda: (
        sliced((IMAGERY, IMAGERY), LAND_COVER), two_images(dict), {},
        "error: inputs: expected a dict with keys ['imagery', 'relief'], found a tuple, matched"),
    "tuple of targets": lambda: (
        sliced(X, (COMPOSITION, LAND_COVER)), two_by_two(), {},
        "error: targets: expected a dict with keys ['composition', 'land_cover'], found a tuple"),
    "one-hot, sparse loss": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(loss="sparse_categorical_crossentropy"), {},
        "error: targets: expected class numbers, found one-hot shape (None, 3) with a sparse loss"),
    "numbers, one-hot loss": lambda: (
        sliced(SITE, LABELS), one_by_one(), {},
        "error: targets: expected one-hot (None, 3), found class numbers shape (None,) with a one"),
    "labels out of range": lambda: (
        sliced(SITE, LABELS + 1), one_by_one(loss="sparse_categorical_crossentropy"), {},
        "error: targets: expected labels 0 to 2, found labels 1 to 3 in the first batch"),
    "fractions as labels": lambda: (
        sliced(SITE, LABELS * 0.5), one_by_one(loss="sparse_categorical_crossentropy"), {},
        "error: targets: expected class numbers, found fractions"),
    "rows of two classes": lambda: (
        sliced(SITE, np.ones_like(LAND_COVER)), one_by_one(), {},
        "error: targets: expected rows that sum to 1, found values 1 to 1 in the first batch"),
    "binary from 0 to 2": lambda: (
        sliced(SITE, LABELS), one_by_one(1, "sigmoid", "binary_crossentropy"), {},
        "error: targets: expected values from 0 to 1, found values 0 to 2"),
    "units": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(4), {},
        "error: targets: expected one-hot (None, 4), found shape (None, 3)"),
    "broadcast target": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(1, "linear", "mse"), {},
        "error: targets: expected shape (None, 1), found shape (None, 3); target and output must"),
    "no softmax": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(activation="linear"), {},
        "error: output 'out': expected softmax, or from_logits=True, found activation 'linear'"),
    "two softmaxes": lambda: (
        sliced(SITE, LAND_COVER),
        one_by_one(loss=keras.losses.CategoricalCrossentropy(from_logits=True)), {},
        "warning: output 'out': expected one of the two, found softmax in the model and "
        "from_logits=True in the loss: Keras goes back to the logits, and warns"),
    "no sigmoid": lambda: (
        sliced(SITE, LABELS % 2), one_by_one(1, "linear", "binary_crossentropy"), {},
        "error: output 'out': expected sigmoid, or from_logits=True"),
    "softmax of one": lambda: (
        sliced(SITE, LABELS % 2), one_by_one(1, "softmax", "binary_crossentropy"), {},
        "error: output 'out': expected sigmoid, found softmax over one unit: always 1"),
    "alike": lambda: (
        sliced(SITE, changed(LAND_COVER, slice(None), [0, 1, 0])), one_by_one(), {},
        "warning: targets: expected samples of several kinds, found all 16 samples alike"),
    "NaN": lambda: (
        sliced(changed(SITE, (3, 1), np.nan), LAND_COVER), one_by_one(), {},
        "error: inputs: expected finite numbers, found 1 NaN values in the first batch"),
    "NaN in a shuffled zip": lambda: (
        tf.data.Dataset.zip(
            tf.data.Dataset.from_tensor_slices(changed(SITE, (3, 1), np.nan)),
            tf.data.Dataset.from_tensor_slices(LAND_COVER),
        ).shuffle(8, seed=1).batch(8), one_by_one(), {},
        "error: inputs: expected finite numbers, found 1 NaN values in the "),
    "infinity": lambda: (
        sliced(SITE, changed(COMPOSITION, (9, 1), np.inf)), one_by_one(2, "linear", "mse"), {},
        "error: targets: expected finite numbers, found 1 infinite values in the second batch"),
    "black": lambda: (
        sliced({**X, "imagery": 0 * IMAGERY}, Y), two_by_two(), {},
        "error: inputs['imagery']: expected images, found nothing but zeros in the first batch"),
    "scaled twice": lambda: (
        sliced({**X, "imagery": IMAGERY / 255}, Y), two_by_two(), {},
        "warning: inputs['imagery']: expected values 0–1 or 0–255, found values to 0.0039"),
    "weights, partial": lambda: (
        sliced(X, Y, {"land_cover": ONES}), two_by_two(), {},
        "error: weights['composition']: expected keys ['composition', 'land_cover'], found miss"),
    "weights, tuple": lambda: (
        sliced(X, Y, (ONES, ONES)), two_by_two(), {},
        "error: weights: expected a dict by output name, found a tuple"),
    "weights, zero": lambda: (
        sliced(SITE, LAND_COVER, 0 * ONES), one_by_one(), {},
        "error: weights: expected weights above 0, found all weights zero"),
    "weights, negative": lambda: (
        sliced(SITE, LAND_COVER, -ONES), one_by_one(), {},
        "error: weights: expected 0 or more, found weights down to -1"),
    "loss of no output": lambda: (
        sliced(X, Y), two_by_two(loss={"land_cover": "mse", "compositions": "mse"}), {},
        "error: loss['compositions']: expected 'composition', found a name that is no output"),
    "output without loss": lambda: (
        sliced(X, Y), two_by_two(loss={"land_cover": "mse"}), {},
        "warning: loss['composition']: expected one for each of ['land_cover', 'composition'], f"),
    "list of one loss": lambda: (
        sliced((IMAGERY, SITE), (LAND_COVER, COMPOSITION)), two_by_two(False, loss=["mse"]), {},
        "warning: loss: expected one for each of ['land_cover', 'composition'], found a list of 1: ['composition'] do not train"),
    "list of losses, sorted keys": lambda: (
        sliced(X, Y), two_by_two(loss=["mse", "mae"]), {},
        "error: loss: expected ['composition', 'land_cover'], found a list, matched to the outp"),
    "loss weight misspelled": lambda: (
        sliced(X, Y), two_by_two(loss_weights={"land_cover": 1.0, "mixture": 5.0}), {},
        "error: loss_weights['mixture']: expected one of the outputs ['land_cover', 'composition']"
        ", found a name that is no output, matched by sorted position in silence"),
    "loss weight missing": lambda: (
        sliced(X, Y), two_by_two(loss_weights={"land_cover": 1.0}), {},
        "error: model: Keras refuses the first batch: ValueError: `loss_weights` must match the number of losses, got 2 losses and 1 weights"),
    "loss weights for one loss": lambda: (
        sliced(X, Y), two_by_two(loss="mse", loss_weights={"land_cover": 1.0, "composition": 1.0}),
        {}, "`loss_weights` must match the number of losses, got 1 losses and 2 weights"),
    "metrics as loss weights": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(loss_weights=["accuracy"]), {},
        "error: loss_weights: expected numbers, found ['accuracy']; compile's third argument"),
    "metric of no output": lambda: (
        sliced(X, Y), two_by_two(metrics={"landcover": ["accuracy"]}), {},
        "error: metrics['landcover']: expected 'land_cover', found a name that is no output"),
    "list of one metric": lambda: (
        sliced(X, Y), two_by_two(metrics=["mae"]), {},
        "error: model: Keras refuses the first batch: ValueError: Expected an instance of dict, collections.OrderedDict"),
    "not compiled": lambda: (
        sliced(SITE, LAND_COVER), keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)]), {},
        "error: compile: expected a loss, found no loss: not compiled"),
    "class_weight": lambda: (
        sliced(X, Y), two_by_two(), {"class_weight": {0: 2.0}},
        "error: model: Keras refuses the first batch: ValueError: `class_weight` is only supported for Models with a single output"),
    "class_weight and weights": lambda: (
        sliced(SITE, LAND_COVER, ONES), one_by_one(), {"class_weight": {0: 2.0}},
        "Keras refuses"),
    "unknown length": lambda: (
        yielded((X, Y), length=0), two_by_two(), {},
        "warning: dataset: expected a known length, found unknown length: fit warns that data ran "
        "out, and each output's loss is reported too small"),
    "too few batches": lambda: (
        yielded((SITE, LAND_COVER), length=2), one_by_one(), {},
        "error: dataset: expected a batch, found batch 2 cannot be read: FailedPreconditionError"),
    "no batch": lambda: (
        yielded((SITE, LAND_COVER), length=0).take(0), one_by_one(), {},
        "error: dataset: expected 1 or more, found no batch"),
    "steps equal length": lambda: (
        yielded((SITE, LAND_COVER), length=0), one_by_one(), {"steps_per_epoch": 1, "epochs": 2},
        "error: steps_per_epoch: expected no steps, found 1 steps of 1 batches, of unknown length: epochs of 1, then of 0"),
    "steps equal length, counted": lambda: (
        yielded(*[(SITE, LAND_COVER)] * 6, length=0), one_by_one(),
        {"steps_per_epoch": 3, "epochs": 3, "whole_pass": True},
        "error: steps_per_epoch: expected no steps, found 3 steps of 6 batches, of unknown length: epochs of 3, then of 0"),
    "steps of an unknown length": lambda: (
        yielded(*[(SITE, LAND_COVER)] * 6, length=0), one_by_one(),
        {"steps_per_epoch": 3, "epochs": 3},
        "error: steps_per_epoch: expected no steps, found 3 steps of 6 batches, of unknown length: epochs of 3, then of 0"),
    "steps over length": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(), {"steps_per_epoch": 3},
        "warning: steps_per_epoch: expected at most 2, found 3 steps, and 2 batches"),
    "steps not repeated": lambda: (
        sliced(SITE, LAND_COVER, size=4), one_by_one(), {"steps_per_epoch": 3, "epochs": 2},
        "error: steps_per_epoch: expected a divisor of 4, found 3 steps of 4 batches: some"),
    "endless": lambda: (
        sliced(SITE, LAND_COVER).repeat(), one_by_one(), {},
        "error: dataset: expected an end, found it never ends: fit never returns"),
    "endless function": lambda: (
        tf.data.Dataset.from_generator(endless, output_signature=SPEC), one_by_one(), {},
        "error: dataset: expected an end, found no end in 101 batches: if it never ends, fit never ret"),
    "endless generator object": lambda: (
        endless(), one_by_one(), {}, "if it never ends, fit never returns: pass steps_per_epoch"),
    "endless validation": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(),
        {"validation_data": sliced(SITE, LAND_COVER).repeat()},
        "error: validation_data: expected an end, found it never ends"),
    "validation steps": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(),
        {"validation_data": sliced(SITE, LAND_COVER), "validation_steps": 3},
        "warning: validation_steps: expected at most 2, found 3 steps, and 2 batches"),
    "shuffled validation": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(),
        {"validation_data": sliced(SITE, LAND_COVER).shuffle(4)},
        "warning: validation_data: expected one order, found shuffled again each epoch"),
    "other validation": lambda: (
        sliced(X, Y), two_by_two(), {"validation_data": sliced({"imagery": IMAGERY}, Y)},
        "error: validation inputs['site']: expected keys ['imagery', 'site'], found missing"),
    "bad validation": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(),
        {"validation_data": sliced(SITE * np.nan, LAND_COVER)},
        "error: validation inputs: expected finite numbers, found 40 NaN values"),
    "empty the second time": lambda: (
        tf.data.Dataset.from_generator(lambda: OPEN, output_signature=SPEC), one_by_one(), {},
        "error: dataset: expected a new one at every call, found the same list_iterator at every"),
    "replayed generator": lambda: (
        (batch for batch in [(SITE, LAND_COVER)]), one_by_one(), {"epochs": 2},
        "error: dataset: expected 2 epochs, found a generator object: if it ends, later epochs replay"),
    "unknown shapes": lambda: (
        tf.data.Dataset.from_generator(
            lambda: iter([(SITE, LAND_COVER)]), output_types=(tf.float32, tf.float32)),
        one_by_one(), {},
        "error: inputs: expected a known number of axes, found unknown shape"),
    "new flow each epoch": lambda: (
        tf.data.Dataset.from_generator(
            lambda: keras.preprocessing.image.ImageDataGenerator().flow(IMAGERY, seed=1),
            output_signature=tf.TensorSpec((None, 8, 8, 3))).map(lambda x: (x[:, 0, 0, :1], x[:, 0, 0, 0])),
        column(), {"steps_per_epoch": 2},
        "warning: dataset: expected one flow for all epochs, found a new flow each epoch"),
    "function": lambda: (
        endless, one_by_one(), {}, "error: dataset: expected an end, found no end in 101 batches: if it never ends, fit never ret"),
    "zip": lambda: (
        zip([1], [2], strict=True), one_by_one(), {},
        "error: dataset: expected a dataset, arrays or a generator object, found a zip"),
    "reading fails": lambda: (
        yielded((SITE, LAND_COVER), spec=(SPEC[0], tf.TensorSpec((None, 4)))), one_by_one(), {},
        "error: dataset: expected a batch, found batch 1 cannot be read: "),
    "arrays of unequal length": lambda: (
        (SITE, LAND_COVER[:8]), one_by_one(), {},
        "error: targets: expected 16 as in inputs, found 8 samples in the arrays"),
    "generator object, list of inputs": lambda: (
        function_of(([IMAGERY, SITE], (LAND_COVER, COMPOSITION))), two_by_two(False), {},
        "error: inputs: expected a tuple or a dict, found a list of 2; put tuple(…) round it"),
    "generator object, list of both": lambda: (
        function_of([SITE, LAND_COVER]), one_by_one(), {},
        "error: element: expected a tuple, found a list; yield inputs, targets"),
    "generator object, dict": lambda: (
        function_of({"site": SITE}), one_by_one(loss=None), {},
        "error: element: expected a tuple, found a dict"),
    "generator object, one epoch": lambda: (
        each((SITE, LAND_COVER)), one_by_one(), {},
        "warning: dataset: expected a known length, found unknown length of a generator object"),
    "generator object that has run out": lambda: (
        run_out(each((SITE, LAND_COVER))), one_by_one(), {},
        "error: dataset: expected a fresh one, found a generator object that has run out; call its function"),
    "generator object for validation": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(),
        {"epochs": 2, "validation_data": each((SITE, LAND_COVER))},
        "error: validation_data: expected 2 epochs, found a generator object: if it ends"),
    "generator with raise": lambda: (
        tf.data.Dataset.from_generator(raising, output_signature=SPEC), one_by_one(), {},
        "error: dataset: expected a batch, found batch 3 cannot be read: UnknownError: RuntimeError: generator raised StopIteration"),
    "generator object with raise": lambda: (
        raising(), one_by_one(), {},
        "if it never ends, fit never returns: pass steps_per_epoch"),
    "class_weight, label above": lambda: (
        sliced(SITE, LABELS), one_by_one(loss="sparse_categorical_crossentropy"),
        {"class_weight": {0: 1.0, 1: 2.0}},
        "warning: class_weight: expected keys 0 to 2, found keys [0, 1]; add 2: 1.0, or fit fails in GatherV2 at the first such label"),
    "class_weight, one-hot above": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(), {"class_weight": {0: 1.0, 1: 2.0}},
        "warning: class_weight: expected keys 0 to 2, found keys [0, 1]; add 2: 1.0, or fit fails in GatherV2 at the first such label"),
    "class_weight, class above not seen": lambda: (
        sliced(SITE, LABELS % 2), one_by_one(loss="sparse_categorical_crossentropy"),
        {"class_weight": {0: 1.0, 1: 2.0}},
        "warning: class_weight: expected keys 0 to 2, found keys [0, 1]; add 2: 1.0, or fit fails"),
    "class_weight from 1": lambda: (
        (SITE, LABELS), one_by_one(loss="sparse_categorical_crossentropy"),
        {"class_weight": {1: 1.0, 2: 1.0, 3: 1.0}},
        "warning: class_weight: expected keys 0 to 2, found keys [1, 2, 3]; number the classes from 0: 3 is never looked up"),
    "class_weight, texts": lambda: (
        (SITE, LABELS), one_by_one(loss="sparse_categorical_crossentropy"),
        {"class_weight": {"0": 1.0, "1": 1.0}},
        "warning: class_weight: "),
    "class_weight, array": lambda: (
        sliced(SITE, LABELS), one_by_one(loss="sparse_categorical_crossentropy"),
        {"class_weight": np.ones(3)},
        "warning: class_weight: expected a dict of class number to weight, found a ndarray; dict("),
    "class_weight, empty": lambda: (
        sliced(SITE, LABELS), one_by_one(loss="sparse_categorical_crossentropy"),
        {"class_weight": {}},
        "error: model: Keras refuses the first batch: "),
    "class_weight, several labels": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(3, "sigmoid", "binary_crossentropy"),
        {"class_weight": {0: 1.0, 1: 2.0, 2: 1.0}},
        "warning: class_weight: expected one class a sample, found 3 labels a sample: only the largest"),
    "class_weight, mask without axis": lambda: (
        sliced(IMAGERY, MASK[..., 0]), mask_model(), {"class_weight": {0: 1.0, 1: 2.0, 2: 1.0}},
        "warning: class_weight: expected one class a sample, found shape (None, 8, 8); yield sample weights"),
    "class_weight, mask in arrays": lambda: (
        (IMAGERY, MASK), mask_model(), {"class_weight": {0: 1.0, 1: 2.0, 2: 1.0}},
        "warning: class_weight: expected one class a sample, found shape (None, 8, 8, 1); yield sample weights"),
    "class_weight, tuple of one": lambda: (
        sliced(SITE, (LAND_COVER,)), one_by_one(), {"class_weight": {0: 1.0, 1: 2.0, 2: 1.0}},
        "error: model: Keras refuses the first batch: "),
    "targets swapped": lambda: (
        sliced((IMAGERY, SITE), (COMPOSITION, LAND_COVER)), two_by_two(False), {},
        "error: targets[0]: expected one-hot (None, 3), found shape (None, 2); it fits "
        "'composition': are targets swapped?"),
    "targets swapped by name": lambda: (
        sliced(X, {"land_cover": COMPOSITION, "composition": LAND_COVER}), two_by_two(), {},
        "error: targets['composition']: expected shape (None, 2), found shape (None, 3); it fits "
        "'land_cover': are targets swapped?"),
    "targets swapped, by value": lambda: (
        sliced(SITE, {"age": LABELS % 2, "female": SITE[:, 0] * 80}), age_and_female(), {},
        "error: targets['female']: expected values from 0 to 1, found values "),
    "not batched, subclassed": lambda: (
        tf.data.Dataset.from_tensor_slices(({"site": SITE}, LABELS)),
        compiled(Subclassed(), SPARSE), {},
        "error: targets: expected a batch of samples, found a single number; it is not batched"),
    "not batched, generator object": lambda: (
        function_of((IMAGERY[0], np.int64(1))),
        mask_model(), {}, "found shape (8, 8, 3); it is not batched: stack several samples, or add an axis"),
    "list of numbers": lambda: (
        (SITE, LABELS.tolist()), one_by_one(loss="sparse_categorical_crossentropy"), {},
        "error: targets: expected an array, found a list of 16 values; put np.asarray(…) round it"),
    "list of numbers, by number": lambda: (
        Numbered((SITE.tolist(), LAND_COVER)), one_by_one(), {},
        "error: inputs: expected an array, found a list of 16 values; put np.asarray(…) round it"),
    "list of samples": lambda: (
        (list(IMAGERY), MASK), mask_model(), {},
        "error: inputs: expected one array, found a list of 16 arrays; put np.stack(…) round it"),
    "list of datasets": lambda: (
        [sliced(IMAGERY), sliced(SITE)], two_by_two(False), {},
        "error: dataset: expected a dataset, arrays or a generator object, found a list with datasets in "
        "it; tf.data.Dataset.zip(((input, input), targets)) makes one of them"),
    "windows": lambda: (
        tf.data.Dataset.from_tensor_slices((SITE, LABELS)).window(4), one_by_one(loss=SPARSE), {},
        "error: inputs: expected an array, found a dataset inside the batch; window(…).flat_map"),
    "fractions cut by the signature": lambda: (
        yielded((SITE, COMPOSITION), spec=(SPEC[0], tf.TensorSpec((None, 2), tf.int32))),
        one_by_one(2, "linear", "mse"), {},
        "error: targets: expected integers, or a signature of floats, found float32 with fractions"),
    "fractions cut from the second batch on": lambda: (
        yielded((SITE, np.ones((N, 2))), (SITE, COMPOSITION), spec=(SPEC[0], tf.TensorSpec((None, 2), tf.int64))),
        one_by_one(2, "linear", "mse"), {}, "cut to integers by the signature's int64; give the signature a float"),
    "argument of a generator, fractions cut": lambda: (
        tf.data.Dataset.from_generator(
            yields, args=[2], output_signature=(tf.TensorSpec((None, 5), tf.int32), SPEC[1])),
        one_by_one(), {}, "error: inputs: expected integers, or a signature of floats"),
    "words beyond the vocabulary": lambda: (
        sliced(np.full((N, 5), 9), LAND_COVER), embedding(), {},
        "error: model: Keras refuses the first batch: "),
    "table with texts": lambda: (
        (pd.DataFrame({"a": ["x"] * N, "b": 1.0}), LAND_COVER), one_by_one(), {},
        "error: inputs: expected float32, found object; "),
    "texts for numbers": lambda: (
        sliced(np.array(["a"] * N), LAND_COVER), one_by_one(), {},
        "1 error, 0 warnings\nerror: inputs: expected float32, found string"),
    "texts for words": lambda: (
        sliced(np.array(["a"] * N), LAND_COVER), embedding(None), {},
        "error: inputs: expected int32, found string; encode strings as numbers, with keras.layers."),
    "loss misspelled": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(loss="categorical_crosentropy"), {},
        "error: model: Keras refuses the first batch: "),
    "PyDataset without length": lambda: (
        keras.utils.PyDataset(), one_by_one(), {},
        "error: dataset: expected a number of batches, found no length: "),
    "generator function that wants an argument": lambda: (
        tf.data.Dataset.from_generator(yields, output_signature=SPEC), one_by_one(), {},
        "error: dataset: expected a batch, found batch 1 cannot be read: "),
    "endless iterator": lambda: (
        tf.data.Dataset.from_generator(
            lambda: itertools.cycle([(SITE, LAND_COVER)]), output_signature=SPEC),
        one_by_one(), {}, "error: dataset: expected an end, found no end in 101 batches: if it never ends, fit never ret"),
    "rows of several lengths": lambda: (
        ([[1.0, 2.0], [3.0]], LABELS[:2]), one_by_one(), {},
        "its rows differ in length: keras.utils.pad_sequences"),
    "no rows": lambda: (
        (SITE[:0], LAND_COVER[:0]), one_by_one(), {},
        "1 error, 0 warnings\nerror: dataset: expected 1 or more, found no batch; does the generator yield at all? are the arrays"),
    "texts for words, and numbers": lambda: (
        sliced(np.array(["a"] * N), LABELS), embedding(None), {},
        "1 error, 0 warnings\nerror: inputs: expected int32, found string"),
    "softmax of one, regression": lambda: (
        sliced(SITE, SITE[:, 0]), one_by_one(1, "softmax", "mse"), {},
        "error: output 'out': expected no activation, found softmax over one unit: always 1"),
    "validation not batched": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(),
        {"validation_data": tf.data.Dataset.from_tensor_slices((SITE, LAND_COVER))},
        "error: validation inputs: expected shape (None, 5), found shape (5,); it is not batched"),
    "numbers, divergence": lambda: (
        sliced(SITE, LABELS), one_by_one(loss=keras.losses.KLDivergence()), {},
        "error: targets: expected shape (None, 3), found shape (None,)"),
    "subclassed, one-hot and sparse": lambda: (
        sliced({"site": SITE}, LAND_COVER), compiled(Subclassed(), SPARSE), {},
        "error: model: Keras refuses the first batch: "),
    "subclassed, numbers and one-hot": lambda: (
        sliced({"site": SITE}, LABELS), compiled(Subclassed()), {},
        "error: model: Keras refuses the first batch: "),
    "filtered, with steps": lambda: (
        sliced(SITE, LAND_COVER).filter(lambda x, y: True), one_by_one(),
        {"steps_per_epoch": 2, "epochs": 3},
        "error: steps_per_epoch: expected no steps, found 2 steps of 2 batches, of unknown length: epochs of 2, then of 0"),
    "list of batches": lambda: (
        [(SITE, LAND_COVER)] * 2, one_by_one(), {},
        "found a list of 2 batches; datasets.from_batches(lambda: batches, length=len(batches))"),
    "iterator of a dataset": lambda: (
        iter(sliced(SITE, LAND_COVER)), one_by_one(), {}, "pass the dataset itself"),
    "channels first": lambda: (
        sliced(IMAGERY.transpose(0, 3, 1, 2), MASK), mask_model(), {},
        "the channels come first: np.moveaxis(…, 1, -1)"),
    "grey images": lambda: (
        sliced(IMAGERY[..., :1], MASK), mask_model(), {}, "read 1 channel with color_mode="),
    "integers wanted": lambda: (
        sliced(SITE, LAND_COVER), embedding(), {},
        "error: inputs: expected int32, found float32, cut to integers"),
}  # fmt: skip


def age_and_female():
    site = keras.Input((5,), name="site")
    female = keras.layers.Dense(1, activation="sigmoid", name="female")(site)
    model = keras.Model(site, {"age": keras.layers.Dense(1, name="age")(site), "female": female})
    model.compile(loss={"age": "mse", "female": "binary_crossentropy"})
    return model


def embedding(length=5):
    words = keras.Input((length,), dtype="int32")
    mean = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(9, 4)(words))
    model = keras.Model(words, keras.layers.Dense(3, activation="softmax")(mean))
    model.compile(loss="categorical_crossentropy")
    return model


@pytest.mark.parametrize("name", BROKEN)
def test_broken_pipeline_is_found(name):
    dataset, model, options, message = BROKEN[name]()
    report = check(dataset, model, **options)
    assert message in str(report), str(report)
    assert not report.ok
    assert not report
    assert all("\n" not in str(finding) and "—" not in str(finding) for finding in report)


# It fails in Keras, as the check says.
SHOUT = [
    "missing input", "misspelled target", "extra target", "four parts", "inputs side by side",
    "target as weights, by shape", "list", "one-hot, sparse loss", "labels out of range",
    "not batched", "weights, partial", "loss of no output", "loss weight missing", "class_weight",
    "dict for one output", "list of one metric", "too few batches", "unknown shapes", "zip",
    "generator object, list of inputs", "generator object, list of both", "generator object, dict",
    "generator object that has run out", "generator with raise", "class_weight, label above",
    "class_weight, array", "class_weight, empty",
    "class_weight, mask without axis", "class_weight, mask in arrays", "class_weight, tuple of one",
    "list of numbers", "list of samples", "list of datasets", "windows", "table with texts",
    "words beyond the vocabulary", "texts for numbers", "numbers, divergence", "list of batches",
    "subclassed, one-hot and sparse", "subclassed, numbers and one-hot", "iterator of a dataset",
    "channels first", "grey images",
]  # fmt: skip


@pytest.mark.parametrize("name", SHOUT)
def test_broken_pipeline_fails_in_keras(name):
    dataset, model, options, _ = BROKEN[name]()
    with pytest.raises(Exception):  # noqa: B017, PT011 - each its own
        model.fit(dataset, verbose=0, shuffle=False, **options)


def test_silent_failures_are_what_the_check_says():
    dataset, model, options, _ = BROKEN["steps equal length"]()
    assert model.fit(dataset, verbose=0, shuffle=False, **options).history["loss"][1] == 0.0
    dataset, model, _, _ = BROKEN["weights, zero"]()
    assert model.evaluate(dataset, verbose=0) == 0.0
    dataset, model, _, _ = BROKEN["broadcast target"]()
    assert np.isfinite(model.evaluate(dataset, verbose=0))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.head = keras.layers.Dense(3, activation="softmax")

    def call(self, inputs):
        return self.head(inputs["site"])


def compiled(model, loss="categorical_crossentropy", **options):
    model.compile(loss=loss, **options)
    return model


def sequential(*layers):
    return compiled(keras.Sequential([*layers, keras.layers.Dense(3, activation="softmax")]))


def sparse_dataset():
    element = (tf.sparse.from_dense(SITE), LAND_COVER)
    return tf.data.Dataset.from_tensor_slices(element).batch(8)


def sparse_model():
    site = keras.Input((5,), sparse=True)
    return compiled(keras.Model(site, keras.layers.Dense(3, activation="softmax")(site)))


def aligned(shuffle=True):
    def assemble(images, rows):
        return {"imagery": images["imagery"], "site": SITE[rows]}, {
            name: values[rows] for name, values in Y.items()
        }

    return generators.AlignedEpochs({"imagery": flow(shuffle=shuffle)}, assemble)


def mask_model():
    image = keras.Input((8, 8, 3))
    return compiled(
        keras.Model(image, keras.layers.Conv2D(3, 1, activation="softmax")(image)),
        "sparse_categorical_crossentropy",
    )


POSITIONS = ((IMAGERY, SITE), (LAND_COVER, COMPOSITION))
CORRECT = {
    "named": lambda: (sliced(X, Y), two_by_two(), {}),
    "positions": lambda: (sliced(*POSITIONS), two_by_two(False), {}),
    "dict into positions": lambda: (sliced(X, Y), two_by_two(False), {}),
    "list of losses": lambda: (
        sliced(*POSITIONS),
        two_by_two(False, loss=["categorical_crossentropy", "mse"], metrics=[["accuracy"], []]),
        {},
    ),
    "loss weights and metrics": lambda: (
        sliced(X, Y),
        two_by_two(
            loss_weights={"land_cover": 1.0, "composition": 5.0},
            metrics={"land_cover": "accuracy"},
        ),
        {},
    ),
    "an output without loss, said so": lambda: (
        sliced(X, Y), two_by_two(loss={**LOSSES, "composition": None}), {}),
    "weights by name": lambda: (
        sliced(X, Y, {"land_cover": ONES, "composition": ONES}), two_by_two(), {}),
    "one weight for all": lambda: (sliced(X, Y, ONES), two_by_two(), {}),
    "weights of one output": lambda: (sliced(SITE, LAND_COVER, ONES[:, None]), one_by_one(), {}),
    "sparse labels": lambda: (sliced(SITE, LABELS), one_by_one(loss=SPARSE), {}),
    "sparse labels, column": lambda: (sliced(SITE, LABELS[:, None]), one_by_one(loss=SPARSE), {}),
    "from logits": lambda: (
        sliced(SITE, LABELS),
        one_by_one(
            activation=None, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        {},
    ),
    "softmax as a layer": lambda: (
        sliced(SITE, LAND_COVER),
        sequential(keras.Input((5,)), keras.layers.Dense(3), keras.layers.Softmax()),
        {},
    ),
    "binary": lambda: (
        sliced(SITE, LABELS % 2),
        one_by_one(1, "sigmoid", "binary_crossentropy", metrics=["accuracy", "mae"]),
        {"class_weight": {0: 1.0, 1: 2.0}},
    ),
    "regression": lambda: (sliced(SITE, ONES * SITE[:, 0]), one_by_one(1, "linear", "mse"), {}),
    "mask": lambda: (sliced(IMAGERY, MASK), mask_model(), {}),
    "mask without axis": lambda: (sliced(IMAGERY, MASK[..., 0]), mask_model(), {}),
    "sequential": lambda: (sliced(SITE, LAND_COVER), sequential(keras.Input((5,))), {}),
    "sequential, not built": lambda: (sliced(SITE, LAND_COVER), sequential(), {}),
    "subclassed": lambda: (
        sliced({"site": SITE}, LAND_COVER), compiled(Subclassed()), {}),
    "ragged": lambda: (
        tf.data.Dataset.from_tensor_slices((tf.ragged.constant([[1], [1, 2]] * 8), LABELS)).batch(8),
        compiled(keras.Sequential([Summed(), keras.layers.Dense(3, activation="softmax")]), SPARSE), {}),
    "sparse": lambda: (sparse_dataset(), sparse_model(), {}),
    "sparse array": lambda: ((tf.sparse.from_dense(SITE), LAND_COVER), sparse_model(), {}),
    "argument of a generator": lambda: (
        tf.data.Dataset.from_generator(yields, args=[2], output_signature=SPEC)
        .apply(tf.data.experimental.assert_cardinality(2)), one_by_one(), {"epochs": 2}),
    "ones for regression": lambda: (
        sliced(SITE, ONES), one_by_one(1, "linear", "mse"), {}),
    "a rare one of several labels": lambda: (
        sliced(SITE, 0 * LAND_COVER), one_by_one(3, "sigmoid", "binary_crossentropy"), {}),
    "class_weight with a gap": lambda: (
        sliced(SITE, LABELS), one_by_one(loss=SPARSE), {"class_weight": {2: 5.0}}),
    "class_weight for some classes, arrays": lambda: (
        (SITE, LABELS), one_by_one(loss=SPARSE), {"class_weight": {1: 5.0}}),
    "class_weight for pixels": lambda: (
        sliced(IMAGERY, MASK), mask_model(), {"class_weight": {0: 1.0, 1: 2.0, 2: 1.0}}),
    "part of an endless one": lambda: (
        tf.data.Dataset.from_generator(endless, output_signature=SPEC).take(2)
        .apply(tf.data.experimental.assert_cardinality(2)), one_by_one(), {"epochs": 2}),
    "outer list, by number": lambda: (Numbered([SITE, LAND_COVER]), one_by_one(), {}),
    "whole floats for a signature of integers": lambda: (
        yielded((SITE, LABELS.astype("float32")), spec=(SPEC[0], tf.TensorSpec((None,), tf.int32))),
        one_by_one(loss=SPARSE), {}),
    "texts": lambda: (sliced(np.array(["a", "b"] * 8), LABELS % 2), texts(), {}),
    "words within the vocabulary": lambda: (sliced(RNG.integers(0, 9, (N, 5)), LAND_COVER),
        embedding(), {}),
    "table": lambda: ((pd.DataFrame(SITE), pd.Series(LABELS)), one_by_one(loss=SPARSE), {}),
    "inputs in a nest of nests": lambda: (
        sliced({"imagery": IMAGERY, "rest": (SITE, ONES)}, ONES), nest_model(), {}),
    "endless, with take": lambda: (
        sliced(SITE, LAND_COVER).repeat().take(4), one_by_one(), {"epochs": 2}),
    "from several, at random": lambda: (
        tf.data.Dataset.sample_from_datasets(
            [sliced(SITE, LABELS).repeat(), sliced(SITE, LABELS).repeat()], seed=1),
        one_by_one(loss=SPARSE), {"steps_per_epoch": 4, "epochs": 2}),
    "endless parts side by side": lambda: (
        tf.data.Dataset.range(4).flat_map(repeated), one_by_one(loss=SPARSE),
        {"steps_per_epoch": 4, "epochs": 2}),
    "windows of a series": lambda: (
        keras.utils.timeseries_dataset_from_array(SITE, LAND_COVER, 4, batch_size=8),
        sequential(keras.Input((4, 5)), keras.layers.GlobalAveragePooling1D()), {}),
    "PyDataset": lambda: (Numbered((SITE, LAND_COVER), (SITE, LAND_COVER)), one_by_one(), {}),
    "arrays": lambda: ((SITE, LAND_COVER), one_by_one(), {}),
    "dicts of arrays": lambda: ((X, Y), two_by_two(), {"validation_data": (X, Y)}),
    "list of arrays": lambda: (([IMAGERY, SITE], [LAND_COVER, COMPOSITION]), two_by_two(False), {}),
    "generator object": lambda: (endless(), one_by_one(), {"steps_per_epoch": 2, "epochs": 3}),
    "generator object that has begun": lambda: (
        begun(endless()), one_by_one(), {"steps_per_epoch": 2, "epochs": 3}),
    "endless function": lambda: (
        tf.data.Dataset.from_generator(endless, output_signature=SPEC),
        one_by_one(), {"steps_per_epoch": 2}),
    "two endless functions": lambda: (
        tf.data.Dataset.from_generator(lambda: both_endless(), output_signature=SPEC),
        one_by_one(), {"steps_per_epoch": 2, "epochs": 2}),
    "known length": lambda: (yielded((X, Y), (X, Y)), two_by_two(), {"epochs": 3}),
    "repeat and steps": lambda: (
        sliced(SITE, LAND_COVER).repeat(), one_by_one(), {"steps_per_epoch": 2, "epochs": 9}),
    "steps equal to a known length": lambda: (
        sliced(SITE, LAND_COVER), one_by_one(), {"steps_per_epoch": 2, "epochs": 9}),
    "steps within the length": lambda: (
        sliced(SITE, LAND_COVER, size=4), one_by_one(), {"steps_per_epoch": 2, "epochs": 2}),
    "usual chain": lambda: (
        tf.data.Dataset.from_tensor_slices((SITE, LABELS)).cache().shuffle(16, seed=0).batch(4)
        .map(lambda x, y: (x * 2, y)).prefetch(2),
        one_by_one(loss=SPARSE), {"validation_data": sliced(SITE, LABELS)}),
    "sorted and shuffled": lambda: (
        tf.data.Dataset.from_tensor_slices((SITE, np.sort(LABELS))).shuffle(16).batch(4),
        one_by_one(loss=SPARSE), {}),
    "aligned epochs": lambda: (
        datasets.from_batches(aligned()).prefetch(2), two_by_two(),
        {"validation_data": datasets.from_batches(aligned(shuffle=False)).prefetch(2)}),
    "open iterator": lambda: (
        tf.data.Dataset.from_generator(draws_from_open, output_signature=SPEC)
        .apply(tf.data.experimental.assert_cardinality(2)), one_by_one(), {}),
    "autoencoder": lambda: (
        sliced(SITE, SITE), compiled(sequential_of(5), "mse"), {}),
    "own loss": lambda: (
        sliced(SITE, SITE[:, 0]), one_by_one(loss=lambda y, p: tf.reduce_mean(p)), {}),
    "no targets, own loss": lambda: (sliced(SITE), compiled(OwnStep(), None), {}),
    "unlabelled border": lambda: (
        sliced(IMAGERY, changed(MASK, 0, 255)),
        compiled(mask_model(), keras.losses.SparseCategoricalCrossentropy(ignore_class=255)), {}),
    "distributed": lambda: (
        tf.distribute.OneDeviceStrategy("cpu").experimental_distribute_dataset(
            sliced(SITE, LAND_COVER)), one_by_one(), {}),
}  # fmt: skip


def repeated(_):
    return sliced(SITE, LABELS).repeat()


def texts():
    text = keras.Input((1,), dtype="string")
    number = keras.layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=2)(text)
    mean = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(4, 2)(number))
    head = keras.layers.Dense(1, activation="sigmoid")(mean)
    return compiled(keras.Model(text, head), "binary_crossentropy")


def nest_model():
    site, number = keras.Input((5,), name="site"), keras.Input((1,), name="number")
    inputs = {"imagery": keras.Input((8, 8, 3), name="imagery"), "rest": (site, number)}
    joined = keras.layers.Concatenate()([pixel(inputs["imagery"]), site, number])
    return compiled(keras.Model(inputs, keras.layers.Dense(1)(joined)), "mse")


def begun(generator):
    next(generator)
    return generator


def both_endless():
    for (site, _), (_, land_cover) in zip(endless(), endless(), strict=True):
        yield site, land_cover


SHARED = iter([])


def draws_from_open():
    for _ in range(2):
        yield next(SHARED)


class Summed(keras.layers.Layer):
    def call(self, words):
        return tf.cast(tf.reduce_sum(words, axis=1, keepdims=True), "float32")


class OwnStep(keras.Model):
    def train_step(self, data):
        return {"loss": tf.reduce_mean(data)}


def sequential_of(units):
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(units)])


@pytest.mark.parametrize("name", CORRECT)
def test_correct_pipeline_gives_no_alarm(name):
    dataset, model, options = CORRECT[name]()
    report = check(dataset, model, **options)
    assert report.ok, str(report)
    assert str(report).startswith("no errors, no warnings")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ragged", "not checked: inputs: ragged: its values"),
        ("generator object", "pass its function to check"),
        ("generator object that has begun", "not checked: values: a look would take batches"),
        ("open iterator", "not checked: values: a look would use up the list_iterator"),
        ("endless function", ""),
        ("distributed", "not checked: values: a DistributedDataset is not known here"),
    ],
)
def test_what_is_not_checked_is_said(name, message):
    dataset, model, options = CORRECT[name]()
    assert message in str(check(dataset, model, **options))


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        ("named", "no errors, no warnings"),
        ("ragged", "no errors, no warnings; 1 thing not checked"),
        ("distributed", "no errors, no warnings; 1 thing not checked"),
    ],
)
def test_the_summary_counts_what_was_not_checked(name, summary):
    dataset, model, options = CORRECT[name]()
    report = check(dataset, model, **options)
    assert str(report).splitlines()[0] == summary
    assert summary in report._repr_html_()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (((IMAGERY, SITE), Y), "warning: validation inputs: expected a dict with keys"),
        ((X, (LAND_COVER, COMPOSITION)), "error: validation targets: expected a dict with keys"),
        (
            (X, {"land_cover": LAND_COVER}),
            "error: validation targets['composition']: expected keys",
        ),
        ((X, LAND_COVER), "error: validation targets: expected 2 targets"),
        (
            (IMAGERY, SITE, LAND_COVER),
            "error: validation weights: expected ((input, input), targets)",
        ),
        (({**X, "relief": IMAGERY}, Y), "validation inputs['relief']: expected one of the inputs"),
        ((X,), "error: validation element: expected (inputs, targets)"),
    ],
)
def test_validation_of_another_structure_is_found(other, message):
    """No rule compares the two structures: validation is compared with the model, as training."""
    report = check(sliced(X, Y), two_by_two(), validation_data=sliced(*other))
    assert message in str(report), str(report)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("not batched", 1),
        ("not batched, subclassed", 1),
        ("not batched, generator object", 1),
        ("validation not batched", 1),
        ("inputs side by side", 1),
        ("target as weights", 1),
        ("texts for words", 1),
        ("targets swapped", 2),
        ("targets swapped by name", 2),
        ("targets swapped, by value", 1),
        ("inputs swapped", 2),
        ("list of samples", 1),
        ("list of datasets", 1),
    ],
)
def test_one_mistake_draws_no_other_errors(name, count):
    dataset, model, options, _ = BROKEN[name]()
    report = check(dataset, model, **options)
    assert len(report.errors) == count, str(report)
    assert all("unknown length" in finding.found for finding in report.warnings), str(report)


def test_targets_swapped_by_value_say_so():
    dataset, model, options, _ = BROKEN["targets swapped, by value"]()
    assert "it fits 'age': are targets swapped?" in str(check(dataset, model, **options))


def test_a_generator_is_never_called_endless_where_a_read_failed():
    def fails():
        while True:
            yield SITE, LAND_COVER[:, :2]

    dataset = tf.data.Dataset.from_generator(fails, output_signature=SPEC)
    assert "never" not in str(check(dataset, one_by_one()))


@pytest.mark.parametrize("rest", [lambda part: part, lambda part: part.take(2)])
def test_only_what_has_no_end_is_called_endless(rest):
    pairs = tf.data.Dataset.from_generator(endless, output_signature=SPEC)
    site, cover = pairs.map(lambda x, y: x), sliced(LAND_COVER, size=16)
    zipped = tf.data.Dataset.zip(rest(site), cover)
    assert "never" not in str(check(zipped, one_by_one()))
    assert "never" not in str(check(pairs.take(2), one_by_one()))


def test_a_generator_object_is_not_moved_on():
    random = np.random.default_rng(1)

    def drawn(count, *names, scale=1):
        for _ in range(count):
            yield random.random((4, 5)).astype("float32") * scale, LAND_COVER[:4]

    without, checked = (drawn(3, "a", scale=2) for _ in range(2))
    state = random.bit_generator.state
    report = check(checked, one_by_one(), steps_per_epoch=1, epochs=3)
    assert report.ok, str(report)
    assert random.bit_generator.state == state
    seen = [batch[0] for batch in checked]
    random.bit_generator.state = state
    assert all(np.array_equal(*pair) for pair in zip(seen, [x for x, _ in without], strict=True))


def test_what_a_generator_takes_from_is_not_emptied():
    batches = [(SITE, LAND_COVER)] * 3

    def takes(stack):
        while stack:
            yield stack.pop()

    assert check(takes(batches), one_by_one(), steps_per_epoch=1).ok
    assert len(batches) == 3


def test_the_advice_for_a_generator_object_works():
    function, model = function_of(*[(SITE, LAND_COVER)] * 3), one_by_one()
    report = str(check(each((SITE, LAND_COVER)), model, epochs=2))
    assert "datasets.from_batches(function, length=…)" in report
    dataset = datasets.from_batches(function, length=3)
    assert check(dataset, model, epochs=2).ok
    assert len(model.fit(dataset, epochs=2, verbose=0, shuffle=False).history["loss"]) == 2


def test_the_batch_of_the_caller_is_looked_at():
    bad = (SITE * np.nan, LAND_COVER)
    report = check(endless(), one_by_one(), steps_per_epoch=2, batch=bad)
    assert "80 NaN values in the first batch" in str(report)


def epochs_of(dataset, count=2):
    return [
        [np.asarray(leaf) for batch in dataset for leaf in tf.nest.flatten(batch)]
        for _ in range(count)
    ]


def by_hand():
    shared = flow()

    def batches():
        for _ in range(len(shared)):
            images, rows = next(shared)
            yield images, LAND_COVER[rows]

    spec = (tf.TensorSpec((None, 8, 8, 3)), tf.TensorSpec((None, 3)))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=spec)
    return dataset.apply(tf.data.experimental.assert_cardinality(4)).prefetch(2)


def counted():
    random = np.random.default_rng(5)

    def batches():
        yield random.random((4, 5)).astype("float32"), LAND_COVER[:4]

    return tf.data.Dataset.from_generator(
        batches, output_signature=(tf.TensorSpec((None, 5)), tf.TensorSpec((None, 3)))
    )


def flipped():
    layer = keras.layers.RandomFlip(seed=3)
    return sliced(IMAGERY, LAND_COVER).map(lambda x, y: (layer(x, training=True), y))


@pytest.mark.parametrize(
    "make",
    [
        lambda: datasets.from_batches(aligned()),
        lambda: datasets.from_batches(aligned()).prefetch(2).map(lambda x, y: (x, y)),
        by_hand,
        counted,
        flipped,
        lambda: tf.data.Dataset.range(9).shuffle(9, seed=2).batch(4).prefetch(1),
        lambda: tf.data.Dataset.zip(tf.data.Dataset.range(9).shuffle(9, seed=2)).batch(4),
        lambda: tf.data.Dataset.range(9).shuffle(9, seed=2).batch(4).filter(lambda x: True),
        lambda: Flowing(flow()),
    ],
)
def test_fit_sees_the_same_batches_with_and_without_check(make):
    model = compiled(Subclassed())
    without, checked = make(), make()
    for whole_pass in (False, True):
        check(checked, model, whole_pass=whole_pass)
    for one, other in zip(epochs_of(without), epochs_of(checked), strict=True):
        assert len(one) == len(other) > 0
        assert all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


class Flowing:
    """A flow as it is: a PyDataset, iterated here one epoch at a time."""

    def __new__(cls, one):
        one.__class__ = type("OneEpoch", (type(one),), {"__iter__": cls.epoch})
        return one

    @staticmethod
    def epoch(one):
        return iter([next(one) for _ in range(len(one))])


def test_random_states_are_left_alone():
    np.random.seed(4)
    expected = np.random.RandomState(4).random()
    check(by_hand(), one_by_one())
    check(flow(), one_by_one())
    assert np.random.random() == expected


def test_a_plan_can_be_checked_after_a_pass_that_was_left():
    plan = parallel.Plan(N, batch_size=8, seed=0)
    dataset = parallel.from_plan(plan, lambda rows, epoch: (SITE[rows], LAND_COVER[rows]))
    for _ in range(2):
        assert str(check(dataset, one_by_one())) == "no errors, no warnings"
        next(iter(dataset))


def test_the_model_is_left_alone():
    model = two_by_two(metrics={"land_cover": "accuracy"})
    model.fit(sliced(X, Y), verbose=0)

    def state():
        return (
            [weight.numpy().tolist() for weight in model.weights],
            int(model.optimizer.iterations),
            [float(value) for value in model.get_metrics_result().values()],
            model._compile_loss.built,
            model._compile_metrics.built,
        )

    before = state()
    check(sliced(X, Y), model, validation_data=sliced(X, Y))
    assert state() == before
    fresh, unbuilt = two_by_two(), compiled(Subclassed())
    check(sliced(X, Y), fresh)
    check(sliced({"site": SITE}, LAND_COVER), unbuilt)
    assert not fresh._compile_loss.built
    assert not fresh.optimizer.built
    assert not unbuilt.built


def test_strict_raises_with_the_whole_report():
    dataset, model, options, _ = BROKEN["misspelled input"]()
    report = check(dataset, model, **options)
    with pytest.raises(ContractError) as caught:
        check(dataset, model, strict=True, **options)
    assert str(caught.value) == str(report)
    with pytest.raises(ContractError, match="no input of that name"):
        report.raise_for_errors()
    check(sliced(X, Y), two_by_two(), strict=True)
    dataset, model, options, _ = BROKEN["alike"]()
    check(dataset, model, strict=True)  # a warning does not raise


def test_the_first_stage_with_an_error_ends_the_report():
    inputs = {"imagery": 0 * IMAGERY, "sites": SITE}
    report = check(sliced(inputs, Y), two_by_two(loss={"land_cover": "mse"}))
    assert [finding.rule for finding in report] == ["input-keys", "loss-missing"]
    assert str(report).splitlines()[0] == "1 error, 1 warning"
    severities = [finding.severity for finding in report]
    assert severities == sorted(severities)


def test_html_is_a_table_and_escaped():
    report = check(sliced({**X, "<b>": SITE}, Y), two_by_two())
    shown = report._repr_html_()
    assert "<b>" not in shown
    assert "&lt;b&gt;" in shown
    assert shown.count("<tr>") == 1 + len(report)
    assert "what should be" in shown
    assert "<table>" not in check(sliced(X, Y), two_by_two())._repr_html_()


def test_keys_that_cannot_be_sorted_are_reported_not_raised():
    batch = {0: SITE, "site": SITE}
    for dataset in ((batch, LAND_COVER), (batch, {0: LAND_COVER, "a": 1}), each((batch, batch))):
        for model in (one_by_one(), two_by_two(), compiled(Subclassed())):
            check(dataset, model)
    report = check((batch, LAND_COVER), one_by_one(loss={0: "mse", "out": "mse"}))
    assert "loss[0]" in {finding.leaf for finding in report.errors}


def test_no_model_is_refused():
    with pytest.raises(TypeError, match=r"model: expected a keras\.Model, found str"):
        check(sliced(X, Y), "model")


def test_a_function_that_forgot_its_return_is_told():
    assert "found None; is a return missing" in str(check(None, one_by_one()))


def test_validation_of_another_dtype_or_container_is_no_error():
    train = sliced(SITE, LAND_COVER)
    other = train.map(lambda x, y: ((tf.cast(x, tf.float64),), tf.cast(y, tf.float64)))
    assert check(train, one_by_one(), validation_data=other).errors == []
