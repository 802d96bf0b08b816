"""Image files by row: ``images[rows]`` reads, decodes and resizes a batch.

The values are those of a flow of `ImageDataGenerator` (of Keras' ``load_img``), bit for bit. Where
a flow misreads a file and says nothing, `Images` does not: grey of more than 8 bits is refused, a
palette file read as one channel yields its class numbers, and half a file is no image.

The lesson that builds it: 09 Make it fast.
"""

from __future__ import annotations

import copy
import functools
import io
import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import ExifTags, Image

from helpers.audit import CORRUPT_JPEG, audit, said_of

__all__ = ["Images", "audit"]

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_RESAMPLING = {method.name.lower(): method for method in Image.Resampling}
_NO_MAP = np.empty(0, np.int16)
_THREAD = threading.local()
_LARGEST_SCRATCH = 100_000_000  # bytes that a thread keeps: 33 million pixels


class Images:
    """Image files by row, read by as many threads as ask.

    ``images[rows]`` takes a list of row numbers, in any order, and returns a uint8 array of shape
    (rows, height, width, channels), values from 0 to 255.

    Parameters
    ----------
    paths : sequence of str or Path
        Image files of any format that Pillow reads. Position 0 is row 0.
    shape : tuple of int
        (height, width, channels) of each image in pixels: 1 channel for grey or class numbers, 3
        for RGB, 4 for RGBA. Files of other sizes are resized, as by a flow's ``target_size``.
    interpolation : str
        "nearest", "bilinear", "bicubic", "box", "hamming" or "lanczos", as in a flow.
    keep_aspect_ratio : bool
        Cut the largest part of the shape's proportions out of the centre, and resize that.
    apply_orientation : bool
        Rotate and flip as the camera asked (Exif). A flow does not.

    Raises
    ------
    TypeError, FileNotFoundError
        If a path is no path, or leads to no file.
    ValueError
        If shape or interpolation is none of those. When a row is read: its file is truncated, a
        JPEG that its library calls corrupt, a PNG whose checksums disagree, or grey of more than 8
        bits, which a flow cuts at 255.

    Notes
    -----
    Of colours of 16 bits the upper 8 are read, as in a flow. A palette file read as one channel
    yields palette indices, the class numbers of a mask, where a flow yields the brightness of their
    colours; it is resized with "nearest" only. A JPEG has no checksum, so most bits that change
    inside it pass for an image.

    Examples
    --------
    >>> from helpers import tiles
    >>> imagery = Images(tiles.paths("imagery", "test"), (64, 64, 3))
    >>> imagery[[7, 2]].shape, imagery[[7, 2]].dtype
    ((2, 64, 64, 3), dtype('uint8'))
    """

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        shape: tuple[int, int, int],
        *,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        apply_orientation: bool = False,
    ) -> None:
        if len(shape) != 3 or shape[2] not in _MODES or min(shape) < 1:
            raise ValueError(f"shape: expected (height, width, 1, 3 or 4), found {shape}")
        if interpolation not in _RESAMPLING:
            raise ValueError(
                f"interpolation: expected one of {', '.join(_RESAMPLING)}, found {interpolation!r}"
            )
        if isinstance(paths, (str, os.PathLike)):
            raise TypeError(f"paths: expected a sequence of paths, found one path, {paths}")
        self._paths = [_file(row, path) for row, path in enumerate(paths)]
        self.shape = (len(self._paths), *shape)
        self._size = (shape[1], shape[0])  # width and height, Pillow's order
        self._channels = shape[2]
        self._resampling = _RESAMPLING[interpolation]
        self._keep_aspect_ratio = keep_aspect_ratio
        self._apply_orientation = apply_orientation
        self._kept: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._paths)

    def __getitem__(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read and decode the images of these rows; of several bad files, the first is named."""
        rows = np.asarray(rows)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise TypeError(
                f"rows: expected a list of row numbers, found {rows.dtype} of shape {rows.shape}"
            )
        if rows.size and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(
                f"rows: expected 0 to {len(self) - 1}, found {rows.min()} to {rows.max()}"
            )
        if self._kept is not None:
            return self._kept.take(rows.astype(np.intp), axis=0)
        batch = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for place, row in zip(batch, rows.tolist(), strict=True):
            self._read(row, place)
        return batch

    def in_memory(self) -> Images:
        """Return the same images, read and decoded once, all of them kept in memory."""
        if self._kept is not None:
            return self
        twin = copy.copy(self)
        twin._kept = np.empty(self.shape, np.uint8)
        with ThreadPoolExecutor() as threads:
            for _ in threads.map(self._read, range(len(self)), twin._kept):
                pass  # an error in a thread is raised here
        return twin

    def _read(self, row: int, place: np.ndarray) -> None:
        """Decode the file of a row into its place: uint8 of shape (height, width, channels)."""
        name = f"row {row} ({self._paths[row]})"
        try:
            with io.FileIO(self._paths[row]) as file:  # half the system calls of Path.read_bytes
                content = file.readall()
        except OSError as error:
            raise type(error)(
                f"{name}: expected a readable file, found: {error.strerror}"
            ) from None
        try:
            image = self._decoded(content)
            self._resize(_as_taken(image, content) if self._apply_orientation else image, place)
        except _MisreadError as error:
            raise ValueError(f"{name}: {error}") from None
        except Exception as error:  # whatever a decoder makes of bytes that are no image
            found = f"none, or a part of one ({said_of(error)})" if content else "an empty file"
            raise ValueError(
                f"{name}: expected an image, found {found}; replace the file, or leave its row out"
            ) from error

    def _decoded(self, content: bytes) -> np.ndarray:
        """Return an image as it is stored, in as many channels as wanted."""
        image = None
        if content.startswith(b"\xff\xd8\xff"):
            image = _jpeg(content, self._channels)
        elif content.startswith(b"\x89PNG"):
            image = _png(content, self._channels)
        if image is None:
            return self._converted(Image.open(io.BytesIO(content)))
        if image.shape[2] != self._channels:
            return self._converted(Image.fromarray(image))
        return image

    def _converted(self, image: Image.Image) -> np.ndarray:
        """Convert an image as ``load_img`` does, apart from what it misreads."""
        mode = image.mode
        if mode[0] in "IF":
            raise _MisreadError(
                f"expected 8 bits a channel, found {mode} ({32 if mode in 'IF' else 16} bits); "
                f"scale it to 8 bits, or read it by yourself (a flow cuts its values at 255)"
            )
        if mode in ("P", "PA") and self._channels == 1:
            if image.size != self._size and self._resampling != Image.Resampling.NEAREST:
                raise _MisreadError(
                    f"expected interpolation='nearest' for a palette file read as one channel, "
                    f"found {self._resampling.name.lower()!r}; class numbers have no mean"
                )
            # The indices: `convert` would look up their colours.
            return np.asarray(image).reshape(*image.size[::-1], -1)[..., :1]
        if mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")  # without this step Pillow warns for each file
        pixels = np.asarray(image.convert(_MODES[self._channels]))
        return pixels.reshape(*image.size[::-1], self._channels)

    def _resize(self, image: np.ndarray, place: np.ndarray) -> None:
        """Copy an image into its place, resized as ``load_img`` does."""
        height, width, channels = image.shape
        is_nearest = self._resampling == Image.Resampling.NEAREST
        if image.shape == place.shape:
            place[...] = image
        elif is_nearest and max(height, width) < 2**15:
            sources = _nearest((width, height), self._size, self._box(width, height))
            cv2.remap(image, sources, _NO_MAP, cv2.INTER_NEAREST, dst=place)
        else:
            whole = Image.fromarray(image[..., 0] if channels == 1 else image)
            resized = whole.resize(self._size, self._resampling, self._box(width, height))
            place[...] = np.asarray(resized).reshape(place.shape)

    def _box(self, width: int, height: int) -> tuple[int, int, int, int] | None:
        """Return the box that ``load_img`` cuts out of an image to keep proportions."""
        if not self._keep_aspect_ratio:
            return None
        cut_width = min(width, height * self._size[0] // self._size[1])
        cut_height = min(height, width * self._size[1] // self._size[0])
        left, top = (width - cut_width) // 2, (height - cut_height) // 2
        return left, top, left + cut_width, top + cut_height


class _MisreadError(ValueError):
    """An image that a flow would misread and say nothing."""


def _file(row: int, path: str | os.PathLike[str]) -> str:
    if not isinstance(path, (str, os.PathLike)):  # a gap in a table is a float
        raise TypeError(f"row {row}: expected a path, found {path!r}; leave the row out")
    if not Path(path).is_file():
        found = "a folder" if Path(path).is_dir() else "nothing there"
        raise FileNotFoundError(
            f"row {row} ({path}): expected an image file, found {found}; correct the path, or "
            f"leave the row out"
        )
    return os.fspath(path)


def _jpeg(content: bytes, channels: int) -> np.ndarray | None:
    """Decode a JPEG file, or return None where that is left to Pillow.

    What its library calls corrupt is refused; OpenCV, Pillow and TensorFlow fill what is missing
    with grey, and say so on standard error at most.
    """
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(content)
        if space in ("CMYK", "YCCK"):
            simplejpeg.decode_jpeg(content, "CMYK")  # may raise; the values are Pillow's
            return None
        colours, stored = ("GRAY", 1) if (space, channels) == ("Gray", 1) else ("RGB", 3)
        memory = _scratch(height * width * stored)
        return simplejpeg.decode_jpeg(content, colours, buffer=memory)
    except ValueError as error:  # of each warning, and of what Pillow alone can read
        if CORRUPT_JPEG.search(str(error)):
            raise
        return None


def _png(content: bytes, channels: int) -> np.ndarray | None:
    """Decode a PNG file, or check it where decoding is left to Pillow."""
    bits, is_grey = content[24:25], content[25:26] == b"\0"
    if bits <= b"\x08" and (channels == 3 or (channels == 1 and is_grey)):
        colours = cv2.IMREAD_COLOR_RGB if channels == 3 else cv2.IMREAD_GRAYSCALE
        values = np.frombuffer(content, np.uint8)
        image = cv2.imdecode(values, colours | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is not None:
            return image.reshape(*image.shape[:2], channels)
    try:
        Image.open(io.BytesIO(content)).verify()  # the checksums, which `convert` does not compare
    except (OSError, SyntaxError) as error:
        raise ValueError("its checksums disagree") from error
    return None


def _as_taken(image: np.ndarray, content: bytes) -> np.ndarray:
    """Rotate and flip an image as the camera asked."""
    with Image.open(io.BytesIO(content)) as stored:
        orientation = stored.getexif().get(ExifTags.Base.Orientation)
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


@functools.lru_cache(maxsize=256)
def _nearest(
    size: tuple[int, int], target: tuple[int, int], box: tuple[int, int, int, int] | None
) -> np.ndarray:
    """Return where Pillow takes each pixel from, as OpenCV's ``remap`` reads it: (x, y), int16."""
    left, top, right, bottom = box or (0, 0, *size)
    columns = Image.fromarray(np.arange(size[0], dtype=np.int32)[None])
    rows = Image.fromarray(np.arange(size[1], dtype=np.int32)[:, None])
    x = columns.resize((target[0], 1), Image.Resampling.NEAREST, (left, 0, right, 1))
    y = rows.resize((1, target[1]), Image.Resampling.NEAREST, (0, top, 1, bottom))
    return np.dstack(np.meshgrid(np.asarray(x), np.asarray(y))).astype(np.int16)


def _scratch(size: int) -> np.ndarray:
    """Return memory for one decoded file, valid until this thread asks again.

    New memory for each photograph costs a parallel pipeline a third of its time.
    """
    memory = getattr(_THREAD, "memory", None)
    if memory is None or memory.size < size:
        memory = np.empty(size, np.uint8)
        if size <= _LARGEST_SCRATCH:
            _THREAD.memory = memory
    return memory[:size]
