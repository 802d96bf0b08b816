"""Sliders for the options of `ImageDataGenerator`, and a sample's pictures redrawn as they move.

Three layers, each usable without the next: `Settings` become options (`options`), options become
pictures (`transformed`) and a figure (`draw`), and `Explorer` puts sliders beside the figure.
Where nothing is live, on GitHub for one, an `Explorer` is the figure alone.
"""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets  # type: ignore[import-untyped]
import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from helpers import tiles
from helpers.plots import COVER_COLOURS
from helpers.transforms import SharedTransforms

__all__ = ["Explorer", "Settings", "draw", "explore", "options", "transformed"]

Pictures = Mapping[str, np.ndarray]

FILL_MODES = ("nearest", "reflect", "wrap", "constant")

_WIDGET = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True)
class Settings:
    """Where the controls stand.

    Attributes
    ----------
    rotation_range, width_shift_range, height_shift_range, shear_range, zoom_range
        As in `ImageDataGenerator`: degrees, parts of the width and height, degrees, and the part by
        which a zoom differs from 1.
    horizontal_flip, vertical_flip, channel_shift_range, fill_mode
        As in `ImageDataGenerator`.
    brightness
        Strength: 0.3 stands for ``brightness_range=(0.7, 1.3)``, 0 for none.
    epoch
        Counted from 0. Another epoch is another draw with the same options.
    """

    rotation_range: float = 30.0
    width_shift_range: float = 0.1
    height_shift_range: float = 0.1
    shear_range: float = 0.0
    zoom_range: float = 0.2
    horizontal_flip: bool = True
    vertical_flip: bool = False
    brightness: float = 0.3
    channel_shift_range: float = 0.0
    fill_mode: str = "nearest"
    epoch: int = 0


def options(settings: Settings) -> dict[str, Any]:
    """Return the options of `ImageDataGenerator` that settings stand for.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    dict
        Without the options that do nothing.

    Examples
    --------
    >>> options(Settings(rotation_range=0, zoom_range=0, horizontal_flip=False))
    {'width_shift_range': 0.1, 'height_shift_range': 0.1, 'brightness_range': (0.7, 1.3)}
    """
    strength = settings.brightness
    found: dict[str, Any] = {
        "rotation_range": round(settings.rotation_range, 3),
        "width_shift_range": round(settings.width_shift_range, 3),
        "height_shift_range": round(settings.height_shift_range, 3),
        "shear_range": round(settings.shear_range, 3),
        "zoom_range": round(settings.zoom_range, 3),
        "horizontal_flip": settings.horizontal_flip,
        "vertical_flip": settings.vertical_flip,
        "brightness_range": (round(1 - strength, 3), round(1 + strength, 3)) if strength else None,
        "channel_shift_range": round(settings.channel_shift_range, 3),
        "fill_mode": "" if settings.fill_mode == "nearest" else settings.fill_mode,
    }
    return {name: value for name, value in found.items() if value}


def transformed(
    pictures: Pictures,
    settings: Settings,
    *,
    row: int,
    seed: int,
    photometric: Collection[str] = ("imagery",),
    masks: Collection[str] = ("cover",),
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Transform one sample's pictures, all in the same way.

    Parameters
    ----------
    pictures : mapping of str to numpy.ndarray
        Each of shape (height, width, channels), uint8.
    settings : Settings
    row, seed : int
        As in `SharedTransforms`.
    photometric, masks : collection of str
        As in `SharedTransforms`. A mask holds the class numbers of the tiles; beyond its border
        it holds `tiles.OTHER` where ``fill_mode="constant"``.

    Returns
    -------
    pictures : dict of str to numpy.ndarray
        The same names, shapes and dtypes.
    drawn : dict
        The transform, as ``ImageDataGenerator.get_random_transform`` returns it for the first
        picture.
    """
    transforms = SharedTransforms(
        tf.keras.preprocessing.image.ImageDataGenerator(**options(settings)),
        seed=seed,
        photometric=photometric,
        masks=masks,
        others=set(pictures) - set(photometric) - set(masks),
        mask_fill=tiles.OTHER,
    )
    after = transforms(
        {name: picture[None] for name, picture in pictures.items()}, np.array([row]), settings.epoch
    )
    drawn = transforms.draw(next(iter(pictures.values())).shape, row, settings.epoch)
    return {
        name: np.clip(np.rint(batch[0]), 0, 255).astype(np.uint8) for name, batch in after.items()
    }, drawn


# --- the figure: sizes in inches, so that nothing moves from one drawing to the next --------------

_PICTURE, _GAP, _LEFT = 2.1, 0.15, 0.35
_TEXT, _TITLES, _LEGEND = 1.1, 0.3, 0.55
_LETTER = 9  # points; a letter of the fixed-width font is 0.6 times as wide


def draw(
    pictures: Pictures,
    settings: Settings,
    *,
    row: int = 0,
    seed: int = 1,
    photometric: Collection[str] = ("imagery",),
    masks: Collection[str] = ("cover",),
) -> Figure:
    """Draw a sample's pictures before and after, with the options and the transform as text.

    The parameters are those of `transformed`.

    Returns
    -------
    matplotlib.figure.Figure
        Upper row before, lower row after, a column for each picture. pyplot does not know it, so
        nothing has to be closed.
    """
    after, drawn = transformed(
        pictures, settings, row=row, seed=seed, photometric=photometric, masks=masks
    )
    width = max(_LEFT + (_PICTURE + _GAP) * len(pictures), 7)
    below = _LEGEND if masks else _GAP
    height = below + 2 * _PICTURE + _GAP + _TITLES + _TEXT
    figure = Figure(figsize=(width, height))
    for line, (role, shown) in enumerate((("after", after), ("before", pictures))):
        for column, (name, picture) in enumerate(shown.items()):
            left = _LEFT + column * (_PICTURE + _GAP)
            bottom = below + line * (_PICTURE + _GAP)
            axes = figure.add_axes(
                (left / width, bottom / height, _PICTURE / width, _PICTURE / height)
            )
            _draw_picture(axes, picture, is_mask=name in masks)
            if role == "before":
                axes.set_title(f"{name}, {picture.shape[0]} × {picture.shape[1]}")
            if column == 0:
                axes.set_ylabel(role)
    letters = int((width - _LEFT) * 72 / (0.61 * _LETTER))
    text = "\n".join(_wrap(line, letters) for line in (_code(settings), _transform(drawn, row)))
    figure.text(_LEFT / width, 1 - 0.08 / height, text, va="top", family="monospace", size=_LETTER)
    _draw_legend(figure, [shown[name] for name in masks for shown in (pictures, after)])
    return figure


def _draw_picture(axes: Axes, picture: np.ndarray, is_mask: bool) -> None:
    if is_mask:
        axes.imshow(
            picture[..., 0], cmap=COVER_COLOURS, vmin=0, vmax=tiles.OTHER, interpolation="nearest"
        )
    else:
        colours = picture[..., 0] if picture.shape[-1] == 1 else picture
        axes.imshow(colours, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _draw_legend(figure: Figure, masks: list[np.ndarray]) -> None:
    """Name the classes that masks hold, at the bottom."""
    names = (*tiles.CLASS_NAMES, "other")
    present = sorted({int(number) for mask in masks for number in np.unique(mask)})
    handles = [Patch(color=COVER_COLOURS(number), label=names[number]) for number in present]
    if handles:
        figure.legend(handles=handles, loc="lower center", ncols=5, fontsize=_LETTER, frameon=False)


def _code(settings: Settings) -> str:
    """Write the options as one would in code."""
    given = {
        name: f"{value:g}"
        if isinstance(value, float)
        else repr(value).replace(" ", "\N{NO-BREAK SPACE}")
        for name, value in options(settings).items()
    }
    return f"ImageDataGenerator({', '.join(f'{name}={text}' for name, text in given.items())})"


def _transform(drawn: Mapping[str, Any], row: int) -> str:
    """Write the parts of a transform that do something."""
    neutral = {"zx": 1, "zy": 1, "brightness": None, "channel_shift_intensity": None}
    acting = [
        f"{name}={'True' if name.startswith('flip') else format(value, '.3g')}"
        for name, value in drawn.items()
        if value != neutral.get(name, 0)
    ]
    return f"row {row} gets {', '.join(acting) or 'no change'}"


def _wrap(line: str, letters: int) -> str:
    return textwrap.fill(line, letters, subsequent_indent="    ", break_on_hyphens=False)


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


# --- the widget -----------------------------------------------------------------------------------


class Explorer:
    """Sliders beside a sample's pictures.

    As the last line of a cell it is shown as one output in two forms: JupyterLab shows the sliders
    where a kernel answers them; whatever stores or prints the notebook keeps the picture.

    Parameters
    ----------
    pictures : mapping of str to numpy.ndarray
        One sample: each of shape (height, width, channels), uint8.
    row, seed : int
        As in `SharedTransforms`.
    photometric, masks : collection of str
        Names of the pictures whose colours may change, and of those that hold class numbers.
    settings : Settings
        Where the sliders start.

    Attributes
    ----------
    controls : dict
        The widgets by the name of the setting; to set ``.value`` is to move a slider.
    figure : matplotlib.figure.Figure
        What is shown.
    image : ipywidgets.Image
        The same as PNG.

    Raises
    ------
    ValueError
        If a picture is not as said above or has other proportions than the first, or a name is not
        that of a picture.
    """

    def __init__(
        self,
        pictures: Pictures,
        *,
        row: int = 0,
        seed: int = 1,
        photometric: Collection[str] = ("imagery",),
        masks: Collection[str] = ("cover",),
        settings: Settings = Settings(),
    ) -> None:
        _check(pictures, {"photometric": photometric, "masks": masks})
        self._pictures = dict(pictures)
        self._how: dict[str, Any] = {
            "row": row, "seed": seed, "photometric": photometric, "masks": masks
        }  # fmt: skip
        self.controls = _controls(settings)
        self.image = widgets.Image(format="png", layout={"object_fit": "contain"})
        self._redraw()
        self.image.layout.width = f"{self.figure.bbox.width:.0f}px"  # kept while it is redrawn
        for control in self.controls.values():
            control.observe(self._redraw, names="value")
        again = widgets.Button(description="draw again", tooltip="the next epoch")
        again.on_click(self._next_epoch)
        self.widget = widgets.HBox(
            [widgets.VBox([*self.controls.values(), again]), self.image],
            layout={"flex_flow": "row wrap"},
        )

    @property
    def settings(self) -> Settings:
        """Where the controls stand now."""
        return Settings(**{name: control.value for name, control in self.controls.items()})

    def _redraw(self, change: Any = None) -> None:
        self.figure = draw(self._pictures, self.settings, **self._how)
        self.image.value = _png(self.figure)

    def _next_epoch(self, button: widgets.Button) -> None:
        epoch = self.controls["epoch"]
        epoch.value = epoch.min if epoch.value == epoch.max else epoch.value + 1

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return {
            _WIDGET: {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id},
            "image/png": base64.b64encode(self.image.value).decode("ascii"),
            "text/plain": repr(self.figure),
        }


def explore(
    pictures: Pictures,
    row: int = 0,
    seed: int = 1,
    *,
    photometric: Collection[str] = ("imagery",),
    masks: Collection[str] = ("cover",),
    settings: Settings = Settings(),
) -> Explorer:
    """Return an `Explorer`: the last line of a cell shows it. The parameters are the same."""
    return Explorer(
        pictures, row=row, seed=seed, photometric=photometric, masks=masks, settings=settings
    )


def _controls(settings: Settings) -> dict[str, widgets.DOMWidget]:
    """Make a control for each setting, in the order in which they are shown."""
    return {
        "rotation_range": _slider("rotation_range", settings.rotation_range, 180, 1),
        "width_shift_range": _slider("width_shift_range", settings.width_shift_range, 0.9, 0.01),
        "height_shift_range": _slider("height_shift_range", settings.height_shift_range, 0.9, 0.01),
        "shear_range": _slider("shear_range", settings.shear_range, 60, 1),
        "zoom_range": _slider("zoom_range", settings.zoom_range, 0.9, 0.01),
        "brightness": _slider("brightness_range 1 ±", settings.brightness, 0.9, 0.01),
        "channel_shift_range": _slider("channel_shift_range", settings.channel_shift_range, 150, 1),
        "horizontal_flip": _labelled(widgets.Checkbox, "horizontal_flip", settings.horizontal_flip),
        "vertical_flip": _labelled(widgets.Checkbox, "vertical_flip", settings.vertical_flip),
        "fill_mode": _labelled(
            widgets.Dropdown, "fill_mode", settings.fill_mode, options=FILL_MODES
        ),
        "epoch": _labelled(widgets.IntSlider, "epoch", settings.epoch, max=49),
    }


def _slider(name: str, value: float, highest: float, step: float) -> widgets.FloatSlider:
    form = ".0f" if step == 1 else ".2f"
    return _labelled(widgets.FloatSlider, name, value, max=highest, step=step, readout_format=form)


def _labelled(kind: Any, name: str, value: Any, **further: Any) -> Any:
    """Make a control of some kind with its name at the left."""
    return kind(
        value=value,
        description=name,
        style={"description_width": "150px"},
        layout={"width": "370px"},
        **further,
    )


def _check(pictures: Pictures, roles: Mapping[str, Collection[str]]) -> None:
    """Refuse what cannot be drawn."""
    if not pictures:
        raise ValueError("pictures: expected at least one, found none")
    for name, picture in pictures.items():
        if picture.ndim != 3 or picture.dtype != np.uint8 or picture.shape[-1] not in (1, 3):
            raise ValueError(
                f"{name}: expected uint8 of shape (height, width, 1 or 3), "
                f"found {picture.dtype} of shape {picture.shape}"
            )
    for role, names in roles.items():
        for name in names:
            if name not in pictures:
                raise ValueError(f"{role}: expected names among {list(pictures)}, found {name!r}")
    for name in roles["masks"]:
        picture = pictures[name]
        if picture.shape[-1] != 1 or picture.max() > tiles.OTHER:
            raise ValueError(
                f"{name}: expected a mask, one channel of class numbers from 0 to {tiles.OTHER}, "
                f"found {picture.shape[-1]} channels and numbers up to {picture.max()}"
            )
