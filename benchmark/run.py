"""Measure all contenders in all cases, and write what was found: ``make bench``.

A full run writes ``results.csv``, ``machine.csv``, ``stages.csv``, ``results.md`` and
``results.png`` beside this file. A run of a part of it only prints its tables, unless ``--out``
names a folder for them.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pandas as pd
from tqdm import tqdm

from benchmark import report
from benchmark.cases import CASES, FILES, Case, write_images
from benchmark.contenders import CONTENDERS, LIMITS, TEXTBOOK, Entry, missing, of_case
from benchmark.processes import ContenderError, Process, Processes
from benchmark.proof import Proof, ProofError, check_strength

HERE = Path(__file__).resolve().parent
ROUNDS = 5
SECONDS = 1.0  # a round lasts at least so long
SOURCES = tuple(dict.fromkeys(source for _, _, source in CASES))


@dataclass
class Measured:
    """What the rounds of one contender have shown so far."""

    entry: Entry
    case: Case
    process: Process
    epochs_a_round: int = 1
    proof: Proof | None = None
    rates: list[float] = field(default_factory=list)
    first_memory: int = 0
    last_memory: int = 0
    epochs: int = 0

    def prove(self, seconds: float) -> None:
        """Have the contender prove what it delivers, and decide how long its rounds are."""
        answer = self.process.ask(do="prove")
        self.epochs_a_round = max(1, math.ceil(seconds / answer["epoch"]))
        self.first_memory = answer["memory"]
        if "proof" in answer:  # a limit delivers nothing
            self.proof = Proof(**answer["proof"])

    def round(self) -> None:
        """Ask the contender for one timed round."""
        answer = self.process.ask(do="round", epochs=self.epochs_a_round)
        images = self.case.rows * len(self.case.folders) * self.epochs_a_round
        self.rates.append(images / answer["seconds"])

    def last(self) -> None:
        """Have the contender prove bits and pairs, and say how much memory it has taken."""
        answer = self.process.ask(do="last")
        self.last_memory, self.epochs = answer["memory"], answer["epochs"]


def measure_case(
    case: Case, entries: Sequence[Entry], rounds: int, seconds: float, progress: tqdm
) -> pd.DataFrame:
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
    pandas.DataFrame
        A line for each contender, with the columns of `report.COLUMNS`.

    Raises
    ------
    ContenderError
        If the textbook pipeline, with which all are compared, cannot be measured.
    """
    refused: dict[str, str] = {}
    running: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory() as folder, Processes() as processes:

        def step(name: str, what: str, action: Any) -> None:
            """Do one step of one contender, or refuse it."""
            progress.set_description(f"{case.name}: {CONTENDERS[name].title}, {what}")
            try:
                action()
            except (ContenderError, ProofError) as error:
                if name == TEXTBOOK:
                    raise ContenderError(f"{name}: {error}") from None
                refused[name] = str(error)
                running.pop(name)
                processes.stop(name)
            progress.update()

        for entry in entries:  # all at once: a start takes one core some seconds
            own = own_case(entry, case)
            process = processes.start(entry.name, own, Path(folder))
            running[entry.name] = Measured(entry, own, process)
        for name, one in list(running.items()):
            step(name, "start", one.process.answer)
        for name, one in list(running.items()):
            step(name, "proof", lambda one=one: prove(one, running[TEXTBOOK], seconds))
        for number in range(rounds):
            # Forwards and backwards in turn.
            for name in list(running) if number % 2 == 0 else list(reversed(running)):
                step(name, f"round {number + 1}", running[name].round)
        for name, one in list(running.items()):
            step(name, "bits and pairs", one.last)
    lines = lines_of(case, running)
    lines += [{"contender": name, "refused": why} for name, why in refused.items()]
    return as_frame(case, lines)


def own_case(entry: Entry, case: Case) -> Case:
    """Return the case as one contender is given it: the textbook pipeline reads files only."""
    source = "disk" if entry.name == TEXTBOOK and case.source == "memory" else case.source
    share = entry.share if case.rows >= 100 * entry.share else 1
    return dataclasses.replace(case, source=source, share=share)


def prove(one: Measured, textbook: Measured, seconds: float) -> None:
    """Have a contender prove what it delivers; it must augment as the textbook pipeline does."""
    one.prove(seconds)
    if one.proof is not None and textbook.proof is not None:
        check_strength(one.proof, textbook.proof)


def ratios(rates: Sequence[float], reference: Sequence[float]) -> list[float]:
    """Return the ratio of each round: two contenders are only compared within one.

    Examples
    --------
    >>> ratios([20, 30], [10, 10])
    [2.0, 3.0]
    """
    return [rate / other for rate, other in zip(rates, reference, strict=True)]


def lines_of(case: Case, running: dict[str, Measured]) -> list[dict[str, Any]]:
    """Return the lines of the results, from the rates of all rounds."""
    limit = running.get(LIMITS[case.source])
    lines = []
    for name, one in running.items():
        to_textbook = ratios(one.rates, running[TEXTBOOK].rates)
        has_limit = limit is not None and one.entry.kind != "limit"
        lines.append(
            {
                "contender": name,
                "times_textbook": statistics.median(to_textbook),
                "low": min(to_textbook),
                "high": max(to_textbook),
                "images_per_second": statistics.median(one.rates),
                "of_limit": statistics.median(ratios(one.rates, limit.rates))
                if has_limit
                else None,
                "bits": "equal" if one.entry.bits else None,
                "first_memory": one.first_memory,
                "last_memory": one.last_memory,
                "epochs": one.epochs,
            }
        )
    return lines


def as_frame(case: Case, lines: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return the lines of a case as a table, with what is known of the case and the contenders."""
    known = {"size": case.size, "images": len(case.folders), "source": case.source}
    entries = [CONTENDERS[line["contender"]] for line in lines]
    return pd.DataFrame(
        [
            known | {"title": entry.title, "kind": entry.kind} | line
            for entry, line in zip(entries, lines, strict=True)
        ],
        columns=report.COLUMNS,
    )


# The command

STAGES = """
import sys
from benchmark.cases import Case
from benchmark.stages import measure
measure(Case.from_json(sys.argv[1])).to_csv(sys.argv[2], index=False, float_format="%.1f")
"""


def measure_stages(chosen: Sequence[Case], folder: Path) -> None:
    """Write ``stages.csv``: where an image's time goes at each size, each in a process of its own.

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
    names = ", ".join(CONTENDERS)
    files = " and ".join(f"{count} at {size} px" for size, count in FILES.items())
    parser.add_argument("--rounds", type=int, help=f"timed rounds ({ROUNDS})")
    parser.add_argument("--sizes", type=int, nargs="+", choices=list(FILES), default=list(FILES))
    parser.add_argument("--images", type=int, nargs="+", choices=(1, 2), default=[1, 2])
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument(
        "--contenders",
        nargs="+",
        choices=CONTENDERS,
        default=list(CONTENDERS),
        metavar="NAME",
        help=f"beside the textbook pipeline: {names}",
    )
    parser.add_argument("--seconds", type=float, help=f"a round at least ({SECONDS})")
    parser.add_argument(
        "--files",
        type=int,
        help=f"samples in an epoch ({files}; slow contenders read a part of them)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="2 short rounds, a quarter of the files"
    )
    parser.add_argument("--out", type=Path, help="folder for the results")
    options = parser.parse_args(arguments)
    for name in ("rounds", "files"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name}: expected 1 or more, found {value}")
    everything = parser.parse_args([])
    partial = ("sizes", "images", "sources", "contenders", "files", "quick", "seconds")
    options.whole = all(getattr(options, name) == getattr(everything, name) for name in partial)
    if options.out is None and options.whole:
        options.out = HERE
    options.rounds = options.rounds or (2 if options.quick else ROUNDS)
    options.seconds = options.seconds or (0.5 if options.quick else SECONDS)
    return options


def chosen_cases(options: argparse.Namespace) -> list[tuple[int, int, str]]:
    """Return size, images and source of the cases that the options ask for."""
    return [
        (size, images, source)
        for size, images, source in CASES
        if size in options.sizes and images in options.images and source in options.sources
    ]


def cases(options: argparse.Namespace, root: Path) -> Iterator[Case]:
    """Write the images that are needed, and yield the cases."""
    written: dict[tuple[int, str], tuple[str, ...]] = {}
    chosen = chosen_cases(options)
    for size, images, source in chosen:
        ending = "jpg" if source == "jpeg" else "png"
        if (size, ending) not in written:
            files = options.files or FILES[size] // (4 if options.quick else 1)
            most = max(n for s, n, kind in chosen if (s, kind == "jpeg") == (size, ending == "jpg"))
            written[size, ending] = tuple(write_images(root, size, files, most, ending))
        yield Case(size, written[size, ending][:images], source)


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
    chosen = [(case, of_case(names, *case[1:])) for case in chosen_cases(options)]
    steps = (options.rounds + 3) * sum(len(entries) for _, entries in chosen)
    results: list[pd.DataFrame] = []
    whole: dict[int, Case] = {}
    try:
        with (
            tempfile.TemporaryDirectory() as root,
            tqdm(total=steps, unit="step", disable=None) as progress,
        ):
            progress.set_description("writing images")
            for case, (_, entries) in zip(cases(options, Path(root)), chosen, strict=True):
                whole.setdefault(case.size, case)
                results.append(
                    measure_case(case, entries, options.rounds, options.seconds, progress)
                )
                (named,) = report.by_case(results[-1])
                progress.write(report.as_text(*named) + "\n", file=sys.stdout)
            if options.out is not None:
                options.out.mkdir(parents=True, exist_ok=True)
                pd.concat(results).to_csv(
                    options.out / "results.csv", index=False, float_format="%.4g"
                )
                report.machine(options.rounds).to_csv(options.out / "machine.csv", index=False)
                report.write(options.out)
            if options.whole:
                progress.set_description("stages")
                measure_stages(list(whole.values()), options.out)
    except ContenderError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbench: stopped", file=sys.stderr)
        return 130
    return 1 if any(table.refused.notna().any() for table in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
