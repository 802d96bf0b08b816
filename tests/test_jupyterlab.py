"""A notebook as a reader meets it: JupyterLab in a browser, outputs cleared, all cells run.

What is saved then must be what is stored. Exercises are answered wrongly and rightly.

The first lesson is tried by default; ``BROWSER_LESSONS=all`` tries every notebook, and
``BROWSER_LESSONS="05 errors"`` those whose names begin so. A browser is looked for on the path, or
taken from ``CHROMIUM``; where there is none the test is skipped, unless ``BROWSER_REQUIRED`` is
set, as ``.ci/run`` does.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
import notebook_checks as checks
import psutil
import pytest
import regenerate
import test_exercises as exercises
from playwright.sync_api import Browser, Error, Page, sync_playwright

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
LESSONS = [name for name in NOTEBOOKS if name[0].isdigit()]
ASKED = os.environ.get("BROWSER_LESSONS", "00").split()
CHOSEN = [name for name in NOTEBOOKS if ASKED == ["all"] or name.startswith(tuple(ASKED))]
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "chrome",
    "msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Nothing here needs a network, and a browser that finds none fills the output with complaints.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START_SECONDS = 60
LESSON_SECONDS = int(os.environ.get("BROWSER_SECONDS", "600"))

OPEN = ".jp-NotebookPanel:not(.lm-mod-hidden) "
# The status bar; the round mark beside the kernel's name says "idle" before there is a kernel.
IDLE = "#jp-main-statusbar >> text=/[|] Idle$/"
PROMPTS = OPEN + ".jp-CodeCell .jp-InputPrompt"
# The figures that the browser could decode, code cell by code cell.
COUNT_FIGURES = f"""
() => [...document.querySelectorAll("{OPEN} .jp-CodeCell")].map(
    cell => [...cell.querySelectorAll(".jp-OutputArea-output img")]
        .filter(image => image.complete && image.naturalWidth > 0).length)
"""
# The alternative texts of all figures, in order.
ALTERNATIVES = f"""
() => [...document.querySelectorAll("{OPEN} .jp-OutputArea-output img")].map(image => image.alt)
"""
# What is wrong with the figures, and with the images of the text, diagrams among them: silent, not
# decoded, out of sight, of no sensible size, wider than the column of cells, much shrunk to it, or
# with fewer pixels than a good screen would show.
IMAGE_FAULTS = """
([cells, least, sharpness]) => [...document.querySelectorAll(`${cells} img`)].flatMap(image => {
    const box = image.getBoundingClientRect();
    const column = image.closest(".jp-OutputArea-child, .jp-MarkdownOutput")
        .getBoundingClientRect();
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    const faults = {
        // ipywidgets can give its images none
        "has no alternative text": !image.alt && !image.closest(".jupyter-widgets"),
        "could not be decoded": !image.complete || !width || !height,
        "is out of sight": !image.checkVisibility(
            {opacityProperty: true, visibilityProperty: true}),
        "is too small": box.width < least || box.height < least,
        "is wider than its column": box.left < column.left - 1 || box.right > column.right + 1,
        "is blurred": width + 1 < sharpness * Math.floor(box.width),
        "is shrunk by a quarter": 0.75 * width > sharpness * box.width,
    };
    const sizes = `${width} x ${height} pixels, shown ${box.width} x ${box.height}`;
    return Object.keys(faults).filter(fault => faults[fault])
        .map(fault => `${image.alt || image.src.slice(0, 80)} ${fault}: ${sizes}`);
})
"""
# The least width and height of an image on the page, in pixels of the screen.
LEAST = 60
# Where the links of the text lead to, those to other hosts and within the page left out.
LINKS = f"""
() => [...new Set([...document.querySelectorAll("{OPEN} .jp-MarkdownCell a[href]")]
    .filter(link => !link.getAttribute("href").startsWith("#") && link.host === location.host)
    .map(link => link.href.split("#")[0]))]
"""
DEAD_LINKS = """
links => Promise.all(links.map(async link => [(await fetch(link, {method: "HEAD"})).ok, link]))
    .then(found => found.filter(([ok]) => !ok).map(([, link]) => link))
"""
# The colour of the text, and of what is behind it, in parts of the notebook that is open.
COLOURS = f"""
() => Object.fromEntries(
    [".jp-MarkdownCell p", ".jp-CodeCell .cm-line", ".jp-OutputArea-output pre"].map(part => {{
        const text = document.querySelector(`{OPEN} ${{part}}`);
        let behind = text;
        while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") {{
            behind = behind.parentElement;
        }}
        return [part, [getComputedStyle(text).color, getComputedStyle(behind).backgroundColor]
            .map(colour => colour.match(/[0-9.]+/g).slice(0, 3).map(Number))];
    }}))
"""
# The images through which the page shows: their black letters are lost in the dark.
TRANSPARENT = f"""
() => [...document.querySelectorAll("{OPEN} .jp-Cell img")].filter(image => {{
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, canvas.width, canvas.height).data
        .some((value, index) => index % 4 === 3 && value < 255);
}}).map(image => image.alt)
"""
# The lines of code of a cell, as its editor has them.
LINES = "editor => [...editor.querySelectorAll('.cm-line')].map(line => line.textContent)"
# Of each hint and solution, what it is called, and how much of it is in sight.
FOLDED = f"""
() => [...document.querySelectorAll("{OPEN} .jp-MarkdownCell details")].map(folded => [
    folded.querySelector("summary").textContent,
    folded.getBoundingClientRect().height
        - folded.querySelector("summary").getBoundingClientRect().height])
"""
DIRTY = ".lm-TabBar-tab.lm-mod-current.jp-mod-dirty"


class Lab(NamedTuple):
    """A JupyterLab that runs: the address it printed, and the folder that it shows."""

    address: str
    place: Path


def find_browser() -> str | None:
    """Return the path of a browser of Chromium's kind, or None."""
    given = os.environ.get("CHROMIUM")
    names = (given,) if given else BROWSERS
    return next((path for path in map(shutil.which, names) if path), None)


def free_port() -> int:
    """Return a port of the loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stop(server: subprocess.Popen) -> None:
    """End the server and every process that it started, kernels among them."""
    if server.poll() is not None:
        return
    family = psutil.Process(server.pid).children(recursive=True)
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    for process in family:
        if process.is_running():
            process.kill()
    psutil.wait_procs(family, timeout=10)


@pytest.fixture(scope="module")
def browser_path() -> str:
    path = find_browser()
    if path is None:
        why = "found no Chromium or Chrome: install one, or set CHROMIUM=/path/to/it"
        if os.environ.get("BROWSER_REQUIRED"):
            pytest.fail(why)
        pytest.skip(why)
    return path


@pytest.fixture(scope="module")
def lab(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Start JupyterLab with all cells in the page at once, whatever has been scrolled to."""
    windowing = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}
    with started(tmp_path_factory.mktemp("lab"), windowing) as running:
        yield running


@contextlib.contextmanager
def started(place: Path, settings: dict[str, dict[str, str]]) -> Iterator[Lab]:
    """Start what ``make lab`` starts, over a copy of the lessons and what they read and link to."""
    shutil.copytree(
        ROOT / "notebooks", place / "notebooks", ignore=shutil.ignore_patterns("__pycache__")
    )
    for pattern in ("*.md", "benchmark/*.md", "benchmark/*.csv", "data_samples/**/*.md",
                    "helpers/**/*.md"):  # fmt: skip
        for path in ROOT.glob(pattern):
            copy = place / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    overrides = place / "config" / "labconfig" / "default_setting_overrides.json"
    overrides.parent.mkdir(parents=True)
    overrides.write_text(json.dumps(settings))
    environ = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONSTARTUP"},
        "JUPYTER_CONFIG_DIR": str(place / "config"),
        "JUPYTER_DATA_DIR": str(place / "data"),
        "JUPYTER_RUNTIME_DIR": str(place / "runtime"),
        "IPYTHONDIR": str(place / "ipython"),
    }
    command = [
        sys.executable,
        str(ROOT / "tools" / "lab.py"),
        f"--port={free_port()}",
        f"--ServerApp.root_dir={place}",
        "--no-browser",
    ]
    log = place / "lab.log"
    with log.open("wb") as out:
        server = subprocess.Popen(command, env=environ, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield Lab(wait_for_address(server, log), place)
    finally:
        stop(server)


def wait_for_address(server: subprocess.Popen, log: Path) -> str:
    """Return the address that the server prints once it listens."""
    for _ in range(START_SECONDS * 5):
        words = log.read_text(encoding="utf-8").split()
        address = next((word for word in words if "?token=" in word), None)
        if address:
            return address
        if server.poll() is not None:
            break
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start: {log.read_text(encoding='utf-8')}")


@pytest.fixture
def page(browser_path: str, lab: Lab) -> Iterator[Page]:
    with browser(browser_path) as opened:
        yield opened
    end_kernels(lab)


def end_kernels(lab: Lab) -> None:
    """Shut down every kernel: that of a lesson may hold a gigabyte."""
    server, _, rest = lab.address.partition("/lab/tree/")
    headers = {"Authorization": f"token {rest.partition('?token=')[2]}"}

    def ask(path: str, method: str) -> bytes:
        request = urllib.request.Request(f"{server}/api/{path}", method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
            return answer.read()

    for session in json.loads(ask("sessions", "GET")):
        ask(f"sessions/{session['id']}", "DELETE")


@contextlib.contextmanager
def launched(path: str) -> Iterator[Browser]:
    """Start a browser without a window."""
    sandbox = [] if getattr(os, "geteuid", lambda: 1)() else ["--no-sandbox"]  # root has none
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *sandbox])
        try:
            yield opened
        finally:
            opened.close()


@contextlib.contextmanager
def browser(path: str) -> Iterator[Page]:
    """Open an empty page in a browser without a window."""
    with launched(path) as opened:
        yield opened.new_page(viewport={"width": 1400, "height": 1000})


def choose(page: Page, menu: str, command: str) -> None:
    """Click an entry of a menu of JupyterLab."""
    page.locator(".lm-MenuBar-item").get_by_text(menu, exact=True).click()
    page.locator(f".lm-Menu-item[data-command='{command}']").click()


def visit(page: Page, lab: Lab, notebook: str) -> None:
    """Open a notebook alone, in a workspace of its own, and wait until its kernel listens."""
    place = f"/lab/workspaces/{Path(notebook).stem}/tree/"
    address = lab.address.replace("/lab/tree/", place).replace(NOTEBOOKS[0], notebook)
    page.goto(address, timeout=START_SECONDS * 1000)
    page.locator(IDLE).wait_for(timeout=START_SECONDS * 1000)


def close_and_open(page: Page, notebook: str) -> None:
    """Close the notebook that is open, which must ask nothing, and open it from the list."""
    choose(page, "File", "application:close")
    page.wait_for_timeout(500)  # as long as a question takes to come up
    asked = page.locator(".jp-Dialog").all_inner_texts()
    assert asked == [], "closing a notebook that nobody touched asks"
    assert page.locator(OPEN).count() == 0, "the notebook did not close"
    page.locator(f".jp-DirListing-item[title^='Name: {notebook}']").dblclick()
    page.locator(PROMPTS).first.wait_for(timeout=START_SECONDS * 1000)


def image_faults(page: Page) -> list[str]:
    """Say what is wrong with images of the notebook that is open, a line each."""
    return page.evaluate(IMAGE_FAULTS, [f"{OPEN} .jp-Cell", LEAST, checks.SHARPNESS])


def answer(page: Page, starter: int, text: str) -> str:
    """Write an answer in place of a starter, run it and its check, and return what that says.

    Parameters
    ----------
    starter : int
        The number of the starter's cell among the code cells; its check is the next.
    """
    text = text.strip()
    cell, check = (page.locator(OPEN + ".jp-CodeCell").nth(starter + step) for step in (0, 1))
    editor, prompt = cell.locator(".cm-content"), check.locator(".jp-InputPrompt")
    editor.fill(text)
    assert editor.evaluate(LINES) == text.split("\n")
    before = prompt.inner_text()
    editor.press("Shift+Enter")
    check.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    for _ in range(LESSON_SECONDS * 5):
        page.wait_for_timeout(200)
        if ran(prompt.inner_text()) and prompt.inner_text() != before:
            return check.locator(".jp-OutputArea-output").inner_text().strip()
    pytest.fail(f"the check did not answer within {LESSON_SECONDS} s")


def wrong_verdicts(page: Page, lesson: str, count: int | None) -> list[str]:
    """Answer exercises of the lesson that is open, wrongly and then rightly; all cells have run.

    Parameters
    ----------
    count : int or None
        How many exercises; None for all.

    Returns
    -------
    list of str
        What checks say that they should not.
    """
    number = lesson[:2]
    cells = code_cells(ROOT / "notebooks" / lesson)
    starters = [i for i, cell in enumerate(cells) if "starter" in cell.metadata.get("tags", ())]
    names = list(exercises.WRONG[number])
    found = []
    for name, starter, solution in zip(names, starters, exercises.solutions(number), strict=True):
        wrong, words = exercises.WRONG[number][name][0]
        said = answer(page, starter, wrong)
        if not said.startswith(f"exercise {name}: not yet: ") or words not in said:
            found.append(f"to a wrong answer: {said}")
        said = answer(page, starter, solution)
        if said != f"exercise {name}: right":
            found.append(f"to the solution: {said}")
        if name == names[:count][-1]:
            break
    return found


def run_all(page: Page) -> None:
    """Clear what is stored in the lesson that is open, and run it until nothing runs any more."""
    # A command that is sent before the kernel listens is lost.
    page.locator(IDLE).wait_for(timeout=START_SECONDS * 1000)
    choose(page, "Edit", "editmenu:clear-all")
    assert not any(page.evaluate(COUNT_FIGURES)), "found figures, expected none once cleared"
    choose(page, "Run", "runmenu:run-all")
    looks = 0  # in a row at which the kernel had nothing to do
    for _ in range(LESSON_SECONDS * 2):
        time.sleep(0.5)
        prompts = page.locator(PROMPTS).all_text_contents()
        looks = looks + 1 if page.locator(IDLE).count() else 0
        # A cell that raises leaves the rest as they are; that takes longer to be sure of.
        if (looks and all(map(ran, prompts))) or (looks > 8 and any(map(ran, prompts))):
            return
    pytest.fail(f"the lesson still ran after {LESSON_SECONDS} s: {prompts}")


def ran(prompt: str) -> bool:
    """Say whether a cell's prompt is that of one that was run."""
    return prompt.strip("[]: ").isdigit()


def save(page: Page, lesson: Path) -> list[nbformat.NotebookNode]:
    """Save the lesson that is open and return its code cells as they then are on disk."""
    before = lesson.stat().st_mtime_ns
    choose(page, "File", "docmanager:save")
    return saved(lesson, before)


def saved(lesson: Path, before: int) -> list[nbformat.NotebookNode]:
    """Return the code cells of a notebook once it is newer than `before`, and whole.

    JupyterLab writes into the file itself, so half of it can be there.
    """
    for _ in range(100):
        if lesson.stat().st_mtime_ns != before:
            with contextlib.suppress(nbformat.reader.NotJSONError):
                return code_cells(lesson)
        time.sleep(0.1)
    pytest.fail(f"{lesson.name} was not saved")


def code_cells(lesson: Path) -> list[nbformat.NotebookNode]:
    """Return a notebook's code cells."""
    cells = nbformat.read(lesson, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def folded(lesson: Path) -> list[str]:
    """Name what is folded in a notebook's text: hints and solutions, in order."""
    cells = nbformat.read(lesson, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.findall(r"<details><summary>(\w+)</summary>", text)


def alternatives(lesson: Path) -> list[str]:
    """Return the alternative texts of a notebook's figures, in order."""
    outputs = [output for cell in code_cells(lesson) for output in cell.outputs]
    return [
        checks.alternative_of(output) for output in outputs if "image/png" in output.get("data", {})
    ]


def changes(stored: Path, saved: Path) -> list[str]:
    """Name what is saved otherwise than it is stored, and could be the same.

    Left out are an image that another machine renders a little differently, and the numbers that a
    cell's tag lets differ.
    """
    text = saved.read_text(encoding="utf-8")
    old, new = (nbformat.read(path, as_version=4) for path in (stored, saved))
    found = [] if text == nbformat.writes(new) + "\n" else ["written in another form"]
    found += [] if old.metadata == new.metadata else [f"metadata {new.metadata}"]
    for index, (one, other) in enumerate(zip(old.cells, new.cells, strict=True)):
        if other.cell_type == "code":
            regenerate.keep_outputs(other.outputs, one.outputs, checks.percent_of(one))
        parts = [key for key in {**one, **other} if one.get(key) != other.get(key)]
        found += [f"{checks.place(old.cells, index)}: {key}: {other.get(key)}" for key in parts]
    return found


def figures(cell: nbformat.NotebookNode) -> int:
    """Count the images among a cell's outputs."""
    return sum(
        any(kind.startswith("image/") for kind in output.get("data", {})) for output in cell.outputs
    )


def faults(stored: list[nbformat.NotebookNode], now: list[nbformat.NotebookNode]) -> list[str]:
    """Say in a line each which cells raised, were not run, or show other figures.

    Parameters
    ----------
    stored, now : list of NotebookNode
        The code cells of the lesson as it is in the checkout, and as the browser left it.
    """
    found = []
    for cell, new in zip(stored, now, strict=True):
        name = f"the cell {cell.source.splitlines()[0]!r}"
        found += [
            f"{name} raised {output.ename}: {output.evalue}"
            for output in new.outputs
            if output.output_type == "error"
            and "raises-exception" not in cell.metadata.get("tags", [])
        ]
        if new.execution_count is None:
            found.append(f"{name} was not run")
        elif figures(new) != figures(cell):
            found.append(f"{name} shows {figures(new)} figures, expected {figures(cell)}")
        elif "<Figure size" in str(new.outputs):
            found.append(f"{name} shows a figure without its description")
    return found


@contextlib.contextmanager
def seen(page: Page, lesson: str) -> Iterator[None]:
    """Save what the browser shows where the block fails."""
    try:
        yield
    except (Error, AssertionError, pytest.fail.Exception) as error:
        image = ROOT / "test_output" / f"{lesson}.png"
        image.parent.mkdir(exist_ok=True)
        page.screenshot(path=image, full_page=True)
        error.add_note(f"what the browser showed: {image}")
        raise


def luminance(colour: list[float]) -> float:
    """Return the relative luminance of a colour, whose red, green and blue are from 0 to 255.

    Examples
    --------
    >>> luminance([255, 255, 255]), luminance([0, 0, 0])
    (1.0, 0.0)
    """
    parts = [value / 255 for value in colour]
    linear = [part / 12.92 if part <= 0.04 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return round(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2], 6)


def contrast(one: list[float], other: list[float]) -> float:
    """Return the contrast of two colours, from 1 to 21.

    Examples
    --------
    >>> contrast([255, 255, 255], [0, 0, 0])
    21.0
    """
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("notebook", CHOSEN)
def test_a_reader_can_use_the_notebook(notebook: str, lab: Lab, page: Page) -> None:
    path, copy = ROOT / "notebooks" / notebook, lab.place / "notebooks" / notebook
    with seen(page, notebook):
        visit(page, lab, notebook)
        page.wait_for_timeout(2000)  # what makes a notebook unsaved comes with its kernel's answer
        assert page.locator(DIRTY).count() == 0, "the notebook is unsaved as soon as it is open"
        assert page.evaluate(FOLDED) == [[name, 0] for name in folded(path)]
        assert page.evaluate(ALTERNATIVES) == alternatives(path)
        assert image_faults(page) == []
        assert page.evaluate(DEAD_LINKS, page.evaluate(LINKS)) == []
        close_and_open(page, notebook)
        run_all(page)
        assert page.get_by_text("official Jupyter news").count() == 0, "JupyterLab asks about news"
        stored = code_cells(path)
        assert faults(stored, save(page, copy)) == []
        assert changes(path, copy) == []
        drawn = page.evaluate(COUNT_FIGURES)
        for cell, number in zip(stored, drawn, strict=True):
            assert number == figures(cell), f"the browser drew {number} figures: {cell.source}"
        assert image_faults(page) == []
        assert page.evaluate(FOLDED) == [[name, 0] for name in folded(path)]
        if notebook in LESSONS:  # of the first lesson all exercises, of each other one
            count = None if notebook == LESSONS[0] else 1
            assert wrong_verdicts(page, notebook, count) == []


def test_a_notebook_can_be_read_in_the_dark(lab: Lab, page: Page) -> None:
    """Switch the theme: all changes with it, and no image or text becomes hard to see."""
    with seen(page, "dark"):
        visit(page, lab, NOTEBOOKS[0])
        for theme, is_light in (("Dark", False), ("Light", True)):
            page.locator(".lm-MenuBar-item").get_by_text("Settings", exact=True).click()
            page.locator(".lm-Menu-itemLabel").get_by_text("Theme", exact=True).hover()
            page.locator(".lm-Menu-itemLabel").get_by_text(
                f"JupyterLab {theme}", exact=True
            ).click()
            light = "true" if is_light else "false"
            page.locator(f"body[data-jp-theme-light={light}]").wait_for(state="attached")
            page.wait_for_timeout(1000)  # colours follow the name
            for place, (ink, paper) in page.evaluate(COLOURS).items():
                assert (luminance(paper) > luminance(ink)) == is_light, f"{theme}: {place}"
                assert contrast(ink, paper) >= 4.5, f"{theme}: {place}: {ink} on {paper}"
            assert image_faults(page) == []
            assert page.evaluate(TRANSPARENT) == []


def test_the_servers_log_says_nothing_that_is_no_fault(lab: Lab) -> None:
    """After the tests above: kernels have started, lessons have been saved."""
    lines = (lab.place / "lab.log").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.strip() and not line.startswith("lab: ")] == []


def test_what_a_save_changes_is_named(tmp_path: Path) -> None:
    stored, saved = tmp_path / "stored.ipynb", tmp_path / "saved.ipynb"
    output = nbformat.v4.new_output("stream", name="stdout", text="loss 2.00\n")
    cell = nbformat.v4.new_code_cell("1", id="one", outputs=[output], execution_count=1)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    stored.write_text(nbformat.writes(notebook) + "\n")
    saved.write_text(nbformat.writes(notebook) + "\n")
    assert changes(stored, saved) == []
    for change, expected in (
        (lambda: notebook.metadata.update(version="3.13"), "metadata"),
        (lambda: cell.metadata.update(execution={}), "Cell 0: metadata"),
        (lambda: cell.update(execution_count=2), "Cell 0: execution_count: 2"),
        (lambda: output.update(text="loss 2.01\n"), "Cell 0: outputs: "),
    ):
        change()
        saved.write_text(nbformat.writes(notebook) + "\n")
        assert any(line.startswith(expected) for line in changes(stored, saved))
    saved.write_text(nbformat.writes(notebook))
    assert changes(stored, saved)[0] == "written in another form"


def test_a_notebook_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    whole = nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]))
    path = tmp_path / "lesson.ipynb"
    path.write_text(whole[: len(whole) // 2])
    threading.Timer(0.5, path.write_text, [whole]).start()
    assert [cell.source for cell in saved(path, before=0)] == ["1"]


def test_there_is_a_notebook_to_try() -> None:
    assert LESSONS, f"found no lesson in {ROOT / 'notebooks'}"
    missing = [name for name in ASKED if name != "all" and not any(
        notebook.startswith(name) for notebook in NOTEBOOKS)]  # fmt: skip
    assert missing == [], f"BROWSER_LESSONS: found no notebook that begins with {missing}"
    assert CHOSEN
