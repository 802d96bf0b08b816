"""Wrong answers to the exercises of lesson 11, each with words of what its check must say."""

BEFORE = ["helpers"]

WRONG = {
    "11.1": [
        (
            "def workers_needed(rate, per_core, cores, share):\n"
            "    return round(rate / (per_core * cores * share))",
            "expected 7, found 6",
        ),
        (
            "def workers_needed(rate, per_core, cores, share):\n"
            "    return math.ceil(rate / (per_core * cores))",
            "expected 7, found 5",
        ),
    ],
    "11.2": [
        (
            "def with_noise(inputs, land_cover):\n"
            "    noise = tf.random.normal((5,), stddev=0.1, seed=525)\n"
            "    return inputs | {'site': inputs['site'] + noise}, land_cover",
            "alone: expected the noise that they have among all",
        ),
        (
            "def with_noise(inputs, land_cover):\n"
            "    noise = tf.random.stateless_normal((5,), seed=[525, 0], stddev=0.1)\n"
            "    return inputs | {'site': inputs['site'] + noise}, land_cover",
            "expected noise of its own for each row",
        ),
    ],
    "11.3": [
        (
            "def send(dataset, address, batch_size):\n"
            "    away = dataset.apply(servers.distribute('distributed_epoch', address))\n"
            "    return away.batch(batch_size)",
            "expected a length of 4, found -2",
        ),
        (
            "def send(dataset, address, batch_size):\n"
            "    away = dataset.batch(batch_size)\n"
            "    away = away.apply(servers.distribute('parallel_epochs', address))\n"
            "    return away.apply(tf.data.experimental.assert_cardinality(4))",
            "expected to contain 4 elements",
        ),
        (
            "def send(dataset, address, batch_size):\n    return dataset.batch(batch_size)",
            "expected rows that come through the service",
        ),
    ],
}
