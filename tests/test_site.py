"""The site that ``make site`` builds: read as files, then in a browser as on a desk and on a phone.

It is built once, from what is stored. Where .venv-site is missing these tests are skipped, unless
``SITE_REQUIRED`` is set, as ``.ci/run`` does; those that need a browser, as in test_jupyterlab.py.
"""

from __future__ import annotations

import doctest
import functools
import http.server
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import notebook_checks as checks
import pages
import pytest
import test_jupyterlab as jupyterlab
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv-site" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
MESSAGE = "Your input ran out of data"

# Pages of each kind, on which barriers to readers are looked for, and what is left out there: code
# is of the same colours on all pages, and the longest has 8,000 pieces of it.
KINDS = {
    "index.html": [],
    "notebooks/00_meet_the_data.html": [],
    "notebooks/errors.html": [".highlight pre"],
    "QUESTIONS.html": [],
    "reference/datasets.html": [],
    "search.html?q=generator": [],
}
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1366, "height": 768}
# What reaches a reader as a part of the page, wherever it comes from.
PARTS = {"script", "img", "iframe", "source", "video", "audio", "embed", "object", "input"}


class Parsed(HTMLParser):
    """What a page says of itself: anchors, links, parts that it loads, images, folded texts."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.parts: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.folds: list[dict[str, str | None]] = []
        self.folded: list[str] = []
        self.plain: list[str] = []
        self._depth = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "img":
            self.images.append(found)
        if tag == "details":
            self._depth += 1
            self.folds.append(found)
            self.folded.append("")
        for key in ("href", "src", "data", "poster"):
            if found.get(key):
                part = tag in PARTS or (tag == "link" and found.get("rel") not in OUTSIDE_RELATIONS)
                (self.parts if part else self.links).append(found[key])

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag == "details"

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.folded[-1] += data
        else:
            self.plain.append(data)


OUTSIDE_RELATIONS = {"next", "prev", "index", "search", "author", "copyright", "canonical"}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, once."""
    if not PYTHON.exists():
        why = "found no .venv-site to build the site with: run `make site`"
        if os.environ.get("SITE_REQUIRED"):
            pytest.fail(why)
        pytest.skip(why)
    place = tmp_path_factory.mktemp("site")
    public = ("SITE_REPOSITORY", "GITHUB_REPOSITORY")
    environ = {key: value for key, value in os.environ.items() if key not in public}
    command = [str(PYTHON), str(ROOT / "tools" / "site" / "build.py"), str(place)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture(scope="session")
def parsed(site: Path) -> dict[str, Parsed]:
    names = [path.relative_to(site).as_posix() for path in sorted(site.rglob("*.html"))]
    return {name: Parsed(site / name) for name in names if not name.startswith("_static/")}


def cells_of(name: str, kind: str) -> list[dict]:
    """Return a notebook's cells of one kind."""
    content = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == kind]


# What is laid out


def test_examples_of_the_layout_hold() -> None:
    result = doctest.testmod(pages)
    assert result.attempted > 3
    assert result.failed == 0


@pytest.mark.parametrize(
    ("name", "link", "on_the_site"),
    [
        ("README.md", "[x](notebooks/00_a.ipynb#Two-(or-3):-x)", "notebooks/00_a.ipynb#two-or-3-x"),
        ("README.md", "[x](helpers/one.py)", "reference/one.md"),
        ("README.md", "[x](helpers/two/__init__.py)", "reference/two.md"),
        ("README.md", "[x](helpers/two/part.py)", "helpers/two/part.py"),
        ("README.md", "[x](data)", "data/README.md"),
        ("notebooks/00_a.ipynb", "[x](../README.md#the-lessons)", "../index.md#the-lessons"),
        ("notebooks/00_a.ipynb", "[x](#Two-(or-3):-x)", "#two-or-3-x"),
        ("data/README.md", "[x](../README.md)", "../index.md"),
        ("data/README.md", "[x](README.md)", "README.md"),
        ("README.md", "[x](https://one.example/A#B)", "https://one.example/A#B"),
        ("README.md", "names[0](x)", "x"),
    ],
)
def test_links_lead_to_pages(tmp_path: Path, name: str, link: str, on_the_site: str) -> None:
    for file in ("README.md", "notebooks/00_a.ipynb", "helpers/one.py", "helpers/two/__init__.py",
                 "helpers/two/part.py", "data/README.md"):  # fmt: skip
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert pages.relinked(tmp_path, name, link, []).partition("](")[2] == f"{on_the_site})"


# What is built


def test_there_is_a_page_for_everything(parsed: dict[str, Parsed]) -> None:
    wanted = {f"notebooks/{name}.html" for name in NOTEBOOKS}
    wanted |= {f"reference/{name}.html" for name in pages.helpers(ROOT)}
    wanted |= {"index.html", "QUESTIONS.html", "CONTRIBUTING.html", "search.html"}
    assert wanted - set(parsed) == set()


def test_each_public_name_of_the_helpers_is_in_the_reference(parsed: dict[str, Parsed]) -> None:
    missing = []
    for name in pages.helpers(ROOT):
        path = ROOT / "helpers" / f"{name}.py"
        path = path if path.exists() else ROOT / "helpers" / name / "__init__.py"
        names = re.search(r"^__all__ = \[(.*?)\]", path.read_text("utf-8"), re.M | re.S)[1]
        text = path.read_text(encoding="utf-8")
        for public in re.findall(r'"(\w+)"', names):
            here = re.search(rf"^(def|class) {public}\b", text, re.MULTILINE)
            if here and f"helpers.{name}.{public}" not in parsed[f"reference/{name}.html"].anchors:
                missing.append(f"{name}.{public}")
    assert missing == []


def test_every_link_leads_somewhere(site: Path, parsed: dict[str, Parsed]) -> None:
    dead = []
    for name, page in parsed.items():
        for target in {*page.links, *page.parts}:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc or target.startswith("data:"):
                continue
            there = ((site / name).parent / unquote(parts.path)).resolve() if parts.path else None
            place = there.relative_to(site.resolve()).as_posix() if there else name
            if there and not there.is_file():
                dead.append(f"{name}: {target}: no such file")
            elif parts.fragment and unquote(parts.fragment) not in parsed[place].anchors | {"#"}:
                dead.append(f"{name}: {target}: no such anchor")
    assert dead == []


def test_links_to_elsewhere_are_those_of_our_texts(parsed: dict[str, Parsed]) -> None:
    """No theme or tool adds one, and each is encrypted."""
    texts = [path.read_text("utf-8") for path in sorted(ROOT.glob("*.md"))]
    texts += [path.read_text("utf-8") for path in sorted(ROOT.glob("*/**/*.md"))]
    texts += [(ROOT / "notebooks" / f"{name}.ipynb").read_text("utf-8") for name in NOTEBOOKS]
    outside = {
        (name, target)
        for name, page in parsed.items()
        for target in page.links
        if urlsplit(target).scheme or target.startswith("//")
    }
    assert outside
    strange = [
        (name, target)
        for name, target in sorted(outside)
        if not target.startswith("https://") or not any(target in text for text in texts)
    ]
    assert strange == []


def test_nothing_is_loaded_from_elsewhere(site: Path, parsed: dict[str, Parsed]) -> None:
    loaded = [
        (name, target)
        for name, page in parsed.items()
        for target in page.parts
        if not target.startswith("data:") and (urlsplit(target).scheme or target.startswith("//"))
    ]
    for path in sorted(site.rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        loaded += [
            (path.name, found)
            for found in re.findall(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^)\"']*)", text)
        ]
    assert loaded == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_each_figure_has_its_alternative_text_and_size(
    parsed: dict[str, Parsed], name: str
) -> None:
    outputs = [output for cell in cells_of(name, "code") for output in cell["outputs"]]
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    said = [checks.alternative_of(figure) for figure in figures]
    widths = [figure["metadata"]["image/png"].get("width") for figure in figures]
    shown = [image for image in parsed[f"notebooks/{name}.html"].images if image.get("alt") in said]
    assert [image["alt"] for image in shown] == said
    sizes = [image.get("style") for image in shown]
    assert sizes == [f"width: {width}px;" if width else None for width in widths]


def test_no_image_says_nothing(parsed: dict[str, Parsed]) -> None:
    silent = [
        (name, image.get("src"))
        for name, page in parsed.items()
        for image in page.images
        if not (image.get("alt") or "").strip()
    ]
    assert silent == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_hints_and_solutions_are_folded(parsed: dict[str, Parsed], name: str) -> None:
    page = parsed[f"notebooks/{name}.html"]
    text = "\n\n".join("".join(cell["source"]) for cell in cells_of(name, "markdown"))
    assert len(page.folds) == text.count("<details>")
    assert [fold for fold in page.folds if "open" in fold] == []
    squeezed = re.sub(r"\s+", "", "".join(page.plain))
    solutions = re.findall(r"<summary>Solution</summary>\n\n```python\n(.*?)```", text, re.DOTALL)
    for solution in solutions:
        lines = re.sub(r"\s+", "", solution)
        assert any(lines in re.sub(r"\s+", "", fold) for fold in page.folded)
        assert lines not in squeezed


def test_no_message_shows_the_codes_of_a_terminal(site: Path) -> None:
    texts = {path.name: path.read_text("utf-8") for path in sorted(site.rglob("*.html"))}
    assert [name for name, text in texts.items() if re.search(r"\x1b|\[[0-9;]+m", text)] == []


def test_a_famous_message_is_in_the_search_index(site: Path) -> None:
    assert MESSAGE.lower() in (site / "searchindex.js").read_text(encoding="utf-8").lower()


def test_a_notebook_can_be_downloaded_as_it_is(site: Path) -> None:
    for name in NOTEBOOKS:
        path = Path("notebooks") / f"{name}.ipynb"
        assert (site / path).read_bytes() == (ROOT / path).read_bytes()


# What a browser shows


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing of it."""

    def log_message(self, *_: object) -> None:
        """Leave the log empty."""


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


browser_path = jupyterlab.browser_path


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    with jupyterlab.launched(browser_path) as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """Open a page that must ask for nothing but the site, get it, and raise nothing."""
    context = browser.new_context(viewport=DESK, base_url=address)
    opened, asked, wrong = context.new_page(), [], []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("response", lambda got: wrong.append(got.url) if got.status >= 400 else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    yield opened
    context.close()
    wrong += [url for url in asked if not url.startswith((f"{address}/", "data:"))]
    assert asked
    assert wrong == []


@pytest.mark.browser
def test_search_finds_a_message(page: Page) -> None:
    page.goto("/index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type(MESSAGE)
    page.keyboard.press("Enter")
    page.locator("#search-results ul.search li").first.wait_for()
    found = page.locator("#search-results ul.search li a").all_text_contents()
    assert any(MESSAGE in title for title in found[:5]), found


@pytest.mark.browser
def test_no_page_scrolls_sideways_on_a_phone(page: Page, parsed: dict[str, Parsed]) -> None:
    page.set_viewport_size(PHONE)
    wide = {}
    for name in parsed:
        page.goto(f"/{name}")
        width = page.evaluate("document.scrollingElement.scrollWidth")
        if width > PHONE["width"]:
            wide[name] = width
    assert wide == {}


@pytest.mark.browser
def test_light_and_dark_can_be_switched(page: Page) -> None:
    page.goto("/index.html")
    seen = {}
    for mode in ("dark", "light"):
        page.locator("button.theme-switch-button:visible").click()
        page.locator(f"button.theme-change-button[data-mode={mode}]:visible").click()
        assert page.evaluate("document.documentElement.dataset.theme") == mode
        seen[mode] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert seen["light"] != seen["dark"]


@pytest.mark.browser
def test_the_cheat_sheet_is_one_page_of_paper(page: Page) -> None:
    page.goto("/CHEATSHEET.html")
    printed = page.pdf(format="A4")
    assert len(re.findall(rb"/Type /Page\b", printed)) == 1


@pytest.mark.browser
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_folded_text_is_out_of_sight(page: Page, name: str) -> None:
    page.goto(f"/notebooks/{name}.html")
    folds = page.locator("article details")
    for number in range(folds.count()):
        fold = folds.nth(number)
        inside = fold.locator(":scope > :not(summary)").first
        assert not inside.is_visible()
    if folds.count():
        folds.first.locator("summary").click()
        assert folds.first.locator(":scope > :not(summary)").first.is_visible()


@pytest.fixture(scope="session")
def axe(site: Path) -> str:
    """Return axe-core, which a package of .venv-site brings."""
    code = "import axe_playwright_python as axe; print(axe.__path__[0])"
    folder = subprocess.check_output([str(PYTHON), "-c", code], text=True).strip()
    return (Path(folder) / "axe.min.js").read_text(encoding="utf-8")


# It would ask for style sheets again, and describe at length what is right.
AXE = {"preload": False, "resultTypes": ["violations"]}


@pytest.mark.browser
@pytest.mark.parametrize("name", KINDS)
def test_nothing_bars_a_reader(page: Page, axe: str, name: str) -> None:
    """In the light all that axe-core knows; in the dark what differs there, colours."""
    faults = []
    for mode, rules in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
        page.emulate_media(color_scheme=mode, reduced_motion="reduce")
        page.goto(f"/{name}")
        assert page.evaluate("document.documentElement.dataset.theme") == mode
        page.evaluate(axe)
        place = {"include": ["html"], "exclude": KINDS[name]}
        result = page.evaluate("given => axe.run(...given)", [place, {**AXE, **rules}])
        assert result["passes"]
        faults += [
            f"{mode}: {fault['id']}: {node['html']}: {node['failureSummary']}"
            for fault in result["violations"]
            if fault["impact"] in ("serious", "critical")
            for node in fault["nodes"]
        ]
    assert faults == []
