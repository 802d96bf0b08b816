"""Who is measured: one module each, loaded only in the process that needs it.

A contender is a class that takes a `Case` and has a method ``epoch()``, which returns an iterator
over one epoch's batches: ``(images, rows)``, a tuple with one array for each image of a sample and
the rows' numbers, arrays or tensors of whatever library it is made with. One whose iterator goes on
from epoch to epoch says so with ``lasts = True``.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any

__all__ = ["CONTENDERS", "LIMITS", "TEXTBOOK", "Entry", "as_fit_takes_it", "missing", "of_case"]

TEXTBOOK = "textbook"


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
        nothing, so it proves nothing. A rung is a step of the lesson, measured with one image a
        sample in PNG files.
    where : str
        ``module:class`` under `benchmark.contenders`.
    sources : tuple of str
        What it can read from.
    needs : tuple of str
        Packages without which it is left out.
    bits : {"", "flow", "table"}
        Whether it promises the very bits of Keras: those of the textbook's flow with the same
        seed, or those of ``apply_transform`` with the transforms of a table.
    share : int
        It reads each so many-th file, since it is slow.
    """

    name: str
    title: str
    kind: str
    where: str
    sources: tuple[str, ...] = ("disk", "memory", "jpeg")
    needs: tuple[str, ...] = ()
    bits: str = ""
    share: int = 1

    def load(self) -> Any:
        """Import the class."""
        module, _, name = self.where.partition(":")
        return getattr(importlib.import_module(f"benchmark.contenders.{module}"), name)


_DISK, _MEMORY, _FILES = ("disk",), ("memory",), ("disk", "jpeg")
_ALBUMENTATIONS, _GRAIN, _TORCH = ("albumentations",), ("grain",), ("torch",)

CONTENDERS = {
    entry.name: entry
    for entry in (
        # The textbook pipeline runs in every case, from disk, as the reference.
        Entry(TEXTBOOK, "textbook", "textbook", "textbook:Textbook", share=4),
        Entry("prefetch", "textbook + prefetch", "rung", "textbook:Prefetch", _DISK, share=4),
        Entry("per-sample", "generator of samples", "rung", "textbook:PerSample", _DISK, share=4),
        Entry("drop-in", "drop-in class + prefetch", "ours", "ours:DropIn", _DISK, bits="flow"),
        Entry("interleave", "two generators interleaved", "rung", "ours:Interleave", _DISK),
        Entry("plan", "plan", "ours", "ours:PlanAndWorkers", bits="table"),
        Entry("keras-layers", "Keras layers", "alternative", "keras_layers:KerasLayers", share=4),
        Entry(
            "pydataset",
            "PyDataset + albumentations",
            "alternative",
            "pydataset:PyDatasetAlbumentations",
            needs=_ALBUMENTATIONS,
        ),
        Entry(
            "grain",
            "Grain + OpenCV, in fit",
            "alternative",
            "grain_opencv:GrainInFit",
            needs=_GRAIN,
        ),
        Entry("grain-bare", "Grain + OpenCV, bare", "bare", "grain_opencv:Grain", _MEMORY, _GRAIN),
        Entry(
            "pytorch", "PyTorch + OpenCV, in fit", "alternative", "pytorch:PyTorch", needs=_TORCH
        ),
        Entry(
            "tf-graph", "tf.data and warp in the graph", "alternative", "tf_graph:TensorFlowGraph"
        ),
        Entry("decode", "decode only", "limit", "limits:Decode", _FILES),
        Entry("decode-warp", "decode and warp only", "limit", "limits:DecodeWarp", _FILES),
        Entry("warp", "warp only", "limit", "limits:Warp", _MEMORY),
    )
}

# What a contender's rate is compared with, beside the textbook pipeline.
LIMITS = {"disk": "decode-warp", "jpeg": "decode-warp", "memory": "warp"}


def missing(entry: Entry) -> list[str]:
    """Return the packages that a contender needs and that are not installed."""
    return [name for name in entry.needs if importlib.util.find_spec(name) is None]


def of_case(names: list[str], images: int, source: str) -> list[Entry]:
    """Return the entries that take part in a case: the textbook first."""
    others = [
        entry
        for name, entry in CONTENDERS.items()
        if name in names and name != TEXTBOOK and source in entry.sources
    ]
    return [CONTENDERS[TEXTBOOK], *(one for one in others if images == 1 or one.kind != "rung")]


def as_fit_takes_it(loader: Any) -> Any:
    """Return the dataset that ``model.fit(loader)`` iterates over, with TensorFlow as backend.

    Parameters
    ----------
    loader : torch.utils.data.DataLoader or grain.IterDataset
        Whatever ``fit`` takes.
    """
    from keras.src.trainers import data_adapters  # imports TensorFlow: not every contender needs it

    return data_adapters.get_data_adapter(loader).get_tf_dataset()
