"""Sphinx' settings for the site. ``make site`` builds it: tools/site/build.py."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

import nbformat  # noqa: E402
import pages  # noqa: E402
from docutils import nodes  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

project = "Many In, Many Out"
root_doc = "index"
language = "en-GB"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
templates_path = ["templates"]

# Lessons: what is stored is shown, and nothing is run.
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_error_lexer = "text"  # a message alone, no traceback
nb_ipywidgets_js: dict[str, Any] = {}  # sliders need a kernel, and these scripts another host
myst_enable_extensions = ["html_image"]  # <img> with its size; a dollar stays a dollar
myst_heading_slug_func = "pages.slug"
myst_heading_anchors = 6

# The helpers' reference: their docstrings, read without the packages that they import.
autodoc_mock_imports = [
    "IPython", "PIL", "cv2", "ipywidgets", "keras", "matplotlib", "numba", "numpy", "pandas",
    "scipy", "simplejpeg", "tensorflow", "tqdm",
]  # fmt: skip
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say more: shapes, dtypes, units
default_role = "code"

html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = html_scaled_image_link = False
html_sidebars = {"**": ["contents.html"]}
html_theme_options = {
    "article_header_end": ["open-in"],
    "footer_end": [],
    "footer_start": [],
    "navbar_center": [],
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "pygments_dark_style": "a11y-high-contrast-dark",
    "pygments_light_style": "a11y-high-contrast-light",
    "secondary_sidebar_items": ["page-toc"],
}


def describe_figures(app: Sphinx, doctree: nodes.document) -> None:
    """Give each figure of a lesson the alternative text and the size that its output holds."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    outputs = [
        output
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    shown = [
        image
        for place in doctree.findall(nodes.container)
        if "cell_output" in place["classes"]
        for image in place.findall(nodes.image)
    ]
    for image, output in zip(shown, outputs, strict=True):
        stored = output.metadata.get("image/png", {})
        image["alt"] = stored.get("alt", "")
        if "width" in stored:
            image["width"] = f"{stored['width']}px"


def link_the_lesson(app: Sphinx, what: str, name: str, part: Any, opts: Any, lines: list) -> None:
    """Make a link of the line with which a helper's module names the lesson that builds it."""
    for number, line in enumerate(lines):
        named = re.match(r"(The lesson that builds it: )(\d\d) (.+)\.$", line)
        if what == "module" and named:
            lesson = next((pages.ROOT / "notebooks").glob(f"{named[2]}_*.ipynb")).stem
            lines[number] = f"{named[1]}:doc:`{named[2]} {named[3]} </notebooks/{lesson}>`."


def offer(app: Sphinx, pagename: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Tell a page's template where else it can be opened."""
    known = os.environ.get("GITHUB_REPOSITORY", "")  # where a workflow of GitHub's builds the site
    repository = os.environ.get("SITE_REPOSITORY", known)
    context["open_in"] = pages.open_in(pagename, repository)


def setup(app: Sphinx) -> None:
    """Have Sphinx call the functions above."""
    app.connect("doctree-read", describe_figures)
    app.connect("autodoc-process-docstring", link_the_lesson)
    app.connect("html-page-context", offer)
