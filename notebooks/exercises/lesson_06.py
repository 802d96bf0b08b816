"""What is not yet right with an answer to an exercise of 06 One transform for several images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from exercises.specs import is_no
from helpers import tiles, transforms


def exercise_1(shared: Any) -> str | None:
    """The transforms fill the border of a mask with the number of "other"."""
    problem = is_no(shared, transforms.SharedTransforms)
    if problem:
        return problem
    masks = {"cover": np.full((50, 64, 64, 1), 5, "uint8")}
    theta = np.abs(shared.lines(range(50), 0, (64, 64, 1))[:, 0]).max()
    if not 80 < theta <= 90:
        return f"expected rotations of up to 90 degrees, found up to {theta:.0f}"
    found = np.unique(shared(masks, range(50), 0)["cover"]).tolist()
    if found != [5, tiles.OTHER]:
        return (
            f"expected the class numbers [5, {tiles.OTHER}] of a mask that was 5 everywhere, "
            f"found {found}"
        )
    return None


def exercise_2(table_of: Any) -> str | None:
    """The table of brightness follows from seed, epoch and row alone."""
    table = table_of(100, 7, 0)
    problem = is_no(table, pd.DataFrame)
    if problem:
        return problem
    if list(table) != ["brightness"] or len(table) != 100:
        return f"expected 100 lines of ['brightness'], found {len(table)} of {list(table)}"
    low, high = table["brightness"].min(), table["brightness"].max()
    if not 0.8 <= low < 0.85 < 1.15 < high <= 1.2:
        return f"expected numbers from 0.8 to 1.2, found {low:.2f} to {high:.2f}"
    for words, other, count in (
        ("the same seed and epoch again", table_of(100, 7, 0), 100),
        ("a table of 200 lines", table_of(200, 7, 0)[:100], 100),
        ("another epoch", table_of(100, 7, 1), 0),
        ("another seed", table_of(100, 8, 0), 0),
        ("seed 0 in epoch 7", table_of(100, 0, 7), 0),
    ):
        equal = int((table.to_numpy() == other.to_numpy()).sum())
        if equal != count:
            return f"{words}: expected {count} of the first 100 lines to be equal, found {equal}"
    return None


def exercise_3(assemble: Any) -> str | None:
    """The function measures the vegetated part on the transformed mask."""
    rows = np.array([52, 100, 366])
    cover = np.zeros((3, 64, 64, 1), "float32")
    cover[0, :32], cover[1, :, :16], cover[2, :] = 3, 5, 8
    imagery = np.arange(3 * 64 * 64 * 3, dtype="float32").reshape(3, 64, 64, 3)
    batch = assemble({"imagery": imagery, "cover": cover}, rows)
    if not isinstance(batch, tuple) or len(batch) != 2:
        return f"expected a tuple (imagery, vegetated part), found {type(batch).__name__}"
    if not np.array_equal(batch[0], imagery):
        return "the first part: expected the imagery as it came, found other values"
    found = np.asarray(batch[1])
    if found.shape != (3, 1):
        return f"the second part: expected the shape (3, 1) for 3 masks, found {found.shape}"
    if not np.allclose(found[:, 0], [0.5, 0.25, 0], atol=1e-6):
        return (
            "expected 0.50, 0.25 and 0.00 for masks that are half, a quarter and not vegetated, "
            f"found {', '.join(f'{part:.2f}' for part in found[:, 0])}"
        )
    if found.dtype != np.float32:
        return f"the second part: expected float32, found {found.dtype}"
    return None
