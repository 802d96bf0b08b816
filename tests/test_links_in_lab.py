"""A link to a section of a notebook lands there in JupyterLab, if that notebook is open.

If it is not, JupyterLab opens its first lines, and the link must be clicked again: the pages that
rest on such links say so. JupyterLab as readers have it, which draws what is near to what is shown.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import test_jupyterlab as jupyterlab
from playwright.sync_api import Page
from test_jupyterlab import IDLE, LESSONS, OPEN, ROOT, START_SECONDS, Lab

pytestmark = pytest.mark.browser

browser_path, page = jupyterlab.browser_path, jupyterlab.page

# From which page to a section of which notebook.
LINKS = [
    ("notebooks/08_when_it_breaks.ipynb", "06_one_transform_for_several_images.ipynb"),
    ("QUESTIONS.md", "notebooks/errors.ipynb"),
]
# Whether a heading of the notebook that is open is in sight.
IN_SIGHT = f"""
text => [...document.querySelectorAll("{OPEN} .jp-MarkdownCell h2, {OPEN} .jp-MarkdownCell h3")]
    .filter(heading => heading.textContent.replaceAll("¶", "").trim() === text)
    .some(heading => {{
        const box = heading.getBoundingClientRect();
        const shown = document.querySelector("{OPEN} .jp-WindowedPanel-outer")
            .getBoundingClientRect();
        return box.height > 0 && box.top >= shown.top - 5 && box.bottom <= shown.bottom;
    }})
"""


@pytest.fixture(scope="module")
def lab(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with jupyterlab.started(tmp_path_factory.mktemp("lab"), {}) as running:
        (running.place / "QUESTIONS.md").write_bytes((ROOT / "QUESTIONS.md").read_bytes())
        yield running


@pytest.mark.parametrize(("start", "target"), LINKS)
def test_a_link_to_a_section_lands_there(start: str, target: str, lab: Lab, page: Page) -> None:
    address = lab.address.replace(f"notebooks/{LESSONS[0]}", start)
    assert start in address
    factory = "&factory=Markdown%20Preview" if start.endswith(".md") else ""
    with jupyterlab.seen(page, f"link-{Path(start).stem}"):
        page.goto(address + factory, timeout=START_SECONDS * 1000)
        shown = ".jp-MarkdownViewer" if factory else OPEN + ".jp-MarkdownCell"
        link = page.locator(f"{shown} a[href*='{target}'][href*='#']").first
        link.wait_for(state="attached", timeout=START_SECONDS * 1000)
        if not factory:
            page.locator(IDLE).wait_for(timeout=START_SECONDS * 1000)
        fragment = link.get_attribute("href").partition("#")[2]
        link.evaluate("link => link.click()")
        page.locator(OPEN + ".jp-MarkdownCell h1").first.wait_for(timeout=START_SECONDS * 1000)
        page.wait_for_timeout(2000)
        page.locator(f".lm-TabBar-tab:has-text('{Path(start).name}')").click()
        link.evaluate("link => link.click()")
        heading = unquote(fragment).replace("-", " ")
        for _ in range(60):
            page.wait_for_timeout(500)
            if page.evaluate(IN_SIGHT, heading):
                return
        pytest.fail(f"{heading!r} is not in sight")


@pytest.mark.parametrize(
    "name", ["QUESTIONS.md", "notebooks/errors.ipynb", "notebooks/cookbook.ipynb"]
)
def test_the_pages_that_rest_on_such_links_say_so(name: str) -> None:
    assert "go back and click again" in (ROOT / name).read_text(encoding="utf-8")
