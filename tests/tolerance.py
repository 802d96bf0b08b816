"""Outputs whose numbers may differ a little, as a cell's tag states, and nothing else of them.

A cell that is tagged ``within-2%`` shows numbers that do not repeat to the last digit: losses on
another processor, ratios of times. Each number must be within so many percent of the stored one,
of the larger of the two; all text between the numbers must be the same. What only looks like a
number, or counts something that is sure, is text: shapes, versions, dates, ``float32``, ``02``,
``epoch 3``, colours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

TAG = re.compile(r"within-(\d{1,2}(?:\.\d+)?)%")
LOOSEST = 60.0

# Words after which an integer names a thing, and a shape: a tuple of nothing but integers and None.
_NAMED = r"\b(?:axes|batch|cell|class|epoch|exercise|figure|fold|input|lesson|output|row|seed|step)"
_EXACT = re.compile(
    rf"{_NAMED}:? \d+(?!\d|[.,]\d)|\((?:None|\d+)(?:, (?:None|\d+))*,?\)|#[0-9a-f]{{6}}",
    re.IGNORECASE,
)
# Not within a word, such as float32 or x1, nor a part of a version, a date, a time of day.
_NUMBER = re.compile(
    r"(?<![\w.])(?<!\d[:/-])[-+−]?(?!0\d)(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?"
    r"(?![\w]|[.,]\d|[:/]\d|-\d)"
)
_MARK = "\N{OBJECT REPLACEMENT CHARACTER}"


def percent_of(tags: Sequence[str]) -> float | None:
    """Return the tolerance that a cell's tags state, in percent; None where there is none.

    Raises
    ------
    ValueError
        If there is more than one, or it is not well-formed, or too loose.

    Examples
    --------
    >>> percent_of(["starter"]), percent_of(["within-2.5%"])
    (None, 2.5)
    """
    stated = [tag for tag in tags if tag.startswith("within")]
    if not stated:
        return None
    found = TAG.fullmatch(stated[0])
    if len(stated) > 1 or not found or not 0 < float(found[1]) <= LOOSEST:
        raise ValueError(f"tags {stated}, expected one like 'within-2%', at most {LOOSEST:g} %")
    return float(found[1])


def numbers(text: str) -> list[float]:
    """Return the numbers in a text that may differ.

    Examples
    --------
    >>> numbers("epoch 1, float32: loss 2.07 → 1.31, 480 of 1,440 pairs (32, 64), -3e-05")
    [2.07, 1.31, 480.0, 1440.0, -3e-05]
    """
    return list(map(_value, _split(text)[1]))


def _value(written: str) -> float:
    return float(written.replace(",", "").replace("−", "-"))


def _split(text: str) -> tuple[str, list[str]]:
    """Return a line with marks in place of its numbers, and the numbers as written."""
    exact = [span.span() for span in _EXACT.finditer(text)]
    spans = [
        found.span()
        for found in _NUMBER.finditer(text)
        if not any(start < found.end() and found.start() < stop for start, stop in exact)
    ]
    ends = [0, *(place for span in spans for place in span), len(text)]
    between = [text[start:stop] for start, stop in zip(ends[::2], ends[1::2], strict=True)]
    return _MARK.join(between), [text[start:stop] for start, stop in spans]


def _frame(line: str) -> str:
    """Return a line with marks for its numbers, whatever the width of its columns.

    A column is as wide as the widest number in it. So two spaces and more count as two, spaces
    before a number as one (as none at the start of a line), and a ruler has no length.
    """
    marked = re.sub(r"^ +(?=\ufffc)", "", _split(line)[0])
    marked = re.sub(r"[─-]{3,}", "───", re.sub(r" {2,}", "  ", marked))
    return re.sub(r" +(?=\ufffc)", " ", marked)


def difference(stored: str, new: str, percent: float) -> str:
    """Say where two texts differ by more than the tolerance allows; empty if they do not.

    Examples
    --------
    >>> difference("loss 2.07 → 1.31", "loss 2.07 → 1.32", 1)
    ''
    >>> difference("loss 2.07 → 1.31", "loss 2.07 → 1.41", 1)
    "line 1: stored 1.31, now 1.41, which is 7.1 % apart (allowed 1 %): 'loss 2.07 → 1.41'"
    """
    for count, (old, now) in enumerate(zip_longest(stored.split("\n"), new.split("\n")), 1):
        if old is None or now is None or _frame(old) != _frame(now):
            shown = ["nothing" if line is None else repr(line[:200]) for line in (old, now)]
            return f"line {count}: stored {shown[0]}, now {shown[1]}"
        for one, other in zip(numbers(old), numbers(now), strict=True):
            apart = distance(one, other)
            if apart > percent * (1 + 1e-9):  # 1.96 and 2 are 2 % apart, not a little more
                return (
                    f"line {count}: stored {one:.6g}, now {other:.6g}, which is {apart:.1f} % "
                    f"apart (allowed {percent:g} %): {now[:200]!r}"
                )
    return ""


def distance(one: float, other: float) -> float:
    """Return how far two numbers are apart, in percent of the larger one."""
    return 0.0 if one == other else 100 * abs(one - other) / max(abs(one), abs(other))


# --- figures --------------------------------------------------------------------------------------
#
# What tests/figures.py says of a figure, item by item. The values of lines, bars and points may
# differ, and with them the ticks of an axis that follows them; all else is sure.

_ITEMS = re.compile(r"; (?=(?:[^']|'[^']*')*$)")
_VALUES = re.compile(
    r"(?P<head>line .*?points: x .*?, y |bars.*?, \d+: |PathCollection.*?points: )(?P<values>.*)"
)
_TICKS = re.compile(r"(?P<head>[xy](?: \w+)*(?: '[^']*')?): [-+\d.e ]+")


def figure_difference(stored: str, new: str, percent: float) -> str:
    """Say where the descriptions of two figures differ by more than the tolerance allows.

    Titles, labels, legends, colours, images and the number of points are compared strictly, the
    values of lines, bars and points within the tolerance. Ticks that are numbers follow the
    values, and are left out.

    Examples
    --------
    >>> old = "1 'loss'; x 'epoch': 0 1; y: 0.5 1; line 'train' #0072b2, 2 points: x 0 1, y 0.9 0.5"
    >>> figure_difference(old, old.replace("0.9 0.5", "0.91 0.5"), 2)
    ''
    >>> print(figure_difference(old, old.replace("'epoch'", "'step'"), 2))
    stored "x 'epoch': 0 1", now "x 'step': 0 1" (allowed 2 %)
    """
    before, now = (_items(text) for text in (stored, new))
    for old, drawn in zip_longest(before, now):
        if old is None or drawn is None or not _agree(old, drawn, percent):
            shown = ["nothing" if item is None else repr(item[:200]) for item in (old, drawn)]
            return f"stored {shown[0]}, now {shown[1]} (allowed {percent:g} %)"
    return ""


def _items(text: str) -> list[str]:
    """Take a description apart; where its lines are wrapped depends on how long numbers are."""
    lines = re.sub(r"\n {2,}", " ", text.strip()).split("\n")
    return [item for line in lines for item in _ITEMS.split(line)]


def _agree(old: str, new: str, percent: float) -> bool:
    if old == new:
        return True
    for pattern in (_VALUES, _TICKS):
        one, other = pattern.fullmatch(old), pattern.fullmatch(new)
        if one and other and one["head"] == other["head"]:
            return pattern is _TICKS or not difference(one["values"], other["values"], percent)
    if old.startswith("texts ") and new.startswith("texts "):
        return not difference(old, new, percent)
    return False


# --- a cell's outputs -----------------------------------------------------------------------------


def outputs_difference(
    stored: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], percent: float
) -> str:
    """Say in one line where a tagged cell's outputs differ by more than its tag allows.

    Standard error is left out, as for any cell; images are compared by `notebook_checks`.
    """
    before, now = list(_texts(stored)), list(_texts(new))
    for old, fresh in zip_longest(before, now):
        if old is None or fresh is None or old[0] != fresh[0]:
            kinds = ["nothing" if part is None else part[0] for part in (old, fresh)]
            return f"stored {kinds[0]}, now {kinds[1]}"
        compare = figure_difference if old[0] == "figure" else difference
        found = compare(old[1], fresh[1], percent)
        if found:
            return f"{old[0]}: {found}"
    return ""


def values(outputs: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the numbers of a cell's outputs that its tag is about, in order."""
    return list(map(_value, written(outputs)))


def last_digit(number: str) -> float:
    """Return how far a number with decimals is from the next that is written so, in percent.

    Two machines that agree to many digits may round to neighbours.

    Examples
    --------
    >>> last_digit("0.50"), last_digit("2.5e-05"), last_digit("480")
    (2.0, 4.0, 0.0)
    """
    digits, _, exponent = number.replace(",", "").replace("−", "-").partition("e")
    decimals = len(digits.partition(".")[2])
    step = 10.0 ** (int(exponent or 0) - decimals)
    value = abs(_value(number))
    return round(100 * step / value, 9) if decimals and value else 0.0


def written(outputs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the numbers of a cell's outputs that its tag is about, as they are written."""
    found: list[str] = []
    for kind, text in _texts(outputs):
        if kind != "figure":
            for line in text.split("\n"):
                found += _split(line)[1]
            continue
        for item in _items(text):
            matched = _VALUES.fullmatch(item)
            text = matched["values"] if matched else item if item[:6] == "texts " else ""
            found += _split(text)[1]
    return found


def _texts(outputs: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield kind and text of all that is compared; texts printed in several goes are one."""
    printed: list[str] = []
    for output in outputs:
        kind = output["output_type"]
        if kind == "stream":
            printed += [_joined(output["text"])] if output["name"] != "stderr" else []
            continue
        if printed:
            yield "stdout", "".join(printed)
            printed = []
        if kind == "error":
            yield "error", f"{output['ename']}: {output['evalue']}"
        data = output.get("data", {})
        for name in sorted(data):
            if name == "text/plain" and "image/png" in data:
                yield "figure", _joined(data[name])
            elif not name.startswith("image/p") and "widget-view" not in name:
                yield name, _joined(data[name])
    if printed:
        yield "stdout", "".join(printed)


def _joined(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "".join(value) if isinstance(value, list) else json.dumps(value)
