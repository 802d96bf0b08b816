"""The stored results of the benchmark: what `results.md` says is what `results.csv` holds."""

import csv
import re
from itertools import groupby
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmark"


def measured():
    """Return the lines of the table of numbers by case, which the columns up to `source` name."""
    with (FOLDER / "results.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    names = list(lines[0])
    naming = names[: names.index("contender")]
    cases = groupby(lines, key=lambda line: tuple(line[name] for name in naming))
    return {case: {line["title"]: line for line in rows} for case, rows in cases}


def reported():
    """Return for each section of the report its heading, its table's lines and its remarks."""
    text = (FOLDER / "results.md").read_text(encoding="utf-8")
    sections = []
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        cells = [line.strip("| ").split(" | ") for line in part.splitlines() if line[:1] == "|"]
        lines = {row[0]: [cell.strip() for cell in row] for row in cells[2:]}
        remarks = [line for line in part.splitlines() if line.startswith("- ")]
        sections.append((part.partition("\n")[0], lines, remarks))
    return sections


def number(text):
    return float(text.replace(",", ""))


# The table of numbers keeps four digits.
def close(shown, stored, digits):
    return number(shown) == pytest.approx(float(stored), rel=5.1e-4, abs=0.51 * 10**-digits)


CASES = list(zip(measured().items(), reported(), strict=True))


@pytest.mark.parametrize(("numbers", "report"), CASES, ids=[report[0] for _, report in CASES])
def test_the_report_says_what_was_measured(numbers, report):
    (case, by_title), (heading, lines, remarks) = numbers, report
    assert f"{case[0]} px" in heading
    assert f"from {by_title['textbook']['source']}" in heading.lower()
    assert lines.keys() == by_title.keys()
    for title, (_, median, spread, rate, share, *_) in lines.items():
        stored = by_title[title]
        (speed,) = (stored[name] for name in stored if name.endswith("_per_second"))
        assert close(median, stored["times_textbook"], 2), title
        low, high = spread.split("–")
        assert close(low, stored["low"], 2), title
        assert close(high, stored["high"], 2), title
        assert float(stored["low"]) <= float(stored["times_textbook"]) <= float(stored["high"])
        assert close(rate, speed, 0), title
        assert bool(share) == bool(stored["of_limit"]), title
        assert not share or close(share, stored["of_limit"], 2), title
    others = [line for line in by_title.values() if line["kind"] == "alternative"]
    best = max(others, key=lambda line: float(line["times_textbook"]))
    (said,) = (line for line in remarks if line.startswith("- Best alternative: "))
    name, times = re.fullmatch(r"- Best alternative: (.+), ([\d.,]+) × the .+", said).groups()
    assert name == best["title"]
    assert close(times, best["times_textbook"], 1)


def test_every_case_has_the_textbook_at_one():
    for (_, by_title), _ in CASES:
        textbook = by_title["textbook"]
        assert {float(textbook[name]) for name in ("times_textbook", "low", "high")} == {1.0}
    assert len(CASES) >= 4
