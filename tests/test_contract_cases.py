"""The contract check on pipelines as people have them; `fit` itself says which of them fail."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image
from test_contract import Numbered

from helpers import datasets
from helpers.contract import check

keras = tf.keras
layers = keras.layers
N = 32
RNG = np.random.default_rng(0)
IMAGES = RNG.random((N, 8, 8, 3)).astype("float32")
SITE = RNG.random((N, 5)).astype("float32")
LABELS = np.arange(N) % 3
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
BITS = (np.arange(N) % 2).astype("float32")
NUMBERS = RNG.random((N, 1)).astype("float32")
MASKS = RNG.integers(0, 2, (N, 8, 8, 1)).astype("float32")
ONES = np.ones(N, "float32")
WORDS = RNG.integers(0, 9, (N, 7))
SPARSE, CATEGORICAL, BINARY = (
    "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy",
)  # fmt: skip
ImageDataGenerator = keras.preprocessing.image.ImageDataGenerator


def compiled(model, loss=None, **options):
    model.compile(loss=loss, **options)
    return model


def one(units=3, activation="softmax", loss=SPARSE, shape=(5,), dtype=None, **options):
    site = keras.Input(shape, dtype=dtype, **options)
    flat = layers.Flatten()(site) if len(shape) > 1 else site
    return compiled(keras.Model(site, layers.Dense(units, activation=activation)(flat)), loss)


def sequential(*parts, loss=SPARSE):
    return compiled(keras.Sequential([*parts, layers.Dense(3, activation="softmax")]), loss)


def siamese(names=(None, None), structure=tuple):
    inputs = [keras.Input((8, 8, 3), name=name) for name in names]
    twin = keras.Sequential([layers.Flatten(), layers.Dense(4)])
    near = layers.Dot(1)([twin(part) for part in inputs])
    given = structure(zip(names, inputs, strict=True)) if structure is dict else list(inputs)
    return compiled(keras.Model(given, layers.Dense(1, activation="sigmoid")(near)), BINARY)


def heads(structure=dict, names=("kind", "value"), **options):
    images, site = keras.Input((8, 8, 3), name="images"), keras.Input((5,), name="site")
    joined = layers.Concatenate()([layers.Flatten()(images), site])
    kind = layers.Dense(3, activation="softmax", name=names[0])(joined)
    value = layers.Dense(1, name=names[1])(joined)
    if structure is dict:
        model = keras.Model(
            {"images": images, "site": site}, dict(zip(names, (kind, value), strict=True))
        )
        loss = dict(zip(names, (SPARSE, "mse"), strict=True))
    else:
        model, loss = keras.Model([images, site], [kind, value]), [SPARSE, "mse"]
    model.compile(**{"loss": loss, **options})
    return model


def segmentation(classes=1, activation="sigmoid", loss=BINARY):
    images = keras.Input((8, 8, 3))
    return compiled(
        keras.Model(images, layers.Conv2D(classes, 1, activation=activation)(images)), loss
    )


def embedding(length=7, mask=False):
    words = keras.Input((length,), dtype="int32")
    vectors = layers.Embedding(9, 4, mask_zero=mask)(words)
    return compiled(
        keras.Model(words, layers.Dense(3, activation="softmax")(layers.LSTM(4)(vectors))), SPARSE
    )


def optional():
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b", optional=True)
    return compiled(keras.Model({"a": a, "b": b}, layers.Dense(1)(Either()(a, b))), "mse")


class Either(layers.Layer):
    def call(self, a, b):
        return a if b is None else a + b


class Subclassed(keras.Model):
    def __init__(self, key=None):
        super().__init__()
        self.key, self.head = key, layers.Dense(3, activation="softmax")

    def call(self, inputs):
        return self.head(inputs if self.key is None else inputs[self.key])


class OwnStep(keras.Model):
    def __init__(self):
        super().__init__()
        self.head = layers.Dense(1)

    def call(self, inputs):
        return self.head(inputs["site"])

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(data[0]) - data[1]["value"]) ** 2)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


class Triplets(layers.Layer):
    def call(self, parts):
        self.add_loss(tf.reduce_mean(tf.square(parts[0] - parts[1])))
        return parts[2]


def triplets():
    inputs = [keras.Input((5,)) for _ in range(3)]
    return compiled(keras.Model(inputs, Triplets()([layers.Dense(2)(part) for part in inputs])))


def sliced(*element, size=8):
    return tf.data.Dataset.from_tensor_slices(element).batch(size)


def flow(x=IMAGES, y=LABELS, size=8, **options):
    return ImageDataGenerator(horizontal_flip=True).flow(x, y, batch_size=size, **options)


def endless(one=None):
    def batches():
        yield from one or flow(seed=1)

    return batches


IMAGE_SPEC = (tf.TensorSpec((None, 8, 8, 3)), tf.TensorSpec((None,), tf.int64))
SITE_SPEC = (tf.TensorSpec((None, 5)), tf.TensorSpec((None,), tf.int64))


def generated(function, spec=SITE_SPEC, length=None):
    dataset = tf.data.Dataset.from_generator(function, output_signature=spec)
    return (
        dataset
        if length is None
        else dataset.apply(tf.data.experimental.assert_cardinality(length))
    )


def stops_if(training):
    while True:
        yield SITE, LABELS
        if not training:
            break


def a_flow_of_its_own():
    one = flow(seed=1)
    for _ in range(4):
        yield next(one)


def bad_third(value):
    return [(value if number == 2 else SITE, LABELS) for number in range(5)]


def nan(array=SITE):
    array = array.copy()
    array.flat[3] = np.nan
    return array


def replaced(labels, value):
    labels = labels.copy()
    labels[::4] = value
    return labels


def joined_flows(*flows):
    def batches():
        for _ in range(4):
            pairs = [next(one) for one in flows]
            yield (pairs[0][0], pairs[1][0]), pairs[0][1].astype("float32")

    return generated(batches, ((tf.TensorSpec((None, 8, 8, 3)),) * 2, tf.TensorSpec((None,))), 4)


def overwriting():
    buffer = np.zeros((8, 5), "float32")
    for number in range(4):
        buffer[:] = SITE[8 * number : 8 * number + 8]
        yield buffer, LABELS[8 * number : 8 * number + 8]


def jittered(x, y):
    return x + np.random.normal(size=x.shape[1:]).astype("float32"), y


def captions():
    for length in (7, 9, 8):
        yield RNG.integers(0, 9, (4, length)), LABELS[:4]


RAISES, SILENT, HANGS = "raises", "silent", "hangs"
EARLY, REDUCE = keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau
# dataset, model, options of check, what the report must say, what fit does
BROKEN = {
    "flow in a generator object": lambda: (
        endless()(), one(shape=(8, 8, 3)), {}, "pass steps_per_epoch", HANGS),
    "shared flow in a generator object": lambda: (
        endless(flow(seed=1))(), one(shape=(8, 8, 3)), {}, "steps_per_epoch=4, as len(flow) says", HANGS),
    "flow in from_generator": lambda: (
        generated(endless(flow(seed=1)), IMAGE_SPEC), one(shape=(8, 8, 3)), {},
        "steps_per_epoch=4, as len(flow) says", HANGS),
    "endless as validation data": lambda: (
        sliced(SITE, LABELS), one(), {"validation_data": generated(endless(flow(SITE.reshape(N, 5, 1, 1), seed=1)),
        (tf.TensorSpec((None, 5, 1, 1)), tf.TensorSpec((None,), tf.int64))).map(lambda x, y: (x[:, :, 0, 0], y))},
        "validation_data: expected an end", HANGS),
    "break that never comes": lambda: (
        generated(lambda: stops_if(True)), one(), {}, "no end in 101 batches", HANGS),
    "break that never comes, validation": lambda: (
        sliced(SITE, LABELS), one(), {"validation_data": generated(lambda: stops_if(True))},
        "validation_data: expected an end", HANGS),
    "NaN in batch 3, tf.data": lambda: (
        generated(lambda: iter(bad_third(nan())), length=5), one(), {"whole_pass": True},
        "inputs: expected finite numbers, found 1 NaN values in the batch 3", SILENT),
    "NaN in batch 3, PyDataset": lambda: (
        Numbered(*bad_third(nan())), one(), {"whole_pass": True}, "1 NaN values in the batch 3", SILENT),
    "NaN in batch 3, function": lambda: (
        lambda: iter(bad_third(nan())), one(), {"whole_pass": True, "steps_per_epoch": 5},
        "1 NaN values in the batch 3", SILENT),
    "NaN in the last row of arrays": lambda: (
        (np.concatenate([SITE, nan()]), np.tile(LABELS, 2)), one(), {}, "1 NaN values", SILENT),
    "label out of range in batch 3": lambda: (
        generated(lambda: iter([(SITE, LABELS)] * 2 + [(SITE, LABELS + 1)]), length=3), one(),
        {"whole_pass": True}, "labels 1 to 3 in the batch 3", RAISES),
    "None for an input": lambda: (
        Numbered(({"images": IMAGES, "site": None}, {"kind": LABELS, "value": NUMBERS})), heads(), {},
        "inputs['site']: expected an array, found None", RAISES),
    "None in arrays": lambda: (
        ({"images": IMAGES, "site": None}, {"kind": LABELS, "value": NUMBERS}), heads(), {},
        "leave the key out", RAISES),
    "objects of a table": lambda: (
        Numbered((pd.DataFrame({"a": ["x", "y"] * 16})["a"].to_numpy(object), BITS)), texts(), {},
        ".astype(str)", RAISES),
    "objects of a table for numbers": lambda: (
        (pd.DataFrame({"a": [1.0, "y"] * 16})[["a"]], BITS), one(1, "sigmoid", BINARY, (1,)), {},
        "encode strings as numbers", RAISES),
    "gaps among strings": lambda: (
        (np.array(["a", None] * 16, object), BITS), texts(), {}, ".astype(str), once gaps are filled", RAISES),
    "captions through from_batches": lambda: (
        datasets.from_batches(captions, length=3), embedding(None), {},
        "pass signature= with None there: (None, None)", RAISES),
    "two shuffled flows without a seed": lambda: (
        joined_flows(flow(y=BITS), flow(y=BITS)), siamese(), {}, "[flows-apart]", SILENT),
    "two flows with two seeds": lambda: (
        joined_flows(flow(y=BITS, seed=1), flow(y=BITS, seed=2)), siamese(), {}, "behind it, with seed", SILENT),
    "one flow shuffled": lambda: (
        joined_flows(flow(y=BITS, seed=1), flow(y=BITS, seed=1, shuffle=False)), siamese(), {},
        "behind it, with shuffle", SILENT),
    "two flows of other lengths": lambda: (
        joined_flows(flow(y=BITS, seed=1, size=4), flow(IMAGES[:16], BITS[:16], seed=1, size=4)), siamese(), {},
        "behind it, with n ", SILENT),
    "names of unnamed inputs": lambda: (
        sliced({"left": IMAGES, "right": IMAGES}, BITS), siamese(), {}, "keras.Input(…, name=…)", RAISES),
    "batch of Python lists": lambda: (
        Numbered(([list(IMAGES), list(IMAGES)], BITS)), siamese(), {}, "np.stack", RAISES),
    "batch of Python lists, one input": lambda: (
        Numbered((list(SITE), LABELS)), one(), {}, "np.stack", RAISES),
    "binary labels for masks": lambda: (
        sliced(IMAGES, BITS), segmentation(), {}, "masks are images", RAISES),
    "generator inside the batch": lambda: (
        lambda: iter([(captions(), LABELS)]), one(), {"steps_per_epoch": 1}, "take next(…) of it, or return", RAISES),
    "weights for each task": lambda: (
        sliced(SITE, ONE_HOT, np.ones((N, 3), "float32")), one(3, "sigmoid", BINARY), {},
        "one weight vector for each output", RAISES),
    "lists in a list": lambda: (
        lambda: iter([[[IMAGES, IMAGES], BITS]]), siamese(), {"steps_per_epoch": 1}, "a tuple", RAISES),
    "predict, a bare tuple": lambda: (
        sliced(IMAGES, IMAGES), siamese(), {"predict": True}, "((input, input),)", RAISES),
    "no targets": lambda: (sliced((IMAGES, IMAGES)), siamese(), {}, "predict=True", RAISES),
    "dict of targets for one output": lambda: (
        sliced(SITE, {"kind": LABELS}), one(), {}, "make the model's output a dict", RAISES),
    "palette values as labels": lambda: (
        sliced(IMAGES, (MASKS * 38).astype("int32")), segmentation(3, "softmax", SPARSE), {},
        "number them 0 to 2; of a palette read the index", RAISES),
    "labels from 1": lambda: (sliced(SITE, LABELS + 1), one(), {}, "subtract 1", RAISES),
    "mask of 0 and 255": lambda: (
        sliced(IMAGES, MASKS * 255), segmentation(), {}, "divide the mask by 255", SILENT),
    "sigmoid for free numbers": lambda: (
        sliced(SITE, NUMBERS * 90), one(1, "sigmoid", "mse"), {}, "all that sigmoid gives", SILENT),
    "labels of -1 and 1": lambda: (
        sliced(SITE, BITS * 2 - 1), one(1, "sigmoid", BINARY), {}, "values from 0 to 1", SILENT),
    "generator that writes into its batch": lambda: (
        overwriting, one(), {"steps_per_epoch": 4}, "overwrites the first", SILENT),
    "PyDataset that writes into its batch": lambda: (
        Overwriting(), one(), {}, "overwrites the first", SILENT),
    "fixed batch size": lambda: (
        sliced(SITE[:20], LABELS[:20]), fixed(), {}, "8, fixed in the Input", RAISES),
    "fixed batch size, arrays": lambda: (
        (SITE[:20], LABELS[:20]), fixed(32), {}, "32, fixed in the Input", RAISES),
    "list of loss weights, sorted keys": lambda: (
        sliced({"images": IMAGES, "site": SITE}, {"z": LABELS, "a": NUMBERS}),
        heads(names=("z", "a"), loss_weights=[1.0, 9.0]), {}, "loss_weights: expected ['a', 'z']", SILENT),
    "list of metrics, sorted keys": lambda: (
        sliced({"images": IMAGES, "site": SITE}, {"z": LABELS, "a": NUMBERS}),
        heads(names=("z", "a"), metrics=[["mae"], ["mse"]]), {}, "metrics: expected ['a', 'z']", SILENT),
    "monitor without mode": lambda: (
        *named(metrics={"kind": "accuracy"}), {"validation_data": named()[0], "epochs": 2,
        "callbacks": [EARLY("val_kind_loss")]}, "without mode: fit raises", RAISES),
    "monitor misspelled": lambda: (
        *named(), {"validation_data": named()[0], "callbacks": [EARLY("val_kind_los", mode="min")]},
        "monitor='val_kind_loss'", SILENT),
    "monitor without validation": lambda: (
        *named(), {"callbacks": [REDUCE("val_loss")]}, "pass validation_data, or monitor='loss'", SILENT),
    "cached augmentation, flow": lambda: (
        generated(endless(flow(seed=1)), IMAGE_SPEC).take(4).cache(), one(shape=(8, 8, 3)), {"epochs": 2},
        "[cached-random]", SILENT),
    "cached augmentation, a flow made inside": lambda: (
        generated(a_flow_of_its_own, IMAGE_SPEC, 4).cache(),
        one(shape=(8, 8, 3)), {"epochs": 2}, "[cached-random]", SILENT),
    "cached augmentation, map": lambda: (
        sliced(SITE, LABELS).map(lambda x, y: (x + tf.random.normal(tf.shape(x)), y)).cache(), one(), {},
        "[cached-random]", SILENT),
    "NumPy's random numbers in a map": lambda: (
        sliced(SITE, LABELS).map(jittered), one(), {}, "[frozen-random]", SILENT),
    "classes numbered otherwise": lambda: (
        Classes(flow(IMAGES, seed=1), {"a": 0, "b": 1, "c": 2}), one(shape=(8, 8, 3)),
        {"validation_data": Classes(flow(IMAGES, seed=1, shuffle=False), {"a": 0, "c": 1})},
        "'b' is class none", SILENT),
    "validation not rescaled": lambda: (
        sliced(IMAGES, LABELS), one(shape=(8, 8, 3)), {"validation_data": sliced(IMAGES * 255, LABELS)},
        "[other-range]", SILENT),
    "validation not centred": lambda: (
        sliced(IMAGES * 2 - 1, LABELS), one(shape=(8, 8, 3)), {"validation_data": sliced(IMAGES, LABELS)},
        "[other-range]", SILENT),
    "subclassed, another key": lambda: (
        sliced({"sites": SITE}, LABELS), compiled(Subclassed("site"), SPARSE), {}, "KeyError: site", RAISES),
    "subclassed, a dict for an array": lambda: (
        sliced({"site": SITE}, LABELS), compiled(Subclassed(), SPARSE), {}, "Keras refuses", RAISES),
    "sequential without Input, strings": lambda: (
        sliced(SITE.astype(str), LABELS), sequential(), {}, "string", RAISES),
    "own step, another key": lambda: (
        sliced({"site": SITE}, {"values": NUMBERS}), compiled(OwnStep(), None), {}, "KeyError", RAISES),
    "words beyond the vocabulary, later": lambda: (
        generated(lambda: iter([(WORDS, LABELS), (WORDS + 9, LABELS)]),
        (tf.TensorSpec((None, 7), tf.int64), SITE_SPEC[1]), 2), embedding(), {}, "is not in [0, 9)", RAISES),
    "ragged for a dense input": lambda: (
        tf.data.Dataset.from_tensor_slices((tf.ragged.constant([[1.0], [1.0, 2.0]] * 8), LABELS[:16])).batch(8),
        one(), {}, "Keras refuses", RAISES),
    "time axis lacks": lambda: (
        sliced(SITE, LABELS), sequential(keras.Input((4, 5)), layers.LSTM(3)), {}, "[", RAISES),
    "class weights of a generator function's object": lambda: (
        lambda: iter([(SITE, LABELS)] * 2), one(), {"class_weight": {0: 1.0, 1: 1.0, 2: 2.0}, "steps_per_epoch": 2},
        "class_weight", RAISES),
    "mixed precision, one-hot": lambda: (
        sliced(SITE, ONE_HOT), mixed(), {}, "with a sparse loss", RAISES),
    "one-hot masks, sparse loss": lambda: (
        sliced(IMAGES, np.eye(3, dtype="float32")[RNG.integers(0, 3, (N, 8, 8))]),
        segmentation(3, "softmax", SPARSE), {}, "one-hot shape (None, 8, 8, 3)", RAISES),
    "a mask of another size": lambda: (
        sliced(IMAGES, MASKS[:, :4, :4]), segmentation(), {}, "shape (None, 4, 4, 1)", RAISES),
}  # fmt: skip


class Overwriting(keras.utils.PyDataset):
    buffer = np.zeros((8, 5), "float32")

    def __len__(self):
        return 4

    def __getitem__(self, number):
        self.buffer[:] = SITE[8 * number : 8 * number + 8]
        return self.buffer, LABELS[8 * number : 8 * number + 8]


def Classes(one, numbers):  # noqa: N802 - stands for flow_from_directory
    one.class_indices = numbers
    return one


def convolution():
    images = keras.Input((8, 8, 1))
    head = layers.Dense(3, activation="softmax")(layers.Flatten()(layers.Conv2D(2, 3)(images)))
    return compiled(keras.Model(images, head), SPARSE)


def texts():
    text = keras.Input((), dtype="string")
    number = layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=2)(text)
    mean = layers.GlobalAveragePooling1D()(layers.Embedding(4, 2)(number))
    return compiled(keras.Model(text, layers.Dense(1, activation="sigmoid")(mean)), BINARY)


def fixed(size=8):
    site = keras.Input(batch_shape=(size, 5))
    joined = layers.Concatenate()(
        [site, layers.Lambda(lambda _: tf.ones((size, 1)), output_shape=(1,))(site)]
    )
    return compiled(keras.Model(site, layers.Dense(3, activation="softmax")(joined)), SPARSE)


def mixed():
    site = keras.Input((5,))
    hidden = layers.Dense(4, dtype="mixed_float16")(site)
    return compiled(
        keras.Model(site, layers.Dense(3, activation="softmax", dtype="float32")(hidden)), SPARSE
    )


def named(**options):
    return sliced({"images": IMAGES, "site": SITE}, {"kind": LABELS, "value": NUMBERS}), heads(
        **options
    )


def as_fit_takes(dataset):
    """Return the arguments of `fit` for a dataset; a function is called, arrays are taken apart."""
    given = dataset() if callable(dataset) else dataset
    given = given if isinstance(given, tuple) else (given,)
    return dict(zip(("x", "y", "sample_weight"), given, strict=False))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_pipeline_is_found(name):
    dataset, model, options, message, effect = BROKEN[name]()
    report = check(dataset, model, **options)
    assert any(part in str(report) for part in message.split("|")), str(report)
    assert not report.ok, str(report)
    assert "could not be applied" not in str(report)
    if effect == RAISES:
        trial = {
            key: value for key, value in options.items() if key not in ("predict", "whole_pass")
        }
        data = as_fit_takes(dataset)
        run = model.predict if options.get("predict") else model.fit
        extra = {"shuffle": False, **trial} if run == model.fit else {}
        data = {"x": data["x"]} if run == model.predict else data
        with pytest.raises(Exception):  # noqa: B017, PT011 - each its own
            run(**data, verbose=0, **extra)


CORRECT = {
    "siamese, unnamed": lambda: (sliced((IMAGES, IMAGES), BITS), siamese(), {}),
    "siamese, arrays": lambda: (((IMAGES, IMAGES), BITS), siamese(), {}),
    "siamese, named dict": lambda: (
        sliced({"b": IMAGES, "a": IMAGES}, BITS), siamese(("b", "a"), dict), {}),
    "triplets, no targets": lambda: (sliced((SITE, SITE, SITE)), triplets(), {}),
    "predict, several inputs": lambda: (sliced((IMAGES, IMAGES)), siamese(), {"predict": True}),
    "predict, one input": lambda: (sliced(SITE).map(lambda x: (x,)), one(), {"predict": True}),
    "predict, with targets": lambda: (sliced(SITE, LABELS), one(), {"predict": True}),
    "predict, not compiled": lambda: (
        sliced(SITE).map(lambda x: (x,)), keras.Sequential([keras.Input((5,)), layers.Dense(2)]), {}),
    "missing labels, weight 0": lambda: (
        sliced(SITE, replaced(BITS, -1), np.where(np.arange(N) % 4, 1.0, 0.0)), one(1, "sigmoid", BINARY), {}),
    "rows of zeros, weight 0": lambda: (
        sliced(SITE, replaced(ONE_HOT, 0), np.where(np.arange(N) % 4, 1.0, 0.0)), one(loss=CATEGORICAL), {}),
    "rows of zeros in arrays": lambda: (
        (SITE, replaced(ONE_HOT, 0), np.where(np.arange(N) % 4, 1.0, 0.0)), one(loss=CATEGORICAL), {}),
    "sorted arrays": lambda: ((SITE, np.sort(LABELS)), one(), {}),
    "sorted arrays of many": lambda: ((np.tile(SITE, (4, 1)), np.sort(np.tile(LABELS, 4))), one(), {}),
    "captions with a signature": lambda: (
        datasets.from_batches(captions, length=3, signature=(tf.TensorSpec((None, None), tf.int64), SITE_SPEC[1])),
        embedding(None), {}),
    "captions, function": lambda: (captions, embedding(None), {"steps_per_epoch": 3}),
    "flow with steps": lambda: (
        generated(endless(flow(seed=1)), IMAGE_SPEC), one(shape=(8, 8, 3)), {"steps_per_epoch": 4, "epochs": 2}),
    "shared flow with steps": lambda: (endless(flow(seed=1))(), one(shape=(8, 8, 3)), {"steps_per_epoch": 4, "epochs": 2}),
    "flow": lambda: (flow(seed=1), one(shape=(8, 8, 3)), {"epochs": 2, "validation_data": flow(seed=1, shuffle=False)}),
    "flow cut by len": lambda: (
        generated(lambda: (next(SHARED) for _ in range(len(SHARED))), IMAGE_SPEC, 4), one(shape=(8, 8, 3)), {"epochs": 2}),
    "two flows in step": lambda: (joined_flows(flow(y=BITS, seed=1), flow(y=BITS, seed=1)), siamese(), {}),
    "stops": lambda: (generated(lambda: stops_if(False), length=1), one(), {}),
    "whole pass of an endless one": lambda: (
        generated(lambda: stops_if(True)), one(), {"steps_per_epoch": 3, "whole_pass": True}),
    "whole pass of repeat": lambda: (
        sliced(SITE, LABELS).repeat(), one(), {"steps_per_epoch": 3, "whole_pass": True, "epochs": 9}),
    "optional input left out": lambda: (({"a": SITE, "b": None}, NUMBERS), optional(), {}),
    "optional input there": lambda: (sliced({"a": SITE, "b": SITE}, NUMBERS), optional(), {}),
    "channel axis that Keras adds": lambda: (sliced(IMAGES[..., 0], LABELS), convolution(), {}),
    "objects in arrays, which Keras takes": lambda: ((np.array(["a", "b"] * 16, object), BITS), texts(), {}),
    "strings": lambda: (sliced(np.array(["a", "b"] * 16), BITS), texts(), {}),
    "strings of a table": lambda: (
        sliced(pd.DataFrame({"a": ["x", "y"] * 16})["a"].to_numpy(str), BITS), texts(), {}),
    "fixed batch size, remainder dropped": lambda: (
        tf.data.Dataset.from_tensor_slices((SITE[:20], LABELS[:20])).batch(8, drop_remainder=True), fixed(), {}),
    "list of equal loss weights": lambda: (named()[0], heads(loss_weights=[1.0, 9.0]), {}),
    "positions": lambda: (sliced((IMAGES, SITE), (LABELS, NUMBERS)), heads(list), {}),
    "names into positions": lambda: (
        sliced({"images": IMAGES, "site": SITE}, (LABELS, NUMBERS)), heads(list), {}),
    "a loss left out on purpose": lambda: (named()[0], heads(loss={"kind": SPARSE, "value": None}), {}),
    "monitor with mode": lambda: (
        *named(), {"validation_data": named()[0], "callbacks": [EARLY("val_kind_loss", mode="min")]}),
    "monitor of one output": lambda: (
        sliced(SITE, LABELS), one(), {"validation_data": sliced(SITE, LABELS), "callbacks": [EARLY(), REDUCE("val_loss")]}),
    "monitor of the metrics": lambda: (
        sliced(SITE, LABELS), compiled(one(), SPARSE, metrics=["accuracy"]),
        {"validation_data": sliced(SITE, LABELS), "callbacks": [EARLY("val_accuracy")]}),
    "a checkpoint each epoch": lambda: (
        sliced(SITE, LABELS), one(), {"callbacks": [Checkpoint("unused.keras")]}),
    "cache before augmentation": lambda: (
        sliced(SITE, LABELS).cache().map(lambda x, y: (x + tf.random.normal(tf.shape(x)), y)), one(), {}),
    "shuffle, cache": lambda: (
        tf.data.Dataset.from_tensor_slices((SITE, LABELS)).shuffle(N).cache().batch(8), one(), {}),
    "random layer in a map": lambda: (
        sliced(IMAGES, LABELS).map(lambda x, y: (FLIP(x, training=True), y)), one(shape=(8, 8, 3)), {}),
    "strings, batch after batch": lambda: (sliced(np.array(["red", "blue"] * 16), BITS, size=4), texts(), {}),
    "soft labels, all alike": lambda: (sliced(SITE, np.full((N, 3), 1 / 3, "float32")), one(loss=CATEGORICAL), {}),
    "constants in a map": lambda: (sliced(SITE, LABELS).map(lambda x, y: (x * np.float32(2) + SITE[0], y)), one(), {}),
    "validation alike": lambda: (
        sliced(IMAGES, LABELS), one(shape=(8, 8, 3)), {"validation_data": sliced(IMAGES[:8] * 0.4, LABELS[:8])}),
    "validation as arrays": lambda: (sliced(SITE, LABELS), one(), {"validation_data": (SITE, LABELS)}),
    "raw images and a Rescaling": lambda: (sliced((IMAGES * 255).astype("uint8"), LABELS), rescaled(), {}),
    "batch by hand": lambda: (endless(flow(seed=1))(), one(shape=(8, 8, 3)), {"batch": (IMAGES, LABELS), "steps_per_epoch": 4}),
    "own step": lambda: (sliced({"site": SITE}, {"value": NUMBERS}), compiled(OwnStep(), None), {}),
    "own step, one training step": lambda: (
        sliced({"site": SITE}, {"value": NUMBERS}), compiled(OwnStep(), None), {"trial_step": True}),
    "subclassed": lambda: (sliced({"site": SITE}, LABELS), compiled(Subclassed("site"), SPARSE), {}),
    "subclassed, PyDataset": lambda: (Numbered((SITE, LABELS), (SITE, LABELS)), compiled(Subclassed(), SPARSE), {}),
    "sequential without Input": lambda: (sliced(SITE, LABELS), sequential(), {}),
    "mixed precision": lambda: (sliced(SITE, LABELS), mixed(), {"trial_step": True}),
    "segmentation": lambda: (sliced(IMAGES, MASKS), segmentation(), {}),
    "segmentation, weights of pixels": lambda: (sliced(IMAGES, MASKS, MASKS[..., 0] + 1), segmentation(), {}),
    "segmentation, classes": lambda: (sliced(IMAGES, MASKS.astype("int32")), segmentation(3, "softmax", SPARSE), {}),
    "time steps": lambda: (
        sliced(RNG.random((N, 4, 5)).astype("float32"), LABELS), sequential(keras.Input((4, 5)), layers.LSTM(3)), {}),
    "next words, a weight for each": lambda: (sliced(WORDS, WORDS, np.minimum(WORDS, 1) * 1.0), next_word(), {}),
    "words, mask_zero": lambda: (sliced(WORDS, LABELS), embedding(mask=True), {}),
    "ragged words": lambda: (
        tf.data.Dataset.from_tensor_slices((tf.ragged.constant([[1], [1, 2]] * 16), LABELS)).batch(8)
        .map(lambda x, y: (x.to_tensor(shape=(None, 7)), y)), embedding(), {}),
    "weights by name": lambda: (
        sliced({"images": IMAGES, "site": SITE}, {"kind": LABELS, "value": NUMBERS}, {"kind": ONES, "value": ONES}),
        heads(), {}),
    "label smoothing": lambda: (
        sliced(SITE, ONE_HOT), one(loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1)), {}),
    "logits": lambda: (
        sliced(SITE, LABELS), one(activation=None, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)), {}),
    "several labels": lambda: (sliced(SITE, (SITE[:, :3] > 0.5) * 1.0), one(3, "sigmoid", BINARY), {}),
    "integer targets for mse": lambda: (sliced(SITE, LABELS), one(1, None, "mse"), {}),
    "class weights, dataset": lambda: (sliced(SITE, LABELS), one(), {"class_weight": {0: 1.0, 1: 2.0, 2: 1.0}}),
    "class weights, PyDataset": lambda: (
        Numbered((SITE, LABELS)), one(), {"class_weight": {0: 1.0, 1: 2.0, 2: 1.0}}),
    "steps below the length": lambda: (sliced(SITE, LABELS), one(), {"steps_per_epoch": 2, "epochs": 2}),
    "validation with steps": lambda: (
        sliced(SITE, LABELS), one(), {"validation_data": sliced(SITE, LABELS).repeat(), "validation_steps": 2}),
}  # fmt: skip
Checkpoint = type(
    "Checkpoint", (keras.callbacks.ModelCheckpoint,), {"on_epoch_end": lambda *_, **__: None}
)
SHARED, FLIP = flow(seed=1), layers.RandomFlip(seed=3)


def next_word():
    words = keras.Input((7,), dtype="int32")
    each = layers.Dense(9, activation="softmax")(layers.Embedding(9, 4)(words))
    return compiled(keras.Model(words, each), SPARSE)


def rescaled():
    images = keras.Input((8, 8, 3))
    small = layers.Flatten()(layers.Rescaling(1 / 255)(images))
    return compiled(keras.Model(images, layers.Dense(3, activation="softmax")(small)), SPARSE)


@pytest.mark.parametrize("name", CORRECT)
def test_a_correct_pipeline_gives_no_alarm(name):
    dataset, model, options = CORRECT[name]()
    report = check(dataset, model, **options)
    assert report.ok, str(report)
    assert "could not be applied" not in str(report)
    fitted = {
        "steps_per_epoch",
        "epochs",
        "validation_data",
        "validation_steps",
        "class_weight",
        "callbacks",
    }
    options = {key: value for key, value in options.items() if key in fitted}
    data = as_fit_takes(dataset)
    if model.compiled and "predict" not in CORRECT[name]()[2]:
        model.fit(**data, verbose=0, shuffle=False, **options)


def save_images(folder, count):
    (folder / "all").mkdir()
    for number in range(count):
        values = RNG.integers(0, 4, (8, 8)).astype("uint8")
        Image.fromarray(values).save(folder / "all" / f"{number}.png")


def test_a_flow_that_dropped_files_is_shorter_than_its_table(tmp_path):
    save_images(tmp_path, 8)
    table = pd.DataFrame({"path": [str(tmp_path / "all" / f"{n}.png") for n in range(9)]})
    images = ImageDataGenerator().flow_from_dataframe(
        table, x_col="path", class_mode=None, target_size=(8, 8), shuffle=False, batch_size=4
    )

    def batches():
        for number in range(2):
            yield next(images), values[4 * number : 4 * number + 4]

    values = np.arange(9, dtype="float32")
    dataset = generated(batches, (tf.TensorSpec((None, 8, 8, 3)), tf.TensorSpec((None,))), 2)
    assert "a flow over 8 files" in str(check(dataset, one(1, None, "mse", (8, 8, 3))))


def test_four_hundred_wrong_keys_are_one_finding():
    inputs = {f"input_{number}": SITE for number in range(400)}
    report = check(sliced(inputs, LABELS), heads())
    assert len(report) < 8
    assert len(str(report)) < 4000


@pytest.mark.parametrize("step", [False, True])
@pytest.mark.parametrize("make", [
    lambda: named(metrics={"kind": ["accuracy"]}),
    lambda: (sliced(SITE, LABELS), compiled(Subclassed(), SPARSE, metrics=["accuracy"])),
    lambda: (sliced(SITE, LABELS), sequential(layers.Dense(4), layers.Dropout(0.5), layers.BatchNormalization())),
    lambda: (sliced(SITE, LABELS), mixed()),
])  # fmt: skip
def test_a_model_trains_as_if_it_had_not_been_checked(make, step):
    histories = []
    for checked in (False, True):
        keras.utils.set_random_seed(3)
        dataset, model = make()
        if checked:
            check(dataset, model, trial_step=step)
            check(dataset, model, trial_step=step, validation_data=dataset)
        history = model.fit(dataset, epochs=2, verbose=0, shuffle=False).history
        if checked:
            check(dataset, model, trial_step=step)
        histories.append((history, [variable.numpy().tolist() for variable in model.variables],
            [variable.numpy().tolist() for variable in model.optimizer.variables]))  # fmt: skip
    assert histories[0] == histories[1]


def test_an_unbuilt_model_can_be_built_for_other_shapes():
    model = sequential()
    assert check(sliced(SITE[:, :3], LABELS), model).ok
    assert not model.built
    assert check(sliced(SITE, LABELS), model, trial_step=True).ok
    model.fit(sliced(SITE[:, :4], LABELS), verbose=0)


@pytest.mark.parametrize("odd", [
    None, 3, "text", b"x", object(), [], (), {}, [[]], [None], (None, None), {"a": None}, int, range(3),
    {1: SITE, "a": SITE}, [SITE, "a"], (SITE, {}), np.float32(3), np.array(None), iter([]), open, set(),
    tf.data.Dataset.range(0), tf.data.Dataset.range(3), tf.constant(1.0), (lambda: None), (lambda: 3),
    (lambda x: x), keras.utils.PyDataset(), Numbered(), Numbered(None), Numbered(3), Numbered((SITE, object())),
], ids=lambda odd: type(odd).__name__)  # fmt: skip
def test_odd_input_is_reported_not_raised(odd):
    for model in (one(), heads(), compiled(Subclassed(), SPARSE)):
        report = check(odd, model, whole_pass=True)
        check(sliced(SITE, LABELS), model, validation_data=odd)
        check(sliced(SITE, LABELS), model, batch=odd, class_weight=odd, callbacks=[odd])
        assert len(report)
