"""Run the README's Python code and plot its figure: part of ``make notebooks``.

The figure, `batch.png`, shows the first batch of the dataset that the last block makes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import lesson_kernels
import pngs

ROOT = Path(__file__).resolve().parents[1]
FIGURE = ROOT / "batch.png"
TITLE = "Two images and two targets per sample: each column is one tile"


def code_blocks(text: str) -> list[str]:
    """Return the Python blocks of a Markdown text, in order."""
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def section(heading: str) -> str:
    """Return the text of a section of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def run_blocks() -> dict[str, Any]:
    """Run the blocks of the short answer in turn, as a reader would; return what they define."""
    names: dict[str, Any] = {}
    for block in code_blocks(section("The short answer")):
        exec(compile(block, "README.md", "exec"), names)
    return names


def plot(names: dict[str, Any], path: Path) -> None:
    """Plot the first batch of the dataset called ``checked`` to a PNG file."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from helpers import plots

    plots.show_batch(next(iter(names["checked"])), title=TITLE)
    pngs.save(plt.gcf(), path)
    plt.close("all")


if __name__ == "__main__":
    lesson_kernels.quieten_tensorflow()
    plot(run_blocks(), FIGURE)
