"""What the rules look at: a batch by leaf, a model by input and output. Nothing is changed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from helpers.contract.looking import Source, arrays_of
from helpers.datasets import leaves, parts_of

Shape = tuple[int | None, ...]
#: What a rule yields: its id, the leaf, what is; and where the table has it not or says otherwise,
#: what should be and what fixes it.
Found = Iterator[tuple[str, ...]]

_ELEMENTWISE = ("mean_", "huber", "log_cosh", "poisson", "kl_", "binary", "cosine")
_SCALING = (keras.layers.Rescaling, keras.layers.Normalization, keras.layers.Lambda, keras.Model)


@dataclass(frozen=True)
class Slot:
    """An input or an output, what is next to it in the model, and an output's loss.

    `loss` is its name, such as ``mean_squared_error``, empty for one that is not Keras', and None
    where there is none.
    """

    name: str
    shape: Shape
    dtype: str
    optional: bool = False
    unnamed: bool = False
    activation: str = ""
    rescaled: bool = False
    loss: str | None = None
    from_logits: bool = False
    ignored: int | None = None

    @property
    def elementwise(self) -> bool:
        """Whether target and output must have one shape, or are broadcast in silence."""
        return (self.loss or "").startswith(_ELEMENTWISE)


@dataclass(frozen=True)
class Leaf:
    """Shape (None for the samples; None as a whole where unknown), dtype, kind, the array itself.

    The kind is ``"dense"``, ``"ragged"``, ``"sparse"``, ``"dataset"``, ``"none"`` or ``"other"``.
    """

    shape: Shape | None
    dtype: str
    kind: str = "dense"
    value: Any = None


class ModelFacts:
    """A model's inputs, outputs (None where unknown) and what it was compiled with.

    A kind is ``"dict"``, ``"sequence"``, ``"single"``, ``"nested"`` or ``"unknown"``.
    """

    def __init__(self, model: Any) -> None:
        if not isinstance(model, keras.Model):
            raise TypeError(f"model: expected a keras.Model, found {type(model).__name__}")
        self.model = model
        steps = [type(model).train_step, type(model).compute_loss]
        self.own_step = steps != [keras.Model.train_step, keras.Model.compute_loss]
        self.settings: dict[str, Any] = {}
        for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            compiled = model._compile_loss if name.startswith("loss") else model._compile_metrics
            setting = getattr(compiled, f"_user_{name}", None)
            self.settings[name] = dict(setting) if isinstance(setting, Mapping) else setting
        self.inputs: list[Slot] | None = None
        self.outputs: list[Slot] | None = None
        self.kinds = {"inputs": "unknown", "targets": "unknown", "weights": "unknown"}
        sequential = isinstance(model, keras.Sequential)
        graph: Any = getattr(model, "_functional", None) if sequential else model
        if hasattr(graph, "_inputs_struct"):
            self.inputs = self._slots("inputs", graph, graph._inputs_struct, None)
            self.outputs = self._slots("targets", graph, graph._outputs_struct, graph.output_names)
        self.trained = [slot for slot in self.outputs or () if slot.loss is not None]

    def _slots(self, role: str, graph: Any, struct: Any, names: Any) -> list[Slot] | None:
        tensors = [tensor for _, _, tensor in parts_of(struct, role)] or [struct]
        several = isinstance(struct, tuple | list) and len(struct) > 1
        kind = "dict" if isinstance(struct, Mapping) else "sequence" if several else "single"
        if not all(hasattr(tensor, "shape") for tensor in tensors):
            self.kinds[role] = "nested"
            return None
        self.kinds[role] = kind
        names = list(struct) if kind == "dict" else names or [tensor.name for tensor in tensors]
        slots = [_slot(graph, *pair) for pair in zip(tensors, names, strict=True)]
        if role == "inputs" or self.own_step:
            return slots
        given, ordered = self.settings["loss"], sorted(names) if kind == "dict" else names
        if isinstance(given, list | tuple):
            given = dict(zip(ordered, given, strict=False))
        by_name = given if isinstance(given, Mapping) else dict.fromkeys(names, given)
        return [_with_loss(slot, by_name.get(slot.name)) for slot in slots]


def _slot(graph: Any, tensor: Any, name: str) -> Slot:
    operation = tensor._keras_history.operation
    nodes = [(layer, node) for layer in graph.layers for node in layer._inbound_nodes]
    next_to = [layer for layer, node in nodes if any(tensor is one for one in node.input_tensors)]
    last = operation
    while isinstance(last, keras.Sequential) and last.layers:
        last = last.layers[-1]
    function = getattr(last, "activation", None)
    kinds = ("softmax", "sigmoid", "linear", "relu", "tanh")
    found = [kind for kind in kinds if function is getattr(keras.activations, kind)]
    return Slot(
        name,
        tuple(tensor.shape),
        str(tensor.dtype),
        optional=bool(getattr(operation, "optional", False)),
        unnamed=str(tensor.name).startswith("keras_tensor"),
        activation="softmax" if isinstance(last, keras.layers.Softmax) else "".join(found),
        rescaled=any(isinstance(layer, _SCALING) for layer in next_to),
    )


def _with_loss(slot: Slot, setting: Any) -> Slot:
    if setting is None or isinstance(setting, list | tuple | Mapping):
        return slot
    try:
        loss = keras.losses.get(setting)
    except ValueError:
        return replace(slot, loss="")
    name = getattr(loss, "__name__", type(loss).__name__)
    words = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
    words = words.replace("k_l_d", "kl_d")
    of_keras = (getattr(loss, "__module__", None) or type(loss).__module__).startswith("keras")
    logits, ignored = getattr(loss, "from_logits", False), getattr(loss, "ignore_class", None)
    return replace(slot, loss=words * of_keras, from_logits=bool(logits), ignored=ignored)


@dataclass
class Facts:
    """All that the rules look at: a source, one batch of it, the model, the arguments of fit.

    `refused` is None where Keras was not asked about the batch, and else what it said.
    """

    source: Source
    model: ModelFacts
    name: str
    element: Any
    options: dict[str, Any]
    refused: str | None = None
    parts: dict[str, Any] = field(default_factory=dict)
    leaves: dict[str, Leaf] = field(default_factory=dict)

    def __post_init__(self) -> None:
        whole = () if self.element is None else arrays_of(self.element)
        whole = whole if isinstance(whole, tuple) else (whole,)
        self.parts = dict(zip(("inputs", "targets", "weights"), whole, strict=False))
        self.leaves = {path: leaf_of(part) for path, part in leaves(whole)}

    def slots(self, role: str) -> list[Slot]:
        """Return the model's inputs or outputs, none where they are unknown."""
        return (self.model.inputs if role == "inputs" else self.model.outputs) or []

    def pairs(self, role: str) -> list[tuple[str, Leaf, Slot]]:
        """Return each leaf of inputs or targets with the model's slot for it."""
        slots, part = self.slots(role), self.parts.get(role)
        if not slots or part is None:
            return []
        children = parts_of(part, role) or [(role, slots[0].name, part)]
        if self.model.kinds[role] == "dict":
            slots = sorted(slots, key=lambda slot: slot.name)
        by_name = {slot.name: slot for slot in slots}
        if isinstance(part, Mapping):
            slots = [by_name.get(label) for _, label, _ in children]  # type: ignore[misc]
        if len(children) != len(slots):
            return []
        found = zip(children, slots, strict=True)
        return [(p, self.leaves[p], slot) for (p, *_), slot in found if slot and p in self.leaves]

    def numbers(self, role: str = "") -> list[tuple[str, np.ndarray]]:
        """Return each leaf that is a filled array of numbers."""
        found = [(path, leaf.value) for path, leaf in self.leaves.items() if path.startswith(role)]
        return [(p, v) for p, v in found if v is not None and v.size and v.dtype.kind in "iufb"]

    def single(self) -> str:
        """Return the first leaf that is one sample, without the batch axis; empty if none is."""
        found = [path for path, leaf in self.leaves.items() if leaf.shape == ()]
        found = [path for path in found if not path.startswith("weights")]
        for path, leaf, slot in reversed(self.pairs("inputs")):
            own = leaf.shape if leaf.value is None else leaf.value.shape
            # Keras itself adds the last axis to a batch of numbers.
            column = slot.shape[-1:] == (1,) and agree(own or (), slot.shape[:-1])
            if own and same_kind(leaf, slot) and agree((None, *own), slot.shape) and not column:
                found.insert(0, path)
        return "" if self.model.own_step or not found else found[0]


def leaf_of(part: Any) -> Leaf:
    """Return what is known of a leaf or of its spec."""
    kind, dtype = type(part).__name__, getattr(getattr(part, "dtype", None), "name", "")
    if part is None or kind == "NoneTensorSpec":  # TensorFlow 2.20 does not export its class
        return Leaf(None, "", "none")
    if isinstance(part, tf.data.DatasetSpec | tf.data.Dataset):
        return Leaf(None, "", "dataset")
    if kind.startswith("Ragged") or "Sparse" in kind:
        return Leaf(None, dtype, "ragged" if kind.startswith("Ragged") else "sparse")
    if isinstance(part, tf.TensorSpec):
        return Leaf(None if part.shape.rank is None else tuple(part.shape.as_list()), dtype)
    try:
        value = np.asarray(part)
    except Exception:
        return Leaf(None, kind, "other")
    if value.dtype == object and value.ndim == 0:
        return Leaf(None, kind, "other")
    name = dtype if isinstance(part, tf.Tensor) else value.dtype.name
    name = "string" if name.startswith(("str", "bytes")) else name
    return Leaf((None, *value.shape[1:]) if value.ndim else (), name, "dense", value)


def agree(found: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    """Say whether two shapes agree but for the batch axis and open axes."""
    pairs = list(zip(found, wanted, strict=False))[1:]
    return len(found) == len(wanted) and all(None in pair or pair[0] == pair[1] for pair in pairs)


def show(shape: Sequence[int | None] | None) -> str:
    """Return a shape as in a message."""
    return "unknown shape" if shape is None else f"shape {tuple(shape)}"


def is_text(dtype: str) -> bool:
    """Say whether a dtype is that of strings."""
    return dtype in ("string", "object")


def same_kind(leaf: Leaf, slot: Slot) -> bool:
    """Say whether both are strings, or neither is."""
    return is_text(leaf.dtype) == is_text(slot.dtype)


def nearest(name: Any, names: Sequence[str]) -> str:
    """Return the name that another one was meant to be, or nothing."""
    return next(iter(difflib.get_close_matches(str(name), list(names), 1, 0.6)), "")
