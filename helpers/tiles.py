"""The sample data: where it is, its table, its classes, its pictures.

A *tile* is a square of the Earth, 3.2° wide. It has three pictures and one line in `tiles.csv`.
A *row* is a tile's position within its split. Rows follow the class and then the id, which is the
order in which ``flow_from_directory`` lists the files.

This module knows nothing of TensorFlow.
"""

from __future__ import annotations

import csv
import functools
import io
import math
import zlib
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

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
_LAST_BYTES = b"IEND\xaeB`\x82"  # of every whole PNG
_PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")


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
        If the table is missing, a line of it is not as it should be, or a row has no picture or
        a picture no row.

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
        data = Path(path).read_bytes()
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            size, mode = picture.size, picture.mode
            pixels = np.asarray(picture)
    except FileNotFoundError:
        raise TileError(f"{path}: {expected}, found no file") from None
    except UnidentifiedImageError:
        raise TileError(f"{path}: {expected}, found a file that is no PNG") from None
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow says of a damaged file
        raise TileError(f"{path}: {expected}, found a damaged file ({error})") from None
    if (size, mode) != ((width, height), _MODES[channels]):
        raise TileError(f"{path}: {expected}, found {size[0]} × {size[1]}, mode {mode}")
    if not data.endswith(_LAST_BYTES):  # Pillow does not miss them
        raise TileError(f"{path}: {expected}, found a damaged file (its end is missing)")
    return pixels.reshape(shape)


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
        If a file is missing, damaged, of another size, or its pixels are not those of
        `checksums.csv`.

    Examples
    --------
    >>> read_pictures("relief", "test").shape
    (120, 32, 32, 3)
    """
    files = paths(stream, split, root)
    sums = _read_checksums(root)[stream]
    pictures = []
    for path in files:
        pictures.append(read_picture(path, PICTURES[stream]))
        expected, found = sums[Path(path).stem], checksum(pictures[-1])
        if found != expected:
            raise TileError(f"{path}: expected pixels with checksum {expected}, found {found}")
    return np.stack(pictures)


def check_files(root: Path = ROOT) -> None:
    """Read the table and every picture, and raise an error at the first that is not as it was.

    Parameters
    ----------
    root : Path
        The folder of the data.

    Raises
    ------
    TileError
        Names the first file that is missing, damaged, changed, or in no row of the table.
    """
    for stream in PICTURES:
        for split in SPLITS:
            read_pictures(stream, split, root)


def checksum(picture: np.ndarray) -> str:
    """Return the CRC-32 of a picture's pixels, as eight hexadecimal digits."""
    return f"{zlib.crc32(np.ascontiguousarray(picture, 'uint8').tobytes()):08x}"


def _read_table(root: Path) -> pd.DataFrame:
    """Read and check the table, once for each version of the file."""
    path = root / "tiles.csv"
    status = path.stat() if path.is_file() else None
    return _read_table_once(root, status and (status.st_mtime_ns, status.st_size))


@functools.cache
def _read_table_once(root: Path, version: tuple[int, int] | None) -> pd.DataFrame:
    path = root / "tiles.csv"
    rows = _read_csv(path, _COLUMNS)
    places = [f"{path}: line {line}: id {tile}" for line, tile in enumerate(rows["id"], start=2)]
    for column, known in (("split", SPLITS), ("class", CLASS_NAMES)):
        for place, value in zip(places, rows[column], strict=True):
            if value not in known:
                raise TileError(
                    f"{place}: column {column}: expected one of {known}, found {value!r}"
                )
    for place, twice in zip(places, rows["id"].duplicated(), strict=True):
        if twice:
            raise TileError(f"{place}: expected each id once, found it a second time")
    for column in _NUMBERS:
        numbers = [_number(value) for value in rows[column]]
        for place, value, number in zip(places, rows[column], numbers, strict=True):
            if not math.isfinite(number):
                raise TileError(
                    f"{place}: column {column}: expected a finite number, found {value!r}"
                )
        rows[column] = np.array(numbers, "float64")
    order = list(zip(rows["split"].map(SPLITS.index), rows["class"], rows["id"], strict=True))
    for place, before, key in zip(places[1:], order, order[1:], strict=False):
        if key < before:
            raise TileError(
                f"{place}: expected the order of split, class and id, found it after {before[2]}"
            )
    _compare_folders(rows, root)
    return rows


def _number(text: str) -> float:
    """Return the number that a text says, or NaN."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _compare_folders(rows: pd.DataFrame, root: Path) -> None:
    """Make sure that each row has its pictures and each picture its row; open none of them."""
    for stream in PICTURES:
        expected = {
            root / stream / split / class_name / f"{tile}.png": tile
            for tile, split, class_name in rows[["id", "split", "class"]].itertuples(index=False)
        }
        # Only what flow_from_directory would take for a picture: desktops leave files of their own.
        found = {
            path for path in (root / stream).rglob("*") if path.suffix.lower() in _PICTURE_ENDINGS
        }
        for path, tile in expected.items():
            if path not in found:
                raise TileError(f"{path}: expected the picture of id {tile}, found no file")
        for path in sorted(found - set(expected)):
            raise TileError(f"{path}: expected only pictures of tiles.csv, found one more")
        # Every folder is a class to flow_from_directory, one without pictures too: it would shift
        # the numbers of the classes after it.
        for path in sorted((root / stream).glob("*/*/")):
            if path.name not in CLASS_NAMES:
                raise TileError(f"{path}: expected a folder for each class, found one more")


def _read_checksums(root: Path) -> pd.DataFrame:
    """Read the checksums; index = id."""
    path = root / "checksums.csv"
    sums, rows = _read_csv(path, ("id", *PICTURES)), table(root=root)
    pairs = zip_longest(rows["id"], sums["id"], fillvalue="no more")
    for line, (expected, found) in enumerate(pairs, start=2):
        if found != expected:
            raise TileError(
                f"{path}: line {line}: expected id {expected} as in tiles.csv, found {found}"
            )
    return sums.set_index("id")


def _read_csv(path: Path, names: tuple[str, ...]) -> pd.DataFrame:
    """Read a table as text, so that nothing is guessed or filled in, and check its columns."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *lines = list(csv.reader(file, strict=True)) or [[]]
    except FileNotFoundError:
        raise TileError(
            f"{path}: expected the sample data of a checkout of the project, found no such file"
        ) from None
    except (csv.Error, OSError, UnicodeDecodeError) as error:
        raise TileError(f"{path}: expected a table, found {error}") from None
    for name in names:
        if name not in header:
            raise TileError(f"{path}: expected a column {name}, found none")
    if tuple(header) != names:
        odd = next(pair for pair in zip_longest(header, names) if pair[0] != pair[1])
        raise TileError(f"{path}: expected columns in the order {names}, found {odd[0]!r}")
    for number, line in enumerate(lines, start=2):
        if len(line) != len(names):
            raise TileError(
                f"{path}: line {number}: expected {len(names)} values, found {len(line)}"
            )
    return pd.DataFrame(lines, columns=list(names), dtype=str)


def _known(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise TileError(f"{what}: expected one of {choices}, found {value!r}")
