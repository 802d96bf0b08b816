"""The list of all rules: when each runs, what it finds, where a lesson shows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from helpers.contract.report import ERROR, WARNING

#: What a finding means. Keras is asked about the first two: where it takes the batch all the same,
#: the first is dropped, and the second is a warning.
FAILS, DOUBTFUL, WRONG, LUCK = "fails", "doubtful", "wrong", "luck"

# Where a lesson shows it: the end of a notebook's name, and a heading in it.
_SECTIONS = """
heads | separate_generators#Two heads, two losses
three parts | separate_generators#Fault 3: three parts in a row
last | separate_generators#Fault 2: the last batch
rows | separate_generators#Fault 1: rows that do not belong together
loss key | dict_datasets#A loss is misspelled
no loss | dict_datasets#A loss is missing
weight key | dict_datasets#A loss weight is misspelled
by name | dict_datasets#Losses, weights and metrics by name
input key | dict_datasets#An input is misspelled
extra | dict_datasets#An input too many
target key | dict_datasets#A target is misspelled
swap | dict_datasets#Why a tuple can swap two inputs in silence
no weight | dict_datasets#A sample weight is missing
weights | dict_datasets#Sample weights by name
exercises | when_it_breaks#Exercises
made once | when_it_breaks#Epochs that end too early, or never
unchecked | when_it_breaks#How to read a report
predict | when_it_breaks#Predictions do not match the labels
None | errors#None values not supported
second target | when_it_breaks#A second target taken for weights
type | errors#Unrecognized data type
received | errors#expects 2 named input(s), but it received 1
as_list | errors#as_list() is not defined on an unknown TensorShape
shape | errors#yielded an element of shape
converted | errors#could not be converted to the expected type
cut | tuple_inputs#The signature, read off a batch
right | when_it_breaks#How to read a report
range | errors#Received a label value which is outside the valid range
fit | errors#Fit
silent | when_it_breaks#A buffer that is overwritten
repeats | when_it_breaks#Every epoch repeats the same augmentation
drift | when_it_breaks#Rows that drift apart
sorted | when_it_breaks#Targets swapped by sorted keys
wrong head | when_it_breaks#A metric on the wrong head
shuffle | when_it_breaks#Shuffle moves whole batches
no data | when_it_breaks#Epochs that end too early, or never
endless | when_it_breaks#Epochs that end too early, or never
iterator | errors#An iterator in place of a dataset
length | errors#The dataset length is unknown
empty | when_it_breaks#Epochs that end too early, or never
question | when_it_breaks#Validation that asks another question
ran out | errors#Your input ran out of data
stopping | errors#Early stopping on several metrics
batch | meet_the_data#A batch: several samples, stacked
files | meet_the_data#What goes wrong
black | augmentation_you_can_see#Brightness on images from 0 to 1 gives black
values | augmentation_you_can_see#Values: what the numbers become
each epoch | one_transform_for_several_images#Different each epoch, the same each run
"""

# By stage, in the order in which they run: id, rank, section, what must hold or what goes wrong.
_TABLE = """
COMPILE
not-compiled | wrong | heads | `fit` needs a compiled model
loss-name | wrong | loss key | a loss given as a string is the name of one
setting-keys | fails | no loss | losses, weights, metrics by name have names of outputs
loss-weight-keys | wrong | weight key | a misspelled key in `loss_weights` is matched by position
loss-missing | luck | no loss | an output without a loss does not train
setting-length | wrong | by name | a list of losses, weights, metrics has one for each output
setting-order | wrong | wrong head | a list goes to dict outputs by sorted keys, not as written
activation | wrong | heads | a loss of probabilities wants a softmax, a sigmoid, or logits
two-activations | luck | exercises | a softmax in the model, and a loss that expects logits
STRUCTURE
unreadable | wrong | made once | `fit` does not take the data, or a batch cannot be read
keras | fails | unchecked | what Keras refuses and no rule explains, in its own words
element-parts | fails | three parts | an element is a tuple of inputs, targets and weights
predict-form | fails | predict | `predict` takes elements `((input, input),)`
no-targets | fails | None | a loss needs targets
flat-parts | wrong | second target | side by side, the third part is taken as sample weights
lists | fails | type | a stream is one array, not a Python list of them
no-array | fails | None | a leaf is no None, no dataset and no generator
NAMES
input-keys | fails | input key | a dict of inputs has the names of the model's inputs as keys
extra-input | doubtful | extra | Keras drops an input too many, or feeds it to another one
target-keys | fails | target key | a dict of targets has the names of the outputs as keys
count | fails | received | there are as many inputs and targets as the model has
sorted-order | wrong | sorted | a tuple goes to a model of dicts by sorted keys
sorted-by-luck | luck | swap | a tuple, for a model whose keys happen to be sorted
SHAPES
not-batched | fails | batch | Keras wants batches, not single samples
unknown-shape | fails | as_list | the number of axes is known
input-shape | fails | shape | an input has the shape that its `Input` says
fixed-batch | fails | last | a batch size fixed in the `Input` holds for the last batch too
batch-lengths | wrong | last | all streams of a batch have as many samples
no-samples | luck | last | a batch has samples
DTYPES
text | fails | converted | strings go where strings are wanted, and not as objects
cut-input | wrong | cut | fractions are cut where an `Input` wants integers
cut-by-signature | wrong | cut | fractions are cut where the signature says integers
VALUES
not-finite | wrong | right | NaN or an infinity makes the loss NaN
vocabulary | wrong | range | numbers of words are within the Embedding's vocabulary
black | wrong | black | images are not black throughout
scale | luck | values | images are scaled once, and all alike
TARGETS
target | wrong | heads | a target has the shape, range and meaning that its loss reads
WEIGHTS
weight-keys | fails | no weight | sample weights are nested as the targets are
weight-shape | wrong | weights | one weight a sample, and a vector of them for each output
labels-as-weights | luck | second target | integers in the weights' place may be labels
weight-values | wrong | weights | weights are 0 or more, and some are more
class-weight | doubtful | fit | a weight for each label, of one output, and no other weights
class-weight-keys | luck | fit | `class_weight` has the classes that the output has
PIPELINE
overwritten | wrong | silent | a generator does not write into the batch that it yielded
flows-apart | wrong | rows | flows behind one dataset agree in length, shuffle and seed
flow-count | luck | drift | a flow that dropped missing files is shorter than the table beside it
new-flow | luck | each epoch | a flow made again each epoch repeats its augmentations
cached-random | luck | repeats | a cache behind the augmentation repeats its first epoch
frozen-random | wrong | repeats | NumPy's random numbers in a `map` are sampled once
image-files | wrong | files | 16-bit and palette images are not read as what they are
alike | luck | shuffle | labels are of several kinds
LENGTHS
no-batch | wrong | no data | an epoch has batches
endless | wrong | endless | what never ends needs a number of steps
replayed | wrong | iterator | a generator object that ends is no data for several epochs
unknown-length | luck | length | `fit` warns where data ran out, and reports losses too small
steps | wrong | empty | `steps_per_epoch` goes with the number of batches
steps-over | luck | ran out | there are no more steps than batches
monitor | wrong | stopping | a callback monitors what is logged, and knows what is better
VALIDATION
shuffled | luck | predict | validation data keeps one order
other-structure | luck | question | training and validation have one structure
class-numbers | wrong | question | a class has one number in training and in validation
other-range | luck | question | inputs have one scale in training and in validation
"""


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


def _read() -> dict[str, Rule]:
    sections = dict(line.split(" | ") for line in _SECTIONS.strip().splitlines())
    found, stage = {}, ""
    for line in _TABLE.strip().splitlines():
        name, *rest = line.split(" | ")
        stage = stage if rest else name.lower()
        if rest:
            found[name] = Rule(name, stage, rest[0], sections[rest[1]], rest[2])
    return found


RULES = _read()


def rules_table(notebooks: Path) -> str:
    """Return the table of all rules as Markdown, with links that hold in this folder."""
    lines = [
        "# The rules of the contract check\n",
        "Made by `rules.rules_table`. The stages run in this order; the first one with an error",
        "ends the report. What *fails* is reported if Keras refuses the batch too, or was not",
        "asked; what is *doubtful* is a warning where Keras takes it. *Wrong* trains wrongly, and",
        "*luck* works by luck.\n",
        "| rule | stage | what must hold, or what goes wrong | rank | lesson |",
        "| --- | --- | --- | --- | --- |",
    ]
    for rule in RULES.values():
        name, _, heading = rule.lesson.partition("#")
        path = next(notebooks.glob(f"*{name}.ipynb"))
        link = f"[{heading}](../../notebooks/{path.name}#{heading.replace(' ', '-')})"
        lines.append(f"| `{rule.id}` | {rule.stage} | {rule.document} | {rule.rank} | {link} |")
    return "\n".join(lines) + "\n"
