"""The list of all rules: when each runs, what it finds, where a lesson shows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from helpers.contract.report import ERROR, WARNING

#: They run in this order; a stage with an error is the last one of a report.
STAGES = ("compile", "structure", "names", "shapes", "dtypes", "values", "targets", "weights")
STAGES += ("pipeline", "lengths", "validation")

#: What a finding means. Keras is asked about the first two: where it takes the batch all the same,
#: the first is dropped, and the second is a warning.
FAILS, DOUBTFUL, WRONG, LUCK = "fails", "fails, or luck", "trains wrongly", "luck"


@dataclass(frozen=True)
class Rule:
    """A rule; `lesson` is the end of a notebook's name and a heading in it."""

    id: str
    stage: str
    rank: str
    lesson: str
    document: str

    def severity(self, accepted: bool | None) -> str:
        """Return a finding's severity, empty for none; `accepted` None: Keras was not asked."""
        if self.rank in (FAILS, DOUBTFUL) and accepted:
            return "" if self.rank == FAILS else WARNING
        return WARNING if self.rank == LUCK else ERROR


_SEVERAL, _DICTS = "separate_generators#", "dict_datasets#"
_SEEN, _BREAKS = "augmentation_you_can_see#", "when_it_breaks#"
# fmt: off
_ALL = (
    Rule("not-compiled", "compile", WRONG, _SEVERAL + "Two heads, two losses",
         "`fit` needs a compiled model"),
    Rule("loss-name", "compile", WRONG, _DICTS + "A loss is misspelt",
         "a loss given as a string is the name of one"),
    Rule("setting-keys", "compile", FAILS, _DICTS + "A loss is missing",
         "losses, loss weights and metrics by name have the names of outputs"),
    Rule("loss-weight-keys", "compile", WRONG, _DICTS + "A loss weight is misspelt",
         "a misspelled key in `loss_weights` is matched by sorted position, in silence"),
    Rule("loss-missing", "compile", LUCK, _DICTS + "A loss is missing",
         "an output without a loss does not train"),
    Rule("setting-length", "compile", WRONG, _DICTS + "Losses, weights and metrics by name",
         "a list of losses, loss weights or metrics has one for each output"),
    Rule("setting-order", "compile", WRONG, _DICTS + "Losses, weights and metrics by name",
         "a list goes to a model of dict outputs by sorted keys, not by the order written"),
    Rule("activation", "compile", WRONG, _SEVERAL + "Two heads, two losses",
         "a loss of probabilities wants a softmax or a sigmoid, or is told to expect logits"),
    Rule("two-activations", "compile", LUCK, _BREAKS + "Exercises",
         "a softmax in the model, and a loss that is told to expect logits"),
    Rule("unreadable", "structure", WRONG, _BREAKS + "A generator that was made once",
         "`fit` does not take the data, or a batch cannot be read"),
    Rule("keras", "structure", FAILS, _BREAKS + "What no rule explains",
         "what Keras refuses and no rule explains, in its own words"),
    Rule("element-parts", "structure", FAILS, _SEVERAL + "Fault 3: three parts in a row",
         "an element is a tuple of inputs, targets and weights"),
    Rule("predict-form", "structure", FAILS, _BREAKS + "Predictions do not match the labels",
         "`predict` takes elements `((input, input),)`"),
    Rule("no-targets", "structure", FAILS, _BREAKS + "None values not supported",
         "a loss needs targets"),
    Rule("flat-parts", "structure", WRONG, _BREAKS + "A second target taken for weights",
         "inputs and targets side by side: the third part is taken as sample weights"),
    Rule("lists", "structure", FAILS, _BREAKS + "Unrecognized data type",
         "a stream is one array, not a Python list; several are a tuple or a dict"),
    Rule("no-array", "structure", FAILS, _BREAKS + "None values not supported",
         "a leaf is an array: not None, not a dataset, not a generator"),
    Rule("input-keys", "names", FAILS, _DICTS + "An input is misspelt",
         "a dict of inputs has the names of the model's inputs as keys"),
    Rule("extra-input", "names", DOUBTFUL, _DICTS + "An input too many",
         "an input too many: Keras drops it, or feeds it to another input"),
    Rule("target-keys", "names", FAILS, _DICTS + "A target is misspelt",
         "a dict of targets has the names of the model's outputs as keys"),
    Rule("count", "names", FAILS, _BREAKS + "expects 2 named input(s), but it received 1",
         "there are as many inputs and targets as the model has"),
    Rule("sorted-order", "names", WRONG, _DICTS + "Why a tuple can swap two inputs in silence",
         "a tuple goes to a model of dicts by sorted keys, not by the order written"),
    Rule("sorted-by-luck", "names", LUCK, _DICTS + "Why a tuple can swap two inputs in silence",
         "a tuple for a model of dicts whose keys happen to be in sorted order"),
    Rule("not-batched", "shapes", FAILS, "meet_the_data#A batch: several samples, stacked",
         "Keras wants batches, not single samples"),
    Rule("unknown-shape", "shapes", FAILS,
         _BREAKS + "as_list() is not defined on an unknown TensorShape",
         "the number of axes is known"),
    Rule("input-shape", "shapes", FAILS, _BREAKS + "yielded an element of shape",
         "an input has the shape that its `Input` says"),
    Rule("fixed-batch", "shapes", FAILS, _SEVERAL + "Fault 2: the last batch",
         "a batch size fixed in the `Input` holds for the last, partial batch too"),
    Rule("batch-lengths", "shapes", WRONG, _SEVERAL + "Fault 2: the last batch",
         "all streams of a batch have as many samples"),
    Rule("no-samples", "shapes", LUCK, _SEVERAL + "Fault 2: the last batch",
         "a batch has samples"),
    Rule("text", "dtypes", FAILS, _BREAKS + "could not be converted to the expected type",
         "strings go where strings are wanted, as strings and not as objects"),
    Rule("cut-input", "dtypes", WRONG, _BREAKS + "Labels cut to whole numbers",
         "fractions are cut where an `Input` wants integers"),
    Rule("cut-by-signature", "dtypes", WRONG, _BREAKS + "Labels cut to whole numbers",
         "fractions are cut where the signature says integers"),
    Rule("not-finite", "values", WRONG, _BREAKS + "A pipeline that is right",
         "NaN or an infinity makes the loss NaN"),
    Rule("vocabulary", "values", WRONG, _BREAKS
         + "Received a label value which is outside the valid range",
         "the numbers of words are within the Embedding's vocabulary"),
    Rule("black", "values", WRONG, _SEEN + "Brightness on pictures from 0 to 1 gives black",
         "images are not black throughout"),
    Rule("scale", "values", LUCK, _SEEN + "What each option does to the values",
         "images are scaled once, and all alike"),
    Rule("target", "targets", WRONG, _SEVERAL + "Two heads, two losses",
         "a target has the shape, the range and the meaning that its output's loss reads"),
    Rule("weight-keys", "weights", FAILS, _DICTS + "A sample weight is missing",
         "sample weights are nested as the targets are"),
    Rule("weight-shape", "weights", WRONG, _DICTS + "Sample weights by name",
         "one weight a sample (a pixel, a step), and a vector of them for each output"),
    Rule("labels-as-weights", "weights", LUCK, _BREAKS + "A second target taken for weights",
         "integers in the weights' place may be labels"),
    Rule("weight-values", "weights", WRONG, _DICTS + "Sample weights by name",
         "weights are 0 or more, and some are more"),
    Rule("class-weight", "weights", DOUBTFUL, _BREAKS + "Fit",
         "`class_weight` is a dict of integers for one output, with a weight for each label"),
    Rule("class-weight-keys", "weights", LUCK, _BREAKS + "Fit",
         "`class_weight` has the classes that the output has"),
    Rule("overwritten", "pipeline", WRONG, _BREAKS + "Part 2. Failures that are silent",
         "a generator does not write into the batch that it has yielded"),
    Rule("flows-apart", "pipeline", WRONG, _SEVERAL
         + "Fault 1: rows that do not belong together",
         "flows behind one dataset agree in samples, batch size, shuffle and seed"),
    Rule("flow-count", "pipeline", LUCK, "tuple_inputs#A third input that is no picture",
         "a flow that dropped missing files is shorter than the table beside it"),
    Rule("new-flow", "pipeline", LUCK, _BREAKS + "Every epoch repeats the same augmentation",
         "a flow made anew each epoch repeats its augmentations"),
    Rule("cached-random", "pipeline", LUCK, _SEEN
         + "Different each epoch, the same each run",
         "a cache behind the augmentation repeats its first epoch"),
    Rule("frozen-random", "pipeline", WRONG, _BREAKS + "My own random numbers repeat",
         "random numbers of NumPy in a `map` are sampled once, when it is traced"),
    Rule("image-files", "pipeline", WRONG, "meet_the_data#What goes wrong",
         "16-bit and palette images are not read as what they are"),
    Rule("alike", "pipeline", LUCK, _BREAKS + "Shuffle moves whole batches",
         "labels are of several kinds"),
    Rule("no-batch", "lengths", WRONG, _BREAKS + "The second epoch has no data",
         "an epoch has batches"),
    Rule("endless", "lengths", WRONG, _BREAKS + "A validation that never ends",
         "what never ends needs a number of steps"),
    Rule("replayed", "lengths", WRONG, _BREAKS + "An iterator in place of a dataset",
         "a generator object that ends is not enough for several epochs"),
    Rule("unknown-length", "lengths", LUCK, _BREAKS + "The dataset length is unknown",
         "`fit` warns where data ran out, and reports losses of several outputs too small"),
    Rule("steps", "lengths", WRONG, _BREAKS + "Every other epoch is empty",
         "`steps_per_epoch` goes with the number of batches"),
    Rule("steps-over", "lengths", LUCK, _BREAKS + "Your input ran out of data",
         "there are no more steps than batches"),
    Rule("monitor", "lengths", WRONG, _BREAKS + "Early stopping on several metrics",
         "a callback monitors what Keras logs, and knows whether more of it is better"),
    Rule("shuffled", "validation", LUCK, _BREAKS + "Predictions do not match the labels",
         "validation data keeps one order"),
    Rule("other-structure", "validation", LUCK, _BREAKS + "Exercises",
         "training and validation have one structure"),
    Rule("class-numbers", "validation", WRONG, _BREAKS + "Predictions do not match the labels",
         "a class has one number in training and in validation"),
    Rule("other-range", "validation", LUCK, _SEEN
         + "Validation data: no augmentation, no shuffling",
         "inputs have one scale in training and in validation"),
)
# fmt: on
RULES = {rule.id: rule for rule in _ALL}


def rules_table(notebooks: Path) -> str:
    """Return the table of all rules as Markdown, with links that hold in this folder."""
    lines = [
        "# The rules of the contract check\n",
        "Made by `rules.rules_table`. The stages run in this order; the first one with an error",
        "ends the report. What *fails* is reported if Keras refuses the batch too, or was not",
        "asked; what *fails, or luck* is a warning where Keras takes it.\n",
        "| rule | stage | what must hold, or what goes wrong | rank | lesson |",
        "| --- | --- | --- | --- | --- |",
    ]
    for rule in _ALL:
        name, _, heading = rule.lesson.partition("#")
        path = next(notebooks.glob(f"*{name}.ipynb"))
        link = f"[{heading}](../../notebooks/{path.name}#{heading.replace(' ', '-')})"
        lines.append(f"| `{rule.id}` | {rule.stage} | {rule.document} | {rule.rank} | {link} |")
    return "\n".join(lines) + "\n"
