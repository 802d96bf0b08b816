"""What is measured: which images, how many a sample, read from where, augmented how."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from helpers import tiles

__all__ = ["AUGMENTATION", "BATCH", "CASES", "FILES", "SCALE", "SEED", "Case", "cores"]

BATCH = 32
SEED = 7
SCALE = 1 / 255
STREAMS = ("imagery", "relief")
# An epoch should not be over before a pipeline has started: each tile is there more than once.
FILES = {64: 3840, 224: 960}
PHOTOGRAPH = (375, 500)  # height and width, as in many collections

# Size, images a sample, source. PNG from disk, decoded in memory, or JPEG of another size.
CASES = (
    (64, 1, "disk"),
    (64, 1, "memory"),
    (64, 2, "disk"),
    (64, 2, "memory"),
    (224, 1, "disk"),
    (224, 1, "memory"),
    (224, 1, "jpeg"),
    (224, 2, "jpeg"),
)

# In the words of `ImageDataGenerator`; each contender says the same in its own.
AUGMENTATION: dict[str, Any] = {
    "rotation_range": 25,  # degrees, either way
    "width_shift_range": 0.1,  # parts of the width, either way
    "height_shift_range": 0.1,
    "zoom_range": (0.8, 1.2),  # for height and width, sampled one by one
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


def name_of(size: int, images: int, source: str) -> str:
    """Return what the report calls a case."""
    number = "one image" if images == 1 else f"{images} images"
    kept = {
        "disk": "from disk",
        "memory": "from memory",
        "jpeg": f"from JPEG photographs of {PHOTOGRAPH[1]} × {PHOTOGRAPH[0]}",
    }
    return f"{size} px, {number} a sample, {kept[source]}"


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Parameters
    ----------
    size : int
        Height and width of each image in pixels.
    folders : tuple of str
        One folder of images for each image of a sample, all with the same file names.
    source : {"disk", "memory", "jpeg"}
        Whether each epoch decodes PNG files of that size, the images are kept decoded as uint8, or
        each epoch decodes JPEG files of another size and resizes them to the nearest pixel.
    share : int
        Only each so many-th file is read, by contenders whose epochs would take long.
    """

    size: int
    folders: tuple[str, ...]
    source: str = "disk"
    share: int = 1

    @property
    def name(self) -> str:
        """What the report calls it."""
        return name_of(self.size, len(self.folders), self.source)

    @cached_property
    def paths(self) -> tuple[list[str], ...]:
        """The files of each folder; a row is a position in these lists."""
        return tuple(
            sorted(str(path) for path in Path(folder).rglob("*.*"))[:: self.share]
            for folder in self.folders
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
        """Shape of one image."""
        return (self.size, self.size, 3)

    def to_json(self) -> str:
        """Return the case as a string, for a process of its own."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, string: str) -> Case:
        """Return the case that such a string describes."""
        fields = json.loads(string)
        return cls(**fields | {"folders": tuple(fields["folders"])})


def write_images(root: Path, size: int, files: int, images: int, ending: str) -> Iterator[str]:
    """Write the training tiles as images of one size, in a folder for each class.

    Parameters
    ----------
    root : Path
        ``root/<size>-<ending>/<stream>/<class>/<id>_<copy>.<ending>`` is written.
    size : int
        Height and width of PNG files in pixels. JPEG files have those of a `PHOTOGRAPH`.
    files : int
        How many for each stream; tiles are repeated, or left out evenly, to make up the number.
    images : int
        How many streams.
    ending : {"png", "jpg"}
        PNG files hold the tile, enlarged with bicubic interpolation where the size differs. JPEG
        files, of quality 90, also hold the noise that makes a photograph as large as it is.

    Yields
    ------
    str
        The folder of each stream, once it is complete.
    """
    for stream in STREAMS[:images]:
        sources = tiles.paths(stream, "train")
        folder = root / f"{size}-{ending}" / stream
        jobs = []
        for number in range(files):
            copy, position = divmod(number, len(sources))
            if files < len(sources):
                position = number * len(sources) // files
            source = Path(sources[position])
            target = folder / source.parent.name / f"{source.stem}_{copy}.{ending}"
            target.parent.mkdir(parents=True, exist_ok=True)
            jobs.append((source, target, size, number))
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(_write, *zip(*jobs, strict=True)))
        yield str(folder)


def _write(source: Path, target: Path, size: int, number: int) -> None:
    with Image.open(source) as image:
        if target.suffix == ".jpg":
            _as_photograph(image, number).save(target, quality=90)
        elif image.size == (size, size):
            shutil.copyfile(source, target)
        else:
            image.resize((size, size), Image.Resampling.BICUBIC).save(target)


def _as_photograph(tile: Image.Image, number: int) -> Image.Image:
    """Return a tile enlarged, with grain of two sizes, as light and sensor give it."""
    height, width = PHOTOGRAPH
    pixels = np.array(tile.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    return Image.fromarray((pixels + _grain(number % 16)).clip(0, 255).astype("uint8"))


@cache
def _grain(number: int) -> np.ndarray:
    random = np.random.default_rng(number)
    coarse, fine = random.normal(0, 9, (188, 250)), random.normal(0, 3, (376, 500))
    return (np.kron(coarse, np.ones((2, 2))) + fine)[: PHOTOGRAPH[0], :, None].astype(np.int16)
