"""One word for one thing, and the field's: those of CONTRIBUTING's table that can be told by sight.

Looked at are Markdown files, lessons (their text and their code) and Python, comments included.
"""

import json
import re

import pytest
import test_repository as repository

# What is written otherwise, as a pattern → what to write. What reads differently in different
# places, such as `fit` or `generator`, is left to whoever reads.
WORDS = {
    r"mend(?:s|ed|ing)?": "fix",
    r"pictures?": "image; a figure is what matplotlib draws",
    r"for ever": "forever",
    r"anew": "again",
    r"misspelt": "misspelled",
    r"hand(?:s|ed|ing)? (?:it |them )?(?:over|out|back)": "pass, yield or return",
    r"whole[- ]numbers?": "integer",
    r"recipes?|cooks?": "plan, make_batch",
    r"per_sample_?|each a sample|one transform a sample": "per sample",
    r"turn(?:s|ed|ing)? (?:the |an |each )?(?:image|tile)s?": "rotate, transform or warp",
}
# This file and the table name the words; files that are still to be gone through may be added.
LEFT_OUT = {"tests/test_words.py", "CONTRIBUTING.md"}


def text_of(name: str) -> str:
    """Return what a file says: of a notebook the sources of its cells."""
    text = repository.text_of(name)
    if name.endswith(".ipynb"):
        return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return text


def others(text: str) -> list[str]:
    """List the words in a text that stand for another, each with the one to write."""
    plain = " ".join(re.sub(r"[_#>|]", " ", text).split())  # a name in code is words, too
    return [
        f"{found.group()}: write {instead}"
        for pattern, instead in WORDS.items()
        for found in re.finditer(rf"\b(?:{pattern})\b", plain, re.IGNORECASE)
    ]


def test_one_word_for_one_thing() -> None:
    names = [name for name in repository.tracked() if name.endswith((".md", ".ipynb", ".py"))]
    found = {name: others(text_of(name)) for name in names if name not in LEFT_OUT}
    assert {name: words for name, words in found.items() if words} == {}


def test_the_style_guide_has_each_word() -> None:
    table = repository.text_of("CONTRIBUTING.md").partition("## Prose")[2]
    assert len(re.findall(r"^\| [^-]", table, re.MULTILINE)) - 1 >= len(WORDS) - 1
    assert len(others(table)) >= 7
    rest = repository.text_of("CONTRIBUTING.md").partition("## Prose")[0]
    assert others(rest) == []


@pytest.mark.parametrize(
    "text",
    [
        "How to mend it.", "two pictures", "it runs for\never", "made anew", "a misspelt key",
        "def hand_over(batch):", "hands them out", "a whole number", "# the recipe of a batch",
        "turns the image by 30 degrees", "PICTURE = 1",
    ],
)  # fmt: skip
def test_another_word_is_noticed(text: str) -> None:
    assert len(others(text)) == 1


@pytest.mark.parametrize(
    "text", ["amend", "forever", "again", "misspelled", "wholes and numbers", "in turn"]
)
def test_what_only_looks_like_it_is_let_pass(text: str) -> None:
    assert others(text) == []
