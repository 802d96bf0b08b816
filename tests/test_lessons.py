"""Every lesson has the parts that CONTRIBUTING.md names, and README's table says what it is."""

import json
import re
from pathlib import Path

import notebook_checks as checks
import pytest

ROOT = Path(__file__).resolve().parent.parent
NUMBERED = sorted(path.name for path in ROOT.glob("notebooks/[0-9]*.ipynb"))
TABLE = re.compile(r"^\| \[(.+?)\]\(notebooks/(.+?)\) \|.*\| (\d+) \|$", re.MULTILINE)


def sections_of(name):
    """Return the text of each section by its heading, and its code cells' tags, in order."""
    cells = json.loads((ROOT / "notebooks" / name).read_text(encoding="utf-8"))["cells"]
    sections = []
    for cell in cells:
        source = checks.text_of(cell["source"])
        if cell["cell_type"] == "code":
            sections[-1][2].append(checks.tags_of(cell))
            continue
        prose = re.sub(r"^```.*?^```", "", source, flags=re.DOTALL | re.MULTILINE)
        before, *parts = re.split(r"^#{1,6} +", prose, flags=re.MULTILINE)
        if sections:
            sections[-1][1] += "\n" + before
        for part in parts:
            heading, _, text = part.partition("\n")
            sections.append([heading.strip(), text, []])
    return sections


def missing_parts(name):
    """List what a lesson lacks of the parts that every lesson has."""
    sections = sections_of(name)
    number = name[:2] if name[:2].isdigit() else "NN"
    top = sections[0]
    wrong = [tags for heading, _, tags in sections if heading.startswith("What goes wrong")]
    summary = next((text for heading, text, _ in sections if heading == "Summary"), "")
    exercises = [section for section in sections if section[0] == "Exercises"]
    asked = sum(len(re.findall(r"^\*\*\d+\.\*\* ", text, re.MULTILINE)) for _, text, _ in exercises)
    folded = "".join(text for _, text, _ in exercises)
    tags = [tag for _, _, cells in exercises for tags in cells for tag in tags]
    parts = {
        f"a title that begins with {number}": top[0].startswith(f"{number} "),
        "one sentence of what you can do": "**After this lesson** " in top[1],
        "the minutes": re.search(r"\*\*Time\*\* \d+ minutes", top[1]),
        "what it builds on": "**You need** " in top[1],
        "an error, live": any(checks.RAISES in tags for cells in wrong for tags in cells),
        "a summary of three lines": len(re.findall(r"^- ", summary, re.MULTILINE)) == 3,
        "two or three exercises": 2 <= asked <= 3,
        "a starter cell for each": tags.count("starter") == asked,
        "a check for each": tags.count("check") == asked,
        "a hint for each, folded": folded.count("<details><summary>Hint</summary>") == asked,
        "a solution for each, folded": folded.count("<details><summary>Solution</summary>")
        == asked,
    }
    return [part for part, there in parts.items() if not there]


@pytest.mark.parametrize("name", NUMBERED)
def test_a_lesson_has_every_part(name):
    assert missing_parts(name) == []


def test_the_readme_has_each_lesson_with_its_title_and_its_minutes():
    found = TABLE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    said = []
    for name in NUMBERED:
        heading, text, _ = sections_of(name)[0]
        said.append((heading, name, re.search(r"\*\*Time\*\* (\d+) minutes", text)[1]))
    assert found == said
