"""What is measured: which pictures, how many a sample, read from where, augmented how."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from helpers import tiles

__all__ = ["AUGMENTATION", "BATCH", "FILES", "SCALE", "SEED", "SIZES", "SOURCES", "Case", "cores"]

BATCH = 32
SEED = 7
SCALE = 1 / 255
SIZES = (64, 224)
SOURCES = ("disk", "memory")
STREAMS = ("imagery", "relief")
# An epoch should not be over before a pipeline has started: each tile is there more than once.
FILES = {64: 3840, 224: 960}

# In the words of `ImageDataGenerator`; each contender says the same in its own.
AUGMENTATION: dict[str, Any] = {
    "rotation_range": 25,  # degrees, either way
    "width_shift_range": 0.1,  # parts of the width, either way
    "height_shift_range": 0.1,
    "zoom_range": (0.8, 1.2),  # for height and width, drawn one by one
    "horizontal_flip": True,
    "fill_mode": "nearest",  # what lies outside repeats the edge
    "interpolation_order": 1,  # bilinear
    "rescale": SCALE,
}


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Parameters
    ----------
    size : int
        Height and width of each picture in pixels.
    folders : tuple of str
        One folder of pictures for each picture of a sample, all with the same file names.
    source : {"disk", "memory"}
        Whether each epoch decodes the files, or the pictures are kept decoded as uint8.
    """

    size: int
    folders: tuple[str, ...]
    source: str = "disk"

    @property
    def name(self) -> str:
        """What the report calls it."""
        pictures = "one picture" if len(self.folders) == 1 else f"{len(self.folders)} pictures"
        return f"{self.size} px, {pictures} a sample, from {self.source}"

    @cached_property
    def paths(self) -> tuple[list[str], ...]:
        """The files of each folder; a row is a position in these lists."""
        return tuple(
            sorted(str(path) for path in Path(folder).rglob("*.png")) for folder in self.folders
        )

    @property
    def rows(self) -> int:
        """Samples in an epoch."""
        return len(self.paths[0])

    @property
    def batches(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return -(-self.rows // BATCH)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one picture."""
        return (self.size, self.size, 3)

    def to_json(self) -> str:
        """Return the case as text, for a process of its own."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Case:
        """Return the case that such text describes."""
        fields = json.loads(text)
        return cls(fields["size"], tuple(fields["folders"]), fields["source"])


def write_pictures(root: Path, size: int, files: int) -> Iterator[str]:
    """Write the training tiles as pictures of one size, in a folder for each class.

    Pictures of another size are enlarged with bicubic interpolation. All are PNG, so that every
    decoder finds the same pixels.

    Parameters
    ----------
    root : Path
        ``root/<size>/<stream>/<class>/<id>_<copy>.png`` is written.
    size : int
        Height and width in pixels.
    files : int
        How many for each stream; tiles are repeated, or left out evenly, to make up the number.

    Yields
    ------
    str
        The folder of each stream, once it is complete.
    """
    for stream in STREAMS:
        sources = tiles.paths(stream, "train")
        folder = root / str(size) / stream
        jobs = []
        for number in range(files):
            copy, position = divmod(number, len(sources))
            if files < len(sources):
                position = number * len(sources) // files
            source = Path(sources[position])
            jobs.append((source, folder / source.parent.name / f"{source.stem}_{copy}.png", size))
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(_write, *zip(*jobs, strict=True)))
        yield str(folder)


def _write(source: Path, target: Path, size: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as picture:
        if picture.size == (size, size):
            shutil.copyfile(source, target)
        else:
            picture.resize((size, size), Image.Resampling.BICUBIC).save(target)
