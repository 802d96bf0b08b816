"""What was measured, as text, as Markdown and as a chart: all from two tables of numbers.

`results.csv` has a line for each contender of each case, `machine.csv` what the numbers depend on.
``python -m benchmark.report`` writes `results.md` and `results.png` from them again.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.cases import PHOTOGRAPH, cores, name_of
from benchmark.contenders import LIMITS

__all__ = ["COLUMNS", "as_markdown", "as_text", "chart", "machine", "render"]

HERE = Path(__file__).resolve().parent

COLUMNS = [
    "size",  # pixels
    "images",  # a sample
    "source",
    "contender",
    "title",
    "kind",
    "times_textbook",  # median of the rounds' ratios; the smallest and the largest
    "low",
    "high",
    "images_per_second",
    "of_limit",  # median of the rounds' ratios
    "bits",  # "equal" where they were proven to be those of Keras
    "first_memory",  # bytes after the first epoch, and after the last one
    "last_memory",
    "epochs",
    "refused",  # why it was not measured
]
HEADINGS = (
    "contender",
    "× textbook",
    "smallest–largest",
    "images/s",
    "of the limit",
    "bits",
    "memory, MB",
)
PACKAGES = (
    "tensorflow",
    "keras",
    "numpy",
    "scipy",
    "numba",
    "pillow",
    "opencv-python-headless",
    "albumentations",
    "grain",
    "torch",
)
# Okabe and Ito's colours, told apart by colour-blind people too.
KINDS = {
    "textbook": ("the textbook pipeline", "#999999"),
    "rung": ("a step away from it", "#56B4E9"),
    "ours": ("this project: the bits of Keras", "#009E73"),
    "alternative": ("what else people use", "#E69F00"),
    "bare": ("the same, not passed to TensorFlow", "#F0E442"),
}


# Tables


def cells(row: Any) -> tuple[str, ...]:
    """Return what the report says of a contender: a line of the table."""
    first, last = (f"{value / 1e6:,.0f}" for value in (row.first_memory, row.last_memory))
    return (
        row.title,
        f"{row.times_textbook:.2f}",
        f"{row.low:.2f}–{row.high:.2f}",
        f"{row.images_per_second:,.0f}",
        "" if pd.isna(row.of_limit) else f"{row.of_limit:.2f}",
        "" if pd.isna(row.bits) else row.bits,
        f"{first} → {last} ({row.epochs:.0f} epochs)",
    )


def by_case(results: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return for each case its name and its lines: contenders from slow to fast, limits last."""
    cases = []
    for key, lines in results.groupby(["size", "images", "source"], sort=False):
        is_limit = (lines.kind == "limit").rename("is_limit")
        ranked = lines.assign(is_limit=is_limit).sort_values(["is_limit", "times_textbook"])
        cases.append((name_of(*key), ranked))
    return cases


def measured(lines: pd.DataFrame) -> list[Any]:
    """Return the lines of those that were not refused."""
    return list(lines[lines.refused.isna()].itertuples())


def remarks(lines: pd.DataFrame) -> list[str]:
    """Return what stands below a table: the best alternative, and who was refused."""
    said = []
    for kind, name in (("alternative", "Best alternative"), ("bare", "Without TensorFlow")):
        some = [row for row in measured(lines) if row.kind == kind]
        if some:
            best = max(some, key=lambda row: row.times_textbook)
            said.append(f"{name}: {best.title}, {best.times_textbook:.1f} × the textbook pipeline.")
    refused = lines[lines.refused.notna()].itertuples()
    return said + [f"Refused: {row.title}: {row.refused}" for row in refused]


def as_text(name: str, lines: pd.DataFrame) -> str:
    """Return the table of a case for a terminal."""
    table = [HEADINGS, *(cells(row) for row in measured(lines))]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEADINGS))]
    padded = [
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in table
    ]
    return "\n".join([name, "", *padded, "", *remarks(lines)])


def as_markdown(results: pd.DataFrame, facts: pd.DataFrame) -> str:
    """Return the whole report.

    Parameters
    ----------
    results : pandas.DataFrame
        Has the `COLUMNS`.
    facts : pandas.DataFrame
        Columns ``fact`` and ``value``, as `machine` returns them.
    """
    rounds = facts.set_index("fact").value["rounds"]
    lines = [
        "# What the benchmark found",
        "",
        "Written by `make bench`. Each number compares contenders that were asked in turn, in the "
        f"same round: median of {rounds} rounds. The",
        "limit is what bare loops with OpenCV on all cores do with the same files, without any "
        "framework: decode and warp from disk, warp from",
        "memory. Bits are equal where batches were found to be those of Keras' own code, bit for "
        f"bit. Photographs have {PHOTOGRAPH[1]} × {PHOTOGRAPH[0]} pixels.",
        "",
        "![How many times as fast as the textbook pipeline each contender is](results.png)",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {row.fact} | {row.value} |" for row in facts.itertuples()),
    ]
    for name, case in by_case(results):
        lines += ["", f"## {name}", ""]
        lines += [f"| {' | '.join(HEADINGS)} |", f"| --- {'| ---: ' * (len(HEADINGS) - 1)}|"]
        lines += [f"| {' | '.join(cells(row))} |" for row in measured(case)]
        lines += ["", *(f"- {line}" for line in remarks(case))]
    return "\n".join(lines).rstrip() + "\n"


def machine(rounds: int) -> pd.DataFrame:
    """Return what the numbers depend on: rounds, processor, system and versions.

    Returns
    -------
    pandas.DataFrame
        Columns ``fact`` and ``value``, strings.
    """
    found = {
        "date": datetime.date.today().isoformat(),
        "rounds": str(rounds),
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
    return pd.DataFrame(found.items(), columns=["fact", "value"])


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


# The chart


def headline(results: pd.DataFrame) -> str:
    """Return the chart's title: what to see in it."""
    parts = []
    for source, name in (("disk", "disk"), ("jpeg", "photographs"), ("memory", "memory")):
        some = results[(results.contender == "plan") & (results.source == source)].times_textbook
        if some.notna().any():
            low, high = f"{some.min():.1f}", f"{some.max():.1f}"
            parts.append(f"{low if low == high else f'{low}–{high}'} × from {name}")
    if parts:
        return f"A plan and workers make the bits of Keras {', '.join(parts)}"
    return "How many times as fast as the textbook pipeline"


def chart(results: pd.DataFrame, path: Path) -> None:
    """Plot one panel a case: bars for contenders, dashed lines for limits.

    Parameters
    ----------
    results : pandas.DataFrame
        Has the `COLUMNS`.
    path : Path
        The PNG file to write.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    cases = by_case(results[results.refused.isna()])
    columns = min(2, len(cases))
    lines = -(-len(cases) // columns)
    tallest = max((case.kind != "limit").sum() for _, case in cases)
    fig, axes = plt.subplots(
        lines,
        columns,
        figsize=(6.4 * columns, (0.32 * tallest + 1.1) * lines + 0.8),
        squeeze=False,
        layout="constrained",
    )
    for ax, (name, case) in zip(axes.flat, cases, strict=False):
        _panel(ax, name, case)
    for ax in axes.flat[len(cases) :]:
        ax.axis("off")
    handles = [
        mpl.patches.Patch(color=colour, label=label)
        for kind, (label, colour) in KINDS.items()
        if kind in set(results.kind)
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    fig.suptitle(headline(results), fontsize=14)
    fig.savefig(path, dpi=160, metadata={"Software": None})  # sharp at half its pixels, too
    plt.close(fig)


def _panel(ax: Any, name: str, case: pd.DataFrame) -> None:
    rows = [row for row in case.itertuples() if row.kind != "limit"]
    for place, row in enumerate(rows):
        ax.barh(place, row.times_textbook, color=KINDS[row.kind][1], height=0.72)
        ax.plot([row.low, row.high], [place, place], color="black", linewidth=1)
        ax.annotate(
            f"{row.times_textbook:.1f}",
            (row.high, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    ends = [row.high for row in rows]
    for row in case[case.contender == LIMITS[case.source.iloc[0]]].itertuples():
        ends.append(row.times_textbook)
        ax.axvline(row.times_textbook, color="black", linestyle="--", linewidth=1.2)
        ax.annotate(
            f"limit: {row.title}, {row.times_textbook:.1f} ",
            (row.times_textbook, -0.35),
            ha="right",
            va="center",
            fontsize=9,
        )
    ax.set_xlim(0, 1.12 * max(ends))
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_yticks(range(len(rows)), [row.title for row in rows])
    ax.set_title(name.replace(" photographs of", ","), loc="left", fontsize=11)
    ax.set_xlabel("times as fast as the textbook pipeline", fontsize=9)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def render(folder: Path = HERE) -> str:
    """Return the report on the two tables of a folder.

    Parameters
    ----------
    folder : Path
        Holds ``results.csv`` and ``machine.csv``.
    """
    facts = pd.read_csv(folder / "machine.csv", dtype=str)
    return as_markdown(pd.read_csv(folder / "results.csv"), facts)


def write(folder: Path = HERE) -> None:
    """Write ``results.md`` and ``results.png`` from the two tables of a folder."""
    (folder / "results.md").write_text(render(folder), encoding="utf-8")
    chart(pd.read_csv(folder / "results.csv"), folder / "results.png")


if __name__ == "__main__":
    write()
