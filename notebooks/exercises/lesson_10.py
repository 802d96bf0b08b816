"""What is not yet right with an answer to an exercise of 10 Leaving ImageDataGenerator."""

from __future__ import annotations

from typing import Any

import numpy as np


def exercise_3(rows_of_machine: Any) -> str | None:
    """Every machine has equally many rows, none is on two, and as few as can be are left out."""
    for count, machines in ((480, 2), (479, 2), (100, 7)):
        order = np.random.default_rng(count).permutation(count)
        parts = [np.asarray(rows_of_machine(order, one, machines)) for one in range(machines)]
        where, size = f"{count} rows, {machines} machines", count // machines
        for number, part in enumerate(parts):
            if part.shape != (size,):
                found = part.size if part.ndim == 1 else f"an array of shape {part.shape}"
                return f"{where}: expected {size} rows on machine {number}, found {found}"
        together = np.concatenate(parts)
        distinct = np.unique(together)
        if len(distinct) < len(together):
            twice = len(together) - len(distinct)
            return f"{where}: expected each row once, found {twice} a second time"
        if not np.isin(distinct, order).all():
            return f"{where}: expected values of `order`, found others"
    return None
