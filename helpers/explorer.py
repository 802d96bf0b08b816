"""Sliders for the options of `ImageDataGenerator`, and the images of a tile that follow them.

The lesson that builds it: 05 Augmentation you can see.
"""

from __future__ import annotations

import base64
import io
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets  # type: ignore[import-untyped]
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from helpers import tiles
from helpers.fast import as_dict, as_line
from helpers.plots import COVER_COLOURS
from helpers.transforms import SharedTransforms

__all__ = ["Explorer"]

Images = Mapping[str, np.ndarray]

#: Where the controls stand at first. `brightness` 0.3 means ``brightness_range=(0.7, 1.3)``.
START: dict[str, Any] = {
    "rotation_range": 30, "width_shift_range": 0.1, "height_shift_range": 0.1, "shear_range": 0,
    "zoom_range": 0.2, "brightness": 0.3, "channel_shift_range": 0, "horizontal_flip": True,
    "vertical_flip": False, "fill_mode": "nearest", "epoch": 0,
}  # fmt: skip

_HIGHEST = {"rotation_range": 180, "shear_range": 60, "channel_shift_range": 150, "epoch": 49}
_FILL_MODES = ("nearest", "reflect", "wrap", "constant")
_PIXELS = 2  # for one of the figure's, so that it is sharp on screens that have as many


class Explorer:
    """Sliders beside the images of one tile, before and after.

    As the last line of a cell it is shown as one output in two forms: JupyterLab shows the sliders
    where a kernel answers them; whatever stores or prints the notebook keeps the figure.

    Parameters
    ----------
    images : mapping of str to numpy.ndarray
        Some of `tiles.IMAGES`, uint8 of shape (height, width, channels). Colours change in
        ``imagery`` only; ``cover`` holds class numbers.
    row : int
        As in `SharedTransforms`.
    **start
        Where controls stand at first, in place of `START`.

    Attributes
    ----------
    controls : dict
        The widgets by the names in `START`; to set ``.value`` is to move a slider.
    figure : matplotlib.figure.Figure
        What is shown. pyplot does not know it, so nothing has to be closed.

    Raises
    ------
    ValueError
        If an image is not as said above.

    Examples
    --------
    >>> images = {name: tiles.read_images(name, "test")[40] for name in tiles.IMAGES}
    >>> explorer = Explorer(images, row=40, rotation_range=0)
    >>> explorer.controls["rotation_range"].value = 90
    >>> explorer.figure.axes[0].get_title()
    'imagery, 64 × 64'
    """

    def __init__(self, images: Images, row: int = 0, **start: Any) -> None:
        for name, image in images.items():
            if name not in tiles.IMAGES or image.dtype != np.uint8 or image.ndim != 3:
                raise ValueError(
                    f"{name}: expected {', '.join(tiles.IMAGES)} as uint8 of shape (height, width, "
                    f"channels), found {image.dtype} of shape {image.shape}"
                )
        self._images, self._row = images, row
        self.controls = {name: _control(name, value) for name, value in (START | start).items()}
        self._image = widgets.Image(format="png", layout={"object_fit": "contain"})
        self._update()
        for control in self.controls.values():
            control.observe(self._update, names="value")
        again = widgets.Button(description="sample again", tooltip="the next epoch")
        again.on_click(self._next_epoch)
        self.widget = widgets.HBox(
            [widgets.VBox([*self.controls.values(), again]), self._image],
            layout={"flex_flow": "row wrap", "align_items": "flex-start"},
        )

    def _update(self, change: Any = None) -> None:
        values = {name: control.value for name, control in self.controls.items()}
        given, rows, epoch = options(values), [self._row], values["epoch"]
        datagen = tf.keras.preprocessing.image.ImageDataGenerator(**given)
        colours = {"imagery"} & set(self._images)
        shared = SharedTransforms(datagen, seed=1, photometric=colours, mask_fill=tiles.OTHER)
        batch = {name: image[None] for name, image in self._images.items()}
        after = {name: moved[0] for name, moved in shared(batch, rows, epoch).items()}
        (line,) = shared.lines(rows, epoch, next(iter(self._images.values())).shape)
        self._text = f"{_code(given)}\n{_transform(self._row, line)}"
        self.figure = _plot(self._images, after, self._text)
        file, dpi = io.BytesIO(), _PIXELS * self.figure.dpi
        self.figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})
        self._image.value = file.getvalue()
        self._image.layout.width = f"{self.figure.bbox.width:.0f}px"  # kept while it is replaced

    def _next_epoch(self, button: widgets.Button) -> None:
        epoch = self.controls["epoch"]
        epoch.value = (epoch.value + 1) % (epoch.max + 1)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        shell = sys.modules["IPython"].get_ipython()
        as_text = shell.display_formatter.formatters["text/plain"] if shell else repr
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        text = f"One tile before and after a transform. {self._text}"
        data = {
            "application/vnd.jupyter.widget-view+json": view,
            "image/png": base64.b64encode(self._image.value).decode("ascii"),
            "text/plain": as_text(self.figure),
        }
        size = {"width": int(self.figure.bbox.width), "height": int(self.figure.bbox.height)}
        return data, {"image/png": {"alt": " ".join(text.split())} | size}


def options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of `ImageDataGenerator` that do something, for values as `START`.

    >>> options(START | {"rotation_range": 0, "zoom_range": 0, "horizontal_flip": False})
    {'width_shift_range': 0.1, 'height_shift_range': 0.1, 'brightness_range': (0.7, 1.3)}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name == "brightness" and value:
            found["brightness_range"] = (round(1 - value, 3), round(1 + value, 3))
        elif name not in ("brightness", "epoch") and value not in (0, "nearest"):
            found[name] = round(value, 3) if isinstance(value, float) else value
    return found


def _control(name: str, value: Any) -> Any:
    """Make a control with its name at the left."""
    label = "brightness 1 ±" if name == "brightness" else name
    style, layout = {"description_width": "140px"}, {"width": "320px"}
    look = {"description": label, "value": value, "style": style, "layout": layout}
    if isinstance(value, bool):
        return widgets.Checkbox(**look)
    if isinstance(value, str):
        return widgets.Dropdown(options=_FILL_MODES, **look)
    if name in _HIGHEST:
        return widgets.IntSlider(max=_HIGHEST[name], **look)
    return widgets.FloatSlider(max=0.9, step=0.01, **look)


def _code(given: Mapping[str, Any]) -> str:
    """Write the options as one would in code; a range is not broken over two lines."""
    texts = (f"{name}={value!r}".replace(" ", "\xa0") for name, value in given.items())
    return f"ImageDataGenerator({', '.join(texts)})"


def _transform(row: int, line: np.ndarray) -> str:
    """Write the parameters of a transform that do something."""
    still = as_dict(as_line({}))
    acting = [
        f"{name}=True" if name.startswith("flip") else f"{name}={value:.3g}"
        for name, value in as_dict(line).items()
        if value != still[name]
    ]
    return f"row {row} gets {', '.join(acting) or 'no change'}"


def _plot(before: Images, after: Images, text: str) -> Figure:
    """Plot images before and after; places are in inches, so nothing moves between two figures."""
    side, left, below, gap, above = 1.7, 0.3, 0.5, 0.08, 1.35
    width, height = max(left + (side + gap) * len(before), 5.5), below + 2 * side + gap + above
    figure = Figure(figsize=(width, height), dpi=100)
    for line, (when, images) in enumerate((("before", before), ("after", after))):
        for column, (name, image) in enumerate(images.items()):
            x, y = left + (side + gap) * column, below + (side + gap) * (1 - line)
            at = (x / width, y / height, side / width, side / height)
            axes = figure.add_axes(at, xticks=[], yticks=[], frame_on=False)
            pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
            if name == "cover":
                axes.imshow(pixels[..., 0], cmap=COVER_COLOURS, vmin=0, vmax=tiles.OTHER)
            else:
                axes.imshow(pixels)
            if not line:
                axes.set_title(f"{name}, {image.shape[0]} × {image.shape[1]}", fontsize=9, pad=3)
            if not column:
                axes.set_ylabel(when, fontsize=9)
    letters = int((width - left - 0.1) * 72 / (0.64 * 8))  # of 8 points, each 0.64 as wide
    wrapped = [textwrap.fill(part, letters, subsequent_indent="  ") for part in text.split("\n")]
    place = (left / width, 1 - 0.05 / height)
    figure.text(*place, "\n".join(wrapped), va="top", family="monospace", fontsize=8)
    if "cover" in before:
        found = np.union1d(before["cover"], after["cover"]).astype(int)
        names = [*tiles.CLASS_NAMES, "other"]
        patches = [Patch(color=COVER_COLOURS(number), label=names[number]) for number in found]
        figure.legend(handles=patches, loc="lower center", ncols=5, fontsize=8, frameon=False)
    return figure
