"""Makes `pytest --nbval` strict: every cell of every lesson is compared, figures included.

nbval runs the cells and compares their texts. Added here, with the rules in
`tests/notebook_checks.py`:

- each stored notebook is checked as a file, also without ``--nbval``;
- each figure is compared with the stored one; a cell that should raise must raise;
- the numbers of a cell tagged ``within-2%`` may be so far from the stored ones, and no more;
- standard error is not compared: TensorFlow's native lines hold process ids and times;
- a failure begins with one line that says where and why, repeated at the end of the run.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pytest

ROOT = Path(__file__).parent
sys.path[:0] = [str(ROOT / part) for part in ("tests", "tools", "tools/site")]

import lesson_kernels  # noqa: E402
import notebook_checks as checks  # noqa: E402

# They import packages that the lessons do not install; tests/test_feeding.py runs them.
collect_ignore_glob = ["notebooks/feeding/*.py"]

# Key under which a report carries its headline, from worker to terminal.
HEADLINE = "lesson"

# nbval's words for a cell whose outputs tell more. Its other words (no time left …) are the cause.
COMPARED = ("Cell outputs differ", "Cell execution caused an exception")

# Where a cell keeps what was found wrong with it.
FOUND = pytest.StashKey[list[str]]()


class StoredLesson(pytest.File):
    """A notebook as a file, which is checked without being run."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the one test of the file."""
        yield StoredForm.from_parent(self, name="stored form")


class StoredForm(pytest.Item):
    """The test that a notebook is stored as `make notebooks` stores it, and fully checked."""

    def runtest(self) -> None:
        """Check the file."""
        problems = checks.stored_problems(self.path)
        if problems:
            raise LessonError(problems)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the problems alone, without a traceback through the checks."""
        if isinstance(excinfo.value, LessonError):
            return "\n".join(excinfo.value.problems)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Name the test in verbose output."""
        return self.path, None, f"{self.path.name}: stored form"


class LessonError(Exception):
    """What is wrong with a lesson, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def is_cell(item: pytest.Item) -> bool:
    """Tell whether a test is a cell that nbval runs."""
    return hasattr(item, "cell") and hasattr(item, "test_outputs")


def refused_options(config: pytest.Config) -> str:
    """Say which option would compare less than all, or tear a lesson apart; empty if none does."""
    for option in ("--nbval-lax", "--nbval-sanitize-with", "--sanitize-with"):
        if config.getoption(option, None):
            return f"{option}: every output of every cell is compared as it is; use --nbval alone"
    spread = config.getoption("dist", "no")
    if config.getoption("nbval", False) and spread not in ("no", "loadscope", "loadfile"):
        return f"-n with --dist {spread}: a lesson's cells need one worker; add --dist loadscope"
    return ""


def pytest_configure(config: pytest.Config) -> None:
    refused = refused_options(config)
    if refused:
        raise pytest.UsageError(refused)
    lesson_kernels.prepare(os.environ, keep_own=False)
    lesson_kernels.quieten_tensorflow()
    matplotlib.use("Agg")  # figures of tests and doctests open no windows
    if config.getoption("nbval", False):
        # Left to itself a kernel shows figures in the notebook; kernels inherit this environment.
        os.environ.pop("MPLBACKEND", None)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix == ".ipynb":
        return StoredLesson.from_parent(parent, path=file_path)
    return None


def pytest_collectstart(collector: pytest.Collector) -> None:
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: Any) -> Generator[None, None, None]:
    """After nbval has run and compared a cell, check what nbval does not look at."""
    if not is_cell(item):
        return (yield)
    stored = copy.deepcopy(item.cell.outputs)  # nbval joins printed texts in place
    if checks.percent_of(item.cell) is not None:
        item.compare_outputs = lambda *_: True  # all that it compares, `_problems` does
    try:
        yield
    except Exception as error:
        message = str(error).partition("\n")[0]
        item.stash[FOUND] = _problems(item, stored) if message in COMPARED else [message]
        raise
    problems = item.stash[FOUND] = _problems(item, stored)
    if problems:
        item.raise_cell_error("; ".join(problems))


def _problems(item: Any, stored: list[Any]) -> list[str]:
    """List what is wrong with a cell that has run, the cause first."""
    new = item.test_outputs or []
    raised = [output for output in new if output["output_type"] == "error"]
    if raised and not item.options["check_exception"]:
        return [checks.headline(raised[0]["ename"], raised[0]["evalue"])]
    problems = []
    if item.options["check_exception"] and not raised:
        problems.append(f"tagged {checks.RAISES!r}, but nothing was raised")
    percent = checks.percent_of(item.cell)
    difference = checks.first_difference(stored, new, percent)
    if difference:
        problems.append(difference)
    stem = item.config.rootpath / "test_output" / "figures"
    stem /= f"{item.path.stem}-{item.name.lower().replace(' ', '-')}"
    return problems + checks.figure_problems(stored, new, stem, percent)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Begin a failed cell's report with where it stands in the lesson, and why it failed."""
    report = yield
    if report.failed and isinstance(report.longrepr, str):
        if is_cell(item):
            where = _place(item)
            causes = item.stash.get(FOUND, []) or report.longrepr.splitlines()[:1]
        elif isinstance(item, StoredForm):
            where = item.nodeid.partition("::")[0]
            causes = report.longrepr.splitlines()
        else:
            return report
        headline = "\n".join(f"{where}: {cause}" for cause in causes)
        report.user_properties.append((HEADLINE, headline))
        report.longrepr = f"{headline}\n\n{report.longrepr}" if is_cell(item) else headline
    return report


def _place(item: Any) -> str:
    """Name a cell: the file, its number as nbval counts, the heading above."""
    cells = item.parent.nb.cells
    codes = [index for index, cell in enumerate(cells) if cell.cell_type == "code"]
    path = item.nodeid.partition("::")[0]
    return f"{path}, {checks.place(cells, codes[item.cell_num])}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say at the end, in a line each, which cells failed and why."""
    failed = terminalreporter.stats.get("failed", [])
    lines = [value for report in failed for key, value in report.user_properties if key == HEADLINE]
    if lines:
        terminalreporter.section("lessons")
        for line in lines:
            terminalreporter.line(line)
