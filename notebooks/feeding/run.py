"""Try every way on every backend, each backend in a process of its own: `make feeding`.

All start from the weights of one file. What was found goes to ``results.jsonl``, a line for each
way or trap and backend; a line stays as it was where its package is not installed.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RESULTS = Path(__file__).with_name("results.jsonl")
SAVE_START = "from feeding import samples; samples.build_model().save_weights({!r})"


def backends():
    known = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
    return [name for name, package in known.items() if importlib.util.find_spec(package)]


def python(backend, *arguments):
    """Run Python in this folder's parent with a backend of Keras, and return what it prints."""
    quiet = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=RESULTS.parents[1],
        env=os.environ | quiet,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def results(names=()):
    """Return the lines by name and backend."""
    with tempfile.TemporaryDirectory() as folder:
        start = str(Path(folder) / "start.weights.h5")
        python("tensorflow", "-c", SAVE_START.format(start))
        printed = [python(backend, "-m", "feeding.fit", start, *names) for backend in backends()]
    return by_name("".join(printed))


def by_name(text):
    lines = [json.loads(line) for line in text.splitlines()]
    return {(line["name"], line["backend"]): line for line in lines}


def main():
    parser = argparse.ArgumentParser(prog="make feeding", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="file for the results")
    parser.add_argument("names", nargs="*", help="ways or traps; all when none is given")
    options = parser.parse_args()
    out = options.out
    stored = by_name(out.read_text(encoding="utf-8")) if out.exists() else {}
    lines = stored | results(options.names)
    out.write_text("".join(f"{json.dumps(line)}\n" for line in lines.values()), encoding="utf-8")


if __name__ == "__main__":
    main()
