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
from benchmark.proof import COMPARED, ProofError, check_bits, check_epoch, check_pair

__all__ = ["Work", "main"]

AHEAD = 8  # batches; more are not made in the moment between a round's end and the pause after it


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

    def prove(self) -> dict[str, Any]:
        """Check one epoch, and time another to warm up."""
        answer: dict[str, Any] = {}
        if self.entry.kind == "limit":
            self._run(1)
        else:
            answer["proof"] = dataclasses.asdict(check_epoch(self.contender.epoch(), self.case))
            self.epochs += 1
        answer["memory"] = memory()
        answer["epoch"] = self._run(1)
        return answer

    def round(self, epochs: int) -> dict[str, Any]:
        """Run so many whole epochs, and say how long they took; nothing else, so as to stop soon.

        A contender whose iterator lasts has some batches ready by then: they are taken untimed.
        """
        if getattr(self.contender, "lasts", False):
            for _ in itertools.islice(self.contender.epoch(), AHEAD):
                pass
        return {"seconds": self._run(epochs)}

    def last(self) -> dict[str, Any]:
        """Check bits and pairs, with contenders of their own on some of the files.

        A sample is given the same file twice: it must come out as two equal images.
        """
        answer = {"memory": memory(), "epochs": self.epochs}
        few = dataclasses.replace(self.case, share=4 * self.case.share)
        if self.entry.bits:
            from benchmark.contenders import textbook

            keras = textbook.by_keras(few)
            if self.entry.bits == "flow":
                # Its generator alone, since tf.data reads ahead: two flows at once would share
                # NumPy's random state.
                keras = textbook.Textbook(few).batches()
            expected = list(itertools.islice(keras, COMPARED))
            check_bits(self.entry.load()(few).epoch(), expected)
        if self.entry.kind != "limit" and len(few.folders) > 1:
            twin = dataclasses.replace(few, folders=few.folders[:1] * 2)
            for images, _ in itertools.islice(self.entry.load()(twin).epoch(), 2):
                check_pair(*(np.asarray(image) for image in images))
        return answer

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer one question; an error is an answer too."""
        try:
            asked: dict[str, Callable[..., dict[str, Any]]]
            asked = {"prove": self.prove, "round": self.round, "last": self.last}
            return asked[question.pop("do")](**question)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return {"error": one_line(error)}

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


def memory() -> int:
    """Return the peak resident memory of this process, and what those below it add, in bytes.

    Pages that a process shares with the one that it was split off from count once.
    """
    this = psutil.Process()
    total = peak(this)
    for process in this.children(recursive=True):
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
