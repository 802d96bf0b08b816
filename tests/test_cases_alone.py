"""Each case of errors.ipynb and of lesson 08 runs after the set-up alone, as it is stored."""

import ast
import contextlib
import io
import json
import linecache
import re
from pathlib import Path

import notebook_checks as checks
import pytest
import tolerance

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
MARKS = {"errors.ipynb": "###", "08_when_it_breaks.ipynb": "###"}  # of a case's heading
SETUP_CELLS = 3
HEADING = re.compile(r"^(#{1,3}) (.+)$", re.MULTILINE)


def cases_of(cells, marks):
    """Return the set-up's code cells, and those of each case by its heading.

    The set-up is what stands above the first heading after the title. From "What goes wrong" on, a
    lesson holds no cases.
    """
    setup, cases, case, titles, ended = [], {}, None, 0, False
    for cell in cells:
        source = checks.text_of(cell["source"])
        if cell["cell_type"] == "markdown":
            prose = re.sub(r"^```.*?^```", "", source, flags=re.DOTALL | re.MULTILINE)
            for found, heading in HEADING.findall(prose):
                titles += 1
                ended |= heading == "What goes wrong"
                if found == marks and not ended:
                    case = cases.setdefault(heading, [])
        elif titles == 1:
            setup.append(cell)
        elif not ended:
            assert case is not None, f"{checks.place(cells, cells.index(cell))}: under no case"
            case.append(cell)
    return setup, cases


def run(cell, names, where):
    """Run a cell; return what it prints and, as text, the value that it ends in.

    Raises what the cell raises, unless the cell's tag says that it should: then it must.
    """
    source = checks.text_of(cell["source"])
    # TensorFlow reads the source of functions that it is given, as it can in a notebook.
    linecache.cache[where] = (len(source), None, source.splitlines(keepends=True), where)
    tree = ast.parse(source, where)
    ends_in_value = isinstance(tree.body[-1], ast.Expr)
    last = ast.Expression(tree.body.pop().value) if ends_in_value else None
    printed, value = io.StringIO(), None
    raises = checks.RAISES in checks.tags_of(cell)
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(tree, where, "exec"), names)
            value = eval(compile(last, where, "eval"), names) if last is not None else None
        except NameError:
            raise
        except Exception:
            if not raises:
                raise
            return printed.getvalue(), ""
    assert not raises, f"{where}: tagged {checks.RAISES!r}, but nothing was raised"
    return printed.getvalue(), "" if value is None else repr(value)


def plain(text):
    """Leave out how lines are broken, the log, and how many models were built before."""
    text = re.sub(r"^INFO:tensorflow:.*\n", "", text, flags=re.MULTILINE)
    return "".join(re.sub(r'"functional(_\d+)?"', "functional", text).split())


def stored(cell):
    """Return what is stored for a cell: what it printed, and the value as text."""
    texts = {"stdout": "", "value": ""}
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            texts[output["name"]] += checks.text_of(output["text"])
        elif output["output_type"] == "execute_result":
            texts["value"] = checks.text_of(output["data"]["text/plain"])
    return texts["stdout"], texts["value"]


def run_alone(setup, case, heading):
    """Run the set-up and one case in names of their own; each cell must show what is stored."""
    names = {"__name__": "__main__"}
    for number, cell in enumerate(setup):
        run(cell, names, f"<set-up, cell {number}>")
    for number, cell in enumerate(case):
        where = f"<{heading}, cell {number}>"
        shown = run(cell, names, where)
        assert "NameError" not in shown[0], f"{where} uses a name of another case: {shown[0]}"
        percent = tolerance.percent_of(checks.tags_of(cell))
        for new, old in zip(shown, stored(cell), strict=True):
            if percent is None:
                assert plain(new) == plain(old), where
            else:
                assert not tolerance.difference(old, new, percent), where


FILES = {
    name: json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))["cells"] for name in MARKS
}
FOUND = {name: cases_of(cells, MARKS[name]) for name, cells in FILES.items()}
SETUP = FOUND["errors.ipynb"][0]
CASES = [(name, heading) for name, (_, cases) in FOUND.items() for heading in cases]


@pytest.fixture
def in_notebooks(monkeypatch):
    monkeypatch.chdir(NOTEBOOKS)
    monkeypatch.syspath_prepend(str(NOTEBOOKS))


@pytest.mark.parametrize(("name", "least"), [("errors.ipynb", 34), ("08_when_it_breaks.ipynb", 11)])
def test_all_cases_are_found(name, least):
    setup, cases = FOUND[name]
    assert len(setup) == SETUP_CELLS
    top = checks.text_of(FILES[name][0]["source"])
    links = {anchor.replace("-", " ") for anchor in re.findall(r"\[go\]\(#(\S+)\) \|", top)}
    assert len(links) >= least
    assert links == {heading.replace("-", " ") for heading in cases}


@pytest.mark.usefixtures("in_notebooks")
@pytest.mark.parametrize(
    ("name", "heading"), [case for case in CASES if FOUND[case[0]][1][case[1]]]
)
def test_a_case_stands_alone(name, heading):
    setup, cases = FOUND[name]
    run_alone(setup, cases[heading], heading)


# --- what a case says of the log, which is not stored ---------------------------------------------


@pytest.mark.parametrize(("policy", "logs"), [(None, True), ("DATA", False), ("OFF", False)])
def test_a_policy_keeps_the_line_on_assert_cardinality_away(capfd, policy, logs):
    names = {}
    for number, cell in enumerate(SETUP):
        run(cell, names, f"<set-up, cell {number}>")
    tf, dataset = names["tf"], names["known"]
    if policy:
        options = tf.data.Options()
        policies = tf.data.experimental.AutoShardPolicy
        options.experimental_distribute.auto_shard_policy = policies[policy]
        dataset = dataset.with_options(options)
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    capfd.readouterr()
    assert len(list(strategy.experimental_distribute_dataset(dataset))) == 5
    err = capfd.readouterr().err
    assert ("`assert_cardinality` transformation is currently not handled" in err) == logs
    assert "sharding policy" not in err


# --- the check itself -----------------------------------------------------------------------------


def markdown(source):
    return {"cell_type": "markdown", "source": source}


def code(source, prints="", *tags):
    output = {"output_type": "stream", "name": "stdout", "text": prints}
    return {
        "cell_type": "code",
        "source": source,
        "metadata": {"tags": list(tags)},
        "outputs": [output] if prints else [],
    }


SHOWN = """\
try:
    print(y)
except Exception as error:
    print(type(error).__name__)
"""
LESSON = [
    markdown("# Lesson\n\n```mermaid\n## no heading\n```"),
    code("x = 1"),
    markdown("# Part 1. Silent\n\n## one"),
    code("y = x + 1\nprint(y)", "2\n"),
    markdown("## two"),
    code("print(x)", "1\n"),
    code("1 / 0", "", checks.RAISES),
    markdown("## three"),
    code("print(y)", "2\n"),
    markdown("## four"),
    code(SHOWN, "NameError\n"),
    markdown("## five"),
    code("y", "", checks.RAISES),
    markdown("## six"),
    code("x", "", checks.RAISES),
    markdown("## seven"),
    code("print(x)", "2\n"),
    markdown("## eight"),
    code("1 / 0"),
    markdown("# What goes wrong\n\n## nine"),
    code("print(y)", "2\n"),
]


def test_cases_are_told_apart():
    setup, cases = cases_of(LESSON, "##")
    assert [cell["source"] for cell in setup] == ["x = 1"]
    assert list(cases) == ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    assert [len(cells) for cells in cases.values()] == [1, 2, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("heading", ["one", "two"])
def test_a_case_that_uses_only_the_set_up_passes(heading):
    setup, cases = cases_of(LESSON, "##")
    run_alone(setup, cases[heading], heading)


@pytest.mark.parametrize(
    ("heading", "error", "words"),
    [
        ("three", NameError, "'y' is not defined"),
        ("four", AssertionError, "uses a name of another case"),
        ("five", NameError, "'y' is not defined"),
        ("six", AssertionError, "nothing was raised"),
        ("seven", AssertionError, "seven, cell 0"),
        ("eight", ZeroDivisionError, "division"),
    ],
)
def test_a_case_that_does_not_stand_alone_fails(heading, error, words):
    setup, cases = cases_of(LESSON, "##")
    with pytest.raises(error, match=words):
        run_alone(setup, cases[heading], heading)
