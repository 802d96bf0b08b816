"""What a model takes, gives and is compiled with; nothing is built and nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

__all__ = ["LossKind", "ModelFacts", "Slot", "facts_of_model"]


@dataclass(frozen=True)
class Slot:
    """An input or an output: its name, shape with the batch axis, dtype; what makes its values.

    Of an input that goes straight into an Embedding, the size of that one's vocabulary too.
    """

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str = ""
    optional: bool = False
    activation: str = ""
    keyed: bool = False
    nested: bool = False
    vocabulary: int | None = None


@dataclass(frozen=True)
class LossKind:
    """A loss by its one name, such as ``mean_squared_error``."""

    name: str
    from_logits: bool = False
    ignored: int | None = None

    @property
    def elementwise(self) -> bool:
        """Whether target and output must have one shape."""
        return self.name in _ELEMENTWISE

    @property
    def on_probabilities(self) -> bool:
        """Whether the loss wants probabilities, or logits if it is told so."""
        return self.name in _ON_PROBABILITIES


_ELEMENTWISE = {
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "huber",
    "log_cosh",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "kl_divergence",
    "poisson",
    "cosine_similarity",
}
_ON_PROBABILITIES = {
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "sparse_categorical_crossentropy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
}


@dataclass
class ModelFacts:
    """All that the rules know of a model; None for what is not known."""

    kind: str
    inputs: list[Slot] | None = None
    outputs: list[Slot] | None = None
    input_kind: str = "unknown"
    output_kind: str = "unknown"
    compiled: bool | None = None
    custom_step: bool = False
    loss: Any = None
    loss_weights: Any = None
    metrics: Any = None
    weighted_metrics: Any = None

    @property
    def needs_targets(self) -> bool:
        """Whether training needs targets: there is a loss, and the step is Keras' own."""
        return not self.custom_step and self.loss is not None

    def loss_of(self, slot: Slot) -> LossKind | None:
        """Return the loss of an output, or None where it has none or an unknown one."""
        return _loss_kind(self._loss_setting(slot))

    def only_loss(self) -> LossKind | None:
        """Return the loss where there is one for all; None where there are several, or none."""
        return None if self.custom_step else _loss_kind(self.loss)

    def without_loss(self, slot: Slot) -> bool:
        """Say whether an output has no loss."""
        return self._loss_setting(slot) is None

    def loss_is_partial(self) -> bool:
        """Say whether some output has no loss."""
        return any(self.without_loss(slot) for slot in self.outputs or ())

    def _loss_setting(self, slot: Slot) -> Any:
        if self.custom_step:
            return None
        if isinstance(self.loss, Mapping):
            return self.loss.get(slot.name)
        if isinstance(self.loss, list | tuple) and self.outputs:
            names = [output.name for output in self.outputs]
            names = sorted(names) if self.output_kind == "dict" else names
            number = names.index(slot.name)
            return self.loss[number] if number < len(self.loss) else None
        return self.loss


def facts_of_model(model: Any) -> ModelFacts:
    """Read a model.

    Parameters
    ----------
    model : keras.Model
        Any; a subclassed model's inputs and outputs are not known.

    Returns
    -------
    ModelFacts

    Raises
    ------
    TypeError
        If it is no Keras model.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model: expected a keras.Model, found {type(model).__name__}")
    graph = getattr(model, "_functional", model) if isinstance(model, keras.Sequential) else model
    kind = {True: "a Sequential without Input"}.get(isinstance(model, keras.Sequential))
    facts = ModelFacts(kind or "a subclassed model")
    if hasattr(graph, "_inputs_struct"):
        facts.kind = "a functional model"
        sizes = _vocabularies(graph)
        facts.input_kind, facts.inputs = _slots(graph._inputs_struct, None, sizes)
        facts.output_kind, facts.outputs = _slots(graph._outputs_struct, graph.output_names)
    own = [type(model).train_step, type(model).compute_loss]
    facts.custom_step = own != [keras.Model.train_step, keras.Model.compute_loss]
    facts.compiled = bool(model.compiled)
    loss, metrics = model._compile_loss, model._compile_metrics
    facts.loss = getattr(loss, "_user_loss", None)
    facts.loss_weights = getattr(loss, "_user_loss_weights", None)
    facts.metrics = getattr(metrics, "_user_metrics", None)
    facts.weighted_metrics = getattr(metrics, "_user_weighted_metrics", None)
    return facts


def _slots(
    struct: Any, names: list[str] | None, sizes: Mapping[int, int] | None = None
) -> tuple[str, list[Slot] | None]:
    if isinstance(struct, Mapping):
        if not all(hasattr(tensor, "shape") for tensor in struct.values()):
            return "nested", None
        return "dict", [_slot(tensor, name, True, sizes) for name, tensor in struct.items()]
    if isinstance(struct, list | tuple):
        if not all(hasattr(tensor, "shape") for tensor in struct):
            return "nested", None
        names = names or [tensor.name for tensor in struct]
        kind = "sequence" if len(struct) > 1 else "single"
        return kind, [_slot(*pair, False, sizes) for pair in zip(struct, names, strict=True)]
    return "single", [_slot(struct, names[0] if names else struct.name, False, sizes)]


def _slot(tensor: Any, name: str, keyed: bool, sizes: Mapping[int, int] | None) -> Slot:
    operation = tensor._keras_history.operation
    return Slot(
        name,
        tuple(tensor.shape),
        str(tensor.dtype),
        bool(getattr(operation, "optional", False)),
        _activation(operation),
        keyed,
        vocabulary=(sizes or {}).get(id(tensor)),
    )


def _vocabularies(graph: Any) -> dict[int, int]:
    """Return the size of the vocabulary of each input that goes straight into an Embedding."""
    found: dict[int, int] = {}
    for layer in graph.layers:
        if isinstance(layer, keras.layers.Embedding):
            for node in layer._inbound_nodes:
                for tensor in node.input_tensors:
                    known = found.get(id(tensor), layer.input_dim)
                    found[id(tensor)] = min(known, layer.input_dim)
    return found


def _activation(operation: Any) -> str:
    """Return the name of the function that makes an output's values; empty where unknown."""
    if isinstance(operation, keras.layers.Softmax):
        return "softmax"
    if isinstance(operation, keras.Sequential) and operation.layers:
        return _activation(operation.layers[-1])
    function = getattr(operation, "activation", None)
    for name in ("softmax", "sigmoid", "linear", "relu", "tanh"):
        if function is getattr(keras.activations, name):
            return name
    return ""


def _loss_kind(setting: Any) -> LossKind | None:
    if setting is None or isinstance(setting, list | tuple | Mapping):
        return None
    if isinstance(setting, str):
        if setting.lower() in ("crossentropy", "ce"):
            return None
        try:
            setting = keras.losses.get(setting)
        except ValueError:
            return None
    if isinstance(setting, keras.losses.Loss):
        words = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(setting).__name__)
        logits = bool(getattr(setting, "from_logits", False))
        words = words.lstrip("_").replace("k_l_d", "kl_d")
        return LossKind(words, logits, getattr(setting, "ignore_class", None))
    module = getattr(setting, "__module__", "") or ""
    name = getattr(setting, "__name__", "")
    return LossKind(name) if module.startswith("keras") else LossKind("")
