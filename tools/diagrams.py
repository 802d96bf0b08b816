"""Plot the diagrams that lessons show as image files: ``python tools/diagrams.py``.

GitHub and nbviewer show an image file in a lesson's text; the alternative text of each stands here
too, so that lesson and diagram say the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Patch

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks" / "images"

#: Of each image file, what it shows.
ALTERNATIVES = {
    "timelines.png": (
        "Three schedules of six batches on one axis of time. In the first, 110 ms long, generator "
        "and model take turns. In the second, 80 ms, the generator goes on while the model trains. "
        "In the third, 48 ms, the generator only plans the batches, two workers make them, and the "
        "model hardly waits."
    )
}

# What a batch costs, in milliseconds, and Okabe and Ito's colours, which colour-blind people too
# can tell apart.
COSTS = {"plan": 0.3, "make": 12.0, "train": 6.0}
COLOURS = {"plan": "#E69F00", "make": "#56B4E9", "train": "#009E73"}


class Task(NamedTuple):
    """One step of one batch: who does it, and when, in milliseconds."""

    who: str
    step: str
    batch: int
    start: float
    stop: float


def schedule(batches: int, *, workers: int = 0, ahead: bool = True) -> list[Task]:
    """Return when each step of each batch is done, if each takes as long as `COSTS` says.

    Parameters
    ----------
    batches : int
        How many pass.
    workers : int
        How many make batches at the same time. With 0 the generator makes them itself.
    ahead : bool
        Whether batches are made while the model trains, as with ``prefetch``.

    Examples
    --------
    >>> [round(max(task.stop for task in schedule(6, ahead=ahead))) for ahead in (False, True)]
    [110, 80]
    """
    tasks: list[Task] = []
    free = {"generator": 0.0, "model": 0.0}
    makers = [f"worker {number + 1}" for number in range(workers)] or ["generator"]
    for batch in range(batches):
        ready = 0.0 if ahead else free["model"]
        maker = min(makers, key=lambda name: free.get(name, 0.0))
        for who, step in (("generator", "plan"), (maker, "make"), ("model", "train")):
            start = max(ready, free.get(who, 0.0))
            ready = free[who] = start + COSTS[step]
            tasks.append(Task(who, step, batch, start, ready))
    return tasks


def timelines() -> Figure:
    """Plot three schedules of six batches below each other."""
    schedules = {
        "Textbook": schedule(6, ahead=False),
        "Prefetch": schedule(6),
        "Plan, two workers": schedule(6, workers=2),
    }
    roles = {name: sorted({task.who for task in tasks}) for name, tasks in schedules.items()}
    for own in roles.values():
        own.sort(key=lambda who: who == "model")  # generator, workers, model
    fig, grid = plt.subplots(
        len(schedules), figsize=(8, 5), height_ratios=[len(own) for own in roles.values()],
        sharex=True, layout="constrained",
    )  # fmt: skip
    for axes, (name, tasks) in zip(grid, schedules.items(), strict=True):
        for task in tasks:
            place, length = roles[name].index(task.who), task.stop - task.start
            axes.barh(place, length, 0.8, task.start, color=COLOURS[task.step], edgecolor="white")
            if task.step != "plan":
                middle = task.start + length / 2
                axes.text(middle, place, str(task.batch), ha="center", va="center")
        axes.set_yticks(range(len(roles[name])), roles[name])
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        length = max(task.stop for task in tasks)
        axes.set_title(f"{name}: {length:.0f} ms", loc="left", fontsize=10)
    grid[-1].set_xlabel("milliseconds; numbers are batches")
    handles = [Patch(color=colour, label=step) for step, colour in COLOURS.items()]
    fig.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    fig.suptitle("Each step removes a wait")
    return fig


def write(folder: Path = FOLDER) -> list[Path]:
    """Write every diagram to a folder; return the paths."""
    folder.mkdir(exist_ok=True)
    paths = []
    for name, plot in {"timelines.png": timelines}.items():
        paths.append(folder / name)
        plot().savefig(paths[-1], dpi=80, metadata={"Software": None})
        plt.close("all")
    return paths


if __name__ == "__main__":
    plt.switch_backend("Agg")
    print(*write(), sep="\n")
