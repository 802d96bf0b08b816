"""Every file that git knows: nothing of one machine in it, one spelling, no surprise in size."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_BYTES = 1_500_000

# Places that only some machines have. Each in two pieces, so that this file does not find itself.
PLACES = (
    ("/wo", "rk/"),
    ("/tm", "p/venv"),
    ("/.lib", "rary"),
    ("../sha", "red"),
    ("py", "pi.org"),
    ("python", "hosted.org"),
    ("npm", "js.org"),
    ("deb.", "debian.org"),
)
HOMES = (("/ro", "ot/"), ("/ho", "me/"), ("/Us", "ers/"))
# What looks for such paths in lessons has to name them.
LOOKS_FOR_HOMES = {
    "tests/notebook_checks.py",
    "tests/test_notebook_checks.py",
    "tests/test_regenerate.py",
}

# Endings and words that British spelling has otherwise, as a pattern → what to write.
AMERICAN = {
    r"(?:be)?hav?ior\w*": "behaviour",
    r"colors?|colored|coloring|colormaps?": "colour",
    r"favor\w*": "favour",
    r"neighbor\w*": "neighbour",
    r"(?:normal|visual|random|initial|optim|general|regular|organ|real|summar|recogn|minim|maxim"
    r"|memor|equal|standard|serial|vector|categor|special|custom|util|emphas)iz(?:e|ed|es|ing"
    r"|ation|ations|er|ers)": "…ise",
    r"analyz(?:e|ed|es|ing)": "analyse",
    r"center(?:s|ed|ing)?": "centre",
    r"gray(?:s|scale)?": "grey",
    r"label(?:ed|ing)": "labelled",
    r"model(?:ed|ing)": "modelled",
    r"cancel(?:ed|ing)": "cancelled",
    r"kilometers?|meters": "kilometre",
    r"artifacts?": "artefact",
}


def tracked() -> list[str]:
    """Return the path of every file that git knows and that is there."""
    asked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        pytest.skip("this is no git checkout")
    return [name for name in asked.stdout.split("\0") if name and (ROOT / name).is_file()]


def text_of(name: str) -> str:
    """Return a file's text; nothing where it holds none."""
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def prose_of(name: str) -> str:
    """Return what is meant to be read in a Markdown file or a notebook: no code, no addresses."""
    text = text_of(name)
    if name.endswith(".ipynb"):
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells)
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"``?[^`]*``?|\]\([^)]*\)|https?://\S+|<[^>]*>", " ", text)


def americanisms(prose: str) -> list[str]:
    """List the American spellings in a text, each with the one to write."""
    return [
        f"{found.group()}: write {instead}"
        for pattern, instead in AMERICAN.items()
        for found in re.finditer(rf"\b(?:{pattern})\b", prose, re.IGNORECASE)
    ]


def test_no_file_names_a_place_that_only_one_machine_has() -> None:
    found = []
    for name in tracked():
        text = text_of(name)
        wanted = PLACES if name in LOOKS_FOR_HOMES else PLACES + HOMES
        found += [f"{name}: {first}{second}" for first, second in wanted if first + second in text]
    assert found == []


def test_prose_is_spelt_in_british_english() -> None:
    prose = [name for name in tracked() if name.endswith((".md", ".ipynb"))]
    found = {name: americanisms(prose_of(name)) for name in prose}
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize("word", ["color", "Normalized", "center", "behavior", "grayscale"])
def test_an_american_spelling_is_noticed(word: str) -> None:
    assert len(americanisms(f"The {word} of it.")) == 1


@pytest.mark.parametrize("word", ["colour", "normalised", "centre", "size", "prize", "modelled"])
def test_a_british_spelling_is_let_pass(word: str) -> None:
    assert americanisms(f"The {word} of it.") == []


def test_no_file_is_larger_than_a_notebook_may_be() -> None:
    sizes = {name: (ROOT / name).stat().st_size for name in tracked()}
    assert {name: size for name, size in sizes.items() if size > MAX_BYTES} == {}
