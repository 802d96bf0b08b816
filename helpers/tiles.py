"""The sample data: where it is, its table, its classes, its pictures.

A *tile* is a square of the Earth, 3.2° wide. It has three pictures and one line in `tiles.csv`.
A *row* is a tile's position within its split. Rows follow the class and then the id, which is the
order in which ``flow_from_directory`` lists the files.

This module knows nothing of TensorFlow.
"""

from __future__ import annotations

import functools
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

__all__ = [
    "CLASS_NAMES",
    "COMPOSITION",
    "OTHER",
    "PICTURES",
    "ROOT",
    "SITE",
    "SPECTRAL",
    "SPLITS",
    "TileError",
    "check_files",
    "columns",
    "folder",
    "labels",
    "one_hot",
    "paths",
    "read_picture",
    "read_pictures",
    "table",
]

#: Land-cover classes in the order of the alphabet. A class's number is its position.
CLASS_NAMES = (
    "barren", "cropland", "forest", "grassland", "savanna", "shrubland", "snow_ice", "water",
)  # fmt: skip

#: The number in a `cover` picture that stands for a cover outside the eight classes.
OTHER = len(CLASS_NAMES)

SPLITS = ("train", "validation", "test")

#: Height, width and channels of each picture. `cover` holds class numbers, the others colours.
PICTURES = {"imagery": (64, 64, 3), "relief": (32, 32, 3), "cover": (64, 64, 1)}

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

_NUMBERS = ("latitude", "longitude", *SPECTRAL, *SITE, *COMPOSITION)
_COLUMNS = ("id", "split", "class", *_NUMBERS)
_MODES = {3: "RGB", 1: "L"}


class TileError(ValueError):
    """The sample data is not what it should be; the message names the file and the row."""


def table(split: str | None = None, root: Path = ROOT) -> pd.DataFrame:
    """Return the table of the tiles, checked.

    Parameters
    ----------
    split : str, optional
        One of `SPLITS`; all splits, one after the other, when it is not given.
    root : Path
        The folder of the data.

    Returns
    -------
    pandas.DataFrame
        One line a tile, index 0, 1, 2 … = the row. Columns ``id``, ``split``, ``class`` (text),
        ``latitude`` and ``longitude`` of the centre (degrees), and those of `SPECTRAL`, `SITE`
        and `COMPOSITION` (float64, no unit).

    Raises
    ------
    TileError
        If the table is missing, or a line of it is not as it should be.

    Examples
    --------
    >>> table("test")["class"].value_counts().unique().tolist()
    [15]
    """
    whole = _read_table(root)
    if split is None:
        return whole.copy()
    _known("split", split, SPLITS)
    return whole[whole["split"] == split].reset_index(drop=True)


def columns(split: str, names: tuple[str, ...] | list[str], root: Path = ROOT) -> np.ndarray:
    """Return some columns of the table as an array, in row order.

    Parameters
    ----------
    split : str
        One of `SPLITS`.
    names : sequence of str
        Columns of numbers, such as `SPECTRAL`.
    root : Path
        The folder of the data.

    Returns
    -------
    numpy.ndarray
        float32 of shape (rows, len(names)).

    Examples
    --------
    >>> columns("test", COMPOSITION).shape
    (120, 2)
    """
    for name in names:
        _known("column", name, _NUMBERS)
    return table(split, root)[list(names)].to_numpy("float32")


def labels(split: str, root: Path = ROOT) -> np.ndarray:
    """Return the class number of each tile, in row order: int64 of shape (rows,)."""
    numbers = {name: number for number, name in enumerate(CLASS_NAMES)}
    return table(split, root)["class"].map(numbers).to_numpy("int64")


def one_hot(split: str, root: Path = ROOT) -> np.ndarray:
    """Return the classes one-hot, in row order: float32 of shape (rows, 8)."""
    return np.eye(len(CLASS_NAMES), dtype="float32")[labels(split, root)]


def folder(stream: str, split: str, root: Path = ROOT) -> Path:
    """Return the folder of a split's pictures, with one subfolder a class.

    Parameters
    ----------
    stream : str
        A key of `PICTURES`.
    split : str
        One of `SPLITS`.
    root : Path
        The folder of the data.

    Returns
    -------
    Path
        What ``flow_from_directory`` takes.

    Examples
    --------
    >>> folder("relief", "train").relative_to(ROOT).as_posix()
    'relief/train'
    """
    _known("stream", stream, tuple(PICTURES))
    _known("split", split, SPLITS)
    return root / stream / split


def paths(stream: str, split: str, root: Path = ROOT) -> list[str]:
    """Return the path of each picture of a stream, in row order."""
    parent = folder(stream, split, root)
    rows = table(split, root)
    return [
        str(parent / class_name / f"{tile}.png")
        for class_name, tile in zip(rows["class"], rows["id"], strict=True)
    ]


def read_picture(path: str | Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Read one picture, and make sure that it is whole and has the right shape.

    Parameters
    ----------
    path : str or Path
        A PNG file.
    shape : tuple of int
        Height, width and channels that it must have.

    Returns
    -------
    numpy.ndarray
        uint8 of that shape.

    Raises
    ------
    TileError
        If there is no such file, it is damaged, or its size or colour mode is another.
    """
    height, width, channels = shape
    expected = f"expected a picture of {width} × {height} pixels, mode {_MODES[channels]}"
    try:
        with Image.open(path) as picture:
            if picture.size != (width, height) or picture.mode != _MODES[channels]:
                found = f"{picture.width} × {picture.height}, mode {picture.mode}"
                raise TileError(f"{path}: {expected}, found {found}")
            return np.asarray(picture).reshape(shape)
    except FileNotFoundError:
        raise TileError(f"{path}: {expected}, found no file") from None
    except (OSError, SyntaxError) as error:  # Pillow: truncated, or no picture at all
        raise TileError(f"{path}: {expected}, found a damaged file ({error})") from None


def read_pictures(stream: str, split: str, root: Path = ROOT) -> np.ndarray:
    """Return all pictures of a stream and a split, in row order.

    Parameters
    ----------
    stream : str
        A key of `PICTURES`.
    split : str
        One of `SPLITS`.
    root : Path
        The folder of the data.

    Returns
    -------
    numpy.ndarray
        uint8 of shape (rows, height, width, channels).

    Raises
    ------
    TileError
        If a file is missing, damaged or of another size.

    Examples
    --------
    >>> read_pictures("relief", "test").shape
    (120, 32, 32, 3)
    """
    return np.stack([read_picture(path, PICTURES[stream]) for path in paths(stream, split, root)])


def check_files(root: Path = ROOT) -> None:
    """Compare every picture with the table and with its checksum.

    Parameters
    ----------
    root : Path
        The folder of the data.

    Raises
    ------
    TileError
        Names the first picture that is missing, damaged, changed, or in no row of the table.
    """
    rows = table(root=root)
    sums = _read_csv(root / "checksums.csv", ("id", *PICTURES)).set_index("id")
    missing = sorted(set(rows["id"]) ^ set(sums.index))
    if missing:
        raise TileError(
            f"{root / 'checksums.csv'}: expected the ids of tiles.csv, differs in {missing[0]}"
        )
    for stream, shape in PICTURES.items():
        expected = set()
        for split in SPLITS:
            ids = rows["id"][rows["split"] == split]
            for tile, path in zip(ids, paths(stream, split, root), strict=True):
                found = checksum(read_picture(path, shape))
                if found != sums.at[tile, stream]:
                    raise TileError(
                        f"{path}: expected pixels with checksum {sums.at[tile, stream]}, found {found}"
                    )
                expected.add(Path(path))
        for path in sorted((root / stream).rglob("*")):
            if path.is_file() and path not in expected:
                raise TileError(f"{path}: expected only pictures in tiles.csv, found one in no row")


def checksum(picture: np.ndarray) -> str:
    """Return the CRC-32 of a picture's pixels, as eight hexadecimal digits."""
    return f"{zlib.crc32(np.ascontiguousarray(picture, 'uint8').tobytes()):08x}"


@functools.cache
def _read_table(root: Path) -> pd.DataFrame:
    path = root / "tiles.csv"
    rows = _read_csv(path, _COLUMNS)
    for column, known in (("split", SPLITS), ("class", CLASS_NAMES)):
        for tile, value in zip(rows["id"], rows[column], strict=True):
            if value not in known:
                raise TileError(
                    f"{path}: id {tile}: column {column}: expected one of {known}, found {value!r}"
                )
    twice = rows["id"][rows["id"].duplicated()]
    if len(twice):
        raise TileError(f"{path}: id {twice.iloc[0]}: expected each id once, found it twice")
    for column in _NUMBERS:
        numbers = pd.to_numeric(rows[column], errors="coerce")
        for tile, value, number in zip(rows["id"], rows[column], numbers, strict=True):
            if not np.isfinite(number):
                raise TileError(
                    f"{path}: id {tile}: column {column}: expected a number, found {value!r}"
                )
        rows[column] = numbers.astype("float64")
    order = [rows["split"].map(SPLITS.index), rows["class"], rows["id"]]
    if list(zip(*order, strict=True)) != sorted(zip(*order, strict=True)):
        raise TileError(
            f"{path}: expected rows in order of split, class and id, found another order"
        )
    return rows


def _read_csv(path: Path, names: tuple[str, ...]) -> pd.DataFrame:
    """Read a table as text, so that nothing is guessed, and check its columns."""
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise TileError(
            f"{path}: expected the sample data of a checkout of the project, found no such file"
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise TileError(f"{path}: expected a table, found {error}") from None
    if tuple(rows.columns) != names:
        odd = [*(set(names) - set(rows.columns)), *(set(rows.columns) - set(names))]
        raise TileError(f"{path}: expected columns {names}, found another set or order: {odd}")
    return rows


def _known(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise TileError(f"{what}: expected one of {choices}, found {value!r}")
