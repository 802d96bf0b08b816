"""The sample data: where it is, its table, its classes, its images.

A *tile* is a square of the Earth, 3.2° wide. It has three images and one line in `tiles.csv`. A
*row* is the number of a tile within its split, from 0. Rows follow the class and then the id, which
is the order in which ``flow_from_directory`` lists the files.

In every function a `split` is one of `SPLITS` and a `stream` one of `IMAGES`; another is a
ValueError that names those there are.

The lesson that builds it: 00 Meet the data.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

__all__ = [
    "CLASS_NAMES", "COMPOSITION", "IMAGES", "OTHER", "ROOT", "SITE", "SPECTRAL", "SPLITS",
    "columns", "folder", "labels", "one_hot", "paths", "read_images", "table",
]  # fmt: skip

#: Land-cover classes in the order of the alphabet. A class's number is its position.
CLASS_NAMES = (
    "barren", "cropland", "forest", "grassland", "savanna", "shrubland", "snow_ice", "water",
)  # fmt: skip

#: The number in a `cover` image that stands for a cover outside the eight classes.
OTHER = len(CLASS_NAMES)

SPLITS = ("train", "validation", "test")

#: Height, width and channels of each image. `cover` holds class numbers, the others colours.
IMAGES = {"imagery": (64, 64, 3), "relief": (32, 32, 3), "cover": (64, 64, 1)}

#: Colours of the imagery, from 0 to 1: means, spreads and four indices.
SPECTRAL = (
    "red_mean", "green_mean", "blue_mean", "red_spread", "green_spread", "blue_spread",
    "green_red_index", "blue_red_index", "excess_green", "saturation",
)  # fmt: skip

#: Where the tile is, and how rough its ground.
SITE = (
    "latitude_sine", "longitude_sine", "longitude_cosine", "equator_distance", "roughness",
)  # fmt: skip

#: Targets from 0 to 1: the part covered by plants, and how mixed the cover is.
COMPOSITION = ("vegetated_fraction", "cover_diversity")

#: The folder of the data, beside the package in a checkout of the project.
ROOT = Path(__file__).resolve().parents[1] / "data_samples"


def table(split: str | None = None) -> pd.DataFrame:
    """Return the table of the tiles.

    Parameters
    ----------
    split : str, optional
        One of `SPLITS`; all splits, one after the other, when it is not given.

    Returns
    -------
    pandas.DataFrame
        One line per tile, index 0, 1, 2 … = the row. Columns ``id``, ``split``, ``class`` (string),
        ``latitude`` and ``longitude`` of the centre (degrees), and those of `SPECTRAL`, `SITE`
        and `COMPOSITION` (float64, no unit).

    Examples
    --------
    >>> table("test")["class"].value_counts().unique().tolist()
    [15]
    """
    whole = pd.read_csv(ROOT / "tiles.csv")
    if split is None:
        return whole
    _check("split", split, SPLITS)
    return whole[whole["split"] == split].reset_index(drop=True)


def columns(split: str, names: Sequence[str]) -> np.ndarray:
    """Return columns of numbers of the table, such as `SPECTRAL`, in row order.

    Parameters
    ----------
    split, names : str, sequence of str

    Returns
    -------
    numpy.ndarray
        float32 of shape (rows, len(names)).

    Examples
    --------
    >>> columns("test", COMPOSITION).shape
    (120, 2)
    """
    return table(split)[list(names)].to_numpy("float32")


def labels(split: str) -> np.ndarray:
    """Return the class number of each tile, in row order.

    Parameters
    ----------
    split : str

    Returns
    -------
    numpy.ndarray
        int64 of shape (rows,), from 0 to 7.

    Examples
    --------
    >>> labels("test")[[0, 119]]
    array([0, 7])
    """
    return table(split)["class"].map(CLASS_NAMES.index).to_numpy("int64")


def one_hot(split: str) -> np.ndarray:
    """Return the class of each tile as a vector of one 1 among zeros, in row order.

    Parameters
    ----------
    split : str

    Returns
    -------
    numpy.ndarray
        float32 of shape (rows, 8).

    Examples
    --------
    >>> one_hot("test")[119]
    array([0., 0., 0., 0., 0., 0., 0., 1.], dtype=float32)
    """
    return np.eye(len(CLASS_NAMES), dtype="float32")[labels(split)]


def folder(stream: str, split: str) -> Path:
    """Return the folder of a split's images, with one subfolder per class.

    Parameters
    ----------
    stream, split : str

    Returns
    -------
    pathlib.Path
        What ``flow_from_directory`` takes.

    Examples
    --------
    >>> folder("relief", "train").relative_to(ROOT).as_posix()
    'relief/train'
    """
    _check("stream", stream, IMAGES)
    _check("split", split, SPLITS)
    return ROOT / stream / split


def paths(stream: str, split: str) -> list[str]:
    """Return the path of each image of a stream, in row order.

    Parameters
    ----------
    stream, split : str

    Returns
    -------
    list of str

    Examples
    --------
    >>> [Path(path).name for path in paths("relief", "test")][:2]
    ['r13_c085.png', 'r14_c088.png']
    """
    parent, rows = folder(stream, split), table(split)
    return [str(parent / name / f"{tile}.png") for name, tile in rows[["class", "id"]].to_numpy()]


def read_images(stream: str, split: str) -> np.ndarray:
    """Return all images of a stream and a split, in row order.

    Parameters
    ----------
    stream, split : str

    Returns
    -------
    numpy.ndarray
        uint8 of shape (rows, height, width, channels).

    Examples
    --------
    >>> read_images("relief", "test").shape
    (120, 32, 32, 3)
    """
    pixels = [np.asarray(Image.open(path)) for path in paths(stream, split)]
    return np.stack(pixels).reshape(-1, *IMAGES[stream])


def _check(what: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise ValueError(f"{what}: expected one of {list(known)}, found {value!r}")
