"""Run every check on each Python, and on the newest packages: ``make test-matrix``.

    python tools/matrix.py                    3.11, 3.12 and 3.13 with the lock, then the newest
    python tools/matrix.py 3.12 newest        some of them

Each runs in a clone of its own under build/matrix, of what is committed, so that nothing that is
installed or left over here can help. "newest" is the first Python with what `make lock
ARGS=--upgrade` finds today. A table at the end says what passed; the logs stay in build/matrix.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "build" / "matrix"
NEWEST = "newest"
RUNS = ("3.11", "3.12", "3.13", NEWEST)


def run(name: str, base: str = RUNS[0]) -> str:
    """Clone, set up and test; return what there is to say of it.

    Parameters
    ----------
    name
        A Python's version, or "newest".
    base
        The Python on which the newest packages are tried.

    Returns
    -------
    str
        The last line of pytest, the step that failed, or that there is no such Python.
    """
    python = shutil.which(f"python{base if name == NEWEST else name}")
    if python is None:
        return f"not run: found no python{base if name == NEWEST else name} on the path"
    clone, log = PLACE / name, PLACE / f"{name}.log"
    shutil.rmtree(clone, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    steps = [["make", "test"]]
    if name == NEWEST:
        steps = [["make", "lock", "ARGS=--upgrade"], ["make", "test"]]
    with log.open("w", encoding="utf-8") as out:
        for step in steps:
            command = [*step, f"PYTHON={python}"]
            done = subprocess.run(command, cwd=clone, stdout=out, stderr=out, check=False)
            if done.returncode:
                break
    lines = log.read_text(encoding="utf-8").splitlines()
    told = [line.strip("= ") for line in lines if " passed" in line or " failed" in line]
    if done.returncode and not told:
        return f"{' '.join(step)} failed: see {log.relative_to(ROOT)}"
    return told[-1] if told else "nothing was tested"


def main(names: list[str]) -> int:
    """Run those that are asked for, one after the other, and print the table."""
    wrong = [name for name in names if name not in RUNS]
    if wrong:
        print(f"matrix: found {wrong[0]!r}, expected some of {', '.join(RUNS)}", file=sys.stderr)
        return 2
    PLACE.mkdir(parents=True, exist_ok=True)
    os.environ.pop("PYTHONPATH", None)
    results = {}
    for name in names or RUNS:
        begin = time.monotonic()
        results[name] = run(name)
        print(f"{name:8}{results[name]}  ({time.monotonic() - begin:.0f} s)", flush=True)
    return int(any("failed" in told or " passed" not in told for told in results.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
