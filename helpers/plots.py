"""Figures of batches, of structures and of the tiles, readable by colour-blind people.

Importing this module sets a small figure style.

The lesson that builds it: 00 Meet the data.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import FancyBboxPatch

from helpers import tiles
from helpers.datasets import leaves, shape_and_dtype, structure_tree

__all__ = [
    "show_batch", "show_chain", "show_contact_sheet", "show_history", "show_map", "show_montage",
    "show_outlines", "show_values",
]  # fmt: skip

plt.rcParams.update(
    {
        "figure.dpi": 80,
        "font.size": 10,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "image.interpolation": "nearest",
    }
)

#: A colour for each class, after Okabe and Ito, "Color Universal Design" (2008), which people
#: with any common kind of colour blindness can tell apart.
CLASS_COLOURS = {
    "barren": "#D55E00", "cropland": "#F0E442", "forest": "#009E73", "grassland": "#000000",
    "savanna": "#E69F00", "shrubland": "#CC79A7", "snow_ice": "#56B4E9", "water": "#0072B2",
}  # fmt: skip

#: For land-cover masks: the classes by number, then grey for "other".
COVER_COLOURS = ListedColormap([*CLASS_COLOURS.values(), "#BBBBBB"], name="cover")
_COVER_LIMITS = (0, tiles.OTHER)

SPLIT_COLOURS = {"train": "#999999", "validation": "#E69F00", "test": "#0072B2"}

#: A colour for each part of an element.
ROLE_COLOURS = {
    "inputs": "#0072B2", "targets": "#D55E00", "weights": "#666666", "element": "#009E73",
}  # fmt: skip

_LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")


def show_batch(
    batch: Any,
    *,
    class_names: Sequence[str] = tiles.CLASS_NAMES,
    title: str = "",
    print_structure: bool = True,
    bar_names: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Plot the first six samples of a batch of any structure, and print the structure.

    One column per sample, one row per leaf: images as they are, masks of class numbers in the class
    colours, vectors as bars. Labels (one-hot or integers) become class names over the column.

    Parameters
    ----------
    batch : nest of arrays or tensors
        Each leaf with its samples on the first axis: images (batch, height, width, channels)
        from 0 to 1 or from 0 to 255, vectors (batch, length), numbers (batch,).
    class_names : sequence of str
        Names of the classes, by number.
    title : str
        What to see in the figure.
    print_structure : bool
        False leaves the text out.
    bar_names : mapping of str to sequence of str, optional
        Path of a leaf, or its last key -> the names of its numbers. The bars then lie, and the
        names stand beside them.

    Raises
    ------
    ValueError
        If the batch holds no array with samples, or a leaf has not as many numbers as names.

    Examples
    --------
    >>> show_batch((np.zeros((2, 64, 64, 3)), np.array([7, 2])), print_structure=False)
    """
    arrays = {path: np.asarray(leaf) for path, leaf in leaves(batch)}
    shown = {path: leaf for path, leaf in arrays.items() if leaf.ndim and len(leaf)}
    if not shown:
        found = ", ".join(f"{path} {leaf.shape}" for path, leaf in arrays.items()) or "none"
        raise ValueError(f"batch: expected at least one array with samples, found {found}")
    labels = {path: names for path, leaf in shown.items() if (names := _labels(leaf, class_names))}
    rows = {path: leaf for path, leaf in shown.items() if path not in labels} or shown
    given = bar_names or {}
    bars = {path: given.get(path, given.get(_key(path), ())) for path in rows}
    for path, leaf in rows.items():
        if bars[path] and leaf.shape[1:] != (len(bars[path]),):
            raise ValueError(
                f"bar_names: expected a name for each number of {path}, which has shape "
                f"{leaf.shape}, found {len(bars[path])}"
            )
    if print_structure:
        print(structure_tree(batch))
    samples = min(6, *map(len, shown.values()))
    heights = [
        1 if leaf.ndim == 4 else max(0.6, 0.11 * len(bars[path])) for path, leaf in rows.items()
    ]
    size = (1.5 * samples + 1, 1.5 * sum(heights) + 0.6)
    grid = _grid(len(rows), samples, size, title, height_ratios=heights)
    for line, (path, leaf) in zip(grid, rows.items(), strict=True):
        for axes, value in zip(line, leaf, strict=False):
            if leaf.ndim == 4:
                _show_image(axes, value, _limits(leaf))
            else:
                _show_bars(axes, np.ravel(value), _limits(leaf), _colour(path), bars[path])
            axes.tick_params(labelleft=axes is line[0], labelsize=8)
        pad = 10 if bars[path] else 4
        line[0].set_ylabel(_key(path), rotation=0, ha="right", va="center", labelpad=pad)
    for sample, axes in enumerate(grid[0]):
        axes.set_title("\n".join(names[sample] for names in labels.values()))
    plt.show()


def show_chain(batch: Any, dataset: tf.data.Dataset, model: keras.Model) -> None:
    """Plot the chain from a generator's batch over the dataset's elements to the model.

    A line joins each leaf to the model's input or output that takes it: by name where the model
    was built with dicts, by position otherwise. Where nothing takes a leaf, nothing feeds an input
    or an output, or the shapes differ, there is no line and the frames are dashed.

    Parameters
    ----------
    batch : nest of arrays
        What the generator yields.
    dataset : tf.data.Dataset
        Batched, made from that generator.
    model : keras.Model
        Functional, with its inputs and outputs known.

    Examples
    --------
    >>> batch = (np.zeros((2, 5), "float32"), np.zeros((2, 1), "float32"))
    >>> site = keras.Input((5,), name="site")
    >>> model = keras.Model(site, keras.layers.Dense(1, name="height")(site))
    >>> show_chain(batch, tf.data.Dataset.from_tensors(batch), model)
    """
    columns = {
        "batch of the generator": _ports(batch),
        "element of the dataset": _ports(dataset.element_spec),
        "model": _ports_of_model(model),
    }
    count = max(map(len, columns.values()))
    axes = _grid(1, 1, (10, 0.62 * count + 1))[0, 0]
    joined = set()
    for x, (left, right) in enumerate(itertools.pairwise(columns.values())):
        for y, (path, (shape, _)) in enumerate(left.items()):
            if path in right and tf.TensorShape(shape).is_compatible_with(right[path][0]):
                joined.add((x, path))
                end = 4 * x + 2.5, -list(right).index(path)
                arrow = {"arrowstyle": "->", "color": _colour(path), "lw": 1.5}
                axes.annotate("", end, (4 * x + 1.5, -y), arrowprops=arrow)
    for x, (heading, ports) in enumerate(columns.items()):
        axes.text(4 * x, 0.9, heading, ha="center", fontsize=12, fontweight="bold")
        for y, (path, (_, text)) in enumerate(ports.items()):
            frame = FancyBboxPatch(
                (4 * x - 1.4, -y - 0.3), 2.8, 0.6, boxstyle="round,pad=0.05",
                facecolor=_colour(path) + "22", edgecolor=_colour(path), linewidth=1.5,
                linestyle="-" if (min(x, 1), path) in joined else "--",
            )  # fmt: skip
            axes.add_patch(frame)
            axes.text(4 * x, -y, text, ha="center", va="center", fontsize=10)
    axes.set(xlim=(-1.6, 9.6), ylim=(-count + 0.4, 1.3))
    axes.axis("off")
    plt.show()


def show_map(colour_by: str = "class", *, images: bool = True) -> None:
    """Plot every tile at its place on Earth: its image, and the colour of its class or split.

    Parameters
    ----------
    colour_by : {"class", "split"}
        What the colours of the lower map stand for.
    images : bool
        False leaves the upper map out.

    Examples
    --------
    >>> show_map("split", images=False)
    """
    table = tiles.table()
    grid = _grid(1 + images, 1, (9, 4.6 * (1 + images)))
    upper, lower = grid[0, 0], grid[-1, 0]
    if images:
        half = 1.6  # degrees: a tile is 64 cells of 0.05 degrees
        imagery = np.concatenate([tiles.read_images("imagery", split) for split in tiles.SPLITS])
        for image, x, y in zip(imagery, table["longitude"], table["latitude"], strict=True):
            upper.imshow(image[::4, ::4], extent=(x - half, x + half, y - half, y + half))
        upper.set(facecolor="#DDDDDD", title=f"{len(table)} tiles, each at its place")
    for name, colour in (CLASS_COLOURS if colour_by == "class" else SPLIT_COLOURS).items():
        members = table[table[colour_by] == name]
        places = members["longitude"], members["latitude"]
        lower.scatter(*places, s=22, marker="s", c=colour, label=name)
    lower.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=4)
    lower.set_title(f"Each tile in the colour of its {colour_by}")
    for axes in grid[:, 0]:
        axes.set(xlim=(-180, 180), ylim=(-75, 75), aspect="equal", ylabel="latitude (°)")
        axes.set(xticks=range(-180, 181, 60), yticks=range(-60, 61, 30))
    lower.set_xlabel("longitude (°)")
    plt.show()


def show_history(
    histories: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    names: Sequence[str] = ("loss",),
    title: str = "",
) -> None:
    """Plot learning curves: training dashed, validation solid, a panel for each loss or metric.

    Parameters
    ----------
    histories : mapping of str to mapping
        Name of a training -> the ``history`` of what ``fit`` returned; five at most.
    names : sequence of str
        Which losses and metrics, without ``val_``.
    title : str
        What to see in the figure.

    Raises
    ------
    ValueError
        If a history has no loss or metric of such a name.

    Examples
    --------
    >>> show_history({"one input": {"loss": [2.0, 1.5], "val_loss": [2.1, 1.7]}})
    """
    for (label, history), name in itertools.product(histories.items(), names):
        if name not in history:
            raise ValueError(f"{label}: expected some of {sorted(history)}, found {name!r}")
    panels = _grid(1, len(names), (3.4 * len(names) + 2.2, 2.8), title)[0]
    for axes, name in zip(panels, names, strict=True):
        for colour, (label, history) in zip(_LINE_COLOURS, histories.items(), strict=False):
            epochs = range(1, len(history[name]) + 1)
            prefix = f"{label}, " if len(histories) > 1 else ""
            axes.plot(epochs, history[name], "--", color=colour, label=f"{prefix}training")
            if f"val_{name}" in history:
                validation = history[f"val_{name}"]
                axes.plot(epochs, validation, "o-", color=colour, label=f"{prefix}validation")
        axes.set(xlabel="epoch", title=name, xticks=epochs, ylim=(0, None))
    handles, labels = panels[0].get_legend_handles_labels()
    panels[0].figure.legend(handles, labels, loc="outside right center", frameon=False)
    plt.show()


def show_contact_sheet(
    sheet: Mapping[str, Mapping[Any, np.ndarray]], *, columns: int = 2, title: str = ""
) -> None:
    """Plot each option of a sheet at several strengths, side by side.

    Values from 0 to 255 are shown as they are. Others are stretched, each image on its own, and
    their range is written over it.

    Parameters
    ----------
    sheet : mapping of str to mapping
        Option -> strength -> image (height, width, 3).
    columns : int
        Options in a row.
    title : str
        What to see in the figure.

    Examples
    --------
    >>> dark, bright = np.full((8, 8, 3), 60), np.full((8, 8, 3), 120)
    >>> show_contact_sheet({"brightness": {0.5: dark, 1: bright}})
    """
    strengths = max(map(len, sheet.values()))
    lines = -(-len(sheet) // columns)
    size = (1.15 * strengths * columns, 1.75 * lines + 0.4)
    figure = plt.figure(figsize=size, layout="constrained")
    if title:
        figure.suptitle(title)
    blocks = figure.subfigures(lines, columns, squeeze=False)
    for block, (option, images) in zip(blocks.flat, sheet.items(), strict=False):
        block.suptitle(option, fontsize=10, x=len(images) / strengths / 2)  # over its own images
        places = block.subplots(1, strengths, squeeze=False)[0]
        for axes in places[len(images) :]:
            axes.axis("off")
        for axes, (strength, image) in zip(places, images.items(), strict=False):
            low, high = float(image.min()), float(image.max())
            as_it_is = low > -20 and 20 < high < 275  # a blend may overshoot a little
            _show_image(axes, image, (0, 255) if as_it_is else (low, high))
            note = "" if as_it_is else f"\n{low:.3g} to {high:.3g}"
            axes.set_title(f"{strength}{note}", fontsize=8)
    plt.show()


def show_outlines(images: Mapping[str, np.ndarray], masks: np.ndarray, *, title: str = "") -> None:
    """Plot the first six images of a batch, with the outlines of their masks over them.

    Where image and mask were moved alike, the outlines follow what the image shows.

    Parameters
    ----------
    images : mapping of str to numpy.ndarray
        Each of shape (batch, height, width, 3), of any size, from 0 to 1 or from 0 to 255.
    masks : numpy.ndarray
        Class numbers of shape (batch, height, width, 1).
    title : str
        What to see in the figure.

    Examples
    --------
    >>> imagery, cover = (tiles.read_images(name, "test")[:2] for name in ("imagery", "cover"))
    >>> show_outlines({"imagery": imagery}, cover, title="White and red follow the coast")
    """
    samples = min(6, len(masks))
    grid = _grid(len(images), samples, (1.7 * samples + 0.6, 1.7 * len(images) + 0.5), title)
    whole = (0, 1, 1, 0)  # every image fills the same square, whatever its size
    for line, (name, batch) in zip(grid, images.items(), strict=True):
        for axes, image, mask in zip(line, batch, masks[..., 0], strict=False):
            _show_image(axes, image, _limits(batch), whole)
            centres = (np.arange(len(mask)) + 0.5) / len(mask)
            largest = mask == np.bincount(mask.ravel().astype(int)).argmax()
            for colour, width in (("white", 2.5), ("#D55E00", 1.2)):
                axes.contour(centres, centres, largest, [0.5], colors=colour, linewidths=width)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    plt.show()


def show_montage(images: np.ndarray, names: Sequence[str], *, title: str = "") -> None:
    """Plot all images of a batch, eight in a row, each with its name.

    Parameters
    ----------
    images : numpy.ndarray
        Shape (batch, height, width, 3), from 0 to 1 or from 0 to 255.
    names : sequence of str
        One per image.
    title : str
        What to see in the figure.

    Examples
    --------
    >>> show_montage(np.zeros((2, 8, 8, 3)), ["one", "two"])
    """
    columns, lines = 8, -(-len(images) // 8)
    longest = max(len(line) for name in names for line in name.split("\n"))
    side = max(0.95, 0.072 * longest)  # inches, so that names do not touch
    grid = _grid(lines, columns, (side * columns, (side + 0.2) * lines + 0.4), title)
    for axes in grid.flat[len(images) :]:
        axes.axis("off")
    for axes, image, name in zip(grid.flat, images, names, strict=False):
        _show_image(axes, image, _limits(images))
        axes.set_title(name, fontsize=8)
    plt.show()


def show_values(batches: Mapping[str, np.ndarray], classes: Sequence[str]) -> None:
    """Plot what a model is fed: the values of the images, and how often each class comes.

    Parameters
    ----------
    batches : mapping of str to numpy.ndarray
        Name -> images of any shape; one line of the histogram each, three at most.
    classes : sequence of str
        The class name of each sample.

    Examples
    --------
    >>> show_values({"as read": np.arange(12.0).reshape(3, 2, 2)}, ["water", "water", "forest"])
    """
    left, right = _grid(1, 2, (9, 3))[0]
    low, high = min(map(np.min, batches.values())), max(map(np.max, batches.values()))
    edges = np.linspace(low, high, 41)
    for style, (name, values) in zip(("-", "--", ":"), batches.items(), strict=False):
        parts = np.histogram(values, edges)[0] / values.size
        left.stairs(parts, edges, label=name, linestyle=style, linewidth=2)
    left.set(xlabel="value", ylabel="part of all pixels", title="Values of the images")
    left.legend()
    counts = [list(classes).count(name) for name in CLASS_COLOURS]
    right.barh(list(CLASS_COLOURS), counts, color=list(CLASS_COLOURS.values()))
    right.invert_yaxis()
    right.set(xlabel="samples", title="Classes")
    plt.show()


def _grid(
    lines: int, columns: int, size: tuple[float, float], title: str = "", **options: Any
) -> np.ndarray:
    """Make a figure, its size in inches, and return its grid of axes."""
    options |= {"figsize": size, "squeeze": False, "layout": "constrained"}
    figure, grid = plt.subplots(lines, columns, **options)
    if title:
        figure.suptitle(title)
    return grid


def _labels(leaf: np.ndarray, class_names: Sequence[str]) -> list[str]:
    """Return the class name of each sample where the leaf is labels; else nothing."""
    count = len(class_names)
    if leaf.shape[1:] == (count,) and np.isin(leaf, (0, 1)).all() and (leaf.sum(axis=1) == 1).all():
        leaf = leaf.argmax(axis=1)
    if leaf.ndim == 1 and leaf.dtype.kind in "iu" and np.isin(leaf, range(count)).all():
        return [class_names[number] for number in leaf]
    return []


def _limits(leaf: np.ndarray) -> tuple[float, float]:
    """Return the values that are shown darkest and brightest, or the range of the bars."""
    low, high = float(leaf.min()), float(leaf.max())
    if leaf.ndim < 4:
        return min(low, 0), max(high, 0)
    if leaf.shape[-1] == 1 and np.isin(leaf, range(tiles.OTHER + 1)).all():
        return _COVER_LIMITS
    if low < 0:
        return low, high
    return 0, 1 if high <= 1 else max(255, high)


def _show_image(
    axes: Axes, image: np.ndarray, limits: tuple[float, float], extent: Any = None
) -> None:
    """Plot an image in a thin frame, so that snow on a white page has an edge."""
    low, high = limits
    if image.shape[-1] == 1:
        colours = COVER_COLOURS if limits == _COVER_LIMITS else "gray"
        axes.imshow(image[..., 0], cmap=colours, vmin=low, vmax=high, extent=extent)
    else:
        axes.imshow(np.clip((image - low) / (high - low or 1), 0, 1), extent=extent)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color="#999999", linewidth=0.6)


def _show_bars(
    axes: Axes, values: np.ndarray, limits: tuple[float, float], colour: str, names: Sequence[str]
) -> None:
    """Plot numbers as bars: upright, or lying with their names beside them."""
    low, high = limits
    margin = 0.05 * (high - low or 1)
    reach = (low - margin, high + margin)
    if names:
        axes.barh(range(len(names)), values, color=colour)
        axes.set(yticks=range(len(names)), yticklabels=names, xlim=reach)
        axes.invert_yaxis()
        axes.axvline(0, color="#888888", linewidth=0.5)
    else:
        axes.bar(range(len(values)), values, color=colour)
        axes.set(xticks=[], ylim=reach)
        axes.axhline(0, color="#888888", linewidth=0.5)


def _colour(path: str) -> str:
    return ROLE_COLOURS[path.partition("[")[0]]


def _key(path: str) -> str:
    """Return the last key in a path: ``inputs['imagery']`` is ``imagery``."""
    return path.rstrip("]").split("[")[-1].strip("'") if "['" in path else path


def _ports(structure: Any) -> dict[str, tuple[Any, str]]:
    """Return path -> shape and text of each leaf of a batch or an element."""
    return {
        path: (leaf.shape, "{}\n{} {}".format(path, *shape_and_dtype(leaf)))
        for path, leaf in leaves(structure)
    }


def _ports_of_model(model: keras.Model) -> dict[str, tuple[Any, str]]:
    """Return path of the leaf that is taken -> shape and text of each input and output."""
    ends = [  # a list of one is taken like the one
        end[0] if isinstance(end, list | tuple) and len(end) == 1 else end
        for end in (model.input, model.output)
    ]
    names = [*(tensor.name for tensor in model.inputs), *model.output_names]
    ports = {}
    for (path, tensor), name in zip(leaves(ends), names, strict=True):
        what = "input" if path.startswith("inputs") else "output"
        name = _key(path) if "['" in path else name
        ports[path] = (tensor.shape, f"{what} {name}\n{tensor.shape}")
    return ports
