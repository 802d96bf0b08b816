"""The table of rules holds those that the code yields, and each of its links leads somewhere."""

import json
import re
from pathlib import Path

import pytest

from helpers.contract import _FUNCTIONS, rules

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS, FOLDER = ROOT / "notebooks", ROOT / "helpers" / "contract"
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py"))


def test_each_line_of_the_table_is_read_as_a_rule():
    table = (FOLDER / "RULES.md").read_text(encoding="utf-8")
    assert len(rules.RULES) == len(re.findall(r"^\| `", table, re.MULTILINE)) > 40
    assert {rule.rank for rule in rules.RULES.values()} == {rules.FAILS, rules.WRONG, rules.LUCK}
    assert list(dict.fromkeys(rule.stage for rule in rules.RULES.values())) == list(_FUNCTIONS)


@pytest.mark.parametrize("name", rules.RULES)
def test_each_rule_leads_to_a_section_of_a_lesson(name):
    link = re.fullmatch(r"\[(.+)\]\(\.\./\.\./notebooks/(.+?)#(.+)\)", rules.RULES[name].lesson)
    heading, notebook, anchor = link.groups()
    assert anchor == heading.replace(" ", "-")
    cells = json.loads((NOTEBOOKS / notebook).read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert heading in re.findall(r"^#+ (.+)$", text.replace("`", ""), re.MULTILINE)


def test_each_rule_of_the_table_is_yielded_and_the_other_way_round():
    yielded = set(re.findall(r'yield \(?"([a-z-]+)"', SOURCE))
    assert not [name for name in rules.RULES if f'"{name}"' not in SOURCE]
    assert yielded <= set(rules.RULES)
