"""The table of rules is what the code has, and each of its links leads somewhere."""

import json
import re
from pathlib import Path

import pytest

from helpers.contract import rules

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS, TABLE = ROOT / "notebooks", ROOT / "helpers" / "contract" / "RULES.md"


def test_the_table_is_what_the_code_has():
    assert TABLE.read_text(encoding="utf-8") == rules.rules_table(NOTEBOOKS), (
        "write what rules.rules_table(NOTEBOOKS) returns into it"
    )


@pytest.mark.parametrize("name", rules.RULES)
def test_each_rule_leads_to_a_section_of_a_lesson(name):
    lesson, _, heading = rules.RULES[name].lesson.partition("#")
    (path,) = NOTEBOOKS.glob(f"*{lesson}.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert heading in re.findall(r"^#+ (.+)$", text.replace("`", ""), re.MULTILINE)


def test_each_rule_that_is_yielded_is_in_the_table_and_the_other_way_round():
    folder = ROOT / "helpers" / "contract"
    source = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    source = source.replace((folder / "rules.py").read_text(encoding="utf-8"), "")
    missing = [name for name in rules.RULES if f'"{name}"' not in source]
    assert not missing
