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
import re
import struct
import threading
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from helpers.audit import audit

__all__ = ["Images", "audit"]

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_RESAMPLING = {method.name.lower(): method for method in Image.Resampling}
_AS_STORED = {  # what undoes the camera's orientation (Exif tag 274)
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# OpenCV's order of channels is the reverse of everyone else's: (stored, wanted) channels.
_COLOUR_ORDERS = {
    (1, 3): cv2.COLOR_GRAY2RGB,
    (3, 3): cv2.COLOR_BGR2RGB,
    (4, 3): cv2.COLOR_BGRA2RGB,
    (4, 4): cv2.COLOR_BGRA2RGBA,
}
_NO_MAP = np.empty(0, np.int16)
_THREAD = threading.local()
_LARGEST_SCRATCH = 100_000_000  # bytes that a thread keeps: 33 million pixels


class Images:
    """Image files by row, read by as many threads as ask.

    Parameters
    ----------
    paths : sequence of str or Path
        Image files of any format that Pillow reads. Position 0 is row 0.
    shape : tuple of int
        (height, width, channels) of each image in pixels: 1 channel for grey or class numbers, 3
        for RGB, 4 for RGBA. A file of another size is resized, as ``target_size`` does in a flow.
    interpolation : str
        "nearest", "bilinear", "bicubic", "box", "hamming" or "lanczos", as in a flow.
    keep_aspect_ratio : bool
        Cut the largest part of the shape's proportions out of the centre, and resize that.
    apply_orientation : bool
        Rotate and flip as the camera asked (Exif). A flow does not.

    Raises
    ------
    ValueError
        If the shape or the interpolation is none of those.
    TypeError, FileNotFoundError
        If a path is no path, or leads to no file.

    Notes
    -----
    What is wrong with a file shows when its row is read: ValueError names the row and the file.

    - Grey of more than 8 bits (16-bit PNG or TIFF, floats) is refused: a flow cuts it at 255. Of
      colours of 16 bits the upper 8 are read, as in a flow.
    - A palette file read as one channel yields palette indices, the class numbers of a mask; a
      flow yields the brightness of their colours. It is resized with "nearest" only.
    - A truncated file, a JPEG that its library calls corrupt, and a PNG whose checksums disagree
      are refused. A JPEG has no checksum: most bits that change inside it pass for an image.

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
        self._resampling = _RESAMPLING[interpolation]
        self._keep_aspect_ratio = keep_aspect_ratio
        self._apply_orientation = apply_orientation
        self._kept: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._paths)

    def __getitem__(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read and decode the images of these rows.

        Parameters
        ----------
        rows : sequence of int
            Row numbers, in any order.

        Returns
        -------
        numpy.ndarray
            uint8 of shape (rows, height, width, channels), 0 to 255.

        Raises
        ------
        TypeError
            If `rows` is no list of integers.
        IndexError
            If a row is not there.
        ValueError
            If a file cannot be read as it should; of more than one, the first.
        """
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
        kept = np.empty(self.shape, np.uint8)
        with ThreadPoolExecutor() as threads:
            for _ in threads.map(self._read, range(len(self)), kept):
                pass  # an error in a thread is raised here
        twin._kept = kept
        return twin

    def _read(self, row: int, place: np.ndarray) -> None:
        """Decode the file of a row into its place: uint8 of shape (height, width, channels)."""
        name = f"row {row} ({self._paths[row]})"
        try:
            content = Path(self._paths[row]).read_bytes()
        except OSError as error:
            raise type(error)(
                f"{name}: expected a readable file, found: {error.strerror}"
            ) from None
        try:
            turned = _orientation(content) if self._apply_orientation else 1
            image = self._decode(content, None if turned in _AS_STORED else place)
            if image is not None:
                place[...] = self._finished(image, turned)
        except _MisreadError as error:
            raise ValueError(f"{name}: {error}") from None
        except Exception as error:  # whatever a decoder makes of bytes that are no image
            found = f"none, or a part of one ({_said(error)})" if content else "an empty file"
            raise ValueError(
                f"{name}: expected an image, found {found}; replace the file, or leave its row out"
            ) from error

    def _decode(self, content: bytes, place: np.ndarray | None) -> Image.Image | None:
        """Decode a file in place, where that yields the same values, or to an image of Pillow's.

        What a JPEG's library calls corrupt is refused; OpenCV, Pillow and TensorFlow fill what is
        missing with grey, and say so on standard error at most.
        """
        height, width, channels = self.shape[1:]
        if content.startswith(b"\xff\xd8\xff"):
            try:
                return self._decode_jpeg(content, place)
            except ValueError as error:  # of each warning, and of what Pillow alone can read
                if re.search("Corrupt JPEG data|Premature end", str(error)):
                    raise
        elif content.startswith(b"\x89PNG"):
            if place is not None and content[16:24] == struct.pack(">II", width, height):
                # Unchanged: neither rotated by the camera's orientation nor reduced to eight bits.
                found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
                if found is not None and found.dtype == np.uint8:
                    stored = found.size // (height * width)
                    if stored == channels == 1:
                        place[..., 0] = found
                        return None
                    if (stored, channels) in _COLOUR_ORDERS:
                        cv2.cvtColor(found, _COLOUR_ORDERS[stored, channels], dst=place)
                        return None
            _check_png(content)
        return Image.open(io.BytesIO(content))

    def _decode_jpeg(self, content: bytes, place: np.ndarray | None) -> Image.Image | None:
        height, width, channels = self.shape[1:]
        stored_height, stored_width, space, _ = simplejpeg.decode_jpeg_header(content)
        size = (stored_width, stored_height)
        if space in ("CMYK", "YCCK"):
            simplejpeg.decode_jpeg(content, "CMYK")  # may raise; the values are Pillow's
            raise ValueError("CMYK is left to Pillow")
        is_nearest = self._resampling == Image.Resampling.NEAREST and max(size) < 2**15
        if place is not None and (channels == 3 or (channels, space) == (1, "Gray")):
            colours = "RGB" if channels == 3 else "GRAY"
            if size == (width, height):
                simplejpeg.decode_jpeg(content, colours, buffer=place)
                return None
            if is_nearest:
                memory = _scratch(stored_height * stored_width * channels)
                found = simplejpeg.decode_jpeg(content, colours, buffer=memory)
                sources = _nearest(size, (width, height), self._box(size))
                cv2.remap(found, sources, _NO_MAP, cv2.INTER_NEAREST, dst=place)
                return None
        mode, colours = ("L", "GRAY") if space == "Gray" else ("RGBX", "RGBX")
        memory = _scratch(stored_height * stored_width * len(mode))
        simplejpeg.decode_jpeg(content, colours, buffer=memory)
        return Image.frombuffer(mode, size, memory, "raw", mode, 0, 1)

    def _finished(self, image: Image.Image, turned: int) -> np.ndarray:
        """Convert and resize as ``load_img`` does, apart from what it misreads."""
        height, width, channels = self.shape[1:]
        mode = image.mode
        if mode[0] in "IF":
            raise _MisreadError(
                f"expected 8 bits a channel, found {mode} ({32 if mode in 'IF' else 16} bits); "
                f"scale it to 8 bits, or read it by yourself (a flow cuts its values at 255)"
            )
        if mode in ("P", "PA") and channels == 1:
            if image.size != (width, height) and self._resampling != Image.Resampling.NEAREST:
                raise _MisreadError(
                    f"expected interpolation='nearest' for a palette file read as one channel, "
                    f"found {self._resampling.name.lower()!r}; class numbers have no mean"
                )
            # The indices: `convert` would look up their colours.
            image = Image.fromarray(np.asarray(image).reshape(*image.size[::-1], -1)[..., 0])
        elif mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")  # without this step Pillow warns for each file
        if (mode, channels) != ("RGBX", 3):
            image = image.convert(_MODES[channels])
        if turned in _AS_STORED:
            image = image.transpose(_AS_STORED[turned])
        if image.size != (width, height):
            image = image.resize((width, height), self._resampling, self._box(image.size))
        if image.mode == "RGBX":  # faster once it is small, and not without Pillow
            image = image.convert("RGB")
        return np.asarray(image).reshape(height, width, channels)

    def _box(self, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
        """Return the box that ``load_img`` cuts out to keep proportions, of a (width, height)."""
        if not self._keep_aspect_ratio:
            return None
        width, height = size
        cut_width = min(width, height * self.shape[2] // self.shape[1])
        cut_height = min(height, width * self.shape[1] // self.shape[2])
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


def _said(error: Exception) -> str:
    """Return what Pillow said, without the name of an object in memory."""
    return str(error).split(" <", 1)[0] or type(error).__name__


def _orientation(content: bytes) -> int:
    with Image.open(io.BytesIO(content)) as image:
        return image.getexif().get(274, 1)


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


def _check_png(content: bytes) -> None:
    """Compare a PNG's checksums, which Pillow does not do for the pixels."""
    place, file = 8, memoryview(content)
    while place + 12 <= len(content):
        end = place + 8 + int.from_bytes(file[place : place + 4], "big")
        if zlib.crc32(file[place + 4 : end]) != int.from_bytes(file[end : end + 4], "big"):
            raise ValueError("its checksums disagree")
        if file[place + 4 : place + 8] == b"IEND":
            return
        place = end + 4
    raise ValueError("it ends too early")
