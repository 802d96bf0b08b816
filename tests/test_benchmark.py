"""The benchmark's arithmetic, its proofs, its report, and one small run from end to end.

Nothing here asserts a time, and nothing needs more than the lessons' environment.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image

from benchmark import opencv, processes, proof, report, run, worker
from benchmark.cases import AUGMENTATION, BATCH, CASES, FILES, PHOTOGRAPH, Case, write_images
from benchmark.contenders import CONTENDERS, LIMITS, TEXTBOOK, Entry, of_case, textbook

ROOT = Path(__file__).resolve().parent.parent
ROWS = 40


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(64, tuple(write_images(tmp_path_factory.mktemp("images"), 64, ROWS, 2, "png")))


# Cases


def test_photographs_are_jpeg_files_of_their_size(tmp_path: Path) -> None:
    (folder,) = write_images(tmp_path, 224, 6, 1, "jpg")
    photographs = Case(224, (folder,), "jpeg")
    assert photographs.rows == 6
    for path in photographs.paths[0]:
        with Image.open(path) as image:
            assert (image.format, image.size) == ("JPEG", PHOTOGRAPH[::-1])
        assert 30_000 < Path(path).stat().st_size < 120_000
        assert opencv.read(path, 224).shape == photographs.shape
    assert photographs.name == "224 px, one image a sample, from JPEG photographs of 500 × 375"


def test_a_slow_contender_reads_a_part_of_the_files(case: Case) -> None:
    many = Case(64, case.folders * 60)
    vars(many)["paths"] = ([str(number) for number in range(400)],)
    assert run.own_case(CONTENDERS[TEXTBOOK], many).share == 4
    assert run.own_case(CONTENDERS["plan"], many).share == 1
    assert run.own_case(CONTENDERS[TEXTBOOK], case).share == 1
    few = Case(64, case.folders, share=4)
    assert few.rows == ROWS // 4
    assert few.paths[0] == case.paths[0][::4]
    assert Case.from_json(few.to_json()) == few


# Arithmetic


def test_ratios_are_of_the_same_round() -> None:
    assert run.ratios([30, 10], [10, 20]) == [3.0, 0.5]
    with pytest.raises(ValueError, match="longer"):
        run.ratios([30], [10, 20])


def measured(name: str, rates: list[float], **changes: object) -> run.Measured:
    return run.Measured(CONTENDERS[name], None, None, rates=rates, **changes)


def test_lines_compare_with_the_textbook_and_the_limit_of_the_same_round(case: Case) -> None:
    running = {
        "textbook": measured("textbook", [1, 4, 9]),
        "plan": measured("plan", [4, 8, 81], first_memory=5, last_memory=7, epochs=9),
        "decode-warp": measured("decode-warp", [5, 16, 90]),
    }
    table = run.as_frame(case, run.lines_of(case, running)).set_index("contender")
    plan = table.loc["plan"]
    assert (plan.times_textbook, plan.low, plan.high) == (4, 2, 9)  # not 8 / 4, of the medians
    assert plan.of_limit == 0.8
    assert (plan.images_per_second, plan.first_memory, plan.last_memory, plan.epochs) == (
        8,
        5,
        7,
        9,
    )
    assert plan.bits == "equal"
    assert table.loc["textbook"].times_textbook == 1
    assert pd.isna(table.loc["decode-warp"].of_limit)


# Contenders


@pytest.mark.parametrize(("size", "images", "source"), CASES)
def test_every_case_has_its_reference_and_its_limit(size: int, images: int, source: str) -> None:
    names = [entry.name for entry in of_case(list(CONTENDERS), images, source)]
    assert names[0] == TEXTBOOK
    assert {LIMITS[source], "plan", "grain"} < set(names)
    assert ("per-sample" in names) == (images == 1 and source == "disk")
    assert ("grain-bare" in names) == (source == "memory")


def test_the_matrix_is_that_of_image_data_generator() -> None:
    draws = np.random.default_rng(0)
    angle, down, across, tall, wide, flip = np.random.default_rng(0).random(6)
    assert flip > 0.5  # not flipped, so the check is of all other parts
    angle = np.deg2rad((2 * angle - 1) * AUGMENTATION["rotation_range"])
    shift = np.array([(2 * across - 1) * 0.1 * 64, (2 * down - 1) * 0.1 * 64])
    zoom = np.diag([0.8 + 0.4 * wide, 0.8 + 0.4 * tall])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix, centre = opencv.sample(draws, 64), np.array([31.5, 31.5])
    for point in ([0, 0], [63, 10]):
        expected = rotation @ (zoom @ (point - centre) + shift) + centre
        np.testing.assert_allclose(matrix @ [*point, 1], expected)


def keras_batches(case: Case, bits: str) -> object:
    return textbook.by_keras(case) if bits == "table" else textbook.Textbook(case).epoch()


@pytest.mark.parametrize(
    ("entry", "source"),
    [(entry, source) for entry in CONTENDERS.values() if entry.bits for source in entry.sources],
)
def test_our_bits_are_those_of_keras(case: Case, entry: Entry, source: str, tmp_path: Path) -> None:
    if source == "jpeg":
        case = Case(48, tuple(write_images(tmp_path, 48, ROWS, 2, "jpg")))
    ours = Case(case.size, case.folders, source)
    proof.check_bits(entry.load()(ours).epoch(), keras_batches(case, entry.bits))
    other = "flow" if entry.bits == "table" else "table"
    with pytest.raises(proof.ProofError, match=r"^bits: expected the rows of Keras in batch 0"):
        proof.check_bits(entry.load()(ours).epoch(), keras_batches(case, other))


# Proofs


def batches(case: Case) -> list[tuple[list[np.ndarray], np.ndarray]]:
    """Return an epoch that is as it should be: nothing augmented."""
    groups = np.split(np.arange(case.rows), range(BATCH, case.rows, BATCH))
    read = proof._read
    return [
        (
            [
                np.stack([read(paths[row], case.size) for row in rows]).astype("float32") / 255
                for paths in case.paths
            ],
            rows,
        )
        for rows in groups
    ]


def test_a_whole_epoch_is_proven(case: Case) -> None:
    found = proof.check_epoch(batches(case), case)
    assert found.samples == ROWS
    assert found.strength < 0.001


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


def one_image(epoch: list) -> None:
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
        (wrong_shape, r"expected images of shape \(32, 64, 64, 3\), found \(32, 63, 64, 3\)$"),
        (one_image, r"^batch 0: expected 2 images, found 1$"),
        (unknown_row, r"^batch 1: expected rows from 0 to 39, found 33 to 40$"),
    ],
)
def test_a_faulty_epoch_is_refused(case: Case, fault: object, line: str) -> None:
    epoch = batches(case)
    fault(epoch)
    with pytest.raises(proof.ProofError, match=line):
        proof.check_epoch(epoch, case)


def test_rows_that_are_not_those_of_the_images_are_refused(case: Case) -> None:
    shifted = [(images, (rows + 1) % ROWS) for images, rows in batches(case)]
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


def test_two_images_of_one_file_must_stay_equal() -> None:
    one = np.zeros((2, 4, 4, 3), "float32")
    proof.check_pair(one, one + 0.001)
    with pytest.raises(proof.ProofError, match="a difference of 3 grey levels"):
        proof.check_pair(one, one + 0.01)


def test_a_single_bit_is_enough_to_be_refused(case: Case) -> None:
    proof.check_bits(batches(case), batches(case))
    changed = batches(case)
    changed[1][0][1][0, 0, 0, 0] = np.nextafter(changed[1][0][1][0, 0, 0, 0], np.float32(2))
    with pytest.raises(proof.ProofError, match=r"^bits: expected those of Keras in batch 1, found"):
        proof.check_bits(changed, batches(case))
    swapped = [(images, rows[::-1]) for images, rows in batches(case)]
    with pytest.raises(proof.ProofError, match="the rows of Keras in batch 0, in their order"):
        proof.check_bits(swapped, batches(case))
    with pytest.raises(ValueError, match="longer"):
        proof.check_bits(batches(case)[:1], batches(case))
    proof.check_bits(changed, batches(case), batches=1)


class Repeats:
    """Delivers one batch too many in its third epoch."""

    def __init__(self, case: Case) -> None:
        self.epochs = 0
        self.batches = batches(case)

    def epoch(self) -> object:
        self.epochs += 1
        return iter(self.batches + self.batches[:1] * (self.epochs == 3))


class Apart(Repeats):
    """Augments the images of a sample one by one, and keeps its own order."""

    def epoch(self) -> object:
        for (one, other), rows in self.batches:
            yield (one, other[:, :, ::-1]), rows


def test_a_timed_round_that_is_not_whole_is_refused(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Entry, "load", lambda _: Repeats)
    work = worker.Work(CONTENDERS["grain"], case)
    assert work.answer({"do": "prove"})["proof"]["samples"] == ROWS
    assert work.answer({"do": "round", "epochs": 2}) == {
        "error": f"round: expected {2 * ROWS} samples, found {2 * ROWS + BATCH}"
    }


def test_bits_and_pairs_are_proven_last(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Entry, "load", lambda _: Apart)
    for name, first in (("grain", "pairs: expected one transform"), ("plan", "bits: expected the")):
        work = worker.Work(CONTENDERS[name], case)
        assert work.answer({"do": "last"})["error"].startswith(first)


# Report


def results() -> pd.DataFrame:
    def line(name: str, ratio: float, share: float | None, **more: object) -> dict[str, object]:
        return {
            "contender": name,
            "times_textbook": ratio,
            "low": ratio - 0.1,
            "high": ratio + 0.1,
            "images_per_second": 100 * ratio,
            "of_limit": share,
            "first_memory": 100_000_000,
            "last_memory": 101_000_000,
            "epochs": 12,
        } | more

    tables = []
    for size, images, source in ((64, 2, "disk"), (64, 2, "memory"), (224, 1, "jpeg")):
        lines = [
            line("plan", 6.25, 0.8, bits="equal"),
            line("textbook", 1, 0.1),
            line("grain", 5, 0.6),
            line("tf-graph", 4, 0.5),
            line(LIMITS[source], 8, None),
            {"contender": "pytorch", "refused": "it dropped a row"},
        ]
        tables.append(run.as_frame(Case(size, ("imagery", "relief")[:images], source), lines))
    return pd.concat(tables)


def test_the_table_says_what_was_measured_from_slow_to_fast() -> None:
    text = report.as_text(*report.by_case(results())[0])
    lines = text.splitlines()
    assert lines[0] == "64 px, 2 images a sample, from disk"
    titles = [CONTENDERS[n].title for n in ("textbook", "tf-graph", "grain", "plan", "decode-warp")]
    places = [next(i for i, line in enumerate(lines) if line.startswith(t)) for t in titles]
    assert places == sorted(places)
    cells = lines[places[3]].split()
    assert cells == ["plan", "6.25", "6.15–6.35", "625", "0.80", "equal", *cells[-5:]]
    assert cells[-5:] == ["100", "→", "101", "(12", "epochs)"]
    assert f"Best alternative: {CONTENDERS['grain'].title}, 5.0 × the textbook" in text
    assert f"Refused: {CONTENDERS['pytorch'].title}: it dropped a row" in text


def test_the_report_is_rendered_from_the_tables_alone(tmp_path: Path) -> None:
    results().to_csv(tmp_path / "results.csv", index=False, float_format="%.4g")
    report.machine(5).to_csv(tmp_path / "machine.csv", index=False)
    report.write(tmp_path)
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert text == report.render(tmp_path)
    assert "median of 5 rounds" in text
    assert "| plan | 6.25 | 6.15–6.35 | 625 | 0.80 | equal | 100 → 101 (12 epochs) |" in text
    assert "| Python |" in text
    assert "| processor |" in text
    assert "## 224 px, one image a sample, from JPEG photographs of 500 × 375" in text
    assert str(ROOT) not in text
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")
    title = "6.2 × from disk, 6.2 × from photographs, 6.2 × from memory"
    assert report.headline(results()) == f"A plan and workers make the bits of Keras {title}"


def test_the_stored_report_is_that_of_the_stored_numbers() -> None:
    assert (run.HERE / "results.md").read_text(encoding="utf-8") == report.render()


# The command


def test_help_tells_the_true_number_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.parse(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"{FILES[64]} at 64 px and {FILES[224]} at 224 px" in said
    assert f"timed rounds ({run.ROUNDS})" in said


def test_a_part_of_the_cases_can_be_chosen(tmp_path: Path) -> None:
    chosen = run.parse(["--sources", "jpeg", "memory", "--sizes", "224", "--files", "2"])
    assert run.chosen_cases(chosen) == [(224, 1, "memory"), (224, 1, "jpeg"), (224, 2, "jpeg")]
    found = list(run.cases(chosen, tmp_path))
    assert [(one.size, len(one.folders), one.source) for one in found] == run.chosen_cases(chosen)
    assert [len(one.paths[0]) for one in found] == [2, 2, 2]


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
        nobody = started.start("nobody", case, tmp_path)
        limit = started.start("warp", case, tmp_path)
        with pytest.raises(processes.ContenderError, match=r"^KeyError: 'nobody'$"):
            nobody.answer()
        limit.answer()
        with pytest.raises(processes.ContenderError, match=r"round.* unexpected .*'laps'"):
            limit.ask(do="round", laps=1)


def wait_until_stopped(process: psutil.Process) -> None:
    deadline = time.monotonic() + 30
    while process.status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline, process.status()
        time.sleep(0.01)


def test_a_process_that_is_not_asked_is_paused(case: Case, tmp_path: Path) -> None:
    with processes.Processes() as started:
        process = started.start("warp", case, tmp_path)
        process.answer()
        asked = psutil.Process(process._popen.pid)
        wait_until_stopped(asked)
        assert process.ask(do="round", epochs=1)["seconds"] > 0
        wait_until_stopped(asked)
    assert not asked.is_running()


def test_leaving_the_block_leaves_no_process(case: Case, tmp_path: Path) -> None:
    def broken_off() -> None:
        with processes.Processes() as started:
            pids.append(started.start("warp", case, tmp_path)._popen.pid)
            raise KeyboardInterrupt

    pids: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert not psutil.pid_exists(pids[0])


def test_a_small_run_from_end_to_end(tmp_path: Path) -> None:
    options = "--sizes 64 --images 2 --sources memory --files 40 --rounds 2 --seconds 0.01 "
    options += "--contenders plan warp"
    done = subprocess.run(
        [sys.executable, "-m", "benchmark.run", *options.split(), "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("64 px, 2 images a sample, from memory\n")
    table = pd.read_csv(tmp_path / "results.csv").set_index("contender")
    assert list(table.index) == ["textbook", "plan", "warp"]
    assert table.times_textbook["textbook"] == 1
    assert table.images_per_second["textbook"] > 0
    assert table.bits["plan"] == "equal"
