"""The explorer shows what the transform says, whatever its controls are moved to."""

from __future__ import annotations

import asyncio
import base64
import copy
import io
import json
import os
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import notebook_checks as checks
import numpy as np
import pytest
import regenerate
import tensorflow as tf
import test_jupyterlab as jupyterlab
from playwright.sync_api import Error, Page
from test_notebook_checks import STORED, run_pytest

from helpers import tiles
from helpers.explorer import START, Explorer, options
from helpers.transforms import SharedTransforms

ROOT = Path(__file__).resolve().parents[1]

STILL: dict[str, Any] = {
    "rotation_range": 0,
    "width_shift_range": 0,
    "height_shift_range": 0,
    "zoom_range": 0,
    "horizontal_flip": False,
    "brightness": 0,
}
EXTREME: dict[str, Any] = {
    "rotation_range": 180,
    "width_shift_range": 0.9,
    "height_shift_range": 0.9,
    "shear_range": 60,
    "zoom_range": 0.9,
    "horizontal_flip": True,
    "vertical_flip": True,
    "brightness": 0.9,
    "channel_shift_range": 150,
}
FILL_MODES = ("nearest", "reflect", "wrap", "constant")


@pytest.fixture(scope="module")
def images() -> dict[str, np.ndarray]:
    return {name: tiles.read_images(name, "test")[40] for name in tiles.IMAGES}


@pytest.fixture
def live(images) -> Explorer:
    return Explorer(images, row=40, **STILL)


def shown(live: Explorer) -> dict[str, np.ndarray]:
    """Return the images of the lower row of the figure, by the names over the upper row."""
    axes = live.figure.axes
    before, after = axes[: len(axes) // 2], axes[len(axes) // 2 :]
    names = [part.get_title().partition(",")[0] for part in before]
    pixels = [np.asarray(part.images[0].get_array()) for part in after]
    return dict(zip(names, pixels, strict=True))


def expected(images: dict[str, np.ndarray], epoch: int = 0, **given: Any) -> dict[str, np.ndarray]:
    """Return the images as `SharedTransforms` transforms them, beside images of other rows."""
    datagen = tf.keras.preprocessing.image.ImageDataGenerator(**given)
    shared = SharedTransforms(datagen, seed=1, mask_fill=tiles.OTHER)
    batch = {name: np.stack([image, image]) for name, image in images.items()}
    return {name: both[1] for name, both in shared(batch, [7, 40], epoch).items()}


def assert_shown(live: Explorer, wanted: dict[str, np.ndarray]) -> None:
    found = shown(live)
    assert found.keys() == wanted.keys()
    for name, image in wanted.items():
        pixels = image[..., 0] if name == "cover" else image
        np.testing.assert_allclose(found[name], pixels, atol=0.5, err_msg=name)


def pixels(live: Explorer) -> np.ndarray:
    """Return what the browser gets, (height, width, 3)."""
    return checks.pixels(base64.b64decode(live._repr_mimebundle_()[0]["image/png"]))


# --- controls to options --------------------------------------------------------------------------


def test_controls_at_rest_are_no_options():
    assert options(START | STILL) == {}


def test_every_control_is_an_option():
    wanted = EXTREME | {"brightness_range": (0.1, 1.9), "fill_mode": "wrap"}
    del wanted["brightness"]
    assert options(START | EXTREME | {"fill_mode": "wrap"}) == wanted


def test_steps_of_a_slider_are_round_numbers():
    found = options(START | STILL | {"zoom_range": 0.1 + 0.2, "brightness": 0.7})
    assert repr(found) == "{'zoom_range': 0.3, 'brightness_range': (0.3, 1.7)}"


# --- moving a slider ------------------------------------------------------------------------------

MOVES: dict[str, tuple[Any, dict[str, Any]]] = {
    "rotation_range": (90, {"rotation_range": 90}),
    "width_shift_range": (0.4, {"width_shift_range": 0.4}),
    "height_shift_range": (0.4, {"height_shift_range": 0.4}),
    "shear_range": (40, {"shear_range": 40}),
    "zoom_range": (0.5, {"zoom_range": 0.5}),
    "horizontal_flip": (True, {"horizontal_flip": True}),
    "vertical_flip": (True, {"vertical_flip": True}),
    "brightness": (0.6, {"brightness_range": (0.4, 1.6)}),
    "channel_shift_range": (80, {"channel_shift_range": 80}),
}


def test_each_control_shows_what_the_transform_says(live, images):
    for name, (value, given) in MOVES.items():
        before, at_rest = pixels(live), live.controls[name].value
        assert_shown(live, expected(images))
        live.controls[name].value = value
        epoch = next(  # an epoch in which a flip is sampled
            epoch
            for epoch in range(20)
            if any((expected(images, epoch, **given)[key] != images[key]).any() for key in images)
        )
        live.controls["epoch"].value = epoch
        assert_shown(live, expected(images, epoch, **given))
        difference = np.abs(pixels(live).astype(int) - before)
        assert (difference.max(axis=2) > 40).sum() > 500, name
        photometric = name in ("brightness", "channel_shift_range")
        found = shown(live)
        same = {key: (found[key] == images[key].reshape(found[key].shape)).all() for key in images}
        assert same == {"imagery": False, "relief": photometric, "cover": photometric}, name
        live.controls[name].value = at_rest
        live.controls["epoch"].value = 0


def test_fill_mode_and_epoch(live, images):
    live.controls["width_shift_range"].value = 0.7
    seen = set()
    for fill_mode in FILL_MODES:
        live.controls["fill_mode"].value = fill_mode
        for epoch in (0, 1, 2):
            live.controls["epoch"].value = epoch
            wanted = expected(images, epoch, width_shift_range=0.7, fill_mode=fill_mode)
            assert_shown(live, wanted)
            seen.add(pixels(live).tobytes())
    assert len(seen) == 12


def test_sample_again_is_the_next_epoch(live):
    live.controls["rotation_range"].value = 90
    again = live.widget.children[0].children[-1]
    first = pixels(live)
    again.click()
    assert live.controls["epoch"].value == 1
    assert (pixels(live) != first).any()
    live.controls["epoch"].value = live.controls["epoch"].max
    again.click()
    assert live.controls["epoch"].value == 0
    assert (pixels(live) == first).all()


def test_the_image_is_the_figure(live):
    live.controls["rotation_range"].value = 60
    file = io.BytesIO()
    live.figure.savefig(file, format="png", dpi=200, metadata={"Software": None})
    assert live.widget.children[1].value == file.getvalue()
    assert (pixels(live) == checks.pixels(file.getvalue())).all()


def test_text_says_which_options_and_which_transform(live):
    (at_rest,) = (text.get_text() for text in live.figure.texts)
    assert at_rest == "ImageDataGenerator()\nrow 40 gets no change"
    live.controls["rotation_range"].value = 90
    live.controls["fill_mode"].value = "wrap"
    (text,) = (text.get_text() for text in live.figure.texts)
    assert text.startswith("ImageDataGenerator(rotation_range=90, fill_mode='wrap')\nrow 40 gets ")
    assert text.partition(" gets ")[2].startswith("theta=")
    assert text.count("=") == 3


# --- in sync --------------------------------------------------------------------------------------


def places(side: int) -> np.ndarray:
    """Return an image that tells of each pixel where it came from: its row, its column, 0–255."""
    down, across = (np.mgrid[:side, :side] + 0.5) / side * 255
    return np.stack([down, across, np.zeros_like(down)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("epoch", range(6))
def test_images_stay_in_sync(epoch):
    imagery = places(64)
    cover = (imagery[..., :1] // 128 + 2 * (imagery[..., 1:2] // 128)).astype(np.uint8)
    gentle = {"width_shift_range": 0.2, "height_shift_range": 0.2, "zoom_range": 0.4}
    plain = {"brightness": 0, "channel_shift_range": 0, "epoch": epoch}
    live = Explorer(
        {"imagery": imagery, "relief": places(32), "cover": cover}, **EXTREME | gentle | plain
    )
    found = {name: image.astype(int) for name, image in shown(live).items()}
    assert np.abs(found["imagery"] - imagery).mean() > 20
    halved = found["imagery"].reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    gap = np.abs(halved - found["relief"])[..., :2]
    inside = ((halved > 12) & (halved < 243))[..., :2].all(axis=-1)  # not beyond the border
    assert inside.sum() > 30
    assert gap[inside].max() < 12
    down, across = found["imagery"][..., 0], found["imagery"][..., 1]
    sure = (np.abs(down - 127.5) > 12) & (np.abs(across - 127.5) > 12)
    assert sure.sum() > 500
    assert (found["cover"] == down // 128 + 2 * (across // 128))[sure].all()


# --- extreme and bad values -----------------------------------------------------------------------


@pytest.mark.parametrize("fill_mode", FILL_MODES)
def test_extremes(live, images, fill_mode):
    live.controls["fill_mode"].value = fill_mode
    known = set(np.unique(images["cover"]))
    if fill_mode == "constant":
        known.add(tiles.OTHER)
    for name, value in EXTREME.items():
        live.controls[name].value = value
        assert set(np.unique(shown(live)["cover"])) <= known
    for epoch in range(1, 8):
        live.controls["epoch"].value = epoch
        assert set(np.unique(shown(live)["cover"])) <= known


def test_values_beyond_a_slider_stop_at_its_end(live):
    live.controls["zoom_range"].value = 7
    live.controls["rotation_range"].value = -5
    assert (live.controls["zoom_range"].value, live.controls["rotation_range"].value) == (0.9, 0)


def test_moving_leaves_no_figures(live):
    plt.close("all")
    for epoch in range(1, 5):
        live.controls["epoch"].value = epoch
    assert plt.get_fignums() == []


@pytest.mark.parametrize("chosen", [("cover",), ("relief", "cover"), tuple(tiles.IMAGES)])
def test_texts_keep_inside_the_figure(images, chosen):
    every = EXTREME | {"fill_mode": "constant", "epoch": 3}
    figure = Explorer({name: images[name] for name in chosen}, **every).figure
    figure.draw_without_rendering()
    titles = max(axes.title.get_window_extent().y1 for axes in figure.axes)
    (text,) = (text.get_window_extent() for text in figure.texts)
    assert titles < text.y0
    assert text.x1 < figure.bbox.x1
    assert text.y1 < figure.bbox.y1
    images_end = min(axes.get_window_extent().y0 for axes in figure.axes)
    assert figure.legends[0].get_window_extent().y0 >= 0
    assert figure.legends[0].get_window_extent().y1 < images_end


def test_without_a_mask_there_is_no_legend(images):
    live = Explorer({"imagery": images["imagery"], "relief": images["relief"]}, **EXTREME)
    assert [*shown(live)] == ["imagery", "relief"]
    assert live.figure.legends == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda images: images | {"relief": images["relief"] / 255},
            r"relief: expected .* uint8 .* found float64 of shape \(32, 32, 3\)",
        ),
        (
            lambda images: images | {"relief": images["relief"][None]},
            r"relief: expected .* \(height, width, channels\), found .* \(1, 32, 32, 3\)",
        ),
        (
            lambda images: {"photo": images["imagery"]},
            r"photo: expected imagery, relief, cover as uint8",
        ),
        (lambda images: images | {"relief": images["relief"][:20]}, "relief: expected"),
    ],
    ids=["floats", "batch", "other name", "proportions"],
)
def test_bad_images_are_refused(images, change, message):
    with pytest.raises(ValueError, match=message):
        Explorer(change(images))


def test_a_misspelled_control_is_refused(images):
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'rotation'"):
        Explorer(images, rotation=30)


# --- in a lesson ----------------------------------------------------------------------------------


def test_shown_in_two_forms(live):
    bundle, metadata = live._repr_mimebundle_()
    assert sorted(bundle) == [checks.WIDGET, "image/png", "text/plain"]
    assert bundle[checks.WIDGET]["model_id"] == live.widget.model_id
    assert base64.b64decode(bundle["image/png"]) == live.widget.children[1].value
    assert metadata["image/png"]["alt"].startswith("One tile before and after a transform. Image")
    size = [metadata["image/png"][side] for side in ("height", "width")]
    assert pixels(live).shape == (2 * size[0], 2 * size[1], 3)
    assert live.widget.children[1].layout.width == f"{size[1]}px"
    assert bundle["text/plain"] == repr(live.figure)  # outside a kernel nothing describes it


SETUP = """\
from helpers import explorer, tiles
row = 40
images, others = (
    {name: tiles.read_images(name, "test")[number] for name in tiles.IMAGES}
    for number in (row, row + 1)
)"""
CELL = "explorer.Explorer(images, row)"


def notebook() -> nbformat.NotebookNode:
    """Return a lesson with an explorer that has not been run."""
    cells = [
        nbformat.v4.new_markdown_cell("# Explore", id="title"),
        nbformat.v4.new_code_cell(SETUP, id="setup"),
        nbformat.v4.new_code_cell(CELL, id="explorer"),
    ]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lesson with an explorer as `make notebooks` stores it."""
    path = tmp_path_factory.mktemp("lesson") / "lesson.ipynb"
    nbformat.write(notebook(), path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        patch.delenv("MPLBACKEND", raising=False)
        asyncio.run(regenerate.regenerate(path))
    return path


def test_what_is_stored(lesson):
    assert checks.stored_problems(lesson) == []
    cell = json.loads(lesson.read_text(encoding="utf-8"))["cells"][2]
    (output,) = cell["outputs"]
    assert sorted(output["data"]) == ["image/png", "text/plain"]
    text = "".join(output["data"]["text/plain"])
    assert text.startswith("Figure 5.64 x 5.33 inches, axes: 6; 'ImageDataGenerator")
    assert "widget" not in lesson.read_text(encoding="utf-8")


def test_regenerated_twice_it_is_the_same(lesson, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    before = lesson.read_bytes()
    assert asyncio.run(regenerate.regenerate(lesson, redraw=True)) == "unchanged"
    assert lesson.read_bytes() == before


# What the cell is changed to, and what its failure must say, if it fails.
OTHER_FIGURE = "figure 1 of 1 differs from the stored one"
RUNS = {
    "good": (CELL, ""),
    "start": ("explorer.Explorer(images, row, zoom_range=0.21)", "text/plain: stored "),
    "epoch": ("explorer.Explorer(images, row, epoch=2)", OTHER_FIGURE),
    "tile": ("explorer.Explorer(others, row)", OTHER_FIGURE),
    "no images": (f"{CELL}.widget", "0 figures, stored 1"),
    "twice": (f"display({CELL})\n{CELL}", "2 figures, stored 1"),
    "sliders more": (f"display({CELL}.widget)\n{CELL}", "text/plain: stored "),
}


@pytest.fixture(scope="module")
def results(lesson: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run pytest over a lesson of copies of the stored cell with other code, in one kernel."""
    changed = nbformat.read(lesson, as_version=4)
    cell = changed.cells.pop()
    for number, (name, (source, _)) in enumerate(RUNS.items(), start=2):
        copied = {"source": source, "execution_count": number, "id": name.replace(" ", "-")}
        changed.cells.append(nbformat.from_dict(copy.deepcopy(dict(cell)) | copied))
        changed.cells[-1].outputs[0].execution_count = number
    folder = tmp_path_factory.mktemp("project")
    nbformat.write(changed, folder / "lesson.ipynb")
    found, _ = run_pytest(folder, "--nbval", "--nbval-current-env")
    return {test: text for (_, test), text in found.items()}


@pytest.mark.parametrize("name", RUNS)
def test_run_by_pytest(results, name):
    message = RUNS[name][1]
    failure = results[f"Cell {1 + list(RUNS).index(name)}"]
    assert not results["Cell 0"]
    assert not results[STORED]
    assert bool(failure) == bool(message)
    assert message in failure


# --- in JupyterLab --------------------------------------------------------------------------------

browser_path, lab, page = jupyterlab.browser_path, jupyterlab.lab, jupyterlab.page

# The image beside the sliders, once the browser has decoded it.
IMAGE = jupyterlab.OPEN + ".jp-OutputArea-output img"
CONTROLS = ".jp-OutputArea-output .widget-vbox"
SCREEN = {"width": 1366, "height": 768}  # a small laptop's
READOUT = jupyterlab.OPEN + ".widget-slider:has-text('rotation_range') .widget-readout"
# An image's own pixels at its size on the screen, whatever lies over it; null while it loads.
PIXELS = """
image => {
    if (!image.complete || !image.naturalWidth) {
        return null;
    }
    const canvas = document.createElement("canvas");
    const { width, height } = image.getBoundingClientRect();
    [canvas.width, canvas.height] = [Math.round(width), Math.round(height)];
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL("image/png");
}
"""


def image_shown(page: Page) -> np.ndarray:
    """Return the pixels of the one image, (height, width, 3), in pixels of the screen."""
    for _ in range(100):
        address = page.locator(IMAGE).evaluate(PIXELS)
        if address:
            return checks.pixels(base64.b64decode(address.partition(",")[2])).astype(int)
        page.wait_for_timeout(100)
    pytest.fail("the browser could not decode the image")


@pytest.mark.browser
def test_a_reader_moves_a_slider(lesson, lab, page):
    """The stored image, then the sliders in its place; a slider that moves redraws it."""
    name, copied = jupyterlab.NOTEBOOKS[0], lab.place / "notebooks" / "explorer.ipynb"
    copied.write_bytes(lesson.read_bytes())
    try:
        page.set_viewport_size(SCREEN)
        page.goto(lab.address.replace(name, "explorer.ipynb"), timeout=60_000)
        page.locator(IMAGE).wait_for()
        stored = image_shown(page)
        assert page.locator(READOUT).count() == 0
        jupyterlab.run_all(page)
        page.locator(READOUT).wait_for()
        assert page.get_by_text("Error displaying widget").count() == 0
        first = image_shown(page)
        assert first.shape == stored.shape
        page.locator(IMAGE).scroll_into_view_if_needed()
        controls, figure = (
            page.locator(place).bounding_box() for place in (jupyterlab.OPEN + CONTROLS, IMAGE)
        )
        assert controls["x"] + controls["width"] <= figure["x"]  # beside, not below
        assert figure["x"] + figure["width"] <= SCREEN["width"]
        assert max(box["y"] + box["height"] for box in (controls, figure)) <= SCREEN["height"]
        assert min(box["y"] for box in (controls, figure)) >= 0
        assert np.abs(first - stored).max() < 30
        for _ in range(2):  # the file differs from what is shown, and may be saved again
            (output,) = jupyterlab.save(page, copied)[1].outputs
            assert sorted(output.data) == ["image/png", "text/plain"]
        readout = page.locator(READOUT)
        readout.fill("90")
        readout.press("Enter")
        for _ in range(100):
            page.wait_for_timeout(100)
            moved = image_shown(page)
            if np.abs(moved - first).max() > 60:
                break
        assert (np.abs(moved - first).max(axis=2) > 60).sum() > 2000
        assert moved.shape == first.shape
    except (Error, AssertionError, pytest.fail.Exception) as error:
        image = ROOT / "test_output" / "explorer.png"
        image.parent.mkdir(exist_ok=True)
        page.screenshot(path=image, full_page=True)
        error.add_note(f"what the browser showed: {image}")
        raise
