"""Each diagram is the one that the script plots, and can be read without seeing it."""

import itertools
import json
import re
from pathlib import Path

import diagrams
import notebook_checks as checks
import pytest
import tolerance

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return diagrams.write(tmp_path_factory.mktemp("images"))


def test_every_image_is_one_of_the_script(written: list[Path]) -> None:
    names = {path.name for path in diagrams.FOLDER.iterdir()}
    assert names == {path.name for path in written} == set(diagrams.ALTERNATIVES)


@pytest.mark.parametrize("name", diagrams.ALTERNATIVES)
def test_the_image_is_what_the_script_plots(written: list[Path], name: str) -> None:
    (new,) = (path for path in written if path.name == name)
    stored = diagrams.FOLDER / name
    pair = (checks.pixels(path.read_bytes()) for path in (stored, new))
    problem, _ = checks.image_problem(*map(checks.shrunk, pair))
    assert not problem, f"{name} {problem}: run `python tools/diagrams.py`"
    assert stored.stat().st_size < 60_000
    assert checks.png_notes(stored.read_bytes()) == []


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=lambda path: path.name)
def test_a_lesson_says_what_its_diagrams_show(path: Path) -> None:
    """In the words and the width of the script, and in no language that only some viewers draw."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join(checks.text_of(c["source"]) for c in cells if c["cell_type"] == "markdown")
    shown = re.findall(r".*\bimages/([\w.]+).*", text)
    for name in shown:
        assert diagrams.tag(name) in text.splitlines(), f"write {diagrams.tag(name)}"
    assert "```mermaid" not in text


def test_the_alternative_text_says_how_long_each_schedule_is() -> None:
    schedules = [diagrams.schedule(6, ahead=False), diagrams.schedule(6)]
    schedules.append(diagrams.schedule(6, workers=2))
    for tasks in schedules:
        assert (
            f"{max(task.stop for task in tasks):.0f} ms" in diagrams.ALTERNATIVES["timelines.png"]
        )


def test_the_numbers_of_lesson_08s_faults_are_those_that_it_shows() -> None:
    cells = json.loads((ROOT / "notebooks" / "08_when_it_breaks.ipynb").read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    shown = tolerance.numbers("\n".join(t for o in outputs for t in checks.output_texts(o)))
    said = tolerance.numbers(diagrams.ALTERNATIVES["silent_failures.png"])
    assert len(said) >= 14
    far = [one for one in said if min(tolerance.distance(one, each) for each in shown) > 5]
    assert far == []


def test_nobody_does_two_things_at_a_time_and_each_batch_goes_in_order() -> None:
    for tasks in (diagrams.schedule(6), diagrams.schedule(6, workers=2)):
        for who in {task.who for task in tasks}:
            own = sorted((task.start, task.stop) for task in tasks if task.who == who)
            assert all(before[1] <= after[0] for before, after in itertools.pairwise(own))
        for batch in range(6):
            steps = [task for task in tasks if task.batch == batch]
            assert [task.step for task in steps] == ["plan", "make", "train"]
            assert steps[0].stop <= steps[1].start
            assert steps[1].stop <= steps[2].start
