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
    "show_batch",
    "show_chain",
    "show_contact_sheet",
    "show_history",
    "show_map",
    "show_montage",
    "show_outlines",
    "show_values",
]

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
CLASS_COLOURS: dict[str, str] = {
    "barren": "#D55E00",
    "cropland": "#F0E442",
    "forest": "#009E73",
    "grassland": "#000000",
    "savanna": "#E69F00",
    "shrubland": "#CC79A7",
    "snow_ice": "#56B4E9",
    "water": "#0072B2",
}

#: For land-cover masks: the classes by number, then grey for "other".
COVER_COLOURS = ListedColormap(
    [CLASS_COLOURS[name] for name in tiles.CLASS_NAMES] + ["#BBBBBB"], name="cover"
)

#: A colour for each split.
SPLIT_COLOURS: dict[str, str] = dict(
    zip(tiles.SPLITS, ("#999999", "#E69F00", "#0072B2"), strict=True)
)

#: A colour for each part of an element.
ROLE_COLOURS: dict[str, str] = {
    "inputs": "#0072B2",
    "targets": "#D55E00",
    "weights": "#666666",
    "element": "#009E73",
}

# For curves.
_LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")


def show_batch(
    batch: Any,
    *,
    samples: int = 6,
    class_names: Sequence[str] = tiles.CLASS_NAMES,
    title: str = "",
    print_structure: bool = True,
    bar_names: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Plot the first samples of a batch of any structure, and print the structure.

    One column per sample, one row per leaf: images as they are, masks of class numbers in the class
    colours, vectors as bars. Labels (one-hot or integers) become class names over the column.

    Parameters
    ----------
    batch : nest of arrays or tensors
        Each leaf with its samples on the first axis: images (batch, height, width, channels)
        from 0 to 1 or from 0 to 255, vectors (batch, length), numbers (batch,).
    samples : int
        How many samples to plot.
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
        If the batch holds no array with samples, or `bar_names` has not as many names as a leaf
        has numbers.

    Examples
    --------
    >>> show_batch((np.zeros((2, 64, 64, 3)), np.array([7, 2])), print_structure=False)
    """
    if print_structure:
        print(structure_tree(batch))
    named = [(path, np.asarray(leaf)) for path, leaf in leaves(batch)]
    shown = [(path, leaf) for path, leaf in named if leaf.ndim >= 1 and len(leaf)]
    if not shown:
        raise ValueError(
            "batch: expected at least one array with samples, found "
            + (", ".join(_text(path, leaf).replace("\n", " ") for path, leaf in named) or "none")
        )
    labels = {path: names for path, leaf in shown if (names := _labels(leaf, class_names))}
    rows = [(path, leaf) for path, leaf in shown if path not in labels] or shown
    samples = min(samples, *(len(leaf) for _, leaf in shown))
    bars = _bar_names(bar_names or {}, rows)
    heights = [
        1.0 if leaf.ndim == 4 else max(0.6, 0.11 * len(bars.get(path, ()))) for path, leaf in rows
    ]
    fig, grid = plt.subplots(
        len(rows),
        samples,
        figsize=(1.5 * samples + 1, 1.5 * sum(heights) + 0.6),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for axes_row, (path, leaf) in zip(grid, rows, strict=True):
        limits = _limits(leaf)
        for axes, value in zip(axes_row, leaf[:samples], strict=True):
            if path in bars:
                _plot_named_bars(axes, value, bars[path], limits, ROLE_COLOURS[_role(path)])
            else:
                _plot_leaf(axes, value, limits, ROLE_COLOURS[_role(path)])
                axes.set(xticks=[])
            if leaf.ndim == 4:
                _frame(axes)
            axes.tick_params(labelleft=axes is axes_row[0], labelsize=8)
        pad = 10 if path in bars else 4
        axes_row[0].set_ylabel(_short(path), rotation=0, ha="right", va="center", labelpad=pad)
    for names in labels.values():
        for axes, name in zip(grid[0], names, strict=False):
            axes.set_title("\n".join(filter(None, [axes.get_title(), name])))
    if title:
        fig.suptitle(title)
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
    ports = _ports(model)
    columns = [
        [(path, _text(path, leaf)) for path, leaf in leaves(batch)],
        [(path, _text(path, spec)) for path, spec in leaves(dataset.element_spec)],
        [(path, text) for path, _, text in ports],
    ]
    count = max(len(column) for column in columns)
    fig, axes = plt.subplots(figsize=(10, 0.62 * count + 1), layout="constrained")
    batch_paths, element_paths, model_paths = ([path for path, _ in column] for column in columns)
    shapes = [_shapes(batch), _shapes(dataset.element_spec), {path: s for path, s, _ in ports}]
    joins = [
        {path for path in left.keys() & right.keys() if left[path].is_compatible_with(right[path])}
        for left, right in itertools.pairwise(shapes)
    ]
    for x, (heading, column) in enumerate(
        zip(("batch of the generator", "element of the dataset", "model"), columns, strict=True)
    ):
        axes.text(4 * x, 0.9, heading, ha="center", fontsize=12, fontweight="bold")
        joined = joins[min(x, 1)]
        for y, (path, text) in enumerate(column):
            colour = ROLE_COLOURS[_role(path)]
            frame = FancyBboxPatch(
                (4 * x - 1.4, -y - 0.3), 2.8, 0.6, boxstyle="round,pad=0.05",
                facecolor=colour + "22", edgecolor=colour, linewidth=1.5,
                linestyle="-" if path in joined else "--",
            )  # fmt: skip
            axes.add_patch(frame)
            axes.text(4 * x, -y, text, ha="center", va="center", fontsize=10)
    for x, (starts, ends) in enumerate(
        ((batch_paths, element_paths), (element_paths, model_paths))
    ):
        for path in sorted(joins[x]):
            axes.annotate(
                "",
                (4 * x + 2.5, -ends.index(path)),
                (4 * x + 1.5, -starts.index(path)),
                arrowprops={"arrowstyle": "->", "color": ROLE_COLOURS[_role(path)], "lw": 1.5},
            )
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
    colours = CLASS_COLOURS if colour_by == "class" else SPLIT_COLOURS
    fig, grid = plt.subplots(
        1 + images, 1, figsize=(9, 4.6 * (1 + images)), squeeze=False, layout="constrained"
    )
    if images:
        upper = grid[0, 0]
        half = 1.6  # degrees: a tile is 64 cells of 0.05 degrees
        imagery = np.concatenate([tiles.read_images("imagery", split) for split in tiles.SPLITS])
        for image, latitude, longitude in zip(
            imagery, table["latitude"], table["longitude"], strict=True
        ):
            extent = (longitude - half, longitude + half, latitude - half, latitude + half)
            upper.imshow(image[::4, ::4], extent=extent)
        upper.set_title(f"{len(table)} tiles, each at its place")
    lower = grid[-1, 0]
    for name, colour in colours.items():
        members = table[table[colour_by] == name]
        lower.scatter(
            members["longitude"], members["latitude"], s=22, marker="s", c=colour, label=name
        )
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
        Name of a training -> the ``history`` of what ``fit`` returned.
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
    for label, history in histories.items():
        for name in names:
            if name not in history:
                raise ValueError(f"{label}: expected some of {sorted(history)}, found {name!r}")
    fig, grid = plt.subplots(
        1, len(names), figsize=(3.4 * len(names) + 2.2, 2.8), squeeze=False, layout="constrained"
    )
    for axes, name in zip(grid[0], names, strict=True):
        for colour, (label, history) in zip(_LINE_COLOURS, histories.items(), strict=False):
            epochs = range(1, len(history[name]) + 1)
            prefix = f"{label}, " if len(histories) > 1 else ""
            axes.plot(epochs, history[name], "--", color=colour, label=f"{prefix}training")
            if f"val_{name}" in history:
                validation = history[f"val_{name}"]
                axes.plot(epochs, validation, "o-", color=colour, label=f"{prefix}validation")
        axes.set(xlabel="epoch", title=name, xticks=epochs, ylim=(0, None))
    handles, labels = grid[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside right center", frameon=False)
    if title:
        fig.suptitle(title)
    plt.show()


def show_contact_sheet(
    sheet: Mapping[str, Mapping[Any, np.ndarray]], *, columns: int = 3, title: str = ""
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
    strengths = max(len(images) for images in sheet.values())
    lines = -(-len(sheet) // columns)
    fig = plt.figure(figsize=(1.15 * strengths * columns, 1.75 * lines + 0.4), layout="constrained")
    blocks = fig.subfigures(lines, columns, squeeze=False)
    for block, (option, images) in zip(blocks.flat, sheet.items(), strict=False):
        block.suptitle(option, fontsize=10, x=len(images) / strengths / 2)  # over its own images
        places = block.subplots(1, strengths, squeeze=False)[0]
        for axes in places[len(images) :]:
            axes.axis("off")
        for axes, (strength, image) in zip(places, images.items(), strict=False):
            low, high = float(image.min()), float(image.max())
            as_it_is = low > -20 and 20 < high < 275  # a blend may overshoot a little
            note = "" if as_it_is else f"\n{low:.3g} to {high:.3g}"
            limits = (0, 255) if as_it_is else (low, high)
            axes.imshow(np.clip(_scaled(image, limits), 0, 1))
            axes.set_title(f"{strength}{note}", fontsize=8)
            _frame(axes)
    if title:
        fig.suptitle(title)
    plt.show()


def show_outlines(
    images: Mapping[str, np.ndarray],
    masks: np.ndarray,
    *,
    samples: int = 6,
    title: str = "",
) -> None:
    """Plot images of any size with the outlines of their masks over them.

    Where image and mask were moved alike, the outlines follow what the image shows.

    Parameters
    ----------
    images : mapping of str to numpy.ndarray
        Each of shape (batch, height, width, 3), from 0 to 1 or from 0 to 255.
    masks : numpy.ndarray
        Class numbers of shape (batch, height, width, 1).
    samples : int
        How many samples to plot.
    title : str
        What to see in the figure.

    Examples
    --------
    >>> imagery, cover = (tiles.read_images(name, "test")[:2] for name in ("imagery", "cover"))
    >>> show_outlines({"imagery": imagery}, cover, title="White and red follow the coast")
    """
    samples = min(samples, len(masks))
    fig, grid = plt.subplots(
        len(images),
        samples,
        figsize=(1.7 * samples + 0.6, 1.7 * len(images) + 0.5),
        squeeze=False,
        layout="constrained",
    )
    whole = (0, 1, 1, 0)  # every image fills the same square, whatever its size
    for axes_row, (name, batch) in zip(grid, images.items(), strict=True):
        limits = _limits(batch)
        for axes, image, mask in zip(axes_row, batch, masks[..., 0], strict=False):
            axes.imshow(_scaled(image, limits), extent=whole)
            centres = (np.arange(len(mask)) + 0.5) / len(mask)
            largest = np.bincount(mask.ravel().astype(int)).argmax()
            axes.contour(centres, centres, mask == largest, [0.5], colors="white", linewidths=2.5)
            axes.contour(centres, centres, mask == largest, [0.5], colors="#D55E00", linewidths=1.2)
            _frame(axes)
        axes_row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    if title:
        fig.suptitle(title)
    plt.show()


def show_montage(
    images: np.ndarray, names: Sequence[str], *, columns: int = 8, title: str = ""
) -> None:
    """Plot all images of a batch, each with its name.

    Parameters
    ----------
    images : numpy.ndarray
        Shape (batch, height, width, 3), from 0 to 1 or from 0 to 255.
    names : sequence of str
        One per image.
    columns : int
        Images in a row.
    title : str
        What to see in the figure.

    Examples
    --------
    >>> show_montage(np.zeros((2, 8, 8, 3)), ["one", "two"], columns=2)
    """
    lines = -(-len(images) // columns)
    fig, grid = plt.subplots(
        lines, columns, figsize=(0.95 * columns, 1.15 * lines + 0.4), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    limits = _limits(images)
    for axes in grid.flat[len(images) :]:
        axes.axis("off")
    for axes, image, name in zip(grid.flat, images, names, strict=False):
        axes.imshow(_scaled(image, limits))
        axes.set_title(name, fontsize=8)
        _frame(axes)
    if title:
        fig.suptitle(title)
    plt.show()


def show_values(batches: Mapping[str, np.ndarray], classes: Sequence[str]) -> None:
    """Plot what a model is fed: the values of the images, and how often each class comes.

    Parameters
    ----------
    batches : mapping of str to numpy.ndarray
        Name -> images of any shape; one line of the histogram each.
    classes : sequence of str
        The class name of each sample.

    Examples
    --------
    >>> show_values({"as read": np.arange(12.0).reshape(3, 2, 2)}, ["water", "water", "forest"])
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    low = min(float(values.min()) for values in batches.values())
    high = max(float(values.max()) for values in batches.values())
    edges = np.linspace(low, high, 41)
    for style, (name, values) in zip(("-", "--", ":"), batches.items(), strict=False):
        parts = np.histogram(values, edges)[0] / values.size
        left.stairs(parts, edges, label=name, linestyle=style, linewidth=2)
    left.set(xlabel="value", ylabel="part of all pixels", title="Values of the images")
    left.legend()
    counts = {name: list(classes).count(name) for name in tiles.CLASS_NAMES}
    right.barh(list(counts), list(counts.values()), color=[CLASS_COLOURS[name] for name in counts])
    right.invert_yaxis()
    right.set(xlabel="samples", title="Classes")
    plt.show()


def _frame(axes: Axes) -> None:
    """Put a thin frame around an image, so that snow on a white page has an edge."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color="#999999", linewidth=0.6)


def _labels(leaf: np.ndarray, class_names: Sequence[str]) -> list[str]:
    """Return the class name of each sample where the leaf is labels; else nothing."""
    if leaf.ndim == 2 and leaf.shape[1] == len(class_names):
        if np.isin(leaf, (0, 1)).all() and (leaf.sum(axis=1) == 1).all():
            return [class_names[number] for number in leaf.argmax(axis=1)]
    elif (
        leaf.ndim == 1
        and leaf.dtype.kind in "iu"
        and 0 <= leaf.min() <= leaf.max() < len(class_names)
    ):
        return [class_names[number] for number in leaf]
    return []


def _is_mask(leaf: np.ndarray) -> bool:
    """Tell whether images are land-cover masks: one channel of class numbers."""
    return bool(
        leaf.ndim == 4 and leaf.shape[-1] == 1 and np.isin(leaf, range(tiles.OTHER + 1)).all()
    )


def _limits(leaf: np.ndarray) -> tuple[float, float]:
    """Return the values that are shown darkest and brightest, or the range of the bars."""
    if _is_mask(leaf):
        return 0, tiles.OTHER
    low, high = float(leaf.min()), float(leaf.max())
    if leaf.ndim == 4 and low >= 0:
        return 0, 1 if high <= 1 else max(255, high)
    return (min(low, 0), max(high, 0)) if leaf.ndim < 4 else (low, high)


def _scaled(image: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Return the image with its darkest value at 0 and its brightest at 1."""
    low, high = limits
    return (image - low) / (high - low or 1)


def _plot_leaf(axes: Axes, value: np.ndarray, limits: tuple[float, float], colour: str) -> None:
    low, high = limits
    if value.ndim == 3 and _is_mask(value[None]) and high == tiles.OTHER:
        axes.imshow(value[..., 0], cmap=COVER_COLOURS, vmin=low, vmax=high)
    elif value.ndim == 3:
        scaled = _scaled(value, limits)
        axes.imshow(scaled[..., 0] if value.shape[-1] == 1 else scaled, cmap="gray", vmin=0, vmax=1)
    else:
        flat = np.atleast_1d(value).ravel()
        axes.bar(range(len(flat)), flat, color=colour)
        margin = 0.05 * (high - low or 1)
        axes.set_ylim(low - margin, high + margin)
        axes.axhline(0, color="#888888", linewidth=0.5)
        return
    axes.set(yticks=[])


def _bar_names(
    names: Mapping[str, Sequence[str]], rows: Sequence[tuple[str, np.ndarray]]
) -> dict[str, Sequence[str]]:
    """Return the names of bars by the path of their leaf."""
    found = {}
    for path, leaf in rows:
        own = names.get(path, names.get(_short(path)))
        if own is not None and leaf.shape[1:] != (len(own),):
            raise ValueError(
                f"bar_names: expected a name for each number of {path}, which has shape "
                f"{leaf.shape}, found {len(own)}"
            )
        if own is not None:
            found[path] = own
    return found


def _plot_named_bars(
    axes: Axes, value: np.ndarray, names: Sequence[str], limits: tuple[float, float], colour: str
) -> None:
    low, high = limits
    margin = 0.05 * (high - low or 1)
    axes.barh(range(len(names)), value, color=colour)
    axes.set(yticks=range(len(names)), yticklabels=names, xlim=(low - margin, high + margin))
    axes.invert_yaxis()
    axes.axvline(0, color="#888888", linewidth=0.5)


def _role(path: str) -> str:
    return path.split("[")[0]


def _short(path: str) -> str:
    """Return the last name in a path: ``inputs['imagery']`` is ``imagery``."""
    return path.rstrip("]").split("[")[-1].strip("'") if "['" in path else path


def _text(path: str, leaf: Any) -> str:
    return "{}\n{} {}".format(path, *shape_and_dtype(leaf))


def _shapes(structure: Any) -> dict[str, tf.TensorShape]:
    return {path: tf.TensorShape(leaf.shape) for path, leaf in leaves(structure)}


def _ports(model: keras.Model) -> list[tuple[str, tf.TensorShape, str]]:
    """Return ``(path, shape, text)`` of each input and output of a model."""
    ports = []
    for role, structure, names in (
        ("inputs", model.input, [tensor.name for tensor in model.inputs]),
        ("targets", model.output, list(model.output_names)),
    ):
        if isinstance(structure, Mapping):
            named = [(f"{role}[{key!r}]", key, tensor) for key, tensor in structure.items()]
        elif isinstance(structure, tuple | list) and len(structure) > 1:
            named = [
                (f"{role}[{number}]", name, tensor)
                for number, (name, tensor) in enumerate(zip(names, structure, strict=True))
            ]
        else:
            tensor = structure[0] if isinstance(structure, tuple | list) else structure
            named = [(role, names[0], tensor)]
        what = "input" if role == "inputs" else "output"
        ports += [
            (path, tf.TensorShape(tensor.shape), f"{what} {name}\n{tuple(tensor.shape)}")
            for path, name, tensor in named
        ]
    return ports
