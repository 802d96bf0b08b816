"""The text fingerprint of a figure tells what is shown, and only that."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import figures
import matplotlib as mpl
import nbformat
import numpy as np
import pytest
from figures import coarse, fingerprint, thumbnail
from matplotlib.figure import Figure
from nbclient import NotebookClient


def photo(seed: int) -> np.ndarray:
    """Return a smooth image, (64, 64, 3) between 0 and 1."""
    corners = np.random.default_rng(seed).random((2, 2, 3))
    ramp = np.linspace(0, 1, 64)
    weights = np.stack([1 - ramp, ramp])
    return np.einsum("ay,bx,abc->yxc", weights, weights, corners)


def batch(change: Callable[[int, np.ndarray], np.ndarray] = lambda number, image: image) -> Figure:
    """Draw four images side by side, each after a change."""
    figure = Figure(figsize=(6, 2))
    for number, axes in enumerate(figure.subplots(1, 4)):
        axes.imshow(change(number, photo(number)))
        axes.set_title(f"tile {number}")
        axes.axis("off")
    return figure


def mapped(**options: object) -> Figure:
    """Draw one channel of a image with a colour map."""
    figure = Figure(figsize=(3, 2))
    options = {"cmap": "viridis", "vmin": 0, "vmax": 1} | options
    figure.colorbar(figure.subplots().imshow(photo(0)[..., 0], **options))
    return figure


def chart(
    values: tuple[float, ...] = (0.9, 0.5, 0.3), title: str = "loss", legend: bool = True
) -> Figure:
    """Draw a line, bars and scattered points."""
    figure = Figure(figsize=(6, 2))
    left, middle, right = figure.subplots(1, 3)
    left.plot(values, label="train")
    left.set(title=title, xlabel="epoch", yscale="log")
    middle.bar(["forest", "water", "barren"][: len(values)], values)
    right.scatter(values, values)
    if legend:
        left.legend()
    return figure


def swapped(number: int, image: np.ndarray) -> np.ndarray:
    """Put the first two images in each other's place."""
    return photo({0: 1, 1: 0}.get(number, number))


FAULTS = {
    "other order": (batch, lambda: batch(swapped)),
    "flipped left to right": (batch, lambda: batch(lambda _, image: image[:, ::-1])),
    "flipped upside down": (batch, lambda: batch(lambda _, image: image[::-1])),
    "shifted": (batch, lambda: batch(lambda _, image: np.roll(image, 3, axis=0))),
    "brighter": (batch, lambda: batch(lambda _, image: image * 1.05)),
    "swapped channels": (batch, lambda: batch(lambda _, image: image[..., ::-1])),
    "one blank": (batch, lambda: batch(lambda number, image: image * (number != 2))),
    "smaller": (batch, lambda: batch(lambda _, image: image[::2, ::2])),
    "other colour map": (mapped, lambda: mapped(cmap="magma")),
    "reversed colour map": (mapped, lambda: mapped(cmap="viridis_r")),
    "other limits": (mapped, lambda: mapped(vmax=2)),
    "other extent": (mapped, lambda: mapped(extent=(-180, 180, -90, 90))),
    "other values": (chart, lambda: chart((0.9, 0.51, 0.3))),
    "other order of values": (chart, lambda: chart((0.5, 0.9, 0.3))),
    "fewer values": (chart, lambda: chart((0.9, 0.5))),
    "other title": (chart, lambda: chart(title="accuracy")),
    "no legend": (chart, lambda: chart(legend=False)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_shows(fault):
    good, bad = FAULTS[fault]
    assert fingerprint(good()) == fingerprint(good())
    assert fingerprint(good()) != fingerprint(bad())


@pytest.mark.parametrize("draw", [batch, mapped, chart])
@pytest.mark.parametrize(
    "settings",
    [
        {"font.family": "DejaVu Serif"},
        {"text.antialiased": False},
        {"text.hinting": "none"},
        {"figure.dpi": 200},
        {"axes.unicode_minus": False},
    ],
)
def test_looks_do_not_show(draw, settings):
    plain = fingerprint(draw())
    with mpl.rc_context(settings):
        assert fingerprint(draw()) == plain


def test_drawing_before_makes_no_difference():
    figure = chart()
    before = fingerprint(figure)
    figure.canvas.draw()
    assert fingerprint(figure) == before


def test_last_digits_do_not_show():
    """Single precision on another processor; also where means are simple fractions."""

    def noisy(sign: int) -> Callable[[int, np.ndarray], np.ndarray]:
        def change(number: int, image: np.ndarray) -> np.ndarray:
            noise = np.random.default_rng(number).normal(0, 1e-7, image.shape)
            return np.round(image * 8) / 8 + sign * noise

        return change

    assert len({fingerprint(batch(noisy(sign))) for sign in (-1, 0, 1)}) == 1


@pytest.mark.parametrize(
    "value", [0.5, 0.25, 1 / 3, 0.125, 0.0625, 1, 0.1, 2.5, 12.345, 999.5, 0.9995]
)
def test_simple_fractions_are_no_boundary(value):
    assert len({coarse(value * (1 + noise)) for noise in (-1e-6, 0, 1e-6)}) == 1
    blocks = {thumbnail(np.full((8, 8), value % 1) + noise) for noise in (-1e-6, 0, 1e-6)}
    assert len(blocks) == 1


def test_missing_values():
    image = photo(0)[..., 0]
    image[:32] = np.nan
    assert thumbnail(image).startswith("--------/--------/")
    figure = Figure()
    figure.subplots().imshow(image)
    assert "--------" in fingerprint(figure)
    figure = Figure()
    figure.subplots().plot([1, np.nan, 3])
    assert "y 1 nan 3" in fingerprint(figure)


def test_masked_and_integer_images():
    cover = np.repeat(np.arange(4), 16).reshape(8, 8)
    figure = Figure()
    left, right = figure.subplots(1, 2)
    left.imshow(cover, cmap="tab10", vmin=0, vmax=8)
    right.imshow(np.ma.masked_equal(cover, 3), cmap="tab10", vmin=0, vmax=8)
    text = fingerprint(figure)
    assert "00000000/20202020/40404040/60606060" in text
    assert "00000000/20202020/40404040/--------" in text


def test_uint8_and_float_images_agree():
    pixels = (photo(0) * 255).astype(np.uint8)
    one, other = (
        batch(lambda *_: pixels),
        batch(lambda *_: pixels / 255),  # the same image on the other scale
    )
    assert fingerprint(one) == fingerprint(other)


def test_diagram():
    """Boxes, arrows and texts, without axes around them."""
    figure = Figure(figsize=(4, 1))
    figure.suptitle("the chain")
    axes = figure.subplots()
    axes.axis("off")
    for number, name in enumerate(["generator", "dataset", "model\nwith two heads"]):
        axes.text(number, 0.5, name, bbox={"boxstyle": "round"})
        axes.annotate("", (number, 0.5), (number + 1, 0.5), arrowprops={"arrowstyle": "->"})
    text = fingerprint(figure)
    for expected in ("'the chain'", "'generator'", "'dataset'", "'model with two heads'"):
        assert expected in text


def test_thirty_two_images_stay_short():
    figure = Figure(figsize=(8, 4))
    for number, axes in enumerate(figure.subplots(4, 8).flat):
        axes.imshow(photo(number))
        axes.set_title("snow_ice")
        axes.axis("off")
    lines = fingerprint(figure).splitlines()
    assert len(lines) == 33
    assert max(map(len, lines)) <= 100


def test_long_series_stay_short():
    figure = Figure()
    axes = figure.subplots()
    axes.scatter(np.arange(720), np.arange(720))
    axes.plot(np.arange(720))
    text = fingerprint(figure)
    assert "720 points" in text
    assert len(text) < 600


def test_in_a_kernel(monkeypatch):
    """The image is shown, and its text is the fingerprint; inside other texts it stays short."""
    monkeypatch.delenv("MPLBACKEND", raising=False)
    cells = [
        "import matplotlib.pyplot as plt",
        "plt.figure(figsize=(2, 1)).subplots().set_title('shown at the end')",
        "figure = plt.figure(figsize=(2, 1))\nfigure.subplots().set_title('shown by name')\n"
        "plt.close()\nfigure",
        "(figure, 1)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    NotebookClient(notebook).execute(stderr=subprocess.DEVNULL)
    shown = [output for cell in notebook.cells for output in cell.outputs]
    texts = [output.data["text/plain"] for output in shown]
    assert texts == [
        "Text(0.5, 1.0, 'shown at the end')",
        "Figure 2 x 1 inches, axes: 1\n1 'shown at the end'; x: 0.0 0.5 1.0; y: 0.0 0.5 1.0",
        "Figure 2 x 1 inches, axes: 1\n1 'shown by name'; x: 0.0 0.5 1.0; y: 0.0 0.5 1.0",
        "(<Figure size 200x100 with 1 Axes>, 1)",
    ]
    assert ["image/png" in output.data for output in shown] == [False, True, True, False]


# --- the alternative text -------------------------------------------------------------------------


def test_alternative_of_images():
    figure = Figure()
    for axes, title in zip(figure.subplots(2, 2).flat, ("forest", "water", "", ""), strict=True):
        axes.imshow(np.zeros((2, 2)))
        axes.set(title=title, ylabel="" if title else "relief")
    figure.suptitle("Imagery above,\nrelief below.")
    expected = "Imagery above, relief below. 4 images: forest, water, relief."
    assert figures.alternative(figure) == expected


def test_alternative_of_charts():
    figure = Figure()
    left, right, hidden = figure.subplots(1, 3)
    left.plot([1, 2], label="train")
    left.set(title="loss", xlabel="epoch", ylabel="nats")
    left.legend()
    right.bar([0, 1], [2, 3])
    right.set(ylabel="times as fast")
    hidden.set_visible(False)
    expected = "loss: lines of nats over epoch: train; bars of times as fast."
    assert figures.alternative(figure) == expected


def test_alternative_of_a_diagram_and_of_small_charts():
    figure = Figure()
    axes = figure.subplots(1, 2)
    axes[0].axis("off")
    for word in ("generator", "", "dataset"):
        axes[0].text(0, 0, word)
    axes[1].plot([1, 2])  # says nothing of itself
    assert figures.alternative(figure) == "a diagram with the words generator, dataset."


def test_a_label_of_its_own_is_the_alternative():
    figure = Figure()
    figure.subplots().set_title("loss")
    figure.set_label("What to see")
    assert figures.alternative(figure) == "What to see."


def test_alternative_leaves_out_a_scale_of_colours_and_is_not_too_long():
    figure = Figure()
    axes = figure.subplots()
    figure.colorbar(axes.imshow(np.zeros((2, 2))))
    assert figures.alternative(figure) == "one image."
    axes.set_title("x" * 1000)
    assert len(figures.alternative(figure)) == figures.ALTERNATIVE
    assert figures.alternative(figure).endswith("x…")
