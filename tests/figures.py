"""A text for every matplotlib figure: a fingerprint for tests, and an alternative for readers.

Under IPython a displayed figure comes as an image and as a text. JupyterLab shows the image; the
text is ordinarily ``<Figure size 640x480 with 1 Axes>``. In a kernel that tests or tools start
(`lesson_kernels`) it says what was plotted: titles, labels, ticks, legends, and a coarse summary of
the data of each image, line and bar. nbval compares that text with the stored one. It catches
images in another order, augmentation that was switched off, another colour map; and unlike pixels
it is the same with any font.

The data are rounded coarsely, and never at a boundary on which simple fractions lie: a last digit
that another processor computes differently does not change the text.
"""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib import colors
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.collections import Collection, PathCollection, QuadMesh
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

# Where between two steps the rounding flips. Halves, thirds, tenths … never lie there.
_FLIP = 0.5364

# An image is summarised by the means of GRID x GRID blocks, in steps of 1/256: two hex digits each.
GRID = 4

# Of a longer series (the points of a line, bars, …) only so many are written out.
SERIES = 8

# Characters of an alternative text: as much as a screen reader reads without a pause.
ALTERNATIVE = 500

# Weights of red, green and blue in the brightness of a block.
_WEIGHTS = np.array([0.3, 0.59, 0.11])


def fingerprint(figure: Figure) -> str:
    """Describe what a figure shows, in a few short lines.

    Parameters
    ----------
    figure
        The figure. Its layout is computed, as it is when the figure is drawn.

    Returns
    -------
    str
        A line for the figure and at least one for each of its axes. Images are given as
        ``means RRGGBB`` of the channels (or the colour map and its limits) and the means of 4 x 4
        blocks, in hex digits from 00 to ff; numbers are rounded to three digits.

    Examples
    --------
    >>> figure = Figure(figsize=(4, 3))
    >>> axes = figure.subplots()
    >>> _ = axes.set(title="loss", xlabel="epoch", xticks=[0, 1, 2], yticks=[])
    >>> _ = axes.plot([0, 1, 2], [0.9, 0.5, 0.4], label="train")
    >>> print(fingerprint(figure))
    Figure 4 x 3 inches, axes: 1
    1 'loss'; x 'epoch': 0 1 2; line 'train' #1f77b4, 3 points: x 0 1 2, y 0.9 0.5 0.4
    """
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    head = [f"Figure {coarse(width)} x {coarse(height)} inches, axes: {len(figure.axes)}"]
    for part in (figure, *figure.subfigs):
        head += [_texts(part.texts)] if _texts(part.texts) else []
        head += ["legend " + _texts(legend.get_texts()) for legend in part.legends]
        head += _counts("figure's", [*part.patches, *part.lines, *part.images])
    lines = ["; ".join(head)]
    for number, axes in enumerate(figure.axes, start=1):
        lines.append("; ".join([f"{number}{_title(axes)}", *_parts(axes)]))
    return "\n".join(wrapped for line in lines for wrapped in _wrap(line))


def alternative(figure: Figure) -> str:
    """Say in a sentence or two what a figure shows, for readers who do not see it.

    Parameters
    ----------
    figure
        The figure. A label of its own (`Figure.set_label`) is taken as it is; otherwise titles,
        legends and labels are put together.

    Returns
    -------
    str
        One line, of at most `ALTERNATIVE` characters.

    Examples
    --------
    >>> figure = Figure()
    >>> axes = figure.subplots()
    >>> _ = axes.set(title="The loss falls", xlabel="epoch", ylabel="loss")
    >>> _ = axes.plot([0, 1, 2], [0.9, 0.5, 0.4], label="train")
    >>> alternative(figure)
    'The loss falls: lines of loss over epoch: train.'
    """
    parts = [str(figure.get_label()) or figure.get_suptitle()]
    if not figure.get_label():
        parts.append("; ".join(map(_name, figure.subfigs)))
        shown = [axes for axes in figure.axes if axes.get_visible() and _kind(axes)]
        images = [axes for axes in shown if _kind(axes) == "images"]
        charts = [_chart(axes) for axes in shown if axes not in images]
        parts.append("; ".join(dict.fromkeys(chart for chart in charts if chart)))
        if images:
            titles = [_name(axes) or axes.get_ylabel() for axes in images]
            names = ", ".join(dict.fromkeys(filter(None, titles)))
            count = "one image" if len(images) == 1 else f"{len(images)} images"
            parts.append(f"{count}: {names}" if names else count)
    plain = [_plain(part).rstrip(".") for part in parts if part]
    text = ". ".join(plain) + "."
    return text if len(text) <= ALTERNATIVE else text[: ALTERNATIVE - 1].rstrip(" ,.") + "…"


def _kind(axes: Axes) -> str:
    """Name what is plotted in axes; an empty string where nothing, or only a scale of colours."""
    if axes.get_label() == "<colorbar>":
        return ""
    bars = any(isinstance(container, BarContainer) for container in axes.containers)
    kinds = {
        "images": axes.images,
        "lines": axes.lines,
        "bars": bars,
        "points": axes.collections,
        "areas": axes.patches,
        "words": axes.texts,
    }
    return next((kind for kind, there in kinds.items() if there), "")


def _name(part: Any) -> str:
    """Return the title of axes or of a part of a figure."""
    if not isinstance(part, Axes):
        return str(part.get_suptitle())
    titles = [part.get_title(loc) for loc in ("left", "center", "right")]
    return " ".join(title for title in titles if title)


def _chart(axes: Axes) -> str:
    """Describe axes without an image: title, what is plotted over what, and its names; if any."""
    if axes.texts and not axes.axison:
        words = ", ".join(text.get_text() for text in axes.texts if text.get_text())
        return ": ".join(filter(None, (_name(axes), f"a diagram with the words {words}")))
    said = _kind(axes)
    said += f" of {axes.get_ylabel()}" if axes.get_ylabel() else ""
    said += f" over {axes.get_xlabel()}" if axes.get_xlabel() else ""
    legend = axes.get_legend()
    shown = [text.get_text() for text in legend.get_texts()] if legend else []
    shown = shown or axes.get_legend_handles_labels()[1]
    title, names = _name(axes), ", ".join(dict.fromkeys(filter(None, shown)))
    # Many small charts beside each other: the first of a row says what they are.
    bare = said == _kind(axes) and not title and not names
    return "" if bare else ": ".join(filter(None, (title, said, names)))


def coarse(value: float) -> str:
    """Write a number with three digits, rounded so that simple fractions are far from flipping.

    Examples
    --------
    >>> coarse(0.125), coarse(-2 / 3), coarse(1234.5), coarse(0.99999999), coarse(0)
    ('0.125', '-0.667', '1230', '1', '0')
    """
    value = float(value)
    if not math.isfinite(value) or abs(value) < 1e-12:
        return "0" if math.isfinite(value) else str(value)
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    rounded = math.floor(abs(value) / step + 1 - _FLIP) * step
    return f"{math.copysign(rounded, value):.6g}"


def thumbnail(values: np.ndarray) -> str:
    """Summarise an image's brightness by the means of 4 x 4 blocks, in hex digits.

    Parameters
    ----------
    values
        Shape (height, width), float; 0 is dark and 1 is bright. NaN counts as missing.

    Returns
    -------
    str
        Two digits for each block, row after row; ``--`` where all is missing.

    Examples
    --------
    >>> thumbnail(np.linspace(0, 1, 64).reshape(8, 8))
    '121a222a/535b636b/949ca4ac/d4dde5ed'
    """
    rows = np.array_split(values, min(GRID, len(values)))
    return "/".join(
        "".join(_hex(block) for block in np.array_split(row, min(GRID, row.shape[1]), axis=1))
        for row in rows
    )


def _hex(values: np.ndarray) -> str:
    """Write the mean of values between 0 and 1 in two hex digits."""
    present = values[np.isfinite(values)]
    if not present.size:
        return "--"
    level = math.floor(present.mean(dtype=np.float64) * 255 + 1 - _FLIP)
    return f"{min(max(level, 0), 255):02x}"


def _title(axes: Axes) -> str:
    titles = [axes.get_title(loc) for loc in ("left", "center", "right")]
    return "".join(f" {title!r}" for title in titles if title)


def _parts(axes: Axes) -> Iterator[str]:
    """Yield one short description for each thing that the axes show."""
    if not axes.get_visible():
        yield "hidden"
        return
    if axes.axison:
        yield from _axis("x", axes.xaxis)
        yield from _axis("y", axes.yaxis)
    legend = axes.get_legend()
    if legend is not None:
        yield "legend " + _texts([legend.get_title(), *legend.get_texts()])
    yield from (_image(image) for image in axes.images)
    yield from (_line(line) for line in axes.lines)
    bars = [container for container in axes.containers if isinstance(container, BarContainer)]
    yield from (_bars(container) for container in bars)
    yield from (_collection(collection) for collection in axes.collections)
    in_bars = {id(patch) for container in bars for patch in container.patches}
    yield from _counts("", (patch for patch in axes.patches if id(patch) not in in_bars))
    written = _texts(axes.texts)
    if written:
        yield "texts " + written


def _axis(name: str, axis: Axis) -> Iterator[str]:
    """Describe an axis: label, scale where it is not linear, and the ticks' texts."""
    label = axis.get_label_text()
    low, high = sorted(axis.get_view_interval())
    slack = (high - low) * 1e-9
    ticks = [
        text.get_text()
        for text, place in zip(axis.get_ticklabels(), axis.get_ticklocs(), strict=False)
        if axis.get_visible() and text.get_text() and low - slack <= place <= high + slack
    ]
    scale = "" if axis.get_scale() == "linear" else f" {axis.get_scale()}"
    inverted = " inverted" if axis.get_inverted() else ""
    if label or ticks:
        described = f"{name}{scale}{inverted}" + (f" {label!r}" if label else "")
        yield described + (": " + " ".join(_plain(tick) for tick in ticks) if ticks else "")


def _image(image: AxesImage) -> str:
    """Describe an image: its shape, its channels' means or its colour map, its blocks' means."""
    data = image.get_array()
    if data is None or not np.size(data):
        return "image, empty"
    values = _filled(data)
    size = "x".join(str(length) for length in values.shape)
    extent = _extent(image, values.shape)
    if values.ndim == 2:
        return f"image {size}{extent} {_mapping(image)} {thumbnail(_normed(image, values))}"
    if np.ma.asarray(data).dtype == np.uint8:
        values = values / 255
    channels = "".join(_hex(values[..., channel]) for channel in range(values.shape[-1]))
    return f"image {size}{extent} means {channels} {thumbnail(values[..., :3] @ _WEIGHTS)}"


def _extent(image: AxesImage, shape: Sequence[int]) -> str:
    """Say where an image lies, unless it lies where `imshow` puts it by itself."""
    extent = [float(edge) for edge in image.get_extent()]
    usual = [-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5]
    return "" if np.allclose(extent, usual) else f" at {_numbers(extent)}"


def _mapping(mappable: ScalarMappable) -> str:
    """Name a colour map, three of its colours and its limits."""
    samples = " ".join(colors.to_hex(mappable.cmap(place))[1:] for place in (0.0, 0.5, 1.0))
    limits = " to ".join("?" if limit is None else coarse(limit) for limit in mappable.get_clim())
    kind = type(mappable.norm).__name__
    return f"{mappable.cmap.name} ({samples}) {'' if kind == 'Normalize' else kind + ' '}{limits}"


def _normed(mappable: ScalarMappable, values: np.ndarray) -> np.ndarray:
    """Scale values to 0 (lowest colour) … 1 (highest); missing ones become NaN."""
    scaled = _filled(mappable.norm(np.ma.masked_invalid(values)))
    if isinstance(mappable.norm, colors.BoundaryNorm):
        scaled = scaled / max(mappable.cmap.N - 1, 1)
    return np.clip(scaled, 0, 1)


def _line(line: Line2D) -> str:
    x, y = (_filled(data) for data in line.get_data(orig=False))
    name = f"line{_label(line)} {colors.to_hex(line.get_color())}"
    return f"{name}, {len(x)} points: x {_series(x)}, y {_series(y)}"


def _bars(bars: BarContainer) -> str:
    upright = getattr(bars, "orientation", "vertical") != "horizontal"
    lengths = [bar.get_height() if upright else bar.get_width() for bar in bars.patches]
    shades = _distinct(colors.to_hex(bar.get_facecolor()) for bar in bars.patches)
    kind = "bars" if upright else "bars across"
    return f"{kind}{_label(bars)} {shades}, {len(lengths)}: {_series(lengths)}"


def _collection(collection: Collection) -> str:
    """Describe scattered points, a mesh of colours, filled areas."""
    name = f"{type(collection).__name__}{_label(collection)}"
    values = collection.get_array()
    if isinstance(collection, QuadMesh) and values is not None and np.ndim(values) == 2:
        return f"{name} {_mapping(collection)} {thumbnail(_normed(collection, _filled(values)))}"
    if values is not None:
        shade = f"{_mapping(collection)} of {_series(_filled(values).ravel())}"
    else:
        faces = colors.to_rgba_array(collection.get_facecolor())
        shade = _distinct(colors.to_hex(face) for face in faces)
    if isinstance(collection, PathCollection):
        points = _filled(collection.get_offsets())
        where = f"x {_series(points[:, 0])}, y {_series(points[:, 1])}"
        return f"{name} {shade}, {len(points)} points: {where}"
    return f"{name} {shade}, {len(collection.get_paths())} paths"


def _series(values: Iterable[float]) -> str:
    """Write out a short series; of a long one its mean and evenly spaced members."""
    series = np.asarray(list(values), dtype=np.float64)
    if len(series) <= SERIES:
        return _numbers(series)
    chosen = series[np.linspace(0, len(series) - 1, SERIES).astype(int)]
    present = series[np.isfinite(series)]
    mean = coarse(present.mean()) if present.size else "nan"
    return f"mean {mean}, of them {_numbers(chosen)}"


def _filled(values: Any) -> np.ndarray:
    """Return values as floats, with NaN where they are masked."""
    return np.ma.filled(np.ma.asarray(values).astype(np.float64), np.nan)


def _numbers(values: Iterable[float]) -> str:
    return " ".join(coarse(value) for value in values)


def _label(artist: Any) -> str:
    label = str(artist.get_label())
    return "" if not label or label.startswith("_") else f" {label!r}"


def _texts(texts: Iterable[Any]) -> str:
    return " ".join(repr(_plain(text.get_text())) for text in texts if text.get_text())


def _plain(text: str) -> str:
    """Write a text on one line, with an ordinary minus sign."""
    return " ".join(text.replace("\N{MINUS SIGN}", "-").split())


def _distinct(names: Iterable[str]) -> str:
    """Name the different colours in the order in which they come; of more than four, the number."""
    distinct = list(dict.fromkeys(names))
    return " ".join(distinct) if len(distinct) <= 4 else f"{len(distinct)} colours"


def _counts(whose: str, artists: Iterable[Artist]) -> list[str]:
    """Count artists by kind: ``FancyBboxPatch 3``."""
    kinds = Counter(type(artist).__name__ for artist in artists)
    return [f"{whose} {kind} {number}".strip() for kind, number in sorted(kinds.items())]


def _wrap(line: str) -> list[str]:
    return textwrap.wrap(
        line, 100, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
