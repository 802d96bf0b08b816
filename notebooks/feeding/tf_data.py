"""tf.data from files and tables, all of it in the graph."""

import tensorflow as tf

from feeding.samples import BATCH, PATHS, SITE, TARGETS

SIZES = {"imagery": 64, "relief": 32}


def load(inputs, targets):
    images = {}
    for name, size in SIZES.items():
        image = tf.io.decode_png(tf.io.read_file(inputs[name]), channels=3)
        image = tf.ensure_shape(image, (size, size, 3))
        images[name] = tf.cast(image, tf.float32) / 255
    return inputs | images, targets


def feed(rows):
    inputs = {name: paths[rows] for name, paths in PATHS.items()} | {"site": SITE[rows]}
    targets = {name: values[rows] for name, values in TARGETS.items()}
    samples = tf.data.Dataset.from_tensor_slices((inputs, targets))
    return samples.map(load, tf.data.AUTOTUNE).batch(BATCH).prefetch(2)


def rest(rows, done):
    return feed(rows).skip(done)


def share(rows, machine, machines):
    return feed(rows).unbatch().shard(machines, machine).batch(BATCH)
