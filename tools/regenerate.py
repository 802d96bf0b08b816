"""Run lessons from top to bottom and store what they show: ``make notebooks``.

    python tools/regenerate.py                        every lesson
    python tools/regenerate.py notebooks/01_*.ipynb   some
    python tools/regenerate.py --check                write nothing; fail if a file would change
    python tools/regenerate.py --redraw               store all outputs again, also those that agree

What is stored is the same on every machine: cells counted 1, 2, 3 …, no times, no paths, no
versions; error messages without the traceback; of a widget the image that comes with it. A
lesson is written only if all of it went well. Run twice, it leaves no difference in git.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import copy
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, NbvalKernelspecManager

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import lesson_kernels  # noqa: E402
import notebook_checks as checks  # noqa: E402

from helpers.messages import NATIVE  # noqa: E402

# Seconds that one cell may take.
TIMEOUT = 300

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": lesson_kernels.LANGUAGE,
}

# A native message may go on for any number of lines (a Python traceback among them), up to a
# message of Python's. Before the first comes a line about all of them.
_ABSL = "WARNING: All log messages before absl::InitializeLog"
_PYTHON = re.compile(r"\S.*:\d+: \w*Warning: |(?:DEBUG|INFO|WARNING|ERROR|CRITICAL):")


class LessonError(Exception):
    """A lesson that cannot be stored; the message says where and why, in one line."""


# --- running --------------------------------------------------------------------------------------


async def run(
    notebook: nbformat.NotebookNode, folder: Path, environ: dict[str, str] | None = None
) -> None:
    """Run all cells in a fresh kernel of this Python; outputs are stored in `notebook`.

    Parameters
    ----------
    notebook
        The lesson, changed in place.
    folder
        Where it runs.
    environ
        Variables that the kernel gets besides those of this process.

    Raises
    ------
    LessonError
        A cell raises without the tag, takes too long, or takes the kernel down.
    """
    manager = AsyncKernelManager(
        kernel_name=CURRENT_ENV_KERNEL_NAME, kernel_spec_manager=NbvalKernelspecManager()
    )
    client = NotebookClient(notebook, km=manager, timeout=TIMEOUT, record_timing=False)
    running = 0

    def on_cell_start(cell: nbformat.NotebookNode, cell_index: int) -> None:
        nonlocal running
        running = cell_index

    client.on_cell_start = on_cell_start
    try:
        await client.async_execute(
            cwd=str(folder), stderr=subprocess.DEVNULL, env=os.environ | (environ or {})
        )
    except CellExecutionError as error:
        message = checks.headline(error.ename, error.evalue)
    except (CellTimeoutError, DeadKernelError) as error:
        message = str(error)
    else:
        return
    raise LessonError(f"{checks.place(notebook.cells, running)}: {message.splitlines()[0]}")


# --- reading and tidying --------------------------------------------------------------------------


def read(path: Path) -> nbformat.NotebookNode:
    """Read a lesson; cells without an id get one made of the file's name and their position."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        version = raw["nbformat"]
        for index, cell in enumerate(raw["cells"]):
            cell.setdefault("id", cell_id(path, index))
        raw["nbformat_minor"] = max(raw["nbformat_minor"], 5)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LessonError(f"not a notebook: {error}") from error
    if version != 4:
        raise LessonError(f"notebook format {version}, expected 4")
    return nbformat.reads(json.dumps(raw), as_version=4)


def cell_id(path: Path, index: int) -> str:
    """Return an id that is the same in every run."""
    return hashlib.sha256(f"{path.stem}/{index}".encode()).hexdigest()[:8]


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Take out of a lesson that has run all that another run would store differently.

    Raises
    ------
    LessonError
        An output cannot be the same elsewhere: it holds a path, or warnings on standard error.
    """
    notebook.metadata = nbformat.from_dict(METADATA)
    count = 0
    for index, cell in enumerate(notebook.cells):
        kept = {key: cell.metadata[key] for key in cell.metadata if key in checks.CELL_METADATA}
        cell.metadata = nbformat.from_dict({key: value for key, value in kept.items() if value})
        if cell.cell_type != "code":
            continue
        count += 1
        try:
            tidy_outputs(cell, count)
        except LessonError as error:
            raise LessonError(f"{checks.place(notebook.cells, index)}: {error}") from error


def tidy_outputs(cell: nbformat.NotebookNode, count: int) -> None:
    """Number a code cell, and tidy its outputs."""
    cell.execution_count = count
    outputs: list[Any] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            if output.name == "stderr":
                refuse_warnings(output.text)
                continue
            if outputs and outputs[-1].output_type == "stream":
                outputs[-1].text += output.text
                continue
        elif output.output_type == "error":
            output.traceback = lesson_kernels.short_traceback(output.ename, output.evalue)
        else:
            tidy_data(output, count)
        outputs.append(output)
    cell.outputs = outputs
    for text in (text for output in outputs for text in checks.output_texts(output)):
        trace = checks.machine_trace(text)
        if trace:
            raise LessonError(f"output holds {trace}")
    raised = any(output.output_type == "error" for output in outputs)
    if checks.RAISES in checks.tags_of(cell) and not raised:
        raise LessonError(f"tagged {checks.RAISES!r}, but nothing was raised")


def tidy_data(output: nbformat.NotebookNode, count: int) -> None:
    """Number a result, take the notes out of an image, and keep of a widget its image."""
    if output.output_type == "execute_result":
        output.execution_count = count
    if output.data.pop(checks.WIDGET, None) and "image/png" not in output.data:
        raise LessonError("shows a widget without image/png, so nothing of it can be stored")
    if "image/png" in output.data:
        output.data["image/png"] = without_notes(output.data["image/png"])


def without_notes(image: str) -> str:
    """Return an image, in base 64, without its notes; no image stays none."""
    if not image:
        return image
    return base64.b64encode(checks.without_notes(base64.b64decode(image))).decode("ascii")


def refuse_warnings(text: str) -> None:
    """Raise unless standard error holds nothing but messages of TensorFlow's native code."""
    native = False
    for line in text.splitlines():
        begins = NATIVE.match(line) or line.startswith(_ABSL)
        native = bool(begins) or (native and not _PYTHON.match(line))
        if not native and line.strip():
            raise LessonError(f"wrote to standard error: {line.strip()[:200]!r}")


def keep_stored(notebook: nbformat.NotebookNode, stored: nbformat.NotebookNode) -> int:
    """Put what is stored in place of what shows the same, and return how many outputs stayed.

    Another machine renders letters a little differently. Where the cell's texts, the figures'
    fingerprints among them, are the stored ones, and the images differ no more than a test
    allows, the stored bytes stay: git shows no difference where there is none to see. So do the
    numbers of a cell whose tag states a tolerance, where they are within it.
    """
    before = {cell.id: cell.get("outputs", []) for cell in stored.cells}
    return sum(
        keep_outputs(cell.outputs, before.get(cell.id, []), checks.percent_of(cell))
        for cell in notebook.cells
        if cell.cell_type == "code"
    )


def keep_outputs(new: list[Any], old: list[Any], percent: float | None) -> int:
    """Put the stored outputs of a cell in place of new ones that agree; return how many stayed."""
    if len(new) != len(old) or checks.first_difference(old, new, percent):
        return 0
    kept = 0
    for place, (ours, theirs) in enumerate(zip(new, old, strict=True)):
        if not same_image(ours, theirs, percent):
            continue
        same = copy.deepcopy(theirs if percent is not None else ours)
        same |= {key: ours[key] for key in ("execution_count", "metadata") if key in ours}
        if "image/png" in theirs.get("data", {}):
            same.data["image/png"] = without_notes(theirs.data["image/png"])
            said = ours.metadata.get("image/png", {}) | checks.size_of(theirs)
            same.metadata = ours.metadata | ({"image/png": said} if said else {})
        kept += same != ours
        new[place] = same
    return kept


def same_image(one: Any, other: Any, percent: float | None = None) -> bool:
    """Tell whether two outputs' images differ no more than a test allows; none are the same."""
    pair = [output for output in (one, other) if "image/png" in output.get("data", {})]
    if len(pair) < 2:
        return not pair
    compare = checks.image_problem if percent is None else checks.loose_problem
    same_sharpness = checks.sharpness(one) == checks.sharpness(other)
    return same_sharpness and not compare(*map(checks.displayed, pair))[0]


# --- one lesson, all lessons ----------------------------------------------------------------------


async def regenerate(path: Path, check: bool = False, redraw: bool = False) -> str:
    """Run one lesson and store it.

    Parameters
    ----------
    path
        The notebook, replaced in one step when everything went well.
    check
        Write nothing.
    redraw
        Store every output again, also where the stored one shows the same.

    Returns
    -------
    str
        What was done: ``unchanged``, ``written``, ``would change``, and how many images stayed.

    Raises
    ------
    LessonError
        The lesson cannot be stored; its file is as it was.
    """
    stored = read(path)
    notebook = copy.deepcopy(stored)
    await run(notebook, path.resolve().parent)
    tidy(notebook)
    kept = 0 if redraw else keep_stored(notebook, stored)
    text = nbformat.writes(notebook) + "\n"
    done = "unchanged"
    if text.encode() != path.read_bytes():
        done = "would change" if check else "written"
        if not check:
            write(path, text)
    return f"{done}, {kept} outputs kept (--redraw replaces them)" if kept else done


def write(path: Path, text: str) -> None:
    """Replace a file in one step: it is the old one or the new one, never half of it."""
    replacement = path.with_name(f".{path.name}.new")
    replacement.write_text(text, encoding="utf-8", newline="\n")
    replacement.replace(path)


async def regenerate_all(paths: list[Path], check: bool, redraw: bool, jobs: int) -> bool:
    """Run lessons, some at a time, with a line for each; tell whether all is well."""
    free = asyncio.Semaphore(jobs)

    async def one(path: Path) -> bool:
        async with free:
            begin = time.monotonic()
            try:
                done = await regenerate(path, check, redraw)
            except LessonError as error:
                print(f"{path}: {error}", file=sys.stderr, flush=True)
                return False
            print(f"{path}  {time.monotonic() - begin:.0f} s  {done}", flush=True)
            return not done.startswith("would")

    return all(await asyncio.gather(*map(one, paths)))


def main(arguments: list[str] | None = None) -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Run lessons and store what they show.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of notebooks/")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it would")
    parser.add_argument("--redraw", action="store_true", help="store all outputs again")
    parser.add_argument("--jobs", type=int, default=2, help="lessons run at a time (2)")
    options = parser.parse_args(arguments)
    paths = options.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb"))
    if not paths:
        parser.error(f"no lesson in {ROOT / 'notebooks'}")
    lesson_kernels.prepare(os.environ, keep_own=False)
    os.environ.pop("MPLBACKEND", None)  # left to itself a kernel shows figures in the notebook
    jobs = max(options.jobs, 1)
    return 0 if asyncio.run(regenerate_all(paths, options.check, options.redraw, jobs)) else 1


if __name__ == "__main__":
    sys.exit(main())
