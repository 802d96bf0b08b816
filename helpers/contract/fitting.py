"""Which leaf goes to which input or output, and whether their shapes agree."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from helpers.contract.facts import ERROR, Facts, Finding, Leaf
from helpers.contract.models import Slot
from helpers.contract.nests import is_nested, is_sequence


def matched(role: str, part: Any, slots: Sequence[Slot] | None) -> list[tuple[str, Slot]]:
    """Pair each leaf's path with the model's slot, where that is certain."""
    if slots is None or part is None:
        return []
    if isinstance(part, Mapping):
        by_name = {slot.name: slot for slot in slots}
        pairs = [(f"{role}[{key!r}]", by_name[key]) for key in part if key in by_name]
        return [(path, slot) for path, slot in pairs if not is_nested(part[_key_in(path, part)])]
    if is_sequence(part):
        if len(part) != len(slots) or any(is_nested(child) for child in part):
            return []
        keyed = slots[0].keyed
        slots = sorted(slots, key=lambda slot: slot.name) if keyed else slots
        return [(f"{role}[{number}]", slot) for number, slot in enumerate(slots)]
    return [(role, slots[0])] if len(slots) == 1 else []


def _key_in(path: str, part: Mapping[Any, Any]) -> Any:
    return next(key for key in part if path.endswith(f"[{key!r}]"))


def names_of(slots: Sequence[Slot]) -> list[str]:
    """Return the names of inputs or outputs."""
    return [slot.name for slot in slots]


def nearest(key: Any, names: Sequence[str], what: str) -> str:
    """Return the name that the key was meant to be, or all names."""
    close = difflib.get_close_matches(str(key), list(names), 1, 0.5)
    return f"{close[0]!r}" if close else f"one of the {what}s {list(names)}"


def show_shape(shape: Any) -> str:
    """Return a shape as text."""
    return "unknown" if shape is None else str(tuple(shape))


def agree(found: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    """Say whether two shapes agree but for the batch axis and open axes."""
    pairs = list(zip(found, wanted, strict=False))[1:]
    return len(found) == len(wanted) and all(
        None in (one, other) or one == other for one, other in pairs
    )


def squeezable(found: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    """Keras adds or drops a last axis of 1 itself."""
    longer, shorter = (found, wanted) if len(found) > len(wanted) else (wanted, found)
    return (
        len(longer) == len(shorter) + 1 and longer[-1] in (1, None) and agree(longer[:-1], shorter)
    )


def matched_targets(facts: Facts) -> list[tuple[str, Slot]]:
    """Return (path of a target, its output)."""
    return matched("targets", facts.part("targets"), facts.model.outputs)


def lacks_batch_axis(leaf: Leaf, slot: Slot) -> bool:
    """Say whether a leaf is one sample of an input, without the batch axis."""
    if leaf.kind != "dense" or leaf.shape is None or slot.shape is None:
        return False
    if len(leaf.shape) != len(slot.shape) - 1 or is_text(leaf.dtype) != is_text(slot.dtype):
        return False
    found = leaf.shape if leaf.first is None else (leaf.first, *leaf.shape[1:])
    if any(wanted not in (None, size) for size, wanted in zip(found, slot.shape[1:], strict=True)):
        return False
    # Keras itself adds the last axis to a batch of numbers.
    return slot.shape[-1] != 1 or not agree(leaf.shape, slot.shape[:-1])


def is_text(dtype: str) -> bool:
    """Say whether a dtype is that of texts."""
    return dtype in ("string", "object")


def not_batched(facts: Facts) -> bool:
    """Say whether the dataset gives single samples: nothing else of its shapes is worth telling."""
    pairs = matched("inputs", facts.part("inputs"), facts.model.inputs)
    if any(lacks_batch_axis(facts.leaves[path], slot) for path, slot in pairs):
        return True
    return bool(single_numbers(facts))


def single_numbers(facts: Facts) -> list[str]:
    """Return the inputs and targets without any axis, which Keras takes from no dataset."""
    return [
        path
        for path, leaf in facts.leaves.items()
        if leaf.shape == () and leaf.kind == "dense" and not path.startswith("weights")
    ]


def compare_keys(
    role: str,
    part: Any,
    slots: Sequence[Slot],
    *,
    needed: Sequence[Slot] | None = None,
    what: str,
) -> Iterator[Finding]:
    """Compare a dict's keys, or a tuple's length, with the model's inputs or outputs."""
    names = names_of(slots)
    wanted = names if needed is None else names_of(needed)
    wanted = [name for slot, name in zip(slots, names, strict=True) if name in wanted]
    optional = {slot.name for slot in slots if slot.optional}
    if isinstance(part, Mapping):
        extra = [key for key in part if key not in names]
        for key in extra:
            near = difflib.get_close_matches(str(key), [n for n in names if n not in part], 1, 0.6)
            change = f"rename the key to {near[0]!r}" if near else "leave the key out"
            expected = f"one of the {what}s {names}"
            expected = repr(near[0]) if near else expected
            yield Finding(ERROR, f"{role}[{key!r}]", f"no {what} of that name", expected, change)
        for name in wanted:
            if name not in part and name not in optional:
                near = difflib.get_close_matches(name, [str(key) for key in extra], 1, 0.6)
                if not near:
                    expected = f"keys {sorted(wanted)}"
                    change = f"add the key {name!r}"
                    yield Finding(ERROR, f"{role}[{name!r}]", "missing", expected, change)
    elif is_sequence(part) and len(part) != len(slots):
        expected = f"{len(slots)}: {names}"
        change = f"yield one part an {what}"
        yield Finding(ERROR, role, f"a tuple of {len(part)}", expected, change)
    elif not is_nested(part) and len(slots) > 1 and role == "inputs":
        if slots[0].nested or part is None:
            return
        yield Finding(ERROR, role, "one array", f"{len(slots)} inputs: {names}", "yield a tuple")
