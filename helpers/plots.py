"""Pictures of batches, of structures and of the tiles, readable by colour-blind people.

Importing this module sets a small figure style.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import FancyBboxPatch, Patch

from helpers import tiles
from helpers.datasets import leaves, structure_tree

__all__ = [
    "CLASS_COLOURS",
    "COVER_COLOURS",
    "ROLE_COLOURS",
    "show_batch",
    "show_chain",
    "show_map",
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

#: A colour for each part of an element.
ROLE_COLOURS: dict[str, str] = {
    "inputs": "#0072B2",
    "targets": "#D55E00",
    "weights": "#666666",
    "element": "#009E73",
}


def show_batch(
    batch: Any,
    *,
    samples: int = 6,
    class_names: Sequence[str] = tiles.CLASS_NAMES,
    title: str = "",
) -> None:
    """Draw the first samples of a batch of any structure, and print the structure.

    One column a sample, one row a leaf: pictures as they are, masks of whole class numbers in
    the class colours, vectors as bars. Labels (one-hot or whole numbers) become class names over
    the column.

    Parameters
    ----------
    batch : nest of arrays or tensors
        Each leaf with its samples on the first axis: pictures (batch, height, width, channels)
        from 0 to 1 or from 0 to 255, vectors (batch, length), numbers (batch,).
    samples : int
        How many samples to draw.
    class_names : sequence of str
        Names of the classes, by number.
    title : str
        What to see in the figure.

    Raises
    ------
    ValueError
        If the batch holds nothing that can be drawn.
    """
    print(structure_tree(batch))
    named = [(path, np.asarray(leaf)) for path, leaf in leaves(batch)]
    drawable = [(path, leaf) for path, leaf in named if leaf.ndim >= 1 and len(leaf)]
    if not drawable:
        raise ValueError(f"batch: expected at least one array with samples, found {named}")
    labels = {path: names for path, leaf in drawable if (names := _labels(leaf, class_names))}
    rows = [(path, leaf) for path, leaf in drawable if path not in labels] or drawable
    samples = min(samples, *(len(leaf) for _, leaf in drawable))
    heights = [1.0 if leaf.ndim == 4 else 0.6 for _, leaf in rows]
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
            _draw_leaf(axes, value, limits, ROLE_COLOURS[_role(path)])
            axes.set(xticks=[])
            if leaf.ndim == 4:
                axes.spines[:].set_visible(False)
            axes.tick_params(labelleft=axes is axes_row[0], labelsize=8)
        axes_row[0].set_ylabel(_short(path), rotation=0, ha="right", va="center")
    for names in labels.values():
        for axes, name in zip(grid[0], names, strict=False):
            axes.set_title("\n".join(filter(None, [axes.get_title(), name])))
    if title:
        fig.suptitle(title)
    plt.show()


def show_chain(batch: Any, dataset: tf.data.Dataset, model: keras.Model) -> None:
    """Draw the chain from a generator's batch over the dataset's elements to the model.

    A line joins each leaf to the model's input or output that takes it: by name where the model
    was built with dicts, by position otherwise. A leaf that nothing takes, and an input or output
    that nothing feeds, has a dashed frame.

    Parameters
    ----------
    batch : nest of arrays
        What the generator yields.
    dataset : tf.data.Dataset
        Batched, made from that generator.
    model : keras.Model
        Functional, with its inputs and outputs known.
    """
    columns = [
        [(path, _text(path, leaf)) for path, leaf in leaves(batch)],
        [(path, _text(path, spec)) for path, spec in leaves(dataset.element_spec)],
        _ports(model),
    ]
    count = max(len(column) for column in columns)
    fig, axes = plt.subplots(figsize=(10, 0.62 * count + 1), layout="constrained")
    batch_paths, element_paths, model_paths = ([path for path, _ in column] for column in columns)
    joins = (set(batch_paths) & set(element_paths), set(element_paths) & set(model_paths))
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


def show_map(split_by: str = "class") -> None:
    """Draw every tile at its place on Earth: its picture, and the colour of its class or split.

    Parameters
    ----------
    split_by : {"class", "split"}
        What the colours of the lower map stand for.
    """
    table = tiles.table()
    colours = (
        CLASS_COLOURS
        if split_by == "class"
        else dict(zip(tiles.SPLITS, ("#BBBBBB", "#E69F00", "#0072B2"), strict=True))
    )
    fig, (upper, lower) = plt.subplots(2, 1, figsize=(9, 9.2), layout="constrained")
    half = 1.6  # degrees: a tile is 64 cells of 0.05 degrees
    pictures = np.concatenate([tiles.read_pictures("imagery", split) for split in tiles.SPLITS])
    for picture, latitude, longitude in zip(
        pictures, table["latitude"], table["longitude"], strict=True
    ):
        extent = (longitude - half, longitude + half, latitude - half, latitude + half)
        upper.imshow(picture[::4, ::4], extent=extent)
    for name, colour in colours.items():
        members = table[table[split_by] == name]
        lower.scatter(members["longitude"], members["latitude"], s=22, marker="s", c=colour)
    handles = [Patch(color=colour, label=name) for name, colour in colours.items()]
    lower.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4)
    for axes, title in (
        (upper, f"{len(table)} tiles, each at its place"),
        (lower, f"The same tiles by {split_by}"),
    ):
        axes.set(xlim=(-180, 180), ylim=(-75, 75), aspect="equal", title=title)
        axes.set(xticks=range(-180, 181, 60), yticks=range(-60, 61, 30), ylabel="latitude (°)")
        axes.set_facecolor("#EEEEEE")
    lower.set_xlabel("longitude (°)")
    plt.show()


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
    """Tell whether pictures are land-cover masks: one channel of whole class numbers."""
    return bool(
        leaf.ndim == 4 and leaf.shape[-1] == 1 and np.isin(leaf, range(tiles.OTHER + 1)).all()
    )


def _limits(leaf: np.ndarray) -> tuple[float, float]:
    """Return the values that are drawn darkest and brightest, or the range of the bars."""
    if _is_mask(leaf):
        return 0, tiles.OTHER
    low, high = float(leaf.min()), float(leaf.max())
    if leaf.ndim == 4 and low >= 0:
        return 0, 1 if high <= 1 else max(255, high)
    return (min(low, 0), max(high, 0)) if leaf.ndim < 4 else (low, high)


def _draw_leaf(axes: Axes, value: np.ndarray, limits: tuple[float, float], colour: str) -> None:
    low, high = limits
    if value.ndim == 3 and _is_mask(value[None]) and high == tiles.OTHER:
        axes.imshow(value[..., 0], cmap=COVER_COLOURS, vmin=low, vmax=high)
    elif value.ndim == 3:
        scaled = (value - low) / (high - low or 1)
        axes.imshow(scaled[..., 0] if value.shape[-1] == 1 else scaled, cmap="gray", vmin=0, vmax=1)
    else:
        flat = np.atleast_1d(value).ravel()
        axes.bar(range(len(flat)), flat, color=colour)
        margin = 0.05 * (high - low or 1)
        axes.set_ylim(low - margin, high + margin)
        axes.axhline(0, color="#888888", linewidth=0.5)
        return
    axes.set(yticks=[])


def _role(path: str) -> str:
    return path.split("[")[0]


def _short(path: str) -> str:
    """Return the last name in a path: ``inputs['imagery']`` is ``imagery``."""
    return path.rstrip("]").split("[")[-1].strip("'") if "['" in path else path


def _text(path: str, leaf: Any) -> str:
    shape, dtype = leaf.shape, leaf.dtype
    if isinstance(shape, tf.TensorShape):
        shape = "<unknown>" if shape.rank is None else tuple(shape.as_list())
    return f"{path}\n{shape} {getattr(dtype, 'name', dtype)}"


def _ports(model: keras.Model) -> list[tuple[str, str]]:
    """Return ``(path, text)`` of each input and output of a model."""
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
        ports += [(path, f"{what} {name}\n{tuple(tensor.shape)}") for path, name, tensor in named]
    return ports
