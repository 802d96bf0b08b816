"""Run the README's Python code and draw its picture: part of ``make notebooks``.

The picture, `batch.png`, shows the first batch of the dataset that the last block makes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "batch.png"
TITLE = "Two pictures and two targets a sample: each column is one tile"


def code_blocks(text: str) -> list[str]:
    """Return the Python blocks of a Markdown text, in order."""
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run_blocks() -> dict[str, Any]:
    """Run the blocks one after the other, as a reader would; return the names they define."""
    names: dict[str, Any] = {}
    for block in code_blocks((ROOT / "README.md").read_text(encoding="utf-8")):
        exec(compile(block, "README.md", "exec"), names)
    return names


def draw(names: dict[str, Any], path: Path) -> None:
    """Draw the first batch of the dataset called ``checked`` to a PNG file."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from helpers import plots

    plots.show_batch(next(iter(names["checked"])), title=TITLE)
    plt.savefig(path, metadata={"Software": None})
    plt.close("all")


if __name__ == "__main__":
    import helpers  # first of all: keeps TensorFlow's start-up notices away

    draw(run_blocks(), PICTURE)
