"""Lay out what the site is made of: README, the lessons, all they link to, a page per helper.

Sphinx wants one folder with every page in it, and links between pages that it can follow. The
project's own files stay as GitHub and JupyterLab want them; their copies get what differs here:
README.md is index.md, a helper's source is its page of the reference, and anchors are written in
one way.
"""

from __future__ import annotations

import json
import posixpath
import re
import shutil
from collections.abc import Collection
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent.parent

# A target may hold brackets in pairs, as some headings do.
LINK = re.compile(r"\]\(((?:[^()\s]|\([^()\s]*\))+)\)")
IMAGE = re.compile(r'<img src="([^":]+)"')
HELPER = re.compile(r"helpers/(\w+)(?:/__init__)?\.py")

REFERENCE = """# {name}

```{{eval-rst}}
.. automodule:: helpers.{name}
   :members:
```
"""
CONTENTS = """
```{{toctree}}
:hidden:
:caption: {caption}

{pages}
```
"""


def slug(heading: str) -> str:
    """Return the anchor of a heading, or of what JupyterLab or GitHub has for an anchor of it.

    >>> slug("Fault 2: the last batch"), slug("Fault-2:-the-last-batch"), slug("the-lessons")
    ('fault-2-the-last-batch', 'fault-2-the-last-batch', 'the-lessons')
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def helpers(root: Path) -> list[str]:
    """Return the names of the helpers' modules, in order."""
    paths = [*(root / "helpers").glob("[!_]*.py"), *(root / "helpers").glob("*/__init__.py")]
    return sorted(path.parent.name if path.stem == "__init__" else path.stem for path in paths)


def page_of(root: Path, name: str) -> str:
    """Return what stands on the site for a file or folder of the project."""
    helper = HELPER.fullmatch(name)
    if name == "README.md":
        return "index.md"
    if helper and helper[1] in helpers(root):
        return f"reference/{helper[1]}.md"
    return f"{name}/README.md" if (root / name / "README.md").is_file() else name


def relinked(root: Path, name: str, text: str, found: list[str]) -> str:
    """Return a file's text with its links as the site has them; `found` gets what they lead to."""
    here, page = posixpath.dirname(name), page_of(root, name)

    def link(match: re.Match[str]) -> str:
        place, mark, anchor = match[1].partition("#")
        if re.match(r"[a-z]+:", place):
            return match[0]
        to = posixpath.normpath(posixpath.join(here, unquote(place))) if place else name
        if not (root / to).exists():
            return match[0]  # code that looks like a link
        found.append(to)
        there = posixpath.relpath(page_of(root, to), posixpath.dirname(page)) if place else ""
        return f"]({there}{mark}{slug(unquote(anchor))})"

    images = [posixpath.normpath(posixpath.join(here, place)) for place in IMAGE.findall(text)]
    found += [image for image in images if (root / image).exists()]
    return LINK.sub(link, text)


def notebook(root: Path, name: str, found: list[str]) -> str:
    """Return a notebook with the links of its text as the site has them."""
    content = json.loads((root / name).read_text(encoding="utf-8"))
    for cell in content["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = relinked(root, name, "".join(cell["source"]), found)
    return json.dumps(content)


def contents(names: Collection[str]) -> str:
    """Return the table of contents, which every page shows beside itself, of the pages' names."""
    to_look_up = ["QUESTIONS", "CHEATSHEET", "GLOSSARY"]
    parts = {"Lessons": [], "To look up": [page for page in to_look_up if page in names]}
    parts |= {"Helpers": [], "The project": ["CONTRIBUTING"]}
    for name in sorted(set(names) - {"index", "CONTRIBUTING", *to_look_up}):
        lesson = re.match(r"notebooks/\d", name)
        other = "To look up" if name.startswith(("notebooks/", "helpers/")) else "The project"
        part = "Helpers" if name.startswith("reference/") else "Lessons" if lesson else other
        parts[part].append(name)
    return "".join(
        CONTENTS.format(caption=caption, pages="\n".join(pages)) for caption, pages in parts.items()
    )


def open_in(page: str, repository: str) -> list[tuple[str, str]]:
    """Return what a page of a notebook offers: names of places, and their addresses.

    >>> open_in("notebooks/errors", "")
    [('Download notebook', 'errors.ipynb')]
    >>> [name for name, _ in open_in("notebooks/errors", "somebody/lessons")]
    ['Open in Colab', 'Open in Binder', 'Download notebook']
    >>> open_in("QUESTIONS", "somebody/lessons")
    []
    """
    folder, _, name = page.rpartition("/")
    if folder != "notebooks":
        return []
    colab = f"https://colab.research.google.com/github/{repository}/blob/main/{page}.ipynb"
    binder = f"https://mybinder.org/v2/gh/{repository}/main?labpath={page}.ipynb"
    elsewhere = [("Open in Colab", colab), ("Open in Binder", binder)]
    return [*(elsewhere if repository else []), ("Download notebook", f"{name}.ipynb")]


def write(path: Path, text: str) -> None:
    """Write a file, and make its folder first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def lay_out(root: Path, place: Path) -> None:
    """Write all pages into `place`: README, the notebooks, and whatever is linked from there."""
    done = {f"reference/{name}.md" for name in helpers(root)}
    for name in helpers(root):
        write(place / f"reference/{name}.md", REFERENCE.format(name=name))
    wanted = ["README.md", *(f"notebooks/{path.name}" for path in root.glob("notebooks/*.ipynb"))]
    while wanted:
        name = wanted.pop()
        page = page_of(root, name)
        if page in done:
            continue
        done.add(page)
        name = name if (root / name).is_file() else page  # a folder's page is its README
        if name.endswith(".ipynb"):
            write(place / page, notebook(root, name, wanted))
        elif name.endswith(".md"):
            text = (root / name).read_text(encoding="utf-8")
            write(place / page, relinked(root, name, text, wanted))
        else:
            (place / page).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, place / page)
    names = [page.rpartition(".")[0] for page in done if page.endswith((".md", ".ipynb"))]
    with (place / "index.md").open("a", encoding="utf-8") as index:
        index.write(contents(names))
