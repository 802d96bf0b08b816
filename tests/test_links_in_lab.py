"""A link to a section of a notebook lands there in JupyterLab, also where that is not open yet.

JupyterLab as `make lab` starts it, which draws only the cells near to those in sight.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import test_jupyterlab as jupyterlab
from playwright.sync_api import Page
from test_jupyterlab import IDLE, NOTEBOOKS, OPEN, START_SECONDS, Lab

pytestmark = pytest.mark.browser

browser_path, page = jupyterlab.browser_path, jupyterlab.page

# From which page to a section of which notebook.
LINKS = [
    ("notebooks/08_when_it_breaks.ipynb", "06_one_transform_for_several_images.ipynb"),
    ("notebooks/cookbook.ipynb", "errors.ipynb"),
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
        yield running


@pytest.mark.parametrize(("start", "target"), LINKS)
def test_a_link_to_a_section_lands_there(start: str, target: str, lab: Lab, page: Page) -> None:
    address = lab.address.replace(f"notebooks/{NOTEBOOKS[0]}", start)
    assert start in address
    with jupyterlab.seen(page, f"link-{Path(start).stem}"):
        page.goto(address, timeout=START_SECONDS * 1000)
        link = page.locator(f"{OPEN} .jp-MarkdownCell a[href*='{target}'][href*='#']").first
        link.wait_for(state="attached", timeout=START_SECONDS * 1000)
        page.locator(IDLE).wait_for(timeout=START_SECONDS * 1000)
        fragment = link.get_attribute("href").partition("#")[2]
        link.evaluate("link => link.click()")
        heading = unquote(fragment).replace("-", " ")
        for _ in range(60):
            page.wait_for_timeout(500)
            if page.evaluate(IN_SIGHT, heading):
                return
        pytest.fail(f"{heading!r} is not in sight")
