"""What was measured, as text, as Markdown and as a chart."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.cases import Case, cores
from benchmark.contenders import LIMITS
from benchmark.measure import Row, Spread

__all__ = ["Result", "as_frame", "as_markdown", "as_text", "draw", "machine", "write"]

HEADINGS = (
    "contender",
    "× textbook",
    "smallest–largest",
    "pictures/s",
    "of the limit",
    "pixels differ",
    "memory, MB",
)
PACKAGES = (
    "tensorflow",
    "keras",
    "numpy",
    "scipy",
    "pillow",
    "opencv-python-headless",
    "albumentations",
    "grain",
    "torch",
)
# Okabe and Ito's colours, told apart by colour-blind people too.
COLOURS = {
    "textbook": "#999999",
    "rung": "#56B4E9",
    "ours": "#009E73",
    "alternative": "#E69F00",
    "bare": "#F0E442",
}
NAMES = {
    "textbook": "the textbook pipeline",
    "rung": "a step away from it",
    "ours": "this project: same pixels",
    "alternative": "what else people use",
    "bare": "the same, not handed to TensorFlow",
}


@dataclass(frozen=True)
class Result:
    """What one case has shown.

    Parameters
    ----------
    case : Case
        What was delivered.
    rows : list of Row
        One for each contender that was measured.
    refused : dict of str to str
        Why a contender was not.
    notes : list of str
        What else is to be known.
    """

    case: Case
    rows: list[Row]
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


# Tables


def cells(row: Row) -> tuple[str, ...]:
    """Return what the table says of a contender."""
    first, last = (f"{value / 1e6:,.0f}" for value in row.memory)
    return (
        row.title,
        f"{row.ratio.median:.2f}",
        f"{row.ratio.low:.2f}–{row.ratio.high:.2f}",
        f"{row.rate:,.0f}",
        "" if row.share is None else f"{row.share.median:.2f}",
        "" if row.difference is None else f"{row.difference:.4f}",
        f"{first} → {last} ({row.epochs} epochs)",
    )


def ranked(rows: Iterable[Row]) -> list[Row]:
    """Return contenders from slow to fast, limits last."""
    return sorted(rows, key=lambda row: (row.kind == "limit", row.ratio.median))


def remarks(result: Result) -> list[str]:
    """Return the lines below a table: the best alternative, who was refused, what was noticed."""
    lines = []
    for kind, said in (("alternative", "Best alternative"), ("bare", "Without TensorFlow")):
        rows = [row for row in result.rows if row.kind == kind]
        if rows:
            best = max(rows, key=lambda row: row.ratio.median)
            lines.append(f"{said}: {best.title}, {_times(best.ratio)} the textbook pipeline.")
    lines += [f"Refused: {name}: {why}" for name, why in result.refused.items()]
    return lines + [f"Note: {note}." for note in result.notes]


def as_text(result: Result) -> str:
    """Return the table for a terminal."""
    table = [HEADINGS, *(cells(row) for row in ranked(result.rows))]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEADINGS))]
    lines = []
    for line in table:
        padded = [line[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join([result.case.name, "", *lines, "", *remarks(result)])


def as_markdown(results: Sequence[Result], rounds: int) -> str:
    """Return the whole report.

    Parameters
    ----------
    results : sequence of Result
        One for each case.
    rounds : int
        How many rounds there were.
    """
    lines = [
        "# What the benchmark found",
        "",
        "Written by `make bench`. Each number compares contenders that were asked in turn, in the "
        f"same round: median of {rounds} rounds. The",
        "limit is what bare loops on all cores do with the same files, without any framework: "
        "decode and warp from disk, warp from memory.",
        "",
        "![How many times as fast as the textbook pipeline each contender is](results.png)",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in machine().items()),
    ]
    for result in results:
        lines += ["", f"## {result.case.name}", ""]
        lines += [f"| {' | '.join(HEADINGS)} |", f"| --- {'| ---: ' * (len(HEADINGS) - 1)}|"]
        lines += [f"| {' | '.join(cells(row))} |" for row in ranked(result.rows)]
        lines += ["", *(f"- {line}" for line in remarks(result))]
    return "\n".join(lines).rstrip() + "\n"


def as_frame(results: Sequence[Result]) -> pd.DataFrame:
    """Return all numbers in one table.

    Parameters
    ----------
    results : sequence of Result
        One for each case.

    Returns
    -------
    pandas.DataFrame
        A row for each contender of each case.
    """
    return pd.DataFrame(
        [
            {
                "size": result.case.size,
                "pictures": len(result.case.folders),
                "source": result.case.source,
                "contender": row.name,
                "title": row.title,
                "kind": row.kind,
                "times_textbook": row.ratio.median,
                "low": row.ratio.low,
                "high": row.ratio.high,
                "pictures_per_second": row.rate,
                "of_limit": None if row.share is None else row.share.median,
            }
            for result in results
            for row in result.rows
        ]
    )


def machine() -> dict[str, str]:
    """Return what the numbers depend on: processor, system and versions."""
    found = {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores used": str(cores()),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
    }
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Return the processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE)
        if named:
            return named.group(1)
    if platform.system() == "Darwin":
        asked = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            check=False,
        )
        return asked.stdout.strip() or platform.processor()
    return platform.processor() or platform.machine()


def _times(ratio: Spread) -> str:
    return f"{ratio.median:.1f} ×"


# The chart


def headline(results: Sequence[Result]) -> str:
    """Return the chart's title: what to see in it."""
    parts = []
    for source, name in (("disk", "recipes"), ("memory", "recipes")):
        medians = [
            row.ratio.median
            for result in results
            if result.case.source == source
            for row in result.rows
            if row.name == name
        ]
        if medians:
            low, high = f"{min(medians):.1f}", f"{max(medians):.1f}"
            parts.append(f"{low if low == high else f'{low}–{high}'} × from {source}")
    if parts:
        return f"Recipes feed the textbook pipeline's own pixels {', '.join(parts)}"
    return "How many times as fast as the textbook pipeline"


def draw(results: Sequence[Result], path: Path) -> None:
    """Draw one panel a case: bars for contenders, dashed lines for limits.

    Parameters
    ----------
    results : sequence of Result
        One for each case.
    path : Path
        The PNG file to write.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    columns = min(2, len(results))
    lines = -(-len(results) // columns)
    tallest = max(sum(row.kind != "limit" for row in result.rows) for result in results)
    fig, axes = plt.subplots(
        lines,
        columns,
        figsize=(6.4 * columns, (0.32 * tallest + 1.1) * lines + 0.8),
        squeeze=False,
        layout="constrained",
    )
    for ax, result in zip(axes.flat, results, strict=False):
        draw_case(ax, result)
    for ax in axes.flat[len(results) :]:
        ax.axis("off")
    kinds = [kind for kind in COLOURS if any(kind == row.kind for r in results for row in r.rows)]
    handles = [mpl.patches.Patch(color=COLOURS[kind], label=NAMES[kind]) for kind in kinds]
    fig.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    fig.suptitle(headline(results), fontsize=14)
    fig.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(fig)


def draw_case(ax: Any, result: Result) -> None:
    """Draw the panel of one case."""
    rows = [row for row in ranked(result.rows) if row.kind != "limit"]
    for place, row in enumerate(rows):
        ratio = row.ratio
        ax.barh(place, ratio.median, color=COLOURS[row.kind], height=0.72)
        ax.plot([ratio.low, ratio.high], [place, place], color="black", linewidth=1)
        ax.annotate(
            f"{ratio.median:.1f}",
            (ratio.high, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    limit = next((row for row in result.rows if row.name == LIMITS[result.case.source]), None)
    if limit is not None:
        ax.axvline(limit.ratio.median, color="black", linestyle="--", linewidth=1.2)
        ax.annotate(
            f"limit: {limit.title}, {limit.ratio.median:.1f} ",
            (limit.ratio.median, -0.35),
            ha="right",
            va="center",
            fontsize=9,
        )
    ends = [row.ratio.high for row in rows] + ([limit.ratio.median] if limit else [])
    ax.set_xlim(0, 1.12 * max(ends))
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_yticks(range(len(rows)), [row.title for row in rows])
    ax.set_title(result.case.name, loc="left", fontsize=11)
    ax.set_xlabel("times as fast as the textbook pipeline", fontsize=9)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def write(results: Sequence[Result], rounds: int, folder: Path) -> None:
    """Write ``results.md``, ``results.csv`` and ``results.png``.

    Parameters
    ----------
    results : sequence of Result
        One for each case.
    rounds : int
        How many rounds there were.
    folder : Path
        Where to.
    """
    (folder / "results.md").write_text(as_markdown(results, rounds), encoding="utf-8")
    as_frame(results).to_csv(folder / "results.csv", index=False, float_format="%.4g")
    draw(results, folder / "results.png")
