"""QUESTIONS.md: every row has an answer, and a section that shows it; messages find their row."""

import json
import re
from collections import Counter
from pathlib import Path

import notebook_checks as checks
import pytest
from test_markdown import FENCED

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "QUESTIONS.md").read_text(encoding="utf-8")
CHAIN = ["generator", "signature", "dataset", "model", "fit", "images"]
TABLES = {"I have this error": "message", "I want this": "wish"}
DATA = "I have this data"


def rows_of(heading: str) -> list[list[str]]:
    """Return the cells of each line of the table under a heading, its first line included."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [cells[0], *cells[2:]]


ROWS = [row for heading in (*TABLES, DATA) for row in rows_of(heading)[1:]]
LINK = re.compile(
    r"\[(\d\d|errors|cookbook|other_ways)\]\((notebooks/(\d\d|errors|cookbook|other_ways)\w*\.ipynb)#(\S+)\)"
)


def pattern_of(quoted: str) -> str:
    """Return a quoted message as a pattern: what stands for `…` differs from case to case."""
    return ".*?".join(re.escape(piece.strip()) for piece in quoted.split("…"))


def section(notebook: str, anchor: str, *, outputs_only: bool) -> str:
    """Return what a section shows, on one line; on demand what it says too, but no heading."""
    cells = json.loads((ROOT / notebook).read_text(encoding="utf-8"))["cells"]
    level, texts = 0, []
    for cell in cells:
        source = checks.text_of(cell["source"])
        if cell["cell_type"] == "code":
            outputs = (text for each in cell["outputs"] for text in checks.output_texts(each))
            texts += outputs if level else []
            continue
        for line in re.split(r"^(?=#{1,6} )", FENCED.sub("", source), flags=re.MULTILINE):
            first, _, rest = line.partition("\n")
            marks, _, heading = first.partition(" ")
            if set(marks) == {"#"} and (not level or len(marks) <= level):
                here = heading.strip().replace("`", "").replace(" ", "-") == anchor
                level = len(marks) if here else 0
            text = rest if set(marks) == {"#"} else line
            texts += [text] if level and not outputs_only else []
    return " ".join(" ".join(texts).replace("`", "").split())


def rows_that_hold(message: str) -> list[list[str]]:
    """Return the rows of the first table with a quoted message that is part of this one."""
    plain = " ".join(message.replace("`", "").split())
    return [
        row
        for row in rows_of("I have this error")[1:]
        if any(re.search(pattern_of(quoted), plain) for quoted in re.findall(r"`([^`]+)`", row[1]))
    ]


@pytest.mark.parametrize(("heading", "first"), TABLES.items())
def test_a_table_follows_the_chain(heading: str, first: str) -> None:
    head, *rows = rows_of(heading)
    assert head == ["part", first, "answer", "lesson"]
    parts = [row[0] for row in rows]
    assert parts == sorted(parts, key=CHAIN.index)
    assert len(rows) > 30


def test_each_section_of_the_cookbook_is_found_by_the_words_that_people_search_for() -> None:
    head, *rows = rows_of(DATA)
    assert head == ["searched for as", "data", "answer", "lesson"]
    links = [LINK.fullmatch(row[3]).groups() for row in rows]
    assert {notebook for _, notebook, _, _ in links} == {"notebooks/cookbook.ipynb"}
    top = json.loads((ROOT / "notebooks/cookbook.ipynb").read_text(encoding="utf-8"))["cells"][0]
    sections = re.findall(r"\[go\]\(#(\S+)\) \|", checks.text_of(top["source"]))
    assert [anchor for *_, anchor in links] == sections  # in the same order
    words = " ".join(row[0] for row in rows)
    for word in (
        "siamese", "triplet", "caption", "video", "audio", "segmentation", "multiple instance",
        "key points", "bounding boxes", "memmap", "validation_split", "missing labels",
    ):  # fmt: skip
        assert word in words


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1][:50])
def test_a_row_has_an_answer_of_one_sentence(row: list[str]) -> None:
    _, asked, answer, lesson = row
    assert asked
    link = LINK.fullmatch(lesson)
    assert lesson == "—" or (link and link[1] == link[3])
    plain = re.sub(r"`[^`]+`", "x", answer)
    assert re.fullmatch(r"(?:[^.?!]|(?<=\d)\.(?=\d)){20,}\.", plain), answer


# Each message of today with the link beside it. What follows "from" or "in" is no message.
CURRENT = [
    (quoted, row[3], "in the log" in row[1])
    for row in rows_of("I have this error")[1:]
    for quoted in re.findall(
        r"(?<!from )(?<!in )`([^`]+)`", row[1].partition("in older versions")[0]
    )
]


@pytest.mark.parametrize(("quoted", "link", "logged"), CURRENT, ids=lambda text: str(text)[:50])
def test_the_section_of_a_message_shows_it(quoted: str, link: str, logged: bool) -> None:
    """It is in an output, not in the heading alone; a line of the log may be told in words."""
    _, notebook, _, anchor = LINK.fullmatch(link).groups()
    shown = section(notebook, anchor, outputs_only=not logged)
    assert re.search(pattern_of(quoted), shown), f"{notebook}#{anchor}"


def test_no_row_is_there_twice() -> None:
    for column in (1, 2):
        counts = Counter(row[column].casefold() for row in ROWS)
        assert [text for text, count in counts.items() if count > 1] == []


def test_readme_leads_here() -> None:
    assert "](QUESTIONS.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


# Messages as they stand on the screen, and a word of the answer.
MESSAGES = {
    "TypeError: `generator` must be a Python callable.": "brackets",
    "UnknownError: RuntimeError: generator raised StopIteration": "`for`",
    "AttributeError: 'DirectoryIterator' object has no attribute 'next'": "next(flow)",
    "ValueError: Attempt to convert a value (None) with an unsupported type (<class 'NoneType'>) "
    "to a Tensor.": "lambda",
    "InvalidArgumentError: TypeError: int() argument must be a string, a bytes-like object or a "
    "real number, not 'SymbolicTensor'": "args=",
    "ValueError: Attempt to convert a value (<generator object noisy>) with an unsupported type "
    "(<class 'generator'>) to a Tensor.": "`return`",
    "ValueError: The input 'b' is not optional, but None was passed. Please provide a valid "
    "tensor.": "optional",
    "ValueError: Invalid dtype: object": "astype",
    "PIL.UnidentifiedImageError: cannot identify image file <_io.BytesIO object>": "row",
    "OSError: image file is truncated": "row",
    "ValueError: When passing a Python generator to a Keras model, the generator must return a "
    "tuple, either (input,) or (inputs, targets) or (inputs, targets, sample_weights).": "tuple",
    "ValueError: Input data in `NumpyArrayIterator` should have rank 4. You passed an array with "
    "shape (8, 4, 64, 64, 3)": "clip",
    "Found 0 images belonging to 0 classes.": "sub-folders",
    "ValueError: Arguments `target` and `output` must have the same rank (ndim). Received: "
    "target.shape=(None,), output.shape=(None, 64, 64, 1)": "masks",
    "TypeError: Expected float32, but got land_cover of type 'str'.": "no dict",
    "ValueError: `x` (images tensor) and `y` (labels) should have the same length. Found: x.shape "
    "= (40, 16, 16, 3), y.shape = (2, 40, 2)": "row",
    "TypeError: `output_signature` must contain objects that are subclass of `tf.TypeSpec` but "
    "found <class 'list'> which is not.": "tuple",
    "ValueError: as_list() is not defined on an unknown TensorShape.": "output_signature",
    "Cannot take the length of shape with unknown rank.": "ensure_shape",
    "TypeError: Invalid input to `zip`. Inputs are expected to be (nested) structures of "
    "`tf.data.Dataset` objects.": "tuple",
    "TypeError: map_fn() takes from 1 to 3 positional arguments but 5 were given": "nest",
    'Layer "functional" expects 2 input(s), but it received 1 input tensors.': "nest",
    'Missing data for input "b". You passed a data dictionary with keys': "key",
    "UserWarning: The structure of `inputs` doesn't match the expected structure.": "alike",
    "Invalid input shape: expected shape=(None, 64, 64, 3), found shape=(64, 64, 3)": "batch",
    "ValueError: Expected keys ['a', 'b'] in loss dict, but found loss.keys()=['q', 'b']": "key",
    "ValueError: No loss to compute. Provide a `loss` argument in `compile()`.": "compile",
    "KeyError: \"The path: (0,) in the `loss` argument, can't be found in either the model's "
    'output (`y_pred`) or in the labels (`y_true`)."': "target",
    "KeyError: The path: ('compositions',) in the `loss` argument, can't be found in either the "
    "model's output (`y_pred`) or in the labels (`y_true`).": "no output",
    "ValueError: `loss_weights` must match the number of losses, got 2 losses and 1 weights.": (
        "each loss"
    ),
    "ValueError: dictionary key mismatch; expected key(s): ['composition', 'land_cover']": "name",
    "TypeError: Expected float32, but got c of type 'str'.": "key",
    "ValueError: `class_weight` is only supported for Models with a single output.": "weights",
    "ValueError: Unrecognized data type: x=[<_BatchDataset element_spec=TensorSpec()>] (of type "
    "<class 'list'>)": "one dataset",
    "Your input ran out of data; interrupting training. Make sure that": "assert_cardinality",
    "`shuffle=True` was passed, but will be ignored since the data `x` was provided as": "shuffle",
    "TypeError: The dataset length is unknown.": "assert_cardinality",
    "FailedPreconditionError: Input dataset was expected to contain 7 elements but contained only "
    "5 elements.": "batches",
    "TypeError: '_PrefetchDataset' object is not subscriptable": "next(iter(dataset))",
    'ValueError: Invalid input shape for input Tensor("data:0", shape=(5,), dtype=float32) with '
    "name 'site' and path ''. Expected shape (None, 5), but input has incompatible shape (5,)": (
        "batch"
    ),
    "ValueError: Arguments `target` and `output` must have the same shape. Received: "
    "target.shape=(None, 2), output.shape=(None, 8)": "output_names",
    "Received a label value of 8 which is outside the valid range of [0, 8).": "begin at 0",
    "logits and labels must be broadcastable: logits_size=[8,8] labels_size=[7,8]": "last batch",
    "ValueError: None values not supported.": "targets",
    "ValueError: Failed to find data adapter that can handle input: <class 'function'>, <class "
    "'NoneType'>": "one dataset",
    "ValueError: `y` argument is not supported when using dataset as input.": "element",
    "Input 0 with name 'None' of layer 'dense_2' is incompatible with the layer: expected axis -1 "
    "of input shape to have value 3072, but received input with shape (None, 12288)": "size",
    "ValueError: Data cardinality is ambiguous. Make sure all arrays contain": "rows",
    "ValueError: tuple arity mismatch; expected: 2, got: 1; tuple: ('accuracy',). Invalid "
    "`metrics`. `metrics` should contain metrics objects": "list of metrics",
    "ValueError: Unrecognized data type: x=<zip object> (of type <class 'zip'>)": "one dataset",
    "ValueError: Unrecognized data type: x=<function five_batches> (of type <class 'function'>)": (
        "one dataset"
    ),
    "AttributeError: 'Functional' object has no attribute 'fit_generator'": "`fit`",
    "Creating variables on a non-first call to a function decorated with tf.function.": "`compile`",
    "ValueError: Attr 'Toutput_types' of 'OptionalFromValue' Op passed list of length 0 less than "
    "minimum 1.": "`compile`",
    "ValueError: When providing `x` as a tf.data.Dataset, `y` should not be passed. Instead, the "
    "targets should be included": "element",
    "Argument `validation_split` is only supported for tensors or NumPy arrays.": "take",
    "ValueError: Dimensions 40 and 7 are not compatible": "rows",
    "InvalidArgumentError: Incompatible shapes: [8,2] vs. [8]": "sample weights",
    "Clipping input data to the valid range for imshow with RGB data": "255",
    "ImportError: cannot import name 'ImageDataGenerator' from 'keras.preprocessing.image' "
    "(keras/preprocessing/image/__init__.py)": "TensorFlow has it",
    "AttributeError: module 'keras.preprocessing.image' has no attribute 'ImageDataGenerator'": (
        "TensorFlow has it"
    ),
    "InvalidArgumentError: Cannot batch tensors with different shapes in component 0. First "
    "element had shape [3,2] and element 1 had shape [1,2].": "padded_batch",
    "TypeError: If shallow structure is a sequence, input must also be a sequence. Input has "
    "type: 'list'.": "tuples",
    "AUTO sharding policy will apply DATA sharding policy as it failed to apply FILE sharding "
    "policy because of the following reason: Did not find a shardable source": "tf.data.Options",
    "auto_shard.cc:559] The `assert_cardinality` transformation is currently not handled by the "
    "auto-shard rewrite and will be removed.": "tf.data.Options",
    "ValueError: EarlyStopping callback received monitor=val_composition_loss, but Keras isn't "
    "able to automatically determine whether that metric should be maximized or minimized.": "mode",
    "TypeError: Cannot convert the argument `type_value`: TensorSpec(shape=(None, 5), "
    "dtype=tf.float32, name=None) to a TensorFlow DType.": "output_signature=",
    "FailedPreconditionError: PyFunc is stateful. [Op:SerializeIterator]": "end of each epoch",
    "AttributeError: 'str' object has no attribute 'shape'": "batch axis",
    "      7/Unknown 1s 12ms/step - loss: 0.9793": "assert_cardinality",
    'UserWarning: Found 3 invalid image filename(s) in x_col="path". These filename(s) will be '
    "ignored.": "row_flow",
    "UserWarning: Early stopping conditioned on metric `val_accuracy` which is not available. "
    "Available metrics are: loss,val_loss": "lists",
}


@pytest.mark.parametrize(("message", "word"), MESSAGES.items(), ids=lambda text: text[:40])
def test_a_message_finds_its_row(message: str, word: str) -> None:
    found = rows_that_hold(message)
    assert len(found) == 1, [row[1] for row in found]
    assert word in found[0][2]
