"""On a static page a folded solution shows nothing but the word: nbconvert's HTML in a browser."""

from pathlib import Path

import nbformat
import pytest
import test_jupyterlab as jupyterlab
from nbconvert import HTMLExporter
from playwright.sync_api import Page
from test_jupyterlab import CHOSEN, LESSONS, ROOT

pytestmark = pytest.mark.browser

browser_path = jupyterlab.browser_path

# Of each hint and solution: what is in sight of it, how much more room it takes than its title,
# and what is inside that the browser draws.
FOLDED = """
() => [...document.querySelectorAll("details")].map(folded => {
    const title = folded.querySelector("summary");
    const inside = [...folded.querySelectorAll("*")].filter(part => !title.contains(part));
    return [
        folded.innerText.trim(),
        folded.getBoundingClientRect().height - title.getBoundingClientRect().height,
        inside.filter(part => part.checkVisibility({contentVisibilityProperty: true})).length];
})
"""


@pytest.fixture
def page(browser_path: str):
    with jupyterlab.browser(browser_path) as opened:
        opened.route("http*://**", lambda route: route.abort())  # a page asks for MathJax
        yield opened


def exported(lesson: str) -> str:
    """Return the page that nbconvert makes of a lesson's text; its code has no part in this."""
    notebook = nbformat.read(ROOT / "notebooks" / lesson, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    return HTMLExporter(template_name="lab").from_notebook_node(notebook)[0]


@pytest.mark.parametrize("lesson", [name for name in CHOSEN if name in LESSONS])
def test_a_folded_solution_shows_nothing_of_itself(lesson: str, tmp_path: Path, page: Page) -> None:
    path = tmp_path / "lesson.html"
    path.write_text(exported(lesson), encoding="utf-8")
    page.goto(path.as_uri(), wait_until="domcontentloaded")
    names = jupyterlab.folded(ROOT / "notebooks" / lesson)
    assert names.count("Solution") >= 2
    assert page.evaluate(FOLDED) == [[name, 0, 0] for name in names]
    page.get_by_text("Solution", exact=True).first.click()
    text, height, drawn = page.evaluate(FOLDED)[names.index("Solution")]
    assert len(text) > len("Solution")
    assert height > 0
    assert drawn > 0


def test_a_solution_that_stands_open_is_noticed(tmp_path: Path, page: Page) -> None:
    path = tmp_path / "open.html"
    path.write_text("<details open><summary>Solution</summary><p>42</p></details>")
    page.goto(path.as_uri())
    ((text, height, drawn),) = page.evaluate(FOLDED)
    assert "42" in text
    assert height > 0
    assert drawn == 1
