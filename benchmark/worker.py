"""A contender's own process: proves what it delivers, then waits to be asked for rounds.

The parent writes one JSON object a line to standard input and reads one line a question from what
was standard output. What libraries print goes to standard error, which the parent keeps in a file.
The process ends when its input does, and takes every process of its session with it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmark.cases import Case
from benchmark.contenders import CONTENDERS, Entry
from benchmark.proof import ProofError, check_bits, check_epoch, check_pair

__all__ = ["Work", "main"]


class Work:
    """One contender and the answers to the parent's questions.

    Parameters
    ----------
    entry : Entry
        The contender; loaded here.
    case : Case
        What it delivers.
    """

    def __init__(self, entry: Entry, case: Case) -> None:
        self.entry = entry
        self.case = case
        self.contender = entry.load()(case)
        self.epochs = 0
        self._rest()

    def prove(self) -> dict[str, Any]:
        """Check one epoch, and time another to warm up."""
        answer: dict[str, Any] = {}
        if self.entry.kind == "limit":
            self._run(1)
        else:
            answer["proof"] = dataclasses.asdict(check_epoch(self.contender.epoch(), self.case))
            self.epochs += 1
        answer["memory"] = memory()
        self._lead_in()
        answer["epoch"] = self._run(1)
        return answer

    def round(self, epochs: int) -> dict[str, Any]:
        """Run so many whole epochs, and say how long they took."""
        idle, waited = cpu_seconds() - self._used, time.perf_counter() - self._since
        self._lead_in()
        seconds = self._run(epochs)
        return {
            "seconds": seconds,
            "epochs": self.epochs,
            "memory": memory(),
            "idle": idle / waited if waited > 1 else 0.0,  # after less, it is bookkeeping
        }

    def last(self) -> dict[str, Any]:
        """Check bits and pairs, with contenders of their own on some of the files.

        A sample is given the same file twice: it must come out as two equal images.
        """
        few = dataclasses.replace(self.case, share=4 * self.case.share)
        if self.entry.bits:
            from benchmark.contenders import textbook

            keras = textbook.by_keras(few)
            if self.entry.bits == "flow":
                keras = textbook.Textbook(few).epoch()
            check_bits(self.entry.load()(few).epoch(), keras)
        if self.entry.kind != "limit" and len(few.folders) > 1:
            twin = dataclasses.replace(few, folders=few.folders[:1] * 2)
            for images, _ in itertools.islice(self.entry.load()(twin).epoch(), 2):
                check_pair(*(np.asarray(image) for image in images))
        return {}

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer one question; an error is an answer too."""
        try:
            asked: dict[str, Callable[..., dict[str, Any]]]
            asked = {"prove": self.prove, "round": self.round, "last": self.last}
            found = asked[question.pop("do")](**question)
            self._rest()
            return found
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return {"error": one_line(error)}

    def _lead_in(self) -> None:
        """Let a contender that worked ahead while it waited use that up, untimed."""
        if getattr(self.contender, "lead_in", False):
            self._run(1)

    def _rest(self) -> None:
        """Note what has been used so far: from now on this process should use nothing."""
        self._used, self._since = cpu_seconds(), time.perf_counter()

    def _run(self, epochs: int) -> float:
        rows = 0
        start = time.perf_counter()
        for _ in range(epochs):
            for _, batch_rows in self.contender.epoch():
                rows += int(batch_rows.shape[0])
        seconds = time.perf_counter() - start
        self.epochs += epochs
        expected = self.case.rows * epochs
        if rows != expected:
            raise ProofError(f"round: expected {expected} samples, found {rows}")
        return seconds


def family() -> list[psutil.Process]:
    """Return this process and all that it started, and they, and so on."""
    this = psutil.Process()
    return [this, *this.children(recursive=True)]


def cpu_seconds() -> float:
    """Return the processor time that this process and those below it have used."""
    used = 0.0
    for process in family():
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            used += times.user + times.system
    return used


def memory() -> int:
    """Return the peak resident memory of this process, and what those below it add, in bytes.

    Pages that a process shares with the one that it was split off from count once.
    """
    this, *below = family()
    total = peak(this)
    for process in below:
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().uss
    return total


def peak(this: psutil.Process) -> int:
    """Return the most resident memory that this process has had so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent had before the split
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    if os.name == "nt":
        return int(this.memory_info().peak_wset)
    import resource

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # macOS: bytes


def one_line(error: BaseException) -> str:
    """Return what an error says, cut to a line; its type's name where it is not ours."""
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, ProofError) else f"{type(error).__name__}: {text}"


def main(arguments: list[str]) -> None:
    """Serve the parent until it closes the pipe.

    Parameters
    ----------
    arguments : list of str
        The contender's name, and the case as JSON.
    """
    name, case = arguments
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        work = Work(CONTENDERS[name], Case.from_json(case))
        first: dict[str, Any] = {}
    except Exception as error:
        first = {"error": one_line(error)}
    print(json.dumps(first), file=answers, flush=True)
    if not first:
        for line in sys.stdin:
            print(json.dumps(work.answer(json.loads(line))), file=answers, flush=True)
    if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)  # nothing that was started here is left behind


if __name__ == "__main__":
    main(sys.argv[1:])
