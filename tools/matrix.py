"""Run every check on each Python, and on the newest packages: ``make test-matrix``.

    python tools/matrix.py                    all that RUNS names
    python tools/matrix.py 3.12 newest        some of them

Each runs in a clone of its own under build/matrix, of what is committed, so that nothing that is
installed or left over here can help. The log of each stays there, and its last line is printed.
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

# What Colab has, and the helpers whose tests do not rest on the very words of a TensorFlow.
COLAB = ("tensorflow==2.20.*", "keras==3.13.*")
HELPERS = (
    "audit contract datasets fast generators images models parallel plots tiles transforms warp"
)
TESTS = sorted(
    str(path.relative_to(ROOT))
    for name in HELPERS.split()
    for path in ROOT.glob(f"tests/test_{name}*.py")
)

# Name: the Python, and the commands.
RUNS = {
    **{version: (version, [["make", "test"]]) for version in ("3.11", "3.12", "3.13")},
    "newest": ("3.12", [["make", "lock", "ARGS=--upgrade"], ["make", "test"]]),
    "colab": (
        "3.13",
        [
            ["make", "setup"],
            [".venv/bin/uv", "pip", "install", "--python", ".venv/bin/python", *COLAB],
            [".venv/bin/python", "-m", "pytest", "-q", *TESTS],
        ],
    ),
}


def run(name: str) -> str:
    """Clone, run the commands up to one that fails; return what there is to say of it.

    Parameters
    ----------
    name
        One of `RUNS`.

    Returns
    -------
    str
        The last line of pytest, the step that failed, or that there is no such Python.
    """
    version, steps = RUNS[name]
    python = shutil.which(f"python{version}")
    if python is None:
        return f"not run: found no python{version} on the path"
    clone, log = PLACE / name, PLACE / f"{name}.log"
    shutil.rmtree(clone, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    with log.open("w", encoding="utf-8") as out:
        for step in steps:
            command = [*step, f"PYTHON={python}"] if step[0] == "make" else step
            done = subprocess.run(command, cwd=clone, stdout=out, stderr=out, check=False)
            if done.returncode:
                break
    lines = log.read_text(encoding="utf-8").splitlines()
    told = [line.strip("= ") for line in lines if " passed" in line or " failed" in line]
    if done.returncode and not told:
        return f"{' '.join(step[:3])} failed: see {log.relative_to(ROOT)}"
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
