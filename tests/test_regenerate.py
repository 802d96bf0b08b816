"""`make notebooks` stores the same on every machine, or nothing."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lesson_kernels
import nbformat
import notebook_checks as checks
import numpy as np
import pytest
import regenerate
from PIL import Image
from PIL.PngImagePlugin import PngInfo

ROOT = Path(__file__).resolve().parents[1]

NATIVE = (
    "W0000 00:00:1795340193.958217    3346 local_rendezvous.cc:412] Local rendezvous is aborting"
)


@pytest.fixture(autouse=True)
def kernels(monkeypatch):
    """Let kernels behave as outside pytest, and find the helpers."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    for name in ("PYTEST_CURRENT_TEST", "PYTHONSTARTUP"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def lesson(tmp_path: Path) -> Callable[..., Path]:
    """Write a lesson of the given code cells; those in brackets are tagged as raising."""

    def write(*codes: str | list[str], name: str = "lesson.ipynb") -> Path:
        cells = [nbformat.v4.new_markdown_cell("# Lesson\n\n## First part")]
        for code in codes:
            tagged = {"metadata": {"tags": [checks.RAISES]}} if isinstance(code, list) else {}
            cells.append(nbformat.v4.new_code_cell("".join(code), **tagged))
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / name)
        return tmp_path / name

    return write


def stored(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


FIGURE = "import matplotlib.pyplot as plt\nplt.figure(figsize=(2, 1)).subplots()\nplt.show()"


def test_twice_leaves_no_difference(lesson, capsys):
    path = lesson("print('one')\nprint('two')", FIGURE, ["1 / 0"], "{'b', 'b'}")
    assert regenerate.main([str(path)]) == 0
    first = path.read_bytes()
    assert checks.stored_problems(path) == []
    assert regenerate.main([str(path)]) == 0
    assert path.read_bytes() == first
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [str(path)] * 2
    assert [line.split()[-1] for line in lines] == ["written", "unchanged"]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_is_stored(lesson):
    path = lesson(
        f"import os\nprint('one', flush=True)\nos.write(2, b'{NATIVE}\\n')\nprint('two')",
        FIGURE,
        ["raise ValueError('no such tile:\\n' + '\\n'.join('a line' for _ in range(20)))"],
        "print('six')\n7",
    )
    assert regenerate.main([str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert "\r" not in text
    notebook = stored(path)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert "version" not in notebook["metadata"]["language_info"]
    _, printed, figure, raised, result = notebook["cells"]
    assert [cell.get("execution_count") for cell in notebook["cells"]] == [None, 1, 2, 3, 4]
    assert printed["outputs"] == [
        {"name": "stdout", "output_type": "stream", "text": ["one\n", "two\n"]}
    ]
    (drawn,) = figure["outputs"]
    assert checks.png_notes(base64.b64decode(drawn["data"]["image/png"])) == []
    assert drawn["data"]["text/plain"][0] == "Figure 2 x 1 inches, axes: 1\n"
    (error,) = raised["outputs"]
    assert error["evalue"].count("a line") == 20
    assert error["traceback"][0] == "ValueError: no such tile:"
    assert error["traceback"][-1] == "…"
    assert len(error["traceback"]) == lesson_kernels.MESSAGE_LINES + 1
    kinds = [output["output_type"] for output in result["outputs"]]
    assert kinds == ["stream", "execute_result"]
    assert result["outputs"][1]["execution_count"] == 4


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "lesson.ipynb"
    path.write_text("old")

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        regenerate.write(path, "new")
    assert path.read_text() == "old"


def test_an_image_is_kept_only_where_the_texts_are_the_same():
    """Two drawings may look alike where their descriptions differ."""
    images = [np.full((40, 40, 3), level, np.uint8) for level in (200, 201)]
    old, new = (base64.b64encode(encoded(image)).decode() for image in images)

    def notebook(image, text):
        data = {"image/png": image, "text/plain": text}
        output = nbformat.v4.new_output("display_data", data)
        cells = [nbformat.v4.new_code_cell(id="one", outputs=[output])]
        return nbformat.v4.new_notebook(cells=cells)

    for text, kept in (("the same", 1), ("another", 0)):
        fresh = notebook(new, text)
        assert regenerate.keep_stored(fresh, notebook(old, "the same")) == kept
        assert fresh.cells[0].outputs[0].data["image/png"] == (old if kept else new)


def test_numbers_within_the_tolerance_stay_as_stored(lesson, tmp_path, capsys):
    """What a tag allows to differ is stored once; what differs more is stored again."""
    path = lesson(
        "import os", "print('loss', os.environ['LOSS'])\n{'loss': float(os.environ['LOSS'])}"
    )
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].metadata["tags"] = ["within-5%"]
    nbformat.write(notebook, path)
    shown = []
    for loss in ("2.00", "2.05", "2.20"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LOSS", loss)
            assert regenerate.main([str(path)]) == 0
        printed, result = stored(path)["cells"][2]["outputs"]
        shown.append((printed["text"], result["data"]["text/plain"]))
    assert [text[0].split()[1] for text, _ in shown] == ["2.00", "2.00", "2.20"]
    assert [text for _, text in shown] == [["{'loss': 2.0}"], ["{'loss': 2.0}"], ["{'loss': 2.2}"]]
    lines = capsys.readouterr().out.splitlines()
    assert ["kept" in line for line in lines] == [False, True, False]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOSS", "2.21")
        assert regenerate.main([str(path), "--redraw"]) == 0
    assert "2.21" in str(stored(path))


def test_what_programs_leave_behind_is_stripped(lesson):
    path = lesson("1")
    notebook = stored(path)
    notebook["metadata"] = {"widgets": {}, "kernelspec": {"name": "venv", "display_name": "x"}}
    notebook["cells"][1]["metadata"] = {
        "execution": {"iopub.status.idle": "2026-11-22"},
        "scrolled": True,
        "tags": [],
        "jupyter": {"source_hidden": True},
    }
    path.write_text(json.dumps(notebook))
    assert regenerate.main([str(path)]) == 0
    assert stored(path)["cells"][1]["metadata"] == {"jupyter": {"source_hidden": True}}
    assert checks.stored_problems(path) == []


SHOWN = """\
import io
import ipywidgets
from IPython.display import display
from PIL import Image
Image.new("RGB", (6, 4)).save(file := io.BytesIO(), "PNG")
png = file.getvalue()
bundle = ipywidgets.IntSlider()._repr_mimebundle_() | {"text/plain": "a slider"}"""


def test_of_a_widget_the_image_is_stored(lesson):
    said = {"image/png": {"alt": "A slider", "width": 3, "height": 2}}
    path = lesson(SHOWN, f"display(bundle | {{'image/png': png}}, metadata={said}, raw=True)")
    assert regenerate.main([str(path)]) == 0
    first = path.read_bytes()
    assert checks.stored_problems(path) == []
    _, _, shown = stored(path)["cells"]
    assert [sorted(output["data"]) for output in shown["outputs"]] == [["image/png", "text/plain"]]
    assert stored(path)["metadata"].keys() == checks.NOTEBOOK_METADATA
    assert regenerate.main([str(path)]) == 0
    assert path.read_bytes() == first


def test_cells_keep_their_ids_and_new_ones_are_the_same_in_every_run(lesson):
    path = lesson("1", "2")
    notebook = stored(path)
    notebook["nbformat_minor"] = 4
    for cell in notebook["cells"]:
        del cell["id"]
    path.write_text(json.dumps(notebook))
    texts = []
    for _ in range(2):
        path.write_text(json.dumps(notebook))
        assert regenerate.main([str(path)]) == 0
        texts.append(path.read_text())
    assert texts[0] == texts[1]
    ids = [cell["id"] for cell in stored(path)["cells"]]
    assert len(set(ids)) == 3
    assert regenerate.main([str(path)]) == 0
    assert [cell["id"] for cell in stored(path)["cells"]] == ids


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (["1", "1 / 0"], "Cell 1 under 'First part': ZeroDivisionError: division by zero"),
        (["raise AssertionError('\\nNot equal')"], "'First part': AssertionError: Not equal"),
        (
            ["import warnings; warnings.warn('mind the gap')"],
            "Cell 0 under 'First part': wrote to standard error: '",
        ),
        (
            [f"import os, warnings\nos.write(2, b'{NATIVE}\\n')\nwarnings.warn('mind the gap')"],
            "wrote to standard error: '",
        ),
        ([["1"]], "Cell 0 under 'First part': tagged 'raises-exception', but nothing was raised"),
        (
            ["print('/home/ada/tile.png')"],
            "output holds a path of one machine: '/home/ada/tile.png'",
        ),
        (["object()"], "output holds a memory address: '0x"),
        ([["raise OSError('/home/ada/tile.png')"]], "output holds a path of one machine"),
        (
            [SHOWN, "display(bundle, raw=True)"],
            "Cell 1 under 'First part': shows a widget without image/png, so nothing of it can",
        ),
        (["import os; os._exit(1)"], "Cell 0 under 'First part': Kernel died"),
    ],
    ids=[
        "raises",
        "raises after an empty line",
        "warns",
        "warns natively too",
        "silent",
        "path",
        "address",
        "path raised",
        "widget alone",
        "dies",
    ],
)
def test_faulty_lesson_stays_as_it_was(lesson, capsys, codes, message):
    path = lesson(*codes)
    before = path.read_bytes()
    assert regenerate.main([str(path)]) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith(f"{path}: Cell ")
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_one_fault_does_not_stop_the_others(lesson, capsys):
    bad, good = lesson("1 / 0", name="bad.ipynb"), lesson("1", name="good.ipynb")
    assert regenerate.main([str(bad), str(good)]) == 1
    assert stored(good)["cells"][1]["execution_count"] == 1
    assert "good.ipynb" in capsys.readouterr().out


def test_check(lesson, capsys):
    path = lesson("print('one')")
    before = path.read_bytes()
    assert regenerate.main(["--check", str(path)]) == 1
    assert "would change" in capsys.readouterr().out
    assert path.read_bytes() == before
    assert regenerate.main([str(path)]) == 0
    assert regenerate.main(["--check", str(path)]) == 0
    path.write_text(path.read_text().replace("'one'", "'two'"))
    assert regenerate.main(["--check", str(path)]) == 1


def test_images_that_show_the_same_are_kept(lesson, capsys):
    """As from a machine that draws letters a little differently."""
    path = lesson(FIGURE)
    assert regenerate.main([str(path)]) == 0
    notebook = stored(path)
    data = notebook["cells"][1]["outputs"][0]["data"]
    original = data["image/png"]
    other = checks.pixels(base64.b64decode(original)).copy()
    other[0, 0] ^= 8
    data["image/png"] = base64.b64encode(encoded(other)).decode()
    path.write_bytes((json.dumps(notebook, indent=1, sort_keys=True) + "\n").encode())

    def image() -> str:
        return stored(path)["cells"][1]["outputs"][0]["data"]["image/png"]

    assert regenerate.main([str(path)]) == 0
    assert "1 outputs kept" in capsys.readouterr().out
    assert image().strip() == data["image/png"]
    assert regenerate.main(["--redraw", str(path)]) == 0
    assert image() == original


def test_images_saved_by_jupyterlab_lose_their_notes(lesson):
    path = lesson(FIGURE)
    assert regenerate.main([str(path)]) == 0
    notebook = stored(path)
    data = notebook["cells"][1]["outputs"][0]["data"]
    notes = PngInfo()
    notes.add_text("Software", "Matplotlib")
    file = io.BytesIO()
    drawn = Image.fromarray(checks.pixels(base64.b64decode(data["image/png"])))
    drawn.save(file, "PNG", pnginfo=notes)
    data["image/png"] = base64.b64encode(file.getvalue()).decode()
    path.write_text(json.dumps(notebook))
    assert len(checks.stored_problems(path)) == 1
    assert regenerate.main([str(path)]) == 0
    assert checks.stored_problems(path) == []


def test_images_that_differ_are_replaced(lesson):
    path = lesson(FIGURE)
    assert regenerate.main([str(path)]) == 0
    first = path.read_bytes()
    notebook = stored(path)
    data = notebook["cells"][1]["outputs"][0]["data"]
    blank = np.full_like(checks.pixels(base64.b64decode(data["image/png"])), 255)
    data["image/png"] = base64.b64encode(encoded(blank)).decode()
    path.write_text(json.dumps(notebook))
    assert regenerate.main([str(path)]) == 0
    assert path.read_bytes() == first


def encoded(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "",
        NATIVE,
        f"{NATIVE}: no such\ntile\nTraceback (most recent call last):\n\n  File x\n\nValueError",
        "2025-11-22 09:36:28.123456: W tensorflow/core/framework/op_kernel.cc:1855] OP_REQUIRES\n",
    ],
)
def test_native_messages_are_dropped(text):
    regenerate.refuse_warnings(text)


@pytest.mark.parametrize(
    "text",
    [
        "epoch_iterator.py:160: UserWarning: Your input ran out of data",
        f"{NATIVE}\nepoch_iterator.py:160: UserWarning: Your input ran out of data",
        f"{NATIVE}\nWARNING:tensorflow:5 out of the last 5 calls",
        "a line\n" + NATIVE,
        "F0000 00:00:1795340193.958217    3346 port.cc:1] fatal",
    ],
)
def test_other_messages_are_refused(text):
    with pytest.raises(regenerate.LessonError, match="wrote to standard error: '"):
        regenerate.refuse_warnings(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not a notebook: "), ('{"cells": [], "nbformat": 3, "nbformat_minor": 0}', "format 3")],
)
def test_file_that_is_no_notebook(tmp_path, capsys, text, message):
    path = tmp_path / "lesson.ipynb"
    path.write_text(text)
    assert regenerate.main([str(path), str(tmp_path / "missing.ipynb")]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert message in errors[0]
    assert "missing.ipynb: not a notebook: " in errors[1]


def test_no_lesson_at_all(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(regenerate, "ROOT", tmp_path)
    with pytest.raises(SystemExit):
        regenerate.main([])
    assert "no lesson in" in capsys.readouterr().err


def test_an_image_that_is_kept_keeps_its_size():
    """Other letters may make a figure a pixel wider; but a blurred one is not kept."""

    def cells(pixels, width, level):
        image = base64.b64encode(encoded(np.full((80, pixels, 3), level, np.uint8))).decode()
        said = {"alt": "bars"} | ({"width": width, "height": 40} if width else {})
        data = {"image/png": image, "text/plain": "bars"}
        output = nbformat.v4.new_output("display_data", data, metadata={"image/png": said})
        cells = [nbformat.v4.new_code_cell(id="one", outputs=[output])]
        return nbformat.v4.new_notebook(cells=cells)

    fresh, old = cells(122, 61, 200), cells(120, 60, 201)
    assert regenerate.keep_stored(fresh, old) == 1
    assert fresh.cells[0].outputs == old.cells[0].outputs
    blurred = cells(60, None, 200)
    fresh = cells(120, 60, 200)
    assert regenerate.keep_stored(fresh, blurred) == 0
    assert fresh == cells(120, 60, 200)
