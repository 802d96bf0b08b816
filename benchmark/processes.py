"""Starting contenders' processes, asking them, and leaving none behind.

A process that has answered is paused until it is asked again: what is not timed uses no core, and
makes nothing ahead of its round.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from benchmark.cases import Case

__all__ = ["ContenderError", "Process", "Processes"]

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 900  # seconds that an answer may take
GRACE = 5  # seconds that processes have to end by themselves


class ContenderError(RuntimeError):
    """A contender cannot be measured; one line says why."""


class Process:
    """One contender in a process and a session of its own.

    Parameters
    ----------
    name : str
        The contender.
    case : Case
        What it delivers.
    folder : Path
        Where its log is put.
    """

    def __init__(self, name: str, case: Case, folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._answers: queue.Queue[str] = queue.Queue()
        with self.log.open("wb") as log:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "benchmark.worker", name, case.to_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env=os.environ | {"NO_ALBUMENTATIONS_UPDATE": "1", "TF_CPP_MIN_LOG_LEVEL": "2"},
                text=True,
                start_new_session=True,  # Ctrl-C reaches the parent only, which ends the rest
            )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            self._answers.put(line)
        self._answers.put("")

    def ask(self, **question: Any) -> dict[str, Any]:
        """Put a question and return the answer.

        Raises
        ------
        ContenderError
            If the answer is an error, or there is none.
        """
        assert self._popen.stdin is not None
        self._each(psutil.Process.resume)
        try:
            self._popen.stdin.write(json.dumps(question) + "\n")
            self._popen.stdin.flush()
        except OSError:
            raise ContenderError(self._last_words()) from None
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Wait for the next answer; the first one comes unasked, once the contender is ready.

        Raises
        ------
        ContenderError
            If it is an error, or none comes.
        """
        try:
            line = self._answers.get(timeout=PATIENCE)
        except queue.Empty:
            raise ContenderError(f"no answer in {PATIENCE} s") from None
        if not line:
            raise ContenderError(self._last_words())
        self._each(psutil.Process.suspend)
        found = json.loads(line)
        if "error" in found:
            raise ContenderError(found["error"])
        return found

    def _each(self, action: Callable[[psutil.Process], None]) -> None:
        """Do something to the process, and to all that it started, and they, and so on."""
        with contextlib.suppress(psutil.Error):
            this = psutil.Process(self._popen.pid)
            for process in (this, *this.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    action(process)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return f"its process ended; the last it said: {lines[-1] if lines else 'nothing'}"

    def hang_up(self) -> None:
        """Tell the process to end."""
        self._each(psutil.Process.resume)
        with contextlib.suppress(OSError):
            if self._popen.stdin is not None:
                self._popen.stdin.close()

    def end(self, deadline: float) -> None:
        """See that the process and all that it started are gone.

        Parameters
        ----------
        deadline : float
            Until when, by `time.monotonic`, they may end by themselves.
        """
        self.hang_up()
        below: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            below = psutil.Process(self._popen.pid).children(recursive=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout=max(0.0, deadline - time.monotonic()))
        if hasattr(os, "killpg"):
            with contextlib.suppress(OSError):
                os.killpg(self._popen.pid, signal.SIGKILL)
        for process in below:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._popen.kill()
        self._popen.wait()


class Processes:
    """The processes of one case, by name; on leaving the block, none is left.

    Examples
    --------
    ::

        with Processes() as processes:
            textbook = processes.start("textbook", case, folder)
            textbook.answer()  # that it is ready
            textbook.ask(do="prove")
    """

    def __init__(self) -> None:
        self._started: dict[str, Process] = {}

    def __enter__(self) -> Processes:
        """Return this."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End all of them; at once where the block was broken off."""
        for process in self._started.values():
            process.hang_up()
        deadline = time.monotonic() + (GRACE if kind is None else 0)
        for process in self._started.values():
            process.end(deadline)

    def start(self, name: str, case: Case, folder: Path) -> Process:
        """Start a contender's process; its first answer comes once it is ready."""
        process = self._started[name] = Process(name, case, folder)
        return process

    def stop(self, name: str) -> None:
        """End one of them now, if it runs."""
        if name in self._started:
            self._started.pop(name).end(time.monotonic())
