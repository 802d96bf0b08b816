"""Measure all contenders in all cases, and write what was found: ``make bench``.

A full run writes ``results.md``, ``results.csv``, ``results.png`` and ``stages.csv`` beside this
file. A run of a part of it only prints its tables, unless ``--out`` names a folder for them.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import pandas as pd
from tqdm import tqdm

from benchmark import report
from benchmark.cases import FILES, SIZES, SOURCES, Case, write_pictures
from benchmark.contenders import CONTENDERS, LIMITS, TEXTBOOK, Entry, missing, of_case
from benchmark.measure import Row, order, ratios, rounds_of, spread
from benchmark.processes import ContenderError, Process, Processes
from benchmark.proof import Proof, ProofError, check_strength, largest_difference
from benchmark.worker import load_batches

HERE = Path(__file__).resolve().parent
ROUNDS = 5
SECONDS = 1.5  # a round lasts at least so long
BUSY = 0.05  # of a core; what waits should use none


@dataclass
class Measured:
    """What the rounds of one contender have shown so far."""

    entry: Entry
    process: Process
    epochs_a_round: int
    first_memory: int
    proof: Proof | None
    difference: float | None = None
    rates: list[float] = field(default_factory=list)
    last_memory: int = 0
    epochs: int = 0
    idle: float = 0.0


def measure_case(
    case: Case, entries: Sequence[Entry], rounds: int, seconds: float, progress: tqdm
) -> report.Result:
    """Measure all contenders of one case.

    Parameters
    ----------
    case : Case
        What they deliver.
    entries : sequence of Entry
        The contenders, the textbook pipeline first.
    rounds : int
        How many rounds.
    seconds : float
        How long a contender's part of a round lasts at least.
    progress : tqdm
        Moved on by one for each contender and step.

    Returns
    -------
    report.Result

    Raises
    ------
    ContenderError
        If the textbook pipeline, with which all are compared, cannot be measured.
    """
    refused: dict[str, str] = {}
    running: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory() as folder, Processes() as processes:

        def refuse(name: str, error: Exception) -> None:
            if name == TEXTBOOK:
                raise ContenderError(f"{name}: {error}")
            refused[name] = str(error)
            running.pop(name, None)
            processes.stop(name)

        for entry in entries:
            progress.set_description(f"{case.name}: proving {entry.title}")
            try:
                process = processes.start(entry.name, _case_of(entry, case), Path(folder))
                measured = running[entry.name] = prove(entry, process, seconds)
                check(measured, running[TEXTBOOK])
            except (ContenderError, ProofError) as error:
                refuse(entry.name, error)
            progress.update()
        for number in range(rounds):
            for name in order(list(running), number):
                progress.set_description(
                    f"{case.name}: round {number + 1}, {CONTENDERS[name].title}"
                )
                try:
                    one_round(running[name], case)
                except ContenderError as error:
                    refuse(name, error)
                progress.update()
        for name in list(running):
            progress.set_description(f"{case.name}: pairs of {CONTENDERS[name].title}")
            try:
                running[name].process.ask(do="pair")
            except ContenderError as error:
                refuse(name, error)
            progress.update()
    return report.Result(case, rows_of(running, case.source), refused, notes_of(running))


def _case_of(entry: Entry, case: Case) -> Case:
    """Return the case that a contender is given: the textbook pipeline has but one source."""
    source = "disk" if entry.name == TEXTBOOK else case.source
    return Case(case.size, case.folders, source)


def prove(entry: Entry, process: Process, seconds: float) -> Measured:
    """Have a contender prove what it delivers, and decide how long its rounds are."""
    answer = process.ask(do="prove")
    return Measured(
        entry,
        process,
        rounds_of(seconds, answer["epoch"]),
        answer["memory"],
        Proof(**answer["proof"]) if "proof" in answer else None,
        last_memory=answer["memory"],
        epochs=answer["epochs"],
    )


def check(measured: Measured, textbook: Measured) -> None:
    """Compare what a contender delivers with what the textbook pipeline delivers.

    Raises
    ------
    ProofError
        If it augments otherwise, or promises the same pixels and delivers others.
    """
    if measured.proof is None or textbook.proof is None:
        return  # a limit delivers nothing
    check_strength(measured.proof, textbook.proof)
    if measured.entry.same_pixels:
        ours, theirs = (load_batches(one.process.kept) for one in (measured, textbook))
        measured.difference = largest_difference(ours, theirs)


def one_round(measured: Measured, case: Case) -> None:
    """Ask one contender for one timed round."""
    answer = measured.process.ask(do="round", epochs=measured.epochs_a_round)
    pictures = case.rows * len(case.folders) * measured.epochs_a_round
    measured.rates.append(pictures / answer["seconds"])
    measured.last_memory = answer["memory"]
    measured.epochs = answer["epochs"]
    measured.idle = max(measured.idle, answer["idle"])


def rows_of(running: dict[str, Measured], source: str) -> list[Row]:
    """Return the report's rows, from the rates of all rounds."""
    textbook = running[TEXTBOOK].rates
    limit = running.get(LIMITS[source])
    rows = []
    for name, one in running.items():
        share = None
        if limit is not None and one.entry.kind != "limit":
            share = spread(ratios(one.rates, limit.rates))
        rows.append(
            Row(
                name,
                one.entry.title,
                one.entry.kind,
                spread(one.rates).median,
                spread(ratios(one.rates, textbook)),
                share,
                one.difference,
                (one.first_memory, one.last_memory),
                one.epochs,
            )
        )
    return rows


def notes_of(running: dict[str, Measured]) -> list[str]:
    """Say which contenders did not sit still while others were timed."""
    return [
        f"{one.entry.title} used {one.idle:.0%} of a core while it waited"
        for one in running.values()
        if one.idle > BUSY
    ]


# The command

STAGES = """
import sys
from benchmark.cases import Case
from benchmark.stages import measure
measure(Case.from_json(sys.argv[1])).to_csv(sys.argv[2], index=False, float_format="%.1f")
"""


def measure_stages(chosen: Sequence[Case], folder: Path) -> None:
    """Write ``stages.csv``: where a picture's time goes at each size, each in a process of its own.

    Parameters
    ----------
    chosen : sequence of Case
        One for each size.
    folder : Path
        Where to.

    Raises
    ------
    ContenderError
        If a process fails.
    """
    tables = []
    with tempfile.TemporaryDirectory() as scratch:
        for case in chosen:
            table = Path(scratch) / f"{case.size}.csv"
            command = [sys.executable, "-c", STAGES, case.to_json(), str(table)]
            done = subprocess.run(
                command, cwd=HERE.parent, capture_output=True, text=True, check=False
            )
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
                raise ContenderError(f"stages: its process ended; the last it said: {last}")
            tables.append(pd.read_csv(table))
    pd.concat(tables).to_csv(folder / "stages.csv", index=False)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the command's options."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, help="timed rounds (5)")
    parser.add_argument("--sizes", type=int, nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--pictures", type=int, nargs="+", choices=(1, 2), default=[1, 2])
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument(
        "--contenders",
        nargs="+",
        choices=CONTENDERS,
        default=list(CONTENDERS),
        metavar="NAME",
        help=f"beside the textbook pipeline: {', '.join(CONTENDERS)}",
    )
    parser.add_argument("--seconds", type=float, help="a round at least (1.5)")
    parser.add_argument("--files", type=int, help="samples in an epoch (1920 at 64 px, 480 at 224)")
    parser.add_argument("--quick", action="store_true", help="2 short rounds, fewer files")
    parser.add_argument("--out", type=Path, help="folder for the results")
    options = parser.parse_args(arguments)
    for name in ("rounds", "files"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name}: expected 1 or more, found {value}")
    everything = parser.parse_args([])
    partial = ("sizes", "pictures", "sources", "contenders", "files", "quick", "seconds")
    options.whole = all(getattr(options, name) == getattr(everything, name) for name in partial)
    if options.out is None and options.whole:
        options.out = HERE
    options.rounds = options.rounds or (2 if options.quick else ROUNDS)
    options.seconds = options.seconds or (0.5 if options.quick else SECONDS)
    return options


def cases(options: argparse.Namespace, root: Path) -> Iterable[Case]:
    """Write the pictures and yield the cases."""
    for size in options.sizes:
        files = options.files or FILES[size] // (4 if options.quick else 1)
        folders = tuple(write_pictures(root, size, files))
        for pictures in options.pictures:
            for source in options.sources:
                yield Case(size, folders[:pictures], source)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code: 1 where a contender was refused."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, _stop)
    names = []
    for name in options.contenders:
        absent = missing(CONTENDERS[name])
        if absent:
            print(f"bench: {CONTENDERS[name].title} is left out: {', '.join(absent)} not installed")
        else:
            names.append(name)
    chosen = {source: of_case(names, source) for source in options.sources}
    steps = sum(len(entries) for entries in chosen.values())
    steps *= (options.rounds + 2) * len(options.sizes) * len(options.pictures)
    results: list[report.Result] = []
    try:
        with (
            tempfile.TemporaryDirectory() as root,
            tqdm(total=steps, unit="step", disable=None) as progress,
        ):
            progress.set_description("writing pictures")
            for case in cases(options, Path(root)):
                results.append(
                    measure_case(
                        case, chosen[case.source], options.rounds, options.seconds, progress
                    )
                )
                progress.write(report.as_text(results[-1]) + "\n", file=sys.stdout)
            if options.out is not None:
                options.out.mkdir(parents=True, exist_ok=True)
                report.write(results, options.rounds, options.out)
            if options.whole:
                progress.set_description("stages")
                by_size = {result.case.size: result.case for result in results}
                measure_stages(list(by_size.values()), options.out)
    except ContenderError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbench: stopped", file=sys.stderr)
        return 130
    return 1 if any(result.refused for result in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
