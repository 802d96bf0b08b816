"""What is not yet right with an answer to an exercise of 11 Beyond one machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


def exercise_1(workers_needed: Any) -> str | None:
    """The number of workers is rounded up, and counts the cores that make images."""
    for arguments, expected in (
        ((20_000, 250.0, 16, 0.8), 7),
        ((2_500, 250.0, 10, 1.0), 1),
        ((2_501, 250.0, 10, 0.5), 3),
    ):
        found = workers_needed(*arguments)
        if found != expected:
            return f"workers_needed{arguments}: expected {expected}, found {found!r}"
    return None


def exercise_2(with_noise: Any) -> str | None:
    """The noise of a row follows from the row, in whatever order the rows come."""
    site, classes = np.zeros((480, 5), "float32"), np.eye(8, dtype="float32")[np.arange(480) % 8]

    def noise_of(rows: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
        inputs = {"row": np.asarray(rows, "int64"), "site": site[rows]}
        samples = tf.data.Dataset.from_tensor_slices((inputs, classes[rows]))
        element = next(iter(samples.map(with_noise).batch(len(rows))))
        return tf.nest.map_structure(lambda leaf: leaf.numpy(), element)

    rows = np.arange(480)
    inputs, land_cover = noise_of(rows)
    if sorted(inputs) != ["row", "site"] or not np.array_equal(inputs["row"], rows):
        return f"expected inputs with the row and the site as before, found {sorted(inputs)}"
    if not np.array_equal(land_cover, classes):
        return "land_cover: expected the classes as they were, found others"
    noise = inputs["site"]
    if noise.shape != (480, 5) or noise.dtype != np.float32:
        return f"site: expected float32 of shape (5,), found {noise.dtype} of {noise.shape[1:]}"
    if len(np.unique(noise.round(6))) < 2000:
        return "expected noise of its own for each row and number, found the same for several"
    if abs(noise.mean()) > 0.02 or abs(noise.std() - 0.1) > 0.02:
        return (
            "expected noise with a mean of 0 and a standard deviation of 0.1, "
            f"found {noise.mean():.2f} and {noise.std():.2f}"
        )
    for some in (rows[::-1], rows[100:200], rows[1::4]):
        share = np.mean(noise_of(some)[0]["site"] != noise[some])
        if share:
            return (
                f"rows {some[0]}, {some[1]}, … alone: expected the noise that they have among all, "
                f"found {share:.0%} of the numbers otherwise"
            )
    return None


def exercise_3(send: Any) -> str | None:
    """Each row comes once through two workers, in batches, with a known length."""
    servers = tf.data.experimental.service
    dispatcher = servers.DispatchServer()
    address = dispatcher.target.partition("://")[2]
    workers = [servers.WorkerServer(servers.WorkerConfig(address)) for _ in range(2)]
    rows = tf.data.Dataset.range(1000).map(lambda row: {"row": row, "half": row / 2})
    result = send(rows, dispatcher.target, 300)
    if not isinstance(result, tf.data.Dataset):
        return f"expected a dataset, found {type(result).__name__}"
    graph = tf.raw_ops.DatasetToGraphV2(input_dataset=tf.data.experimental.to_variant(result))
    if b"DataServiceDataset" not in graph.numpy():
        return "expected rows that come through the service, found a dataset without `distribute`"
    length = int(result.cardinality())
    if length != 4:
        return f"1000 rows in batches of 300: expected a length of 4, found {length}"
    batches = [[int(row) for row in batch["row"]] for batch in result]
    sizes = [len(batch) for batch in batches]
    if sum(sizes) != 1000:
        return f"two workers: expected 1000 rows, found {sum(sizes)}"
    if sizes != [300, 300, 300, 100]:
        return f"expected batches of 300, 300, 300 and 100 rows, found {sizes}"
    if len({row for batch in batches for row in batch}) != 1000:
        return "two workers: expected each row once, found some twice"
    for server in (*workers, dispatcher):
        server.stop()
    return None
