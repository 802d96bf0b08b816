"""Measure how far the numbers of tagged cells really differ: ``python tools/tolerances.py``.

    python tools/tolerances.py                        every lesson with a tag such as within-2%
    python tools/tolerances.py notebooks/01_*.ipynb   some

Each lesson runs on one core and on all, with oneDNN and without. For each tagged cell the largest
difference between any two runs, the stored one among them, is printed beside its tag, and whether
the tag is too tight, or looser than needed: above 1 %, and more than five times what was seen and
than what a last digit makes, since another machine may round to the neighbour.
Nothing is written. A lesson whose numbers are times is better measured on a machine that is busy,
too: what is seen here is the least that its tag must allow.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lesson_kernels
import nbformat
import regenerate

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import notebook_checks as checks  # noqa: E402
import tolerance  # noqa: E402

# A tag is looser than needed if it allows more than so many times what was seen …
GENEROUS = 5
# … and more than this, in percent.
TIGHT = 1.0

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


@contextmanager
def cores(count: int | None) -> Iterator[None]:
    """Let what is started here use so many processor cores, where the system can say so."""
    if count is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    all_of_them = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(all_of_them)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_of_them)


def tagged(notebook: nbformat.NotebookNode) -> list[int]:
    """Return the indices of the cells whose tags state a tolerance."""
    return [index for index, cell in enumerate(notebook.cells) if checks.percent_of(cell)]


def largest_difference(runs: Sequence[Sequence[Any]]) -> tuple[float, str]:
    """Return how far a cell's numbers are apart in any two runs.

    Parameters
    ----------
    runs : sequence of list of outputs
        The outputs of one cell, in each run.

    Returns
    -------
    float
        The largest difference in percent.
    str
        What differs besides numbers; empty if nothing does.
    """
    largest = 0.0
    for one, other in itertools.combinations(runs, 2):
        pairs = list(zip(tolerance.values(one), tolerance.values(other), strict=False))
        largest = max([largest, *(tolerance.distance(*pair) for pair in pairs)])
        text = tolerance.outputs_difference(one, other, 200)  # numbers differ by that at most
        if text:
            return largest, text
    return largest, ""


def verdict(percent: float, seen: float, text: str, digit: float = 0.0) -> str:
    """Say what is wrong with a tag; empty if nothing is.

    Examples
    --------
    >>> verdict(2, 0.7, ""), verdict(2, 0.1, ""), verdict(1, 0.01, "")
    ('', 'looser than needed', '')
    >>> verdict(2, 2.5, "")
    'too tight'
    >>> verdict(2, 0.1, "", digit=0.8)  # such as 1.24 and 1.25
    ''
    """
    if text:
        return f"not only numbers differ: {text}"
    if seen > percent:
        return "too tight"
    return "looser than needed" if percent > TIGHT and percent > GENEROUS * max(seen, digit) else ""


def run(path: Path) -> list[nbformat.NotebookNode]:
    """Run a lesson in each configuration; return the stored one and what it became."""
    stored = regenerate.read(path)
    runs = [stored]
    for count, onednn in itertools.product((1, None), "10"):
        notebook = copy.deepcopy(stored)
        with cores(count):
            asyncio.run(regenerate.run(notebook, path.resolve().parent, {ONEDNN: onednn}))
        regenerate.tidy(notebook)
        runs.append(notebook)
    return runs


def report(path: Path, runs: Sequence[nbformat.NotebookNode]) -> bool:
    """Print a line for each tagged cell of a lesson; tell whether all tags are right."""
    right = True
    for index in tagged(runs[0]):
        percent = checks.percent_of(runs[0].cells[index]) or 0.0
        outputs = [notebook.cells[index].outputs for notebook in runs]
        seen, text = largest_difference(outputs)
        digit = max(map(tolerance.last_digit, tolerance.written(outputs[0])), default=0.0)
        fault = verdict(percent, seen, text, digit)
        right = right and not fault
        where = f"{path.name}, {checks.place(runs[0].cells, index)}"
        print(
            f"{where}: within-{percent:g}%, seen {seen:.2g} %{fault and '  ' + fault}", flush=True
        )
    return right


def main(arguments: list[str] | None = None) -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure how far tagged cells' numbers differ.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all with a tag")
    options = parser.parse_args(arguments)
    paths = options.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb"))
    lesson_kernels.prepare(os.environ, keep_own=False)
    os.environ.pop("MPLBACKEND", None)
    right = True
    for path in paths:
        try:
            if tagged(regenerate.read(path)):
                right = report(path, run(path)) and right
        except regenerate.LessonError as error:
            print(f"{path}: {error}", file=sys.stderr)
            right = False
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
