"""The tool that measures tolerances says which tags are too tight, and which too loose."""

import nbformat
import pytest
import tolerances


def printed(text):
    return [nbformat.v4.new_output("stream", name="stdout", text=text)]


def test_the_largest_difference_is_that_of_any_two_runs():
    runs = [printed(f"loss {loss}, 480 pairs") for loss in (1.98, 2.0, 1.96)]
    assert tolerances.largest_difference(runs) == (pytest.approx(2), "")


def test_another_text_is_named():
    runs = [printed("loss 2.0"), printed("loss 2.0 nan")]
    assert "now 'loss 2.0 nan'" in tolerances.largest_difference(runs)[1]


@pytest.mark.skipif(not hasattr(tolerances.os, "sched_setaffinity"), reason="not on this system")
def test_cores_are_given_back():
    before = tolerances.os.sched_getaffinity(0)
    with tolerances.cores(1):
        assert len(tolerances.os.sched_getaffinity(0)) == 1
    assert tolerances.os.sched_getaffinity(0) == before


def test_a_lesson_is_measured(tmp_path, capsys, monkeypatch):
    code = (
        "import os",
        "print('loss', 2 + 0.1 * int(os.environ['TF_ENABLE_ONEDNN_OPTS']))",
        "print('loss', 2.525)",
    )
    cells = [nbformat.v4.new_code_cell(source) for source in code]
    for cell, tag in zip(cells[1:], ("within-2%", "within-20%"), strict=True):
        cell.metadata["tags"] = [tag]
    for cell, text in zip(cells[1:], ("loss 2.1", "loss 2.525"), strict=True):
        cell.outputs = printed(f"{text}\n")
    path = tmp_path / "lesson.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    before = path.read_bytes()
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    assert tolerances.main([str(path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "lesson.ipynb, Cell 1: within-2%, seen 4.8 %  too tight",
        "lesson.ipynb, Cell 2: within-20%, seen 0 %  looser than needed",
    ]
    assert path.read_bytes() == before
