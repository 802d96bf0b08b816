"""What is not yet right with an answer to an exercise of 11 Beyond one machine."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


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
