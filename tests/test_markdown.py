"""What stands in Markdown, in files and in lessons: links lead somewhere, code is what there is."""

import functools
import importlib
import json
import re
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import unquote

import notebook_checks as checks
import own_files
import pytest
from pages import LINK

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("notebooks/*.ipynb"))
FENCED = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
IMAGE_TAG = re.compile(r"<img[^>]*\ssrc=[\"']([^\"']+)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


@functools.cache
def markdown_of(name):
    """Return the Markdown of a file, or of all such cells of a notebook."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if not name.endswith(".ipynb"):
        return text
    cells = json.loads(text)["cells"]
    prose = [checks.text_of(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    return "\n\n".join(prose)


@functools.cache
def known_files():
    """Return every file that git knows or would add."""
    asked = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:  # no checkout
        return [*(path.name for path in ROOT.glob("*.*")), *NOTEBOOKS]
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def documents():
    """Return every Markdown file, and every notebook."""
    return sorted({name for name in known_files() if name.endswith(".md")} | {*NOTEBOOKS})


def links_of(text):
    """Return the targets of all links and images of a text, those of the web left out."""
    prose = re.sub(r"`[^`\n]*`", "", FENCED.sub("", text.replace("\\|", "|")))
    prose = re.sub(r"``?[^`]+``?(?=\]\()", "x", prose)
    found = LINK.findall(prose) + IMAGE_TAG.findall(prose)
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors_of(name, text):
    """Return the anchors of a text's headings: JupyterLab's in a notebook, GitHub's in a file."""
    headings = [heading.replace("`", "") for heading in HEADING.findall(FENCED.sub("", text))]
    if name.endswith(".ipynb"):
        return {heading.replace(" ", "-") for heading in headings}
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def dead_links(name, text):
    """List the links of a text that lead nowhere."""
    dead = []
    for target in links_of(text):
        place, _, anchor = target.partition("#")
        path = ((ROOT / name).parent / unquote(place)).resolve() if place else ROOT / name
        if not path.exists() or not path.is_relative_to(ROOT):
            dead.append(f"{target}: no such file")
        elif anchor:
            there = path.relative_to(ROOT).as_posix()
            known = anchors_of(there, text if there == name else markdown_of(there))
            if unquote(anchor) not in known:
                dead.append(f"{target}: no such heading")
    return dead


@pytest.mark.parametrize("name", documents())
def test_every_link_leads_to_a_file_and_a_heading(name):
    assert dead_links(name, markdown_of(name)) == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_lesson_ends_in_a_link(name):
    last = json.loads((ROOT / name).read_text(encoding="utf-8"))["cells"][-1]
    assert last["cell_type"] == "markdown"
    assert links_of(checks.text_of(last["source"]))


@pytest.mark.parametrize("path", sorted(ROOT.glob("helpers/**/*.py")), ids=lambda path: path.name)
def test_what_helpers_say_of_lessons_is_there(path):
    """A module that names a lesson's file, or a section of it, names one that exists."""
    text = path.read_text(encoding="utf-8")
    dead = []
    for notebook, anchor in re.findall(r"\b(\d\d_\w+\.ipynb)(?:#([^\s\"'`]+))?", text):
        name = f"notebooks/{notebook}"
        if name not in NOTEBOOKS or (anchor and anchor not in anchors_of(name, markdown_of(name))):
            dead.append(f"{notebook}#{anchor}")
    assert dead == []


@pytest.mark.parametrize("name", documents())
def test_every_image_says_what_it_shows(name):
    text = FENCED.sub("", markdown_of(name))
    assert re.findall(r"!\[\s*\]\([^)]*\)|<img(?![^>]*\salt=[\"'][^\"'])[^>]*>", text) == []


LESSON, FILE = "notebooks/00_meet_the_data.ipynb", "CONTRIBUTING.md"


@pytest.mark.parametrize(
    ("name", "link", "count"),
    [
        (LESSON, "[x](01_tuple_inputs.ipynb)", 0),
        (LESSON, "[x](../README.md#the-lessons) ![y](../batch.png)", 0),
        (LESSON, "[x](#A-(long)-heading:-yes) [`y`](#A-(long)-heading:-yes)", 0),
        (LESSON, "`[x](gone.md)` [web](https://example.org/gone#x)", 0),
        (LESSON, "```text\n[x](gone.md)\n```", 0),
        (FILE, "[x](#a-long-heading-yes)", 0),
        (LESSON, "[x](01_tuple_input.ipynb)", 1),
        (LESSON, "[x](#a-(long)-heading:-yes)", 1),
        (LESSON, "[x](01_tuple_inputs.ipynb#Three-inputs)", 1),
        (LESSON, "![x](batch.png)\n\n<img alt='y' src='gone.svg'>", 2),
        (LESSON, "[`x`](gone.md)", 1),
        (FILE, "[x](#A-long-heading-yes) [x](gone/)", 2),
        (FILE, "[x](../../etc)", 1),
    ],
)
def test_a_dead_link_is_found(name, link, count):
    assert len(dead_links(name, f"# A `(long)` heading: yes\n\n{link}")) == count


# Code in Markdown: names, files and commands

MODULES = {path.stem for path in ROOT.glob("helpers/[a-z]*")}
ROOTS = {"tf": "tensorflow", "np": "numpy", "pd": "pandas", "keras": "keras"}
ROOTS |= {name: f"helpers.{name}" for name in MODULES - {"images"}}  # a variable's name, mostly
# Not after a quote: that is a message, and may be about what is no longer there.
DOTTED = re.compile(r"(?<![\w./'\"])([a-z]\w*)((?:\.\w+)+)\b(?!\.\w|[/*])")
TOOLS = {
    "bench": "benchmark/run.py",
    "notebooks": "tools/regenerate.py",
    "data": "data_samples/build.py",
}


def code_of(text):
    """Return the code of a text that is not Python: spans in its lines, and commands."""
    spans = re.findall(r"``?([^`\n]+)``?", FENCED.sub("", text))
    commands = re.findall(r"^ *```console\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [*spans, *(line for block in commands for line in block.splitlines())]


@functools.cache
def resolves(root, rest):
    """Tell whether a module has an attribute, or a module, of this dotted name."""
    found = importlib.import_module(ROOTS[root])
    for name in rest.strip(".").split("."):
        if not hasattr(found, name):
            return False
        found = getattr(found, name)
    return True


def wrong_code(text):
    """List what a text names in code and the project does not have."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    verbs = re.findall(r"^(\w+):", makefile, re.MULTILINE)
    files = {*known_files(), *(Path(name).name for name in known_files())}
    wrong = []
    for span in code_of(text):
        for root, rest in DOTTED.findall(span):
            is_file = re.search(r"\.(py|md|ipynb|toml|in|csv|txt|png|jpg)$", rest)
            if root in ROOTS and not is_file and not resolves(root, rest):
                wrong.append(f"{root}{rest}: no such name")
        for file in re.findall(r"(?<![\w./<>…*])([a-z][a-z0-9_./]*\.(?:py|ipynb|toml))\b", span):
            if file not in files:
                wrong.append(f"{file}: no such file")
        for verb, options in re.findall(r"\bmake ([a-z]+)\b(?:.*?ARGS=\"([^\"]*)\")?", span):
            if verb not in verbs:
                wrong.append(f"make {verb}: no such verb")
            tool = (ROOT / TOOLS[verb]).read_text(encoding="utf-8") if verb in TOOLS else ""
            for option in re.findall(r"--[\w-]+", options) if tool else ():
                if f'"{option}"' not in tool:
                    wrong.append(f"{option}: no such option of {TOOLS[verb]}")
        if re.search(r"pytest .*-n \d", span) and "--dist loadscope" not in span:
            wrong.append(f"{span}: refused without --dist loadscope")
    return wrong


@pytest.mark.parametrize("name", documents())
def test_names_files_and_commands_are_there(name):
    assert wrong_code(markdown_of(name)) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("`tf.data.Dataset.zip` `keras.Model(a, b)` `conftest.py` `tools/setup.py` `x.tiles`", 0),
        ("`module 'keras.preprocessing.image' has` tf.nothing `notebooks/NN_x.ipynb`", 0),
        ('`make bench ARGS="--rounds 3"`\n```console\nmake lab  # opens\n```', 0),
        ("`tf.data.Datasets.zip` `tiles.column` `np.random.default_rnd(0)`", 3),
        ("`tools/set_up.py` `conftests.py`", 2),
        ('`make labs` `make bench ARGS="--round 3"`\n```console\nmake tests\n```', 3),
        ("```console\npython -m pytest --nbval -n 2\n```", 1),
    ],
)
def test_wrong_code_is_found(text, count):
    assert len(wrong_code(text)) == count


def test_limits_and_versions_are_those_of_the_checks():
    contributing, readme = markdown_of("CONTRIBUTING.md"), markdown_of("README.md")
    assert f"| a notebook | {checks.MAX_BYTES / 1e6:g} MB |" in contributing
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"]).groups()
    *first, last = [f"3.{minor}" for minor in range(int(low), int(high))]
    said = re.findall(r"Python (3\.\d+(?:, 3\.\d+)* or 3\.\d+)", readme)
    assert set(said) == {f"{', '.join(first)} or {last}"}


# Python in Markdown

BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>[^\n]+?) -->\n+)?^```(?:python|py)\b[^\n]*\n(?P<code>.*?)^```",
    re.DOTALL | re.MULTILINE,
)
# What a block may read that stands for a reader's own, written before it runs.
READERS_FILES = {"readings.csv": "name,temperature,humidity\na,1.5,0.2\nb,2.5,0.3\n"}


# Solutions rest on what a lesson makes; tests/test_exercises.py runs them.
SOLUTION = re.compile(r"<summary>Solution</summary>.*?</details>", re.DOTALL)


def blocks_of(name):
    text = SOLUTION.sub("", markdown_of(name))
    return [(found["code"], found["why"]) for found in BLOCK.finditer(text)]


def run_blocks(blocks, names, where):
    """Run the blocks of one document in turn; those marked must be Python, no more."""
    for number, (code, why) in enumerate(blocks):
        compiled = compile(code, f"<{where}, Python block {number}>", "exec")
        if why is None:
            exec(compiled, names)


@pytest.mark.parametrize("name", [name for name in documents() if blocks_of(name)])
def test_python_in_markdown_runs(name, tmp_path, monkeypatch):
    """Run as a reader would: a lesson's blocks after what the lesson imports."""
    names = {"__name__": "__main__"}
    monkeypatch.syspath_prepend(str(ROOT / "notebooks"))  # where a lesson finds `exercises`
    if name.endswith(".ipynb"):
        cells = json.loads((ROOT / name).read_text(encoding="utf-8"))["cells"]
        code = [checks.text_of(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        names_it = r"^(?:(?:import|from) .+|ImageDataGenerator = .+)$"  # Keras' class, by its name
        imports = re.findall(names_it, "\n".join(code), re.MULTILINE)
        exec("\n".join(imports), names)
    for file, text in READERS_FILES.items():
        (tmp_path / file).write_text(text)
    own_files.make(tmp_path)
    monkeypatch.chdir(tmp_path)
    run_blocks(blocks_of(name), names, name)


def test_python_is_looked_for_and_a_mark_is_seen():
    assert len(blocks_of("README.md")) >= 2
    text = "```python\n1\n```\n\n<!-- not run: needs a camera -->\n```python\n2 +\n```\n"
    (one, run), (two, why) = [(found["code"], found["why"]) for found in BLOCK.finditer(text)]
    assert (one, run, two, why) == ("1\n", None, "2 +\n", "needs a camera")
    run_blocks([("1 / 0", "needs a camera")], {}, "x")
    with pytest.raises(ZeroDivisionError):
        run_blocks([("1 / 0", None)], {}, "x")
    with pytest.raises(SyntaxError):
        run_blocks([("2 +", "needs a camera")], {}, "x")
