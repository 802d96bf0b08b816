"""Plot the diagrams that lessons show as image files: ``python tools/diagrams.py``.

GitHub and nbviewer show an image file in a lesson's text; the alternative text of each stands here
too, so that lesson and diagram say the same. The line that shows each in a lesson is printed: an
image in Markdown's own form would have no width, and be shown twice as large as it is meant to be.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import pngs
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks" / "images"

#: Of each image file, what it shows.
ALTERNATIVES = {
    "timelines.png": (
        "Three schedules of six batches on one axis of time. In the first, 110 ms long, generator "
        "and model take turns. In the second, 80 ms, the generator goes on while the model trains. "
        "In the third, 48 ms, the generator only plans the batches, two workers make them, and the "
        "model hardly waits."
    ),
    "tuple_inputs.png": (
        "Three sources on the left, the folder imagery/train, the folder relief/train and the "
        "columns spectral of tiles.csv, lead by arrows to one generator of batches ((imagery, "
        "relief, spectral), land_cover). An arrow leads on to a tf.data.Dataset, made by "
        "from_generator, and from there to a model with three branches and one head."
    ),
    "separate_generators.png": (
        "One flow, which shuffles and augments, gives two things: imagery and rows. From the rows, "
        "arrows lead to spectral[rows], land_cover[rows] and composition[rows]. Imagery and these "
        "three meet in one batch: ((imagery, spectral), (land_cover, composition))."
    ),
    "dict_datasets.png": (
        "On the left the inputs 'imagery', of shape (None, 64, 64, 3), and 'site', (None, 5). "
        "Arrows lead from both to the model in the middle, and from the model to the targets "
        "'land_cover', (None, 8), and 'composition', (None, 2), on the right."
    ),
    "your_own_data.png": (
        "Two boxes on the left, files and table, lead to one called audit, and from there to one "
        "called decide: drop, fill, split. It leads to the rows. From the rows, arrows lead to "
        "Images: photographs and masks, and to arrays: labels and numbers. Both meet in "
        "make_batch(rows), which leads to a tf.data.Dataset that is checked."
    ),
    "train_evaluate_predict.png": (
        "Two boxes on the left, training data, shuffled and augmented, and validation data, finite "
        "and in order. Training data lead to fit, validation data to evaluate and predict. Fit, "
        "evaluate and predict share the model, whose first layers rescale. From the model an arrow "
        "leads to a saved file, and from there to predictions for a new place."
    ),
    "silent_failures.png": (
        "Four boxes from left to right, joined by arrows: generator, dataset, model, fit. Below "
        "each are its faults. Generator: rows drift apart, 29 of 119 pairs; a buffer is "
        "overwritten, 32 of 480 tiles; a target is taken for weights, accuracy 0.33. Dataset: "
        "every epoch repeats, 120 of 120 images; shuffle moves batches, 1.5 classes in a batch. "
        "Model: targets are swapped, error 0.45; a metric is on the wrong head, 0.84 for 0.12. "
        "Fit: every other epoch is empty, loss 0.00; validation differs, accuracy 0.10; "
        "predictions are shuffled, 0.14 are the label."
    ),
    "leaving.png": (
        "From one box on the left, a pipeline with ImageDataGenerator, arrows lead to three "
        "conditions, and from each to what to do. One image per sample, fast enough: stay, and pin "
        "TensorFlow. Several inputs, masks, or too slow: wrap it, by rows and one table of "
        "transforms. Another backend, no Python in the data, or the class is gone: leave, with one "
        "affine in the graph from the same table."
    ),
    "beyond_one_machine.png": (
        "Two boxes on the left: a dispatcher, which knows what is next, and the files or shards. "
        "Arrows lead from both to worker 0 and to worker 1, each a process that reads, decodes and "
        "batches. From both workers arrows lead to the trainer on the right, which holds the "
        "dataset after distribute and the model."
    ),
    "chain.png": (
        "Five boxes from left to right, joined by arrows: generator, signature, dataset, model, "
        "fit."
    ),
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
        sharex=True, layout="constrained", dpi=80,
    )  # fmt: skip
    for axes, (name, tasks) in zip(grid, schedules.items(), strict=True):
        for task in tasks:
            place, length = roles[name].index(task.who), task.stop - task.start
            colour = COLOURS[task.step]
            if task.step == "plan":  # so short that it is a line, before what it is a plan of
                axes.vlines(task.start, place - 0.4, place + 0.4, color=colour, lw=2, zorder=3)
                continue
            axes.barh(place, length, 0.8, task.start, color=colour, edgecolor="white")
            middle = task.start + length / 2
            axes.text(middle, place, str(task.batch), ha="center", va="center")
        axes.set_yticks(range(len(roles[name])), roles[name])
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        length = max(task.stop for task in tasks)
        axes.set_title(f"{name}: {length:.0f} ms", loc="left", fontsize=10)
    grid[-1].set_xlim(left=-1)
    grid[-1].set_xlabel("milliseconds; numbers are batches")
    handles = [Patch(color=colour, label=step) for step, colour in COLOURS.items()]
    fig.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    fig.suptitle("Each step removes a wait")
    return fig


class Box(NamedTuple):
    """A frame of a chart: the middle of its left edge, its width, and what it says."""

    x: float
    y: float
    width: float
    text: str
    role: str = "data"


# Frames by what they stand for: what a generator reads, inputs, targets, what is built.
ROLES = {"data": "#666666", "inputs": "#0072B2", "targets": "#D55E00", "built": "#009E73"}
HALF = 0.34  # half the height of a frame, in inches


def chart(boxes: dict[str, Box], arrows: list[tuple[str, str]]) -> Figure:
    """Plot frames, and arrows from the right edge of one to the left edge of another.

    A chart is as large as its frames: one unit is an inch.
    """
    width = max(box.x + box.width for box in boxes.values()) + 0.1
    top, bottom = (pick(box.y for box in boxes.values()) for pick in (max, min))
    fig = plt.figure(figsize=(width + 0.1, top - bottom + 2 * HALF + 0.2), dpi=110)
    axes = fig.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.1, width), ylim=(bottom - HALF - 0.1, top + HALF + 0.1))
    axes.axis("off")
    for box in boxes.values():
        colour = ROLES[box.role]
        frame = FancyBboxPatch(
            (box.x, box.y - HALF + 0.05), box.width, 2 * HALF - 0.1, boxstyle="round,pad=0.04",
            facecolor=colour + "22", edgecolor=colour, linewidth=1.5,
        )  # fmt: skip
        axes.add_patch(frame)
        axes.text(box.x + box.width / 2, box.y, box.text, ha="center", va="center", fontsize=10)
    for start, end in arrows:
        one, other = boxes[start], boxes[end]
        axes.annotate(
            "",
            (other.x - 0.05, other.y),
            (one.x + one.width + 0.05, one.y),
            arrowprops={"arrowstyle": "->", "color": "#333333", "lw": 1.3, "shrinkA": 0},
        )
    return fig


def tuple_inputs() -> Figure:
    """Plot how two folders and a table come to one model."""
    boxes = {
        "imagery": Box(0, 1.7, 1.6, "folder\nimagery/train"),
        "relief": Box(0, 0.85, 1.6, "folder\nrelief/train"),
        "table": Box(0, 0, 1.6, "table tiles.csv\nspectral"),
        "generator": Box(
            2.2, 0.85, 2.5,
            "generator of batches\n((imagery, relief, spectral),\nland_cover)",
            "inputs",
        ),
        "dataset": Box(5.3, 0.85, 1.5, "tf.data.Dataset\nfrom_generator", "built"),
        "model": Box(7.4, 0.85, 1.5, "model: 3 branches,\n1 head", "built"),
    }  # fmt: skip
    arrows = [(name, "generator") for name in ("imagery", "relief", "table")]
    return chart(boxes, [*arrows, ("generator", "dataset"), ("dataset", "model")])


def separate_generators() -> Figure:
    """Plot how every stream follows the rows of one flow."""
    boxes = {
        "flow": Box(0, 1.7, 1.7, "one flow\nshuffles, augments"),
        "images": Box(4.1, 2.55, 1.7, "imagery", "inputs"),
        "rows": Box(2.3, 0.85, 0.9, "rows"),
        "spectral": Box(4.1, 1.7, 1.7, "spectral[rows]", "inputs"),
        "land_cover": Box(4.1, 0.85, 1.7, "land_cover[rows]", "targets"),
        "composition": Box(4.1, 0, 1.7, "composition[rows]", "targets"),
        "batch": Box(
            6.5, 1.3, 2.3, "batch\n((imagery, spectral),\n(land_cover, composition))", "built"
        ),
    }  # fmt: skip
    looked_up = ["spectral", "land_cover", "composition"]
    arrows = [("flow", "images"), ("flow", "rows"), ("images", "batch")]
    arrows += [("rows", name) for name in looked_up] + [(name, "batch") for name in looked_up]
    return chart(boxes, arrows)


def dict_datasets() -> Figure:
    """Plot a model whose inputs and outputs have names."""
    boxes = {
        "imagery": Box(0, 0.85, 2.1, "input 'imagery'\n(None, 64, 64, 3)", "inputs"),
        "site": Box(0, 0, 2.1, "input 'site'\n(None, 5)", "inputs"),
        "model": Box(3.0, 0.425, 1.4, "model", "built"),
        "land_cover": Box(5.3, 0.85, 2.1, "target 'land_cover'\n(None, 8)", "targets"),
        "composition": Box(5.3, 0, 2.1, "target 'composition'\n(None, 2)", "targets"),
    }
    arrows = [("imagery", "model"), ("site", "model")]
    return chart(boxes, [*arrows, ("model", "land_cover"), ("model", "composition")])


def your_own_data() -> Figure:
    """Plot how files and a table become a dataset."""
    boxes = {
        "files": Box(0, 0.85, 0.8, "files"),
        "table": Box(0, 0, 0.8, "table"),
        "audit": Box(1.3, 0.425, 0.8, "audit"),
        "decide": Box(2.6, 0.425, 1.3, "decide:\ndrop, fill, split"),
        "rows": Box(4.4, 0.425, 0.7, "rows"),
        "images": Box(5.6, 0.85, 1.7, "Images:\nphotographs, masks", "inputs"),
        "arrays": Box(5.6, 0, 1.7, "arrays:\nlabels, numbers", "targets"),
        "batch": Box(7.8, 0.425, 1.6, "make_batch(rows)", "built"),
        "dataset": Box(9.9, 0.425, 1.4, "tf.data.Dataset,\nchecked", "built"),
    }
    arrows = [("files", "audit"), ("table", "audit"), ("audit", "decide"), ("decide", "rows")]
    arrows += [("rows", name) for name in ("images", "arrays")]
    arrows += [(name, "batch") for name in ("images", "arrays")]
    return chart(boxes, [*arrows, ("batch", "dataset")])


def train_evaluate_predict() -> Figure:
    """Plot a model's way from its data to predictions elsewhere."""
    boxes = {
        "training": Box(0, 0.85, 1.9, "training data\nshuffled, augmented", "inputs"),
        "validation": Box(0, 0, 1.9, "validation data\nfinite, in order", "inputs"),
        "fit": Box(2.4, 0.85, 1.5, "fit"),
        "measure": Box(2.4, 0, 1.5, "evaluate, predict"),
        "model": Box(4.4, 0.425, 1.6, "model\nrescales inside", "built"),
        "file": Box(6.5, 0.425, 1.2, "saved file", "built"),
        "elsewhere": Box(8.2, 0.425, 1.7, "predictions for\na new place", "targets"),
    }
    arrows = [("training", "fit"), ("validation", "measure"), ("fit", "model")]
    return chart(boxes, [*arrows, ("measure", "model"), ("model", "file"), ("file", "elsewhere")])


def silent_failures() -> Figure:
    """Plot the chain, and below each link the faults of lesson 08 with what they do."""
    links = {
        "generator\nyields batches": [
            "rows drift apart:\n29 of 119 pairs",
            "a buffer is overwritten:\n32 of 480 tiles",
            "a target taken for weights:\naccuracy 0.33",
        ],
        "dataset\nhas an element_spec": [
            "every epoch repeats:\n120 of 120 images",
            "shuffle moves batches:\n1.5 classes in a batch",
        ],
        "model\nhas inputs and outputs": [
            "targets are swapped:\nerror 0.45",
            "metric on the wrong head:\n0.84 for 0.12",
        ],
        "fit\ntrains and validates": [
            "every other epoch is empty:\nloss 0.00",
            "validation differs:\naccuracy 0.10",
            "predictions are shuffled:\n0.14 are the label",
        ],
    }
    boxes = {}
    for column, (link, faults) in enumerate(links.items()):
        boxes[link] = Box(2.5 * column, 0, 2.0, link, "built")
        for place, fault in enumerate(faults, 1):
            boxes[fault] = Box(2.5 * column, -0.85 * place - 0.1, 2.0, fault, "targets")
    return chart(boxes, list(itertools.pairwise(links)))


def leaving() -> Figure:
    """Plot when to stay with `ImageDataGenerator`, to wrap it, and to leave it."""
    boxes = {
        "pipeline": Box(0, 0.85, 1.8, "a pipeline with\nImageDataGenerator"),
        "enough": Box(2.6, 1.7, 2.5, "one image per sample,\nfast enough", "inputs"),
        "several": Box(2.6, 0.85, 2.5, "several inputs, masks,\nor too slow", "inputs"),
        "graph": Box(
            2.6, 0, 2.5, "another backend, no Python in\nthe data, or the class is gone", "inputs"
        ),
        "stay": Box(5.9, 1.7, 2.5, "stay:\npin TensorFlow", "built"),
        "wrap": Box(5.9, 0.85, 2.5, "wrap: by rows, and\none table of transforms", "built"),
        "leave": Box(5.9, 0, 2.5, "leave: one affine in the graph,\nfrom the same table", "built"),
    }
    arrows = [("pipeline", name) for name in ("enough", "several", "graph")]
    arrows += [("enough", "stay"), ("several", "wrap"), ("graph", "leave")]
    return chart(boxes, arrows)


def beyond_one_machine() -> Figure:
    """Plot who does what in the tf.data service."""
    boxes = {
        "dispatcher": Box(0, 0.85, 1.8, "dispatcher:\nwhat is next"),
        "files": Box(0, 0, 1.8, "files, shards"),
        "worker 0": Box(2.6, 0.85, 2.1, "worker 0:\nreads, decodes, batches", "inputs"),
        "worker 1": Box(2.6, 0, 2.1, "worker 1:\nreads, decodes, batches", "inputs"),
        "trainer": Box(5.5, 0.425, 1.9, "trainer:\ndataset, model", "built"),
    }
    workers = ["worker 0", "worker 1"]
    arrows = [(name, worker) for name in ("dispatcher", "files") for worker in workers]
    return chart(boxes, [*arrows, *((worker, "trainer") for worker in workers)])


def chain() -> Figure:
    """Plot the links from a generator to training."""
    links = ["generator", "signature", "dataset", "model", "fit"]
    boxes = {
        name: Box(1.8 * number, 0, 1.3, name, "data" if number < 2 else "built")
        for number, name in enumerate(links)
    }
    return chart(boxes, list(itertools.pairwise(links)))


DIAGRAMS = {
    "timelines.png": timelines,
    "tuple_inputs.png": tuple_inputs,
    "separate_generators.png": separate_generators,
    "dict_datasets.png": dict_datasets,
    "your_own_data.png": your_own_data,
    "train_evaluate_predict.png": train_evaluate_predict,
    "silent_failures.png": silent_failures,
    "leaving.png": leaving,
    "beyond_one_machine.png": beyond_one_machine,
    "chain.png": chain,
}


def write(folder: Path = FOLDER) -> list[Path]:
    """Write every diagram to a folder; return the paths."""
    folder.mkdir(exist_ok=True)
    paths = []
    for name, plot in DIAGRAMS.items():
        paths.append(folder / name)
        pngs.save(plot(), paths[-1])
        plt.close("all")
    return paths


def tag(name: str) -> str:
    """Return the line that shows a diagram in a lesson, at half as many pixels as it has."""
    with Image.open(FOLDER / name) as image:
        width = image.width // pngs.SHARPNESS
    return f'<img src="images/{name}" width="{width}" alt="{ALTERNATIVES[name]}">'


if __name__ == "__main__":
    plt.switch_backend("Agg")
    write()
    print(*map(tag, DIAGRAMS), sep="\n")
