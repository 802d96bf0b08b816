"""The other ways to feed: the lesson has their code, and their stored results are found again.

The second needs the packages of the benchmark's environment. Where there is none the test is
skipped, unless ``FEEDING_REQUIRED`` is set, as ``.ci/run`` does.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FEEDING = ROOT / "notebooks" / "feeding"
WAYS = ["tf.data", "generator", "PyDataset", "PyDataset, 2 threads", "Grain"]


def read(path):
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(line["name"], line["backend"]): line for line in lines}


STORED = read(FEEDING / "results.jsonl")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Try all ways again, in the environment that has the packages."""
    folder = "Scripts" if os.name == "nt" else "bin"
    python = ROOT / ".venv-bench" / folder / "python"
    has_jax = "import importlib.util as u; raise SystemExit(not u.find_spec('jax'))"
    if not python.exists() or subprocess.run([str(python), "-c", has_jax], check=False).returncode:
        why = "found no .venv-bench with jax: run `make feeding`"
        if os.environ.get("FEEDING_REQUIRED"):
            pytest.fail(why)
        pytest.skip(why)
    out = tmp_path_factory.mktemp("feeding") / "results.jsonl"
    command = [str(python), "-m", "feeding.run", "--out", str(out)]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=FEEDING.parent, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return read(out)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_every_way_is_tried_again_with_the_stored_result(found, backend):
    for way in WAYS:
        new, stored = found[way, backend], STORED[way, backend]
        assert new["loss"] == pytest.approx(stored["loss"], rel=0.01), way
        counted = new.keys() - {"loss", "land_cover_loss", "composition_loss"}
        assert {key: new[key] for key in counted} == {key: stored[key] for key in counted}, way


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_every_trap_is_still_one(found, backend):
    name = "Grain's processes"
    assert found[name, backend] == STORED[name, backend]
    name = "Grain without steps"
    assert found[name, backend]["steps"] == STORED[name, backend]["steps"]
    order = found["order of batches", backend]
    in_order = list(range(15))
    assert order["one worker"] == order["two threads, built first"] == in_order
    assert (order["two threads"] == in_order) == (backend == "tensorflow")
    assert len(order["two threads"]) == 15


def test_all_stored_ways_give_the_same_losses():
    (first, second) = STORED["tf.data", "tensorflow"]["loss"]
    ways = [line for (name, _), line in STORED.items() if name in {*WAYS, "DataLoader"}]
    assert len(ways) >= 2 * len(WAYS)
    for line in ways:
        assert line["loss"] == pytest.approx([first, second], rel=1e-4), line["name"]
        assert line["steps"] == 30


def test_the_lesson_has_the_code_that_was_tried():
    (lesson,) = (
        text
        for path in ROOT.glob("notebooks/other_ways_to_feed.ipynb")
        if "feeding/results.jsonl" in (text := path.read_text(encoding="utf-8"))
    )
    cells = ["".join(cell["source"]) for cell in json.loads(lesson)["cells"]]
    for name, begin, end in (
        ("samples", "def read", "\n\n\ndef build_model"),
        ("tf_data", "def load", "\n\n\ndef feed"),
        ("tf_data", "def feed", "\n\n\ndef rest"),
        ("py_dataset", "class Batches", "\n\n\ndef feed"),
    ):
        text = (FEEDING / f"{name}.py").read_text(encoding="utf-8")
        part = text[text.index(begin) : text.index(end)]
        assert any(cell.endswith(part) for cell in cells), f"{name}.py: {begin}"
