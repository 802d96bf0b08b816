"""Exercises: the solution in the lesson is right, each wrong answer is told what is wrong with it.

The wrong answers stand in tests/wrong_answers/NN.py, with words of what the check must say. Where
an answer rests on what a lesson makes, BEFORE there names the cells that make it.
"""

import functools
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    path.stem: runpy.run_path(str(path))
    for path in sorted((ROOT / "tests" / "wrong_answers").glob("[0-9]*.py"))
}
WRONG = {lesson: file["WRONG"] for lesson, file in FILES.items()}
EXERCISES = [(lesson, name) for lesson, wrong in WRONG.items() for name in wrong]


@functools.cache
def cells(lesson):
    texts = [path.read_text(encoding="utf-8") for path in ROOT.glob("notebooks/[0-9]*.ipynb")]
    (text,) = (text for text in texts if f'exercises.check(\\"{lesson}.1' in text)
    return json.loads(text)["cells"]


def sources(lesson, tag):
    return ["".join(c["source"]) for c in cells(lesson) if tag in c["metadata"].get("tags", ())]


def solutions(lesson):
    text = "\n".join("".join(c["source"]) for c in cells(lesson) if c["cell_type"] == "markdown")
    return re.findall(r"<summary>Solution</summary>\n\n```python\n(.*?)```", text, re.DOTALL)


@functools.cache
def begun(lesson):
    """Run a lesson's imports, and the cells that its exercises need; return the names."""
    code = {c["id"]: "".join(c["source"]) for c in cells(lesson) if c["cell_type"] == "code"}
    names = {}
    for cell in (next(iter(code)), *FILES[lesson].get("BEFORE", ())):
        exec(compile(code[cell], f"{lesson}: {cell}", "exec"), names)
    plt.close("all")
    return names


def verdict(lesson, name, answer, monkeypatch, capsys):
    """Run an answer and its check in a lesson that has begun, and return what the check prints."""
    monkeypatch.syspath_prepend(str(ROOT / "notebooks"))
    check = sources(lesson, "check")[int(name[-1]) - 1]
    names = dict(begun(lesson))
    for code in (answer, check):
        exec(compile(code, f"{lesson}: {name}", "exec"), names)
    return capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("lesson", WRONG)
def test_each_exercise_has_all_its_parts(lesson):
    names = [f'exercises.check("{name}"' for name in WRONG[lesson]]
    checks = sources(lesson, "check")
    assert all(check.startswith(name) for check, name in zip(checks, names, strict=True))
    assert len(sources(lesson, "starter")) == len(solutions(lesson)) == len(checks)
    assert all(len(wrong) >= 2 for wrong in WRONG[lesson].values())


@pytest.mark.parametrize(("lesson", "name"), EXERCISES)
def test_the_solution_is_right(lesson, name, monkeypatch, capsys):
    solution = solutions(lesson)[int(name[-1]) - 1]
    assert verdict(lesson, name, solution, monkeypatch, capsys) == f"exercise {name}: right"


@pytest.mark.parametrize(("lesson", "name"), EXERCISES)
def test_the_starter_is_not_begun(lesson, name, monkeypatch, capsys):
    starter = sources(lesson, "starter")[int(name[-1]) - 1]
    assert f"exercise {name}: not begun" in verdict(lesson, name, starter, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("lesson", "name", "number"),
    [(*one, number) for one in EXERCISES for number in range(len(WRONG[one[0]][one[1]]))],
)
def test_a_wrong_answer_is_told_what_is_wrong(lesson, name, number, monkeypatch, capsys):
    answer, words = WRONG[lesson][name][number]
    said = verdict(lesson, name, answer, monkeypatch, capsys)
    assert said.startswith(f"exercise {name}: not yet: ")
    assert words in said


def test_a_lesson_finds_the_helpers_where_they_are_not_installed():
    """As in an editor whose kernel has the packages but not this project."""
    code = (
        "import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f)]\n"
    )
    code += "import importlib.util as util; assert util.find_spec('helpers') is None\n"
    code += "import exercises; import helpers; print(helpers.__file__)"
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "notebooks",
        env=environ,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(ROOT / "helpers" / "__init__.py"), done.stderr
