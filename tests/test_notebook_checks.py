"""The checks of lessons turn red for each fault that they are there for, and only then."""

from __future__ import annotations

import asyncio
import base64
import copy
import functools
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import nbformat
import notebook_checks as checks
import numpy as np
import pytest
import regenerate
from matplotlib.figure import Figure
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]

Notebook = dict[str, Any]


# --- images -------------------------------------------------------------------------------------


def tile(seed: int) -> np.ndarray:
    """Return a smooth image, (64, 64, 3) between 0 and 1."""
    corners = np.random.default_rng(seed).random((2, 2, 3))
    ramp = np.linspace(0, 1, 64)
    weights = np.stack([1 - ramp, ramp])
    return np.einsum("ay,bx,abc->yxc", weights, weights, corners)


def png(figure: Figure, **options: Any) -> bytes:
    """Draw a figure as a notebook does."""
    file = io.BytesIO()
    figure.savefig(file, format="png", **({"dpi": 80, "bbox_inches": "tight"} | options))
    return file.getvalue()


def batch(
    change: Callable[[np.ndarray], np.ndarray] = lambda image: image,
    order: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7),
    title: str = "forest",
    dpi: int = 80,
    **options: Any,
) -> bytes:
    """Draw eight tiles."""
    figure = Figure(figsize=(7, 4))
    for number, axes in zip(order, figure.subplots(2, 4).flat, strict=True):
        axes.imshow(change(tile(number)), **options)
        axes.set_title(title)
        axes.axis("off")
    return png(figure, dpi=dpi)


def chart(values: tuple[float, ...] = (3, 5, 2, 7), label: str = "loss") -> bytes:
    """Draw a line and bars."""
    figure = Figure(figsize=(7, 3))
    left, right = figure.subplots(1, 2)
    steps = np.arange(20)
    left.plot(np.exp(-steps / values[0]), label="train")
    left.plot(np.exp(-steps / values[1]), label="validation")
    left.set(title="two heads", xlabel="epoch", ylabel=label)
    left.legend()
    right.bar(["barren", "cropland", "forest", "water"], values)
    return png(figure)


def red(image: np.ndarray) -> np.ndarray:
    return image[..., 0]


def moved(file: bytes, down: int, right: int) -> bytes:
    """Cut rows and columns off the top and left, as if labels were narrower."""
    with Image.open(io.BytesIO(file)) as image:
        cut = image.crop((right, down, *image.size))
    file = io.BytesIO()
    cut.save(file, "PNG")
    return file.getvalue()


def with_settings(draw: Callable[[], bytes], **settings: Any) -> bytes:
    with mpl.rc_context({key.replace("_", ".", 1): value for key, value in settings.items()}):
        return draw()


GOOD = {
    f"{draw.__name__}: {name}": (draw, lambda draw=draw, change=change: change(draw))
    for draw in (batch, chart)
    for name, change in {
        "the same": lambda draw: draw(),
        "text without anti-aliasing": lambda draw: with_settings(draw, text_antialiased=False),
        "other hinting": lambda draw: with_settings(draw, text_hinting="none"),
        "other font": lambda draw: with_settings(draw, font_family="DejaVu Serif"),
        "1 pixel to the left": lambda draw: moved(draw(), 0, 1),
        "1 pixel up": lambda draw: moved(draw(), 1, 0),
        "6 pixels up and to the left": lambda draw: moved(draw(), 6, 6),
    }.items()
}
BAD = {
    "other order": (batch, lambda: batch(order=(1, 0, 2, 3, 4, 5, 6, 7))),
    "augmentation off": (lambda: batch(lambda image: image[:, ::-1]), batch),
    "upside down": (batch, lambda: batch(lambda image: image[::-1])),
    "10 % brighter": (batch, lambda: batch(lambda image: np.clip(image * 1.1, 0, 1))),
    "swapped channels": (batch, lambda: batch(lambda image: image[..., ::-1])),
    "black tiles": (batch, lambda: batch(lambda image: image * 0)),
    "blank": (batch, lambda: png(Figure(figsize=(7, 4)))),
    "other colour map": (
        lambda: batch(red, cmap="viridis"),
        lambda: batch(red, cmap="cividis"),
    ),
    "other limits": (
        lambda: batch(red, cmap="viridis", vmin=0, vmax=1),
        lambda: batch(red, cmap="viridis", vmin=0, vmax=2),
    ),
    "no titles": (batch, lambda: batch(title="")),
    "other bars": (chart, lambda: chart((3, 5, 2.5, 7))),
    "other line": (chart, lambda: chart((4, 5, 2, 7))),
    "larger": (chart, lambda: with_settings(chart, font_size=14)),
}


# The unchanged images, drawn once.
once = functools.cache(lambda draw: draw())


def problem(stored: bytes, new: bytes) -> str:
    return checks.image_problem(checks.pixels(stored), checks.pixels(new))[0]


@pytest.mark.parametrize("pair", GOOD)
def test_same_image_passes(pair):
    original, changed = GOOD[pair]
    stored, new = once(original), changed()
    assert problem(stored, new) == ""
    assert problem(new, stored) == ""


@pytest.mark.parametrize("pair", BAD)
def test_other_image_fails(pair):
    original, changed = BAD[pair]
    stored, new = once(original), changed()
    assert problem(stored, new)
    assert problem(new, stored)


def test_place_of_the_difference():
    """A block at the border and one inside are found where they are."""
    for x, y in ((0, 0), (48, 16), (100, 52)):
        stored = np.full((60, 108, 3), 255, np.uint8)
        new = stored.copy()
        new[y : y + 8, x : x + 8] = 0
        found = checks.image_difference(stored, new)
        assert found.amount > 200
        assert abs(found.x - x) <= 8
        assert abs(found.y - y) <= 8


def test_limit_is_where_it_is_said_to_be():
    stored = np.full((64, 64, 3), 100, np.uint8)
    assert not checks.image_problem(stored, stored + np.uint8(18))[0]
    text, _ = checks.image_problem(stored, stored + np.uint8(19))
    assert "by 19 of 255 (allowed 18)" in text
    wider = np.full((64, 71, 3), 100, np.uint8)
    assert not checks.image_problem(stored, wider[:, :70])[0]
    assert checks.image_problem(stored, wider)[0] == "is 71 x 64 pixels, stored 64 x 64"


def test_transparent_is_white():
    file = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(file, "PNG")
    assert (checks.pixels(file.getvalue()) == 255).all()


def test_notes_in_an_image():
    drawn = png(Figure(figsize=(1, 1)))
    assert checks.png_notes(drawn) == ["tEXt"]
    clean = checks.without_notes(drawn)
    assert checks.png_notes(clean) == []
    assert (checks.pixels(clean) == checks.pixels(drawn)).all()
    assert checks.without_notes(clean) == clean
    with pytest.raises(ValueError, match="not a PNG file"):
        checks.png_notes(b"GIF89a")


# --- figures of a cell ----------------------------------------------------------------------------


def shown(*images: bytes) -> list[dict[str, Any]]:
    """Return outputs that show images, after some text."""
    text = {"output_type": "stream", "name": "stdout", "text": "two tiles"}
    data = [{"image/png": base64.b64encode(image).decode()} for image in images]
    return [text, *({"output_type": "display_data", "data": each} for each in data)]


def test_figures_are_compared_in_order(tmp_path):
    one, other = once(batch), once(chart)
    stem = tmp_path / "saved" / "lesson-cell-3"
    assert checks.figure_problems(shown(one, other), shown(one, other), stem) == []
    assert not stem.parent.exists()
    assert len(checks.figure_problems(shown(one, other), shown(other, one), stem)) == 2


@pytest.mark.parametrize(("stored", "new"), [(1, 0), (0, 1), (2, 1), (1, 2)])
def test_missing_and_extra_figures(tmp_path, stored, new):
    one = once(batch)
    problems = checks.figure_problems(shown(*[one] * stored), shown(*[one] * new), tmp_path / "x")
    assert problems == [f"{new} figures, stored {stored}"]


def test_figures_are_compared_at_the_size_at_which_they_are_shown(tmp_path):
    """Two with twice the pixels are as near to each other, and as far from others, as without."""
    one, sharp = once(batch), batch(dpi=160)
    other = batch(order=(1, 0, 2, 3, 4, 5, 6, 7), dpi=160)
    height, width = checks.pixels(sharp).shape[:2]

    def twice(image):
        (output,) = shown(image)[1:]
        size = {"width": width // 2, "height": height // 2}
        return output | {"metadata": {"image/png": size}}

    assert [checks.sharpness(output) for output in (shown(one)[1], twice(sharp))] == [1, 2]
    assert checks.displayed(twice(sharp)).shape == (height // 2, width // 2, 3)
    assert checks.displayed(shown(sharp)[1]).shape == (height, width, 3)
    at_once = checks.image_difference(checks.pixels(one), checks.displayed(twice(sharp)))
    assert at_once.amount < checks.LIMIT
    assert checks.figure_problems([twice(sharp)], [twice(sharp)], tmp_path / "x") == []
    (message,) = checks.figure_problems([twice(sharp)], [twice(other)], tmp_path / "x")
    assert "differs from the stored one" in message
    (message,) = checks.figure_problems([twice(sharp)], shown(one)[1:], tmp_path / "x")
    assert "no size in its metadata, stored " in message
    size = dict(zip(("height", "width"), checks.pixels(one).shape, strict=False))
    assert checks.sharpness(shown(one)[1] | {"metadata": {"image/png": size}}) == 1
    assert checks.sharpness(twice(png(Figure(figsize=(1, 1))))) == 0


def test_failure_saves_images_and_says_where(tmp_path):
    new = batch(order=(0, 1, 2, 3, 4, 5, 7, 6))
    stem = tmp_path / "saved" / "lesson-cell-3"
    (message,) = checks.figure_problems(shown(once(batch)), shown(new), stem)
    assert message.startswith("figure 1 of 1 differs from the stored one by ")
    assert "(allowed 18) around pixel x " in message
    assert str(stem) in message
    names = sorted(path.name for path in stem.parent.iterdir())
    assert names == [
        "lesson-cell-3-figure-1-difference.png",
        "lesson-cell-3-figure-1-new.png",
        "lesson-cell-3-figure-1-stored.png",
    ]
    saved = checks.pixels((stem.parent / names[1]).read_bytes())
    assert (saved == checks.pixels(new)).all()


def test_blank_figure_is_called_blank(tmp_path):
    blank = checks.pixels(once(batch))
    file = io.BytesIO()
    Image.fromarray(np.full_like(blank, 255)).save(file, "PNG")
    (message,) = checks.figure_problems(shown(once(batch)), shown(file.getvalue()), tmp_path / "x")
    assert "(it is blank)" in message


def test_first_difference():
    def printed(*texts: str, name: str = "stdout") -> list[dict[str, Any]]:
        return [{"output_type": "stream", "name": name, "text": text} for text in texts]

    assert checks.first_difference(printed("a\n", "b"), printed("a\nb")) == ""
    assert (
        checks.first_difference(printed("a\nb"), printed("a")) == "stdout: stored 'b', now nothing"
    )
    assert checks.first_difference([], printed("a", name="stderr")) == ""
    assert checks.first_difference(shown(once(batch)), shown(once(chart))) == ""
    figure = {"text/plain": "Figure"}
    live = {"output_type": "display_data", "data": figure | {checks.WIDGET: {"model_id": "4711"}}}
    assert checks.first_difference([live | {"data": figure}], [live]) == ""
    bare = live | {"data": {"text/plain": "HBox(children=())"}}
    assert checks.first_difference([live | {"data": figure}], [live, bare])
    table = [{"output_type": "display_data", "data": {"text/html": "<b>1</b>"}}]
    assert checks.first_difference(table, []) == "text/html: stored '<b>1</b>', now nothing"


def test_place_names_the_nearest_heading():
    cells = [
        {"cell_type": "markdown", "source": "# Lesson\n\n## First part\n\ntext"},
        {"cell_type": "code", "source": "1"},
        {"cell_type": "markdown", "source": ["no heading\n", "#no heading either"]},
        {"cell_type": "code", "source": "2"},
    ]
    assert checks.place(cells, 3) == "Cell 1 under 'First part'"
    assert checks.place(cells[1:2], 0) == "Cell 0"
    assert checks.place(cells, 2) == "markdown cell (number 2 of all) under 'First part'"


@pytest.mark.parametrize(
    "text",
    [
        str(Path.home() / "lesson.py"),
        str(ROOT / "helpers"),
        "/home/ada/lesson.py",
        "/Users/ada/lesson.py",
        r"C:\Users\ada\lesson.py",
        "File lib/python3.12/site-packages/keras/model.py, line 1",
        "/tmp/ipykernel_4711/12.py:3: UserWarning",
        "<keras.Model object at 0x7f3a5c0b2d90>",
    ],
)
def test_machine_traces_are_found(text):
    assert checks.machine_trace(f"before {text} after")


@pytest.mark.parametrize(
    "text",
    ["data_samples/imagery/train/forest/1.png", "(None, 64, 64, 3)", "0x1f", "1/2", "at home"],
)
def test_other_texts_are_no_machine_traces(text):
    assert checks.machine_trace(text) is None


# --- a lesson, stored and run ---------------------------------------------------------------------

SETUP = """\
import numpy as np
import matplotlib.pyplot as plt
from IPython.display import HTML
order, options = [0, 1, 2], {}"""
FIGURE = """\
images = np.random.default_rng(0).random((3, 4, 4))
figure, axes = plt.subplots(1, 3, figsize=(4, 1.5))
for axis, row in zip(axes, order):
    axis.imshow(images[row], **options)
    axis.axis("off")
plt.show()"""
PRINT = "print('rows', len(images))\nHTML(f'<b>{images.shape}</b>')"
RAISE = "raise ValueError('no such tile')"


def sources() -> nbformat.NotebookNode:
    """Return a small lesson that has not been run."""
    code, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    cells = [
        text("# A lesson"),
        code(SETUP),
        text("## A batch"),
        code(FIGURE),
        code(PRINT),
        text("## What goes wrong"),
        code(RAISE, metadata={"tags": [checks.RAISES]}),
    ]
    for index, cell in enumerate(cells):
        cell.id = f"cell-{index}"
    return nbformat.v4.new_notebook(cells=cells)


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Notebook:
    """Return a small lesson as `make notebooks` stores it."""
    path = tmp_path_factory.mktemp("lesson") / "lesson.ipynb"
    nbformat.write(sources(), path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        patch.delenv("MPLBACKEND", raising=False)
        asyncio.run(regenerate.regenerate(path))
    return json.loads(path.read_text(encoding="utf-8"))


def edit(index: int, old: str = "", new: str = "") -> Callable[[Notebook], None]:
    """Return a change that replaces text in the source of one cell."""

    def change(notebook: Notebook) -> None:
        source = checks.text_of(notebook["cells"][index]["source"])
        assert old in source
        notebook["cells"][index]["source"] = source.replace(old, new, 1) if old else source + new

    return change


def put(*keys: Any, value: Any) -> Callable[[Notebook], None]:
    """Return a change that sets one entry of the JSON."""

    def change(notebook: Notebook) -> None:
        inside: Any = notebook
        for key in keys[:-1]:
            inside = inside[key]
        inside[keys[-1]] = value

    return change


def append_output(index: int, output: dict[str, Any]) -> Callable[[Notebook], None]:
    def change(notebook: Notebook) -> None:
        notebook["cells"][index]["outputs"].append(output)

    return change


def noted_image(notebook: Notebook) -> None:
    """Store the image with matplotlib's version in it."""
    (output,) = notebook["cells"][3]["outputs"]
    output["data"]["image/png"] = base64.b64encode(png(Figure(figsize=(1, 1)))).decode()
    height, width = checks.pixels(checks.png_of(output)).shape[:2]
    output["metadata"]["image/png"] |= {"width": width // 2, "height": height // 2}


def without_size(notebook: Notebook) -> None:
    said = notebook["cells"][3]["outputs"][0]["metadata"]["image/png"]
    del said["width"], said["height"]


def empty_cell(notebook: Notebook) -> None:
    empty = {"cell_type": "code", "source": [], "id": "empty", "metadata": {}, "outputs": []}
    notebook["cells"].append(empty | {"execution_count": None})


def older(notebook: Notebook) -> None:
    """Store as before cells had names."""
    notebook["nbformat_minor"] = 4
    for cell in notebook["cells"]:
        del cell["id"]


def large(notebook: Notebook) -> None:
    notebook["cells"][0]["source"] = "x" * checks.MAX_BYTES


def stream(name: str, text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": [text]}


def display(kind: str, text: str) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": {kind: text}}


def both(*changes: Callable[[Notebook], None]) -> Callable[[Notebook], None]:
    """Return a change that is several."""
    return lambda notebook: [change(notebook) for change in changes] and None


def within(index: int, tag: str) -> Callable[[Notebook], None]:
    """Return a change that lets a cell's numbers differ."""
    return put("cells", index, "metadata", "tags", value=[tag])


# Each fault of a stored file, and what the message must say.
STORED_FAULTS: dict[str, tuple[Callable[[Notebook], None], str]] = {
    "never run": (
        put("cells", 4, "execution_count", value=None),
        "Cell 2 under 'A batch': stored without having been run",
    ),
    "run out of order": (
        put("cells", 4, "execution_count", value=7),
        "Cell 2 under 'A batch': stored as In [7], expected In [3]",
    ),
    "empty cell": (empty_cell, "Cell 4 under 'What goes wrong': an empty code cell"),
    "comment that ignores output": (
        edit(4, new="\n# NBVAL_IGNORE_OUTPUT"),
        "'NBVAL_IGNORE_OUTPUT' switches a check",
    ),
    "comment that skips": (edit(4, new="\n  #NBVAL_SKIP"), "'NBVAL_SKIP' switches a check"),
    "comment of an older nbval": (
        edit(4, new="\n# PYTEST_VALIDATE_IGNORE_OUTPUT"),
        "'PYTEST_VALIDATE_IGNORE_OUTPUT' switches a check",
    ),
    "tag that ignores output": (
        put("cells", 4, "metadata", "tags", value=["nbval-ignore-output"]),
        "'nbval-ignore-output' switches a check",
    ),
    "tag that skips": (
        put("cells", 4, "metadata", "tags", value=["nbval-skip"]),
        "'nbval-skip' switches a check",
    ),
    "tag that skips the run": (
        put("cells", 4, "metadata", "tags", value=["skip-execution"]),
        "'skip-execution' switches a check",
    ),
    "error without the tag": (
        put("cells", 6, "metadata", "tags", value=[]),
        "Cell 3 under 'What goes wrong': stored with ValueError, but not tagged",
    ),
    "tag without an error": (
        put("cells", 4, "metadata", "tags", value=[checks.RAISES]),
        "tagged 'raises-exception', but stored without an error",
    ),
    "standard error": (
        append_output(4, stream("stderr", "W0000 a warning")),
        "stored with standard error, which is not compared: 'W0000 a warning'",
    ),
    "jpeg": (append_output(4, display("image/jpeg", "/9j/4AAQ")), "stored with image/jpeg"),
    "widget": (
        append_output(4, display(checks.WIDGET, "{}")),
        f"stored with {checks.WIDGET}, which is not compared: run `make notebooks`",
    ),
    "widget with an image": (
        put("cells", 3, "outputs", 0, "data", checks.WIDGET, value={"model_id": "4711"}),
        f"Cell 1 under 'A batch': stored with {checks.WIDGET}",
    ),
    "path": (append_output(4, stream("stdout", "/home/ada/x.png")), "a path of one machine"),
    "address": (
        append_output(4, display("text/plain", "<Model at 0x7f3a5c0b2d90>")),
        "a memory address: '0x7f3a5c0b2d90'",
    ),
    "path in an error message": (
        put("cells", 6, "outputs", 0, "evalue", value="in /tmp/x"),
        "a path of one machine: '/tmp",
    ),
    "terminal colours": (
        put("cells", 6, "outputs", 0, "traceback", value=["\x1b[31mValueError\x1b[0m"]),
        "terminal colours",
    ),
    "no alternative text": (
        put("cells", 3, "outputs", 0, "metadata", "image/png", "alt", value=""),
        "Cell 1 under 'A batch': an image without alternative text in its metadata",
    ),
    "notes in an image": (noted_image, "image carries notes that differ between versions"),
    "no image": (
        put("cells", 3, "outputs", 0, "data", "image/png", value="bm8gcGljdHVyZQ=="),
        "not a PNG file",
    ),
    "figure without a fingerprint": (
        put("cells", 3, "outputs", 0, "data", "text/plain", value="<Figure size 1x1 with 1 Axes>"),
        "figure without a fingerprint",
    ),
    "times": (
        put("cells", 4, "metadata", "execution", value={"iopub.execute_input": "2026-11-22"}),
        "metadata 'execution' is left behind by a program",
    ),
    "widget state": (put("metadata", "widgets", value={}), "metadata 'widgets' is left behind"),
    "other kernel": (
        put("metadata", "kernelspec", "name", value="venv"),
        "kernel 'venv', expected 'python3'",
    ),
    "version of Python": (
        put("metadata", "language_info", "version", value="3.11.7"),
        "holds the version of one Python",
    ),
    "solution in a cell": (
        put("cells", 4, "metadata", "tags", value=["solution"]),
        "tagged 'solution', expected a solution in Markdown",
    ),
    "hidden outputs": (
        put("cells", 4, "metadata", "jupyter", value={"outputs_hidden": True}),
        "hidden outputs, expected those of all cells in sight",
    ),
    "tolerance that is none": (
        put("cells", 4, "metadata", "tags", value=["within-2"]),
        "tags ['within-2'], expected one like 'within-2%'",
    ),
    "too large a tolerance": (
        put("cells", 4, "metadata", "tags", value=["within-61%"]),
        "at most 60 %",
    ),
    "tolerance of nothing": (
        put("cells", 3, "metadata", "tags", value=["within-2%"]),
        "Cell 1 under 'A batch': tagged 'within-2%', but its outputs hold no number",
    ),
    "a size that is not the image's": (
        put("cells", 3, "outputs", 0, "metadata", "image/png", "width", value=100),
        "pixels, shown 100 x ",
    ),
    "no size": (
        without_size,
        "Cell 1 under 'A batch': an image that is not sharp on good screens: ",
    ),
    "older format": (older, "notebook format 4.4, expected 4.5"),
    "invalid": (put("cells", 4, "outputs", value=[{}]), "not a valid notebook"),
    "two cells with one id": (put("cells", 4, "id", value="cell-3"), "two cells with the id"),
    "too large": (large, "expected at most 1,500,000"),
}


def planted(lesson: Notebook, change: Callable[[Notebook], None], path: Path) -> Path:
    """Write the lesson with one change."""
    notebook = copy.deepcopy(lesson)
    change(notebook)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def test_stored_lesson_is_in_order(lesson, tmp_path):
    path = planted(lesson, lambda notebook: None, tmp_path / "lesson.ipynb")
    assert checks.stored_problems(path) == []


@pytest.mark.parametrize("fault", STORED_FAULTS)
def test_fault_of_a_stored_lesson(lesson, tmp_path, fault):
    change, expected = STORED_FAULTS[fault]
    problems = checks.stored_problems(planted(lesson, change, tmp_path / "lesson.ipynb"))
    assert len(problems) == 1
    assert expected in problems[0]
    assert "\n" not in problems[0]


@pytest.mark.parametrize("text", ["", "[]", "{}", "<<<<<<< HEAD"])
def test_file_that_is_no_notebook(tmp_path, text):
    path = tmp_path / "lesson.ipynb"
    path.write_text(text)
    (message,) = checks.stored_problems(path)
    assert message.startswith("not a notebook: ")


# --- the whole, run by pytest ---------------------------------------------------------------------

# Each fault of a lesson as it runs: the tests that fail, and what the headline must say.
STORED = "stored form"
RUN_FAULTS: dict[str, tuple[Callable[[Notebook], None], dict[str, str]]] = {
    "good": (lambda notebook: None, {}),
    "stderr": (edit(4, "print(", "import sys; print('warning', file=sys.stderr)\nprint("), {}),
    "text": (
        edit(4, "'rows'", "'columns'"),
        {"Cell 2": "Cell 2 under 'A batch': stdout: stored 'rows 3', now 'columns 3'"},
    ),
    "html": (
        edit(4, "<b>", "<i>"),
        {"Cell 2": "text/html: stored '<b>(3, 4, 4)</b>', now '<i>(3, 4, 4)</b>'"},
    ),
    "order": (
        edit(1, "[0, 1, 2]", "[1, 0, 2]"),
        {"Cell 1": "figure 1 of 1 differs from the stored one by "},
    ),
    "colours": (
        edit(1, "[0, 1, 2], {}", "[0, 1, 2], {'cmap': 'Greys'}"),
        {"Cell 1": "image 4x4 Greys"},
    ),
    "pixels": (
        edit(3, "plt.show()", "figure.set_facecolor('0.8')\nplt.show()"),
        {"Cell 1": "Cell 1 under 'A batch': figure 1 of 1 differs from the stored one by 51"},
    ),
    "alternative": (
        put("cells", 3, "outputs", 0, "metadata", "image/png", "alt", value="4 images."),
        {"Cell 1": "alternative text: stored '4 images.', now '3 images.'"},
    ),
    "missing": (edit(3, "plt.show()", "plt.close()"), {"Cell 1": "0 figures, stored 1"}),
    "extra": (
        edit(3, new="\nplt.figure(figsize=(1, 1)).subplots()\nplt.show()"),
        {"Cell 1": "2 figures, stored 1"},
    ),
    "raises": (
        edit(4, "len(images)", "len(tiles)"),
        {"Cell 2": "Cell 2 under 'A batch': NameError: name 'tiles' is not defined"},
    ),
    "unequal": (
        edit(4, "print(", "np.testing.assert_allclose(images, images + 1)\nprint("),
        {"Cell 2": "Cell 2 under 'A batch': AssertionError: Not equal to tolerance"},
    ),
    "silent": (
        edit(6, RAISE, "pass"),
        {"Cell 3": "Cell 3 under 'What goes wrong': tagged 'raises-exception', but nothing"},
    ),
    "silent-stored": (
        put("cells", 4, "metadata", "tags", value=[checks.RAISES]),
        {
            STORED: "tagged 'raises-exception', but stored without an error",
            "Cell 2": "tagged 'raises-exception', but nothing was raised",
        },
    ),
    "message": (
        edit(6, "no such", "not a"),
        {"Cell 3": "error: stored 'ValueError: no such tile', now 'ValueError: not a tile'"},
    ),
    "unrun": (
        lambda notebook: notebook["cells"][4].update(execution_count=None, outputs=[]),
        {
            STORED: "Cell 2 under 'A batch': stored without having been run",
            "Cell 2": "stdout: stored nothing, now 'rows 3'",
        },
    ),
    "within": (both(within(4, "within-5%"), edit(4, "len(images)", "3.06")), {}),
    "beyond": (
        both(within(4, "within-5%"), edit(4, "len(images)", "3.3")),
        {
            "Cell 2": "Cell 2 under 'A batch': stdout: line 1: stored 3, now 3.3, which is 9.1 % "
            "apart (allowed 5 %): 'rows 3.3'"
        },
    ),
    "within, another text": (
        both(within(4, "within-5%"), edit(4, "'rows'", "'columns'")),
        {"Cell 2": "stdout: line 1: stored 'rows 3', now 'columns 3'"},
    ),
    "within, another shape": (
        both(within(4, "within-50%"), edit(4, "images.shape", "images[:2].shape")),
        {"Cell 2": "text/html: line 1: stored '<b>(3, 4, 4)</b>', now '<b>(2, 4, 4)</b>'"},
    ),
    "within, another image": (
        both(within(3, "within-50%"), edit(1, "[0, 1, 2]", "[1, 0, 2]")),
        {
            STORED: "tagged 'within-50%', but its outputs hold no number",
            "Cell 1": "figure: stored 'image 4x4 viridis",
        },
    ),
    "within, no figure": (
        both(within(3, "within-50%"), edit(3, "plt.show()", "plt.close()")),
        {
            STORED: "tagged 'within-50%', but its outputs hold no number",
            "Cell 1": "stored figure, now nothing",
        },
    ),
    "emptied": (
        put("cells", 4, "outputs", value=[]),
        {"Cell 2": "stdout: stored nothing, now 'rows 3'"},
    ),
    "ignored": (
        edit(4, "print('rows'", "# NBVAL_IGNORE_OUTPUT\nprint('columns'"),
        {
            STORED: "'NBVAL_IGNORE_OUTPUT' switches a check",
            "Cell 2": "stdout: stored 'rows 3', now 'columns 3'",
        },
    ),
}


def run_pytest(folder: Path, *options: str) -> tuple[dict[tuple[str, str], str], str]:
    """Run pytest with this project's conftest in a folder of lessons.

    Returns
    -------
    dict
        For each test, by lesson and name, the text of its failure, empty where it passed.
    str
        What pytest printed.
    """
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text((ROOT / "conftest.py").read_text(encoding="utf-8"))
    paths = [str(ROOT / name) for name in (".", "tests", "tools")]
    paths.append(os.environ.get("PYTHONPATH", ""))
    environment = {key: text for key, text in os.environ.items() if not key.startswith("PYTEST_")}
    flags = ("-p", "no:cacheprovider", "--color=no", "--junitxml=report.xml")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *flags, *options],
        cwd=folder,
        env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == pytest.ExitCode.USAGE_ERROR:
        return {}, done.stderr
    results = {}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        failure = case.find("failure") if case.find("failure") is not None else case.find("error")
        text = "" if failure is None else f"{failure.get('message')}{failure.text}"
        results[case.get("classname").removesuffix(".ipynb"), case.get("name")] = text
    return results, done.stdout


@pytest.fixture(scope="module")
def session(lesson: Notebook, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, str, Path]:
    """Run all faulty lessons in one pytest, on two workers."""
    folder = tmp_path_factory.mktemp("project")
    for name, (change, _) in RUN_FAULTS.items():
        planted(lesson, change, folder / f"{name}.ipynb")
    options = ("--nbval", "--nbval-current-env", "-n", "2", "--dist", "loadscope")
    return *run_pytest(folder, *options), folder


@pytest.mark.parametrize("fault", RUN_FAULTS)
def test_fault_of_a_running_lesson(session, fault):
    results, printed, _ = session
    expected = RUN_FAULTS[fault][1]
    mine = {name: text for (lesson, name), text in results.items() if lesson == fault}
    assert sorted(mine) == ["Cell 0", "Cell 1", "Cell 2", "Cell 3", STORED]
    assert {name for name, text in mine.items() if text} == set(expected)
    _, _, summary = printed.partition("= lessons =")
    for name, message in expected.items():
        assert message in mine[name]
        headlines = [line for line in summary.splitlines() if line.startswith(f"{fault}.ipynb")]
        assert any(message in line for line in headlines)


def test_images_of_failures_are_saved(session):
    _, _, folder = session
    saved = {path.name for path in (folder / "test_output" / "figures").iterdir()}
    stems = ("order-cell-1", "colours-cell-1", "pixels-cell-1")
    kinds = ("stored", "new", "difference")
    assert saved == {f"{stem}-figure-1-{kind}.png" for stem in stems for kind in kinds}


def test_stored_lessons_are_checked_without_nbval(lesson, tmp_path):
    planted(lesson, lambda notebook: None, tmp_path / "good.ipynb")
    planted(lesson, RUN_FAULTS["unrun"][0], tmp_path / "unrun.ipynb")
    results, printed = run_pytest(tmp_path)
    assert sorted(results) == [("good", STORED), ("unrun", STORED)]
    assert not results["good", STORED]
    assert "unrun.ipynb: Cell 2 under 'A batch': stored without having been run" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--nbval-lax",), "--nbval-lax: every output of every cell is compared as it is"),
        (("--nbval", "--nbval-lax"), "--nbval-lax: every output"),
        (("--nbval", "--nbval-sanitize-with=all.cfg"), "--nbval-sanitize-with: every output"),
        (("--nbval", "--sanitize-with=all.cfg"), "--sanitize-with: every output"),
        (("--nbval", "-n", "2"), "-n with --dist load: a lesson's cells need one worker"),
        (("--nbval", "-n", "1", "--dist", "worksteal"), "-n with --dist worksteal: "),
    ],
)
def test_options_that_weaken_the_checks_are_refused_in_one_line(tmp_path, options, message):
    (tmp_path / "all.cfg").write_text("[all]\nregex: .*\nreplace: same\n")
    results, printed = run_pytest(tmp_path, *options)
    assert results == {}
    assert printed.startswith(f"ERROR: {message}")
    assert len(printed.strip().splitlines()) == 1
