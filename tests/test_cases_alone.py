"""Each case of errors.ipynb and of lesson 08 runs after the set-up alone, as it is stored.

Each section of cookbook.ipynb runs with nothing before it.
"""

import ast
import contextlib
import io
import json
import linecache
import logging
import re
from pathlib import Path

import matplotlib.pyplot as plt
import notebook_checks as checks
import pytest
import test_questions as questions
import tolerance

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
# What marks a case's heading.
MARKS = {"errors.ipynb": "###", "08_when_it_breaks.ipynb": "###", "cookbook.ipynb": "##"}
SETUP_CELLS = {"errors.ipynb": 5, "08_when_it_breaks.ipynb": 3, "cookbook.ipynb": 0}
WISHES = "What is asked beside it"  # the part of errors.ipynb whose cases are no messages
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
    """Run a cell; return what it prints, the value that it ends in as text, and what it raises.

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
        except Exception as error:
            if not raises:
                raise
            return printed.getvalue(), "", f"{type(error).__name__}: {error}"
    assert not raises, f"{where}: tagged {checks.RAISES!r}, but nothing was raised"
    return printed.getvalue(), "" if value is None else repr(value), ""


def plain(text):
    """Leave out how lines are broken, the log, and how many models and layers were built before."""
    text = re.sub(r"^INFO:tensorflow:.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"(['\"])(functional|dense)(_\d+)?\1", r"\2", text)
    # One space for each line broken, none at the ends of lists: numbers must stay apart.
    return re.sub(r"(?<=[\[({]) | (?=[\])}])", "", " ".join(text.split()))


def stored(cell):
    """Return what is stored for a cell: what it printed, the value as text, what it raised."""
    texts = {"stdout": "", "value": "", "error": ""}
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            texts[output["name"]] += checks.text_of(output["text"])
        elif output["output_type"] == "execute_result":
            texts["value"] = checks.text_of(output["data"]["text/plain"])
        elif output["output_type"] == "error":
            texts["error"] = f"{output['ename']}: {output['evalue']}"
    return tuple(texts.values())


def run_alone(setup, case, heading):
    """Run the set-up and one case in names of their own; each cell must show what is stored."""
    names = {"__name__": "__main__"}
    for number, cell in enumerate(setup):
        run(cell, names, f"<set-up, cell {number}>")
    for number, cell in enumerate(case):
        where = f"<{heading}, cell {number}>"
        shown = run(cell, names, where)
        assert "NameError" not in shown[0], f"{where} uses a name of another case: {shown[0]}"
        percent = checks.percent_of(cell) or 0
        for old, new in zip(stored(cell), shown, strict=True):
            apart = tolerance.difference(plain(old), plain(new), percent)
            assert not apart, f"{where}: {apart}"


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
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))  # there is no screen
    log = logging.getLogger("tensorflow")
    level = log.level  # which a case may set
    yield
    log.setLevel(level)


@pytest.mark.parametrize(
    ("name", "least"),
    [("errors.ipynb", 58), ("08_when_it_breaks.ipynb", 11), ("cookbook.ipynb", 14)],
)
def test_all_cases_are_found(name, least):
    setup, cases = FOUND[name]
    assert len(setup) == SETUP_CELLS[name]
    top = checks.text_of(FILES[name][0]["source"])
    links = {anchor.replace("-", " ") for anchor in re.findall(r"\]\(#(\S+)\) \|", top)}
    assert len(links) >= least
    assert links == {heading.replace("-", " ") for heading in cases} - set(wishes(name))


def wishes(name):
    """Return the headings of the part that holds no messages."""
    prose = [checks.text_of(c["source"]) for c in FILES[name] if c["cell_type"] == "markdown"]
    return re.findall(r"^### (.+)$", "\n".join(prose).partition(f"## {WISHES}")[2], re.MULTILINE)


def test_the_table_quotes_what_the_section_shows():
    """Each row's message is in an output of the section that it leads to, or told from the log."""
    top = checks.text_of(FILES["errors.ipynb"][0]["source"])
    rows = re.findall(r"^\| `+ ?(.+?) ?`+ \| \[.+\]\(#(\S+)\) \|$", top, re.MULTILINE)
    assert len(rows) > 70
    unseen = []
    for quoted, anchor in rows:
        pattern = questions.pattern_of(quoted.replace("`", ""))
        texts = [
            questions.section("notebooks/errors.ipynb", anchor, outputs_only=only)
            for only in (True, False)
        ]
        if not re.search(pattern, texts[quoted.startswith("Filling up")]):
            unseen.append(quoted)
    assert unseen == []
    assert rows == sorted(rows, key=lambda row: re.sub(r"[^a-z0-9 ]", "", row[0].lower()).strip())


@pytest.mark.usefixtures("in_notebooks")
@pytest.mark.parametrize(
    ("name", "heading"), [case for case in CASES if FOUND[case[0]][1][case[1]]]
)
def test_a_case_stands_alone(name, heading):
    setup, cases = FOUND[name]
    run_alone(setup, cases[heading], heading)


@pytest.mark.parametrize("heading", FOUND["cookbook.ipynb"][1])
def test_a_section_of_the_cookbook_is_short_and_ends_in_a_clean_check_and_a_trained_model(heading):
    cells = FOUND["cookbook.ipynb"][1][heading]
    sources = [checks.text_of(cell["source"]) for cell in cells]
    assert 2 <= len(cells) <= 5
    assert max(len(source.splitlines()) for source in sources) <= 15
    assert sources[0].startswith("import ")
    assert stored(cells[-2])[1] == "no errors, no warnings"
    assert "contract.check(train, model" in sources[-2]
    assert "model.fit(train" in sources[-1]
    trained = re.search(r"first epoch → last: ([\d.]+) → ([\d.]+)", stored(cells[-1])[0])
    better = float.__gt__ if "accuracy" in sources[-1] else float.__lt__
    assert better(float(trained[2]), float(trained[1]))


# --- what a case says of the log, which is not stored ---------------------------------------------


@pytest.mark.parametrize(("policy", "logs"), [(None, True), ("DATA", False), ("OFF", False)])
def test_a_policy_keeps_the_line_on_assert_cardinality_away(capfd, policy, logs):
    names = {}
    for number, cell in enumerate(SETUP):
        run(cell, names, f"<set-up, cell {number}>")
    tf = names["tf"]
    dataset = tf.data.Dataset.from_generator(names["batches"], output_signature=names["signature"])
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(5))
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


def code(source, prints="", *tags, raises=""):
    """Return a cell as it is stored: what it prints, and its error as "class: message"."""
    outputs = [{"output_type": "stream", "name": "stdout", "text": prints}] if prints else []
    name, _, message = raises.partition(": ")
    if raises:
        outputs.append({"output_type": "error", "ename": name, "evalue": message, "traceback": []})
        tags = (*tags, checks.RAISES)
    metadata = {"tags": list(tags)}
    return {"cell_type": "code", "source": source, "metadata": metadata, "outputs": outputs}


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
    code("1 / 0", raises="ZeroDivisionError: division by zero"),
    markdown("## three"),
    code("print(y)", "2\n"),
    markdown("## four"),
    code(SHOWN, "NameError\n"),
    markdown("## five"),
    code("y", raises="NameError: y"),
    markdown("## six"),
    code("x", raises="NameError: x"),
    markdown("## seven"),
    code("print(x)", "2\n"),
    markdown("## eight"),
    code("1 / 0"),
    markdown("## nine"),
    code("print('loss', x)", "loss 1.04\n", "within-5%"),
    markdown("## ten"),
    code("print('loss', x)", "loss 1.06\n", "within-5%"),
    markdown("## eleven"),
    code("1 / 0", raises="ZeroDivisionError: another message"),
    markdown("# What goes wrong\n\n## twelve"),
    code("print(y)", "2\n"),
]


def test_cases_are_told_apart():
    setup, cases = cases_of(LESSON, "##")
    assert [cell["source"] for cell in setup] == ["x = 1"]
    assert " ".join(cases) == "one two three four five six seven eight nine ten eleven"
    assert [len(cells) for cells in cases.values()] == [1, 2, *[1] * 9]


@pytest.mark.parametrize("heading", ["one", "two", "nine"])
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
        ("ten", AssertionError, "ten, cell 0>: line 1: stored 1.06, now 1"),
        ("eleven", AssertionError, "eleven, cell 0"),
    ],
)
def test_a_case_that_does_not_stand_alone_fails(heading, error, words):
    setup, cases = cases_of(LESSON, "##")
    with pytest.raises(error, match=words):
        run_alone(setup, cases[heading], heading)
