"""Images with a palette look as before, and take half the bytes."""

import io

import matplotlib.pyplot as plt
import notebook_checks as checks
import numpy as np
import pngs
import pytest
from PIL import Image

from helpers import plots, tiles


def png_of(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def saved(dpi: int = 160) -> bytes:
    file = io.BytesIO()
    plt.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


def largest_gap(one: bytes, other: bytes) -> np.ndarray:
    """Return how far the worst channel of each pixel is off, of 255."""
    gap = checks.pixels(one).astype(int) - checks.pixels(other)
    return np.abs(gap).max(axis=2)


@pytest.mark.parametrize("colours", [1, 2, 200, 256])
def test_few_colours_stay_as_they_are(colours):
    random = np.random.default_rng(colours)
    pixels = random.integers(0, 256, (colours, 3))[random.integers(0, colours, (40, 30))]
    one = png_of(pixels)
    assert largest_gap(one, pngs.small(one)).max() == 0


def test_of_photographs_shades_are_left_out_that_nobody_sees():
    plots.show_montage(tiles.read_images("imagery", "test")[::4][:24], ["tile"] * 24)
    one = saved()
    other = pngs.small(one)
    gap = largest_gap(one, other)
    assert len(other) < 0.55 * len(one)
    assert len(other) < 1.2 * len(saved(dpi=80))
    assert gap.mean() < 2.5
    assert np.percentile(gap, 99) < 16
    white = (checks.pixels(one) == 255).all(axis=2)
    assert white.mean() > 0.3
    assert gap[white].max() == 0  # the page


def test_transparent_images_and_notes():
    plt.figure(figsize=(1, 1), facecolor="none").subplots()
    transparent = saved()
    assert pngs.small(transparent) is transparent
    plt.figure(figsize=(1, 1)).subplots()
    assert checks.png_notes(saved()) == ["tEXt"]
    assert checks.png_notes(pngs.small(saved())) == []


def test_a_saved_figure_has_twice_its_pixels(tmp_path):
    pngs.save(plt.figure(figsize=(3, 2), dpi=50), tmp_path / "figure.png")
    assert checks.pixels((tmp_path / "figure.png").read_bytes()).shape == (200, 300, 3)
