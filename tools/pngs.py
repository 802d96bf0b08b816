"""PNG files that are sharp on high-resolution screens, and small all the same.

A figure is stored with twice as many pixels as it has on the page, which states its width. So that
the file does not double, each figure gets a palette of its own: 256 colours, chosen for it.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

# Pixels of a file for one of the page, each way.
SHARPNESS = 2


def save(figure: Figure, path: Path) -> None:
    """Write a figure to a PNG file that is to be shown at half as many pixels as it has.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Its own resolution is the one at which it is shown.
    path : Path
        The file to write.
    """
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=SHARPNESS * figure.dpi, metadata={"Software": None})
    path.write_bytes(small(file.getvalue()))


def small(png: bytes) -> bytes:
    """Return an image with a palette, in about half the bytes.

    Up to 256 colours stay as they are, which is what a chart or a mask has. Of photographs each
    colour becomes the nearest of 256 that are chosen for them; it is not dithered, because noise
    would show more than the missing shades, and take more bytes.

    Parameters
    ----------
    png : bytes
        A PNG file. One with transparent parts is returned as it is.

    Examples
    --------
    >>> file = io.BytesIO()
    >>> Image.linear_gradient("L").convert("RGB").save(file, "PNG")
    >>> same = Image.open(io.BytesIO(small(file.getvalue())))
    >>> same.mode, same.convert("RGB").getpixel((3, 200))
    ('P', (200, 200, 200))
    """
    with Image.open(io.BytesIO(png)) as image:
        transparent = np.asarray(image.convert("RGBA"))[..., 3].min() < 255
        shown = image.convert("RGB")
    if transparent:
        return png
    codes = np.asarray(shown, np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    found, places = np.unique(codes, return_inverse=True)
    colours = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1).astype(np.uint8)
    palette = colours if len(colours) <= 256 else _palette(shown)
    numbers = _nearest(colours, palette)[places].reshape(codes.shape)
    result = Image.fromarray(numbers, "P")
    result.putpalette(palette.tobytes())
    file = io.BytesIO()
    result.save(file, "PNG", optimize=True)
    return file.getvalue()


def _palette(image: Image.Image) -> np.ndarray:
    """Choose 256 colours for an image, (256, 3) uint8; every second pixel has them all."""
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.NEAREST)
    chosen = half.quantize(256, Image.Quantize.MEDIANCUT, kmeans=1).getpalette("RGB")
    return np.array(chosen, np.uint8).reshape(-1, 3)


def _nearest(colours: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return the number of the nearest of a palette for each colour, (colours,) uint8."""
    one, other = colours.astype(np.float32), palette.astype(np.float32)
    squares = (other**2).sum(axis=1) - 2 * one @ other.T  # less what is the same for all
    return squares.argmin(axis=1).astype(np.uint8)
