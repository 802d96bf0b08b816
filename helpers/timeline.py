"""Who works when: the schedule of a pipeline, computed from what each step costs, and drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt

__all__ = ["Task", "schedule", "show_timelines"]

# Okabe and Ito's colours: told apart by colour-blind people too.
_COLOURS = {"draw": "#E69F00", "make": "#56B4E9", "train": "#009E73"}


@dataclass(frozen=True)
class Task:
    """One step of one batch.

    Parameters
    ----------
    who : str
        Who does it: "generator", "worker 1", …, "model".
    step : {"draw", "make", "train"}
        What is done.
    batch : int
        For which batch, from 0.
    start, stop : float
        When, in milliseconds.
    """

    who: str
    step: str
    batch: int
    start: float
    stop: float


def schedule(
    batches: int, *, draw: float, make: float, train: float, workers: int = 0, ahead: bool = True
) -> list[Task]:
    """Return when each step of each batch is done, if each takes as long as it is said to.

    Parameters
    ----------
    batches : int
        How many pass.
    draw, make, train : float
        What a batch costs: to draw its recipe, to make it, to train on it. In milliseconds.
    workers : int
        How many make batches at the same time. With 0 the generator makes them itself.
    ahead : bool
        Whether batches are made while the model trains, as with ``prefetch``.

    Returns
    -------
    list of Task
        In the order of the batches.

    Examples
    --------
    >>> max(task.stop for task in schedule(4, draw=1, make=8, train=3, ahead=False))
    48.0
    >>> max(task.stop for task in schedule(4, draw=1, make=8, train=3))
    39.0
    >>> max(task.stop for task in schedule(4, draw=1, make=8, train=3, workers=2))
    23.0
    """
    tasks: list[Task] = []
    generator_free, model_free = 0.0, 0.0
    workers_free = [0.0] * workers

    def take(who: str, step: str, batch: int, start: float, cost: float) -> float:
        tasks.append(Task(who, step, batch, start, start + cost))
        return start + cost

    for batch in range(batches):
        start = generator_free if ahead else max(generator_free, model_free)
        generator_free = made = take("generator", "draw", batch, start, draw)
        if workers:
            first = workers_free.index(min(workers_free))
            start = max(workers_free[first], made)
            workers_free[first] = made = take(f"worker {first + 1}", "make", batch, start, make)
        else:
            generator_free = made = take("generator", "make", batch, made, make)
        model_free = take("model", "train", batch, max(model_free, made), train)
    return tasks


def show_timelines(timelines: Mapping[str, Sequence[Task]], *, title: str) -> None:
    """Draw schedules below each other on one axis of time.

    Parameters
    ----------
    timelines : mapping of str to sequence of Task
        A schedule for each name.
    title : str
        What to see.
    """
    names = {name: list(dict.fromkeys(t.who for t in tasks)) for name, tasks in timelines.items()}
    for own in names.values():
        own.sort(key=lambda who: ("generator", "worker", "model").index(who.split()[0]))
    fig, axes = plt.subplots(
        len(timelines),
        figsize=(8, 1 + 0.45 * sum(len(own) + 1 for own in names.values())),
        height_ratios=[len(own) for own in names.values()],
        sharex=True,
        layout="constrained",
    )
    for ax, (name, tasks) in zip(axes, timelines.items(), strict=True):
        for task in tasks:
            place, length = names[name].index(task.who), task.stop - task.start
            ax.barh(place, length, 0.8, task.start, color=_COLOURS[task.step], edgecolor="white")
            if task.step != "draw":
                ax.text(task.start + length / 2, place, task.batch, ha="center", va="center")
        ax.set_yticks(range(len(names[name])), names[name])
        ax.invert_yaxis()
        ax.set_title(f"{name}: {max(task.stop for task in tasks):.0f} ms", loc="left", fontsize=10)
    axes[-1].set_xlabel("milliseconds; numbers are batches")
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in _COLOURS.values()]
    fig.legend(handles, list(_COLOURS), loc="outside lower center", ncols=3, frameon=False)
    fig.suptitle(title)
    plt.show()
