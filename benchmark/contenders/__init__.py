"""Who is measured: one module each, loaded only in the process that needs it.

A contender is a class that takes a `Case` and has a method ``epoch()``, which returns an iterator
over one epoch's batches: ``(pictures, rows)``, a tuple with one array a picture and the rows'
numbers, arrays or tensors of whatever library it is made with. Where it keeps processes between
epochs it also has ``close()``. Where it works ahead of the next epoch, ``lead_in = True`` has an
untimed epoch run before each timed round.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from benchmark.cases import Case

__all__ = ["CONTENDERS", "TEXTBOOK", "Contender", "Entry", "missing", "of_case"]

TEXTBOOK = "textbook"


class Contender(Protocol):
    """Something that delivers a case's batches."""

    def __init__(self, case: Case) -> None:
        """Prepare everything that lasts longer than an epoch."""

    def epoch(self) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """Start an epoch and return an iterator over its batches."""


@dataclass(frozen=True)
class Entry:
    """What is known of a contender before it is loaded.

    Parameters
    ----------
    name, title : str
        What it is called on the command line and in the report.
    kind : {"textbook", "rung", "ours", "alternative", "bare", "limit"}
        What it is measured for. An alternative delivers what Keras' ``fit`` trains on with
        TensorFlow; a bare one is the same without the way into TensorFlow. A limit delivers
        nothing, so it proves nothing.
    where : str
        ``module:class`` under `benchmark.contenders`.
    sources : tuple of str
        What it can read from.
    needs : tuple of str
        Packages without which it is left out.
    same_pixels : bool
        Whether it promises the textbook pipeline's pixels, in the same order.
    """

    name: str
    title: str
    kind: str
    where: str
    sources: tuple[str, ...] = ("disk", "memory")
    needs: tuple[str, ...] = ()
    same_pixels: bool = False

    def load(self) -> type[Contender]:
        """Import the class."""
        module, _, name = self.where.partition(":")
        return getattr(importlib.import_module(f"benchmark.contenders.{module}"), name)


_DISK = ("disk",)
_MEMORY = ("memory",)
_CV2 = ("cv2",)
_GRAIN = ("cv2", "grain")
_TORCH = ("cv2", "torch")

CONTENDERS = {
    entry.name: entry
    for entry in (
        # The textbook pipeline runs in every case, from disk, as the reference.
        Entry(TEXTBOOK, "textbook", "textbook", "textbook:Textbook", same_pixels=True),
        Entry("prefetch", "textbook + prefetch", "rung", "textbook:Prefetch", _DISK, (), True),
        Entry("per-sample", "generator of samples", "rung", "textbook:PerSample", _DISK),
        Entry("drop-in", "drop-in class + prefetch", "ours", "ours:DropIn", _DISK, _CV2, True),
        Entry("interleave", "two generators interleaved", "rung", "ours:Interleave", _DISK, _CV2),
        Entry("recipes", "recipes", "ours", "ours:Cooked", needs=_CV2, same_pixels=True),
        Entry("keras-layers", "Keras layers", "alternative", "keras_layers:KerasLayers"),
        Entry(
            "pydataset",
            "PyDataset + albumentations",
            "alternative",
            "pydataset:PyDatasetAlbumentations",
            needs=("cv2", "albumentations"),
        ),
        Entry(
            "grain",
            "Grain + OpenCV, in fit",
            "alternative",
            "grain_opencv:GrainInFit",
            needs=_GRAIN,
        ),
        Entry("grain-bare", "Grain + OpenCV, bare", "bare", "grain_opencv:Grain", needs=_GRAIN),
        Entry(
            "pytorch",
            "PyTorch + OpenCV, in fit",
            "alternative",
            "pytorch:PyTorchInFit",
            needs=_TORCH,
        ),
        Entry("pytorch-bare", "PyTorch + OpenCV, bare", "bare", "pytorch:PyTorch", needs=_TORCH),
        Entry(
            "tf-graph", "tf.data and warp in the graph", "alternative", "tf_graph:TensorFlowGraph"
        ),
        Entry("decode", "decode only", "limit", "limits:Decode", _DISK, _CV2),
        Entry("decode-warp", "decode and warp only", "limit", "limits:DecodeWarp", _DISK, _CV2),
        Entry("warp", "warp only", "limit", "limits:Warp", _MEMORY, _CV2),
        Entry("naked-warp", "warp only, nothing else", "limit", "limits:NakedWarp", _MEMORY, _CV2),
        Entry("copy", "copy finished batches", "limit", "limits:Copy", _MEMORY),
    )
}

# What a contender's rate is compared with, beside the textbook pipeline.
LIMITS = {"disk": "decode-warp", "memory": "warp"}


def missing(entry: Entry) -> list[str]:
    """Return the packages that a contender needs and that are not installed."""
    return [name for name in entry.needs if importlib.util.find_spec(name) is None]


def of_case(names: list[str], source: str) -> list[Entry]:
    """Return the entries that take part in a case: the textbook first, and those of the source."""
    chosen = [entry for name, entry in CONTENDERS.items() if name in names]
    others = [entry for entry in chosen if entry.name != TEXTBOOK and source in entry.sources]
    return [CONTENDERS[TEXTBOOK], *others]
