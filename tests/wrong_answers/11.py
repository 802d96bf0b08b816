"""Wrong answers to the exercises of lesson 11, each with words of what its check must say."""

WRONG = {
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
    ],
}
