"""The benchmark's arithmetic, its proofs, its report, and one small run from end to end.

Nothing here asserts a time, and nothing needs more than the lessons' environment.
"""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from benchmark import affine, measure, processes, proof, report, run, worker
from benchmark.cases import AUGMENTATION, BATCH, Case, write_pictures
from benchmark.contenders import CONTENDERS, LIMITS, TEXTBOOK, Entry, of_case

ROOT = Path(__file__).resolve().parent.parent
ROWS = 40


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(64, tuple(write_pictures(tmp_path_factory.mktemp("pictures"), 64, ROWS)))


# Arithmetic


def test_ratios_are_of_the_same_round() -> None:
    assert measure.ratios([30, 10], [10, 20]) == [3.0, 0.5]
    with pytest.raises(ValueError, match="expected 2 rounds, found 1"):
        measure.ratios([30], [10, 20])


def test_the_median_is_that_of_the_ratios() -> None:
    # The ratio of the medians would be 2.
    assert measure.spread(measure.ratios([1, 4, 9], [1, 1, 2])) == measure.Spread(4, 1, 4.5)


def test_rounds_are_whole_epochs_and_last_long_enough() -> None:
    assert measure.rounds_of(1.5, 0.5) == 3
    assert measure.rounds_of(1.5, 0.49) == 4
    assert measure.rounds_of(1.5, 60) == 1


def test_the_order_alternates() -> None:
    assert [measure.order("abc", number) for number in range(2)] == [list("abc"), list("cba")]


def measured(name: str, rates: list[float], **changes: object) -> run.Measured:
    fields = {"epochs_a_round": 1, "first_memory": 1, "proof": None} | changes
    return run.Measured(CONTENDERS[name], None, **fields, rates=rates)


def test_rows_compare_with_the_textbook_and_the_limit_of_the_same_round() -> None:
    running = {
        "textbook": measured("textbook", [10, 20]),
        "recipes": measured("recipes", [40, 60], first_memory=5, last_memory=7, epochs=9),
        "decode-warp": measured("decode-warp", [50, 120]),
    }
    textbook, recipes, limit = run.rows_of(running, "disk")
    assert recipes.ratio == measure.Spread(3.5, 3, 4)
    assert recipes.share == measure.Spread(0.65, 0.5, 0.8)
    assert (recipes.rate, recipes.memory, recipes.epochs) == (50, (5, 7), 9)
    assert textbook.ratio == measure.Spread(1, 1, 1)
    assert limit.share is None


def test_a_contender_that_does_not_sit_still_is_noted() -> None:
    idle, busy = (measured("grain", [1], idle=used) for used in (0.01, 0.5))
    assert run.notes_of({"grain": idle}) == []
    assert "used 50% of a core while it waited" in run.notes_of({"grain": busy})[0]


# Contenders


def test_every_case_has_its_reference_and_its_limit() -> None:
    for source in ("disk", "memory"):
        entries = of_case(list(CONTENDERS), source)
        names = [entry.name for entry in entries]
        assert names[0] == TEXTBOOK
        assert LIMITS[source] in names
        assert all(source in entry.sources for entry in entries)
    assert [entry.name for entry in of_case(["warp"], "disk")] == [TEXTBOOK]


def test_the_matrix_is_that_of_the_textbook_generator() -> None:
    draws = np.random.default_rng(0)
    turn, down, across, tall, wide, flip = np.random.default_rng(0).random(6)
    assert flip > 0.5  # not flipped, so the check is of all other parts
    angle = np.deg2rad((2 * turn - 1) * AUGMENTATION["rotation_range"])
    shift = np.array([(2 * across - 1) * 0.1 * 64, (2 * down - 1) * 0.1 * 64])
    zoom = np.diag([0.8 + 0.4 * wide, 0.8 + 0.4 * tall])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix, centre = affine.draw(draws, 64), np.array([31.5, 31.5])
    for point in ([0, 0], [63, 10]):
        expected = rotation @ (zoom @ (point - centre) + shift) + centre
        np.testing.assert_allclose(matrix @ [*point, 1], expected)


# Proofs


def batches(case: Case) -> list[tuple[list[np.ndarray], np.ndarray]]:
    """Return an epoch that is as it should be: nothing augmented."""
    groups = np.split(np.arange(case.rows), range(BATCH, case.rows, BATCH))
    read = proof._read
    return [
        (
            [
                np.stack([read(paths[row]) for row in rows]).astype("float32") / 255
                for paths in case.paths
            ],
            rows,
        )
        for rows in groups
    ]


def test_a_whole_epoch_is_proven(case: Case) -> None:
    kept = []
    found = proof.check_epoch(batches(case), case, lambda number, arrays: kept.append(arrays))
    assert found.samples == ROWS
    assert found.strength < 0.001
    assert [len(arrays[0]) for arrays in kept] == [32, 8]


def drop_row(epoch: list) -> None:
    epoch[1] = ([array[:-1] for array in epoch[1][0]], epoch[1][1][:-1])


def repeat_row(epoch: list) -> None:
    epoch[0][1][3] = epoch[0][1][4]


def wrong_dtype(epoch: list) -> None:
    epoch[0][0][0] = epoch[0][0][0].astype("float64")


def wrong_scale(epoch: list) -> None:
    epoch[0][0][0] *= 255


def not_a_number(epoch: list) -> None:
    epoch[0][0][1][0, 0, 0, 0] = np.nan


def wrong_shape(epoch: list) -> None:
    epoch[0][0][1] = epoch[0][0][1][:, 1:]


def one_picture(epoch: list) -> None:
    epoch[0][0].pop()


def unknown_row(epoch: list) -> None:
    epoch[1][1][0] = ROWS


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (drop_row, r"^epoch: expected each of 40 rows once, found 1 missing \(row 39 …\)$"),
        (repeat_row, r"found 1 missing \(row 3 …\), 1 more than once \(row 4 …\)$"),
        (wrong_dtype, r"^batch 0: expected float32, found float64$"),
        (wrong_scale, r"^batch 0: expected values from 0 to 1, found "),
        (not_a_number, r"^batch 0: expected values from 0 to 1, found nan"),
        (wrong_shape, r"expected pictures of shape \(32, 64, 64, 3\), found \(32, 63, 64, 3\)$"),
        (one_picture, r"^batch 0: expected 2 pictures, found 1$"),
        (unknown_row, r"^batch 1: expected rows from 0 to 39, found 33 to 40$"),
    ],
)
def test_a_faulty_epoch_is_refused(case: Case, fault: object, line: str) -> None:
    epoch = batches(case)
    fault(epoch)
    with pytest.raises(proof.ProofError, match=line):
        proof.check_epoch(epoch, case)


def test_rows_that_are_not_those_of_the_pictures_are_refused(case: Case) -> None:
    shifted = [(pictures, (rows + 1) % ROWS) for pictures, rows in batches(case)]
    found = proof.check_epoch(shifted, case)
    with pytest.raises(proof.ProofError, match=r"^augmentation: expected a mean change of 9\.0"):
        proof.check_strength(found, proof.Proof(ROWS, 9.0, 0.9))


@pytest.mark.parametrize(("strength", "error", "fits"), [(10.9, 0, 1), (12, 0, 0), (12, 0.5, 1)])
def test_the_same_augmentation_is_demanded_as_far_as_chance_allows(
    strength: float, error: float, fits: bool
) -> None:
    found, textbook = proof.Proof(9, strength, error), proof.Proof(9, 10, 0)
    if fits:
        proof.check_strength(found, textbook)
    else:
        with pytest.raises(proof.ProofError, match=r"change of 10\.0 grey .* found 12\.0$"):
            proof.check_strength(found, textbook)


def test_two_pictures_of_one_file_must_stay_equal() -> None:
    one = np.zeros((2, 4, 4, 3), "float32")
    proof.check_pair(one, one + 0.001)
    with pytest.raises(proof.ProofError, match="a difference of 3 grey levels"):
        proof.check_pair(one, one + 0.01)


def test_pixels_are_compared_in_the_textbooks_order(tmp_path: Path) -> None:
    rows, pictures = np.arange(2), np.zeros((2, 4, 4, 3), "float32")
    worker.save_batch(tmp_path, 0, [rows, pictures])
    worker.save_batch(tmp_path, 1, [rows, pictures + np.float32(0.5)])
    textbook = [[rows, pictures], [rows, pictures]]
    assert proof.largest_difference(worker.load_batches(tmp_path), textbook) == 127.5
    with pytest.raises(proof.ProofError, match="the textbook's rows in batch 0, in order"):
        proof.largest_difference([[rows[::-1], pictures]] * 2, textbook)
    with pytest.raises(proof.ProofError, match="as many batches"):
        proof.largest_difference(textbook[:1], textbook)


class Repeats:
    """Delivers one batch too many in its third epoch."""

    def __init__(self, case: Case) -> None:
        self.epochs = 0
        self.batches = batches(case)

    def epoch(self) -> object:
        self.epochs += 1
        return iter(self.batches + self.batches[:1] * (self.epochs == 4))


def test_a_timed_round_that_is_not_whole_is_refused(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Entry, "load", lambda _: Repeats)
    work = worker.Work(CONTENDERS["grain"], case, tmp_path / "kept")
    assert work.answer({"do": "prove"})["proof"]["samples"] == ROWS
    assert work.answer({"do": "round", "epochs": 2}) == {
        "error": f"round: expected {2 * ROWS} samples, found {2 * ROWS + BATCH}"
    }


# Report


def result(source: str = "disk", **changes: object) -> report.Result:
    def row(name: str, ratio: float, share: float | None) -> measure.Row:
        entry = CONTENDERS[name]
        return measure.Row(
            name,
            entry.title,
            entry.kind,
            100 * ratio,
            measure.Spread(ratio, ratio - 0.1, ratio + 0.1),
            None if share is None else measure.Spread(share, share, share),
            0.0004 if entry.same_pixels else None,
            (100_000_000, 101_000_000),
            12,
        )

    rows = [row("recipes", 6.25, 0.8), row("textbook", 1, 0.1), row("grain", 5, 0.6)]
    rows += [row("tf-graph", 4, 0.5), row(LIMITS[source], 8, None)]
    case = Case(64, ("imagery", "relief"), source)
    return dataclasses.replace(report.Result(case, rows), **changes)


def test_the_table_says_what_was_measured_from_slow_to_fast() -> None:
    text = report.as_text(result(refused={"pytorch": "it dropped a row"}, notes=["it is loud"]))
    lines = text.splitlines()
    assert lines[0] == "64 px, 2 pictures a sample, from disk"
    titles = [CONTENDERS[n].title for n in ("textbook", "tf-graph", "grain", "recipes")]
    places = [next(i for i, line in enumerate(lines) if line.startswith(t)) for t in titles]
    assert places == sorted(places)
    cells = lines[places[-1]].split()
    assert cells == ["recipes", "6.25", "6.15–6.35", "625", "0.80", "0.0004", *cells[-5:]]
    assert cells[-5:] == ["100", "→", "101", "(12", "epochs)"]
    assert f"Best alternative: {CONTENDERS['grain'].title}, 5.0 × the textbook" in text
    assert "Refused: pytorch: it dropped a row" in text
    assert "Note: it is loud." in text


def test_results_are_written_as_text_numbers_and_picture(tmp_path: Path) -> None:
    report.write([result(), result("memory")], 5, tmp_path)
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "median of 5 rounds" in text
    assert "| recipes | 6.25 | 6.15–6.35 | 625 | 0.80 | 0.0004 | 100 → 101 (12 epochs) |" in text
    assert "| Python |" in text
    assert "| processor |" in text
    assert str(ROOT) not in text
    table = pd.read_csv(tmp_path / "results.csv")
    row = table.query("contender == 'recipes' and source == 'memory'").iloc[0]
    assert (row["size"], row.pictures, row.times_textbook, row.of_limit) == (64, 2, 6.25, 0.8)
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")
    title = "Recipes feed the textbook pipeline's own pixels 6.2 × from disk, 6.2 × from memory"
    assert report.headline([result(), result("memory")]) == title


# The command


def test_only_a_whole_run_overwrites_the_stored_results() -> None:
    assert run.parse([]).out == run.parse(["--rounds", "7"]).out == run.HERE
    for part in (["--quick"], ["--sizes", "64"], ["--contenders", "grain"], ["--files", "64"]):
        assert run.parse(part).out is None
    assert run.parse(["--quick", "--out", "there"]).out == Path("there")


def test_a_quick_run_may_still_be_told_how_many_rounds() -> None:
    assert [run.parse(given).rounds for given in ([], ["--quick"])] == [run.ROUNDS, 2]
    assert run.parse(["--quick", "--rounds", "9"]).rounds == 9


def test_a_contender_that_cannot_be_loaded_says_why_in_one_line(case: Case, tmp_path: Path) -> None:
    with processes.Processes() as started:
        with pytest.raises(processes.ContenderError, match=r"^KeyError: 'nobody'$"):
            started.start("nobody", case, tmp_path)
        with pytest.raises(processes.ContenderError, match=r"round.* unexpected .*'laps'"):
            started.start("copy", case, tmp_path).ask(do="round", laps=1)


def test_leaving_the_block_leaves_no_process(case: Case, tmp_path: Path) -> None:
    def broken_off() -> None:
        with processes.Processes() as started:
            pids.append(started.start("copy", case, tmp_path)._popen.pid)
            raise KeyboardInterrupt

    pids: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert not psutil.pid_exists(pids[0])


def test_a_small_run_from_end_to_end(tmp_path: Path) -> None:
    options = "--sizes 64 --pictures 2 --sources memory --files 40 --rounds 2 --seconds 0.01 "
    options += "--contenders copy"
    done = subprocess.run(
        [sys.executable, "-m", "benchmark.run", *options.split(), "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("64 px, 2 pictures a sample, from memory\n")
    table = pd.read_csv(tmp_path / "results.csv").set_index("contender")
    assert list(table.index) == ["textbook", "copy"]
    assert table.times_textbook["textbook"] == 1
    assert table.pictures_per_second["textbook"] > 0
