"""What to know of image files, and of a table that names them, before they are read.

Many faults raise nothing: a photograph on its side, a mask read as brightness, 16 bits read as
white. `audit` looks at every file and every line once, and changes nothing.

The lesson that builds it: 04 Your own data.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import simplejpeg
from PIL import Image
from tqdm import tqdm

__all__ = ["audit"]

_READ_BY_FLOWS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")
_ENDINGS = (*_READ_BY_FLOWS, ".webp", ".gif", ".heic", ".heif", ".avif", ".jfif")
_MANY = 500  # files from which on a progress bar is shown

#: What a JPEG's library says of a file that is refused; it only warns of less.
CORRUPT_JPEG = re.compile("Corrupt JPEG data|Premature end")


@dataclass(frozen=True)
class Finding:
    """One thing to know: its kind in a word, the file or row, what is found, what to do."""

    kind: str
    where: str
    found: str
    advice: str
    row: int | None = None  # position in the table or the list


@dataclass(frozen=True)
class Report:
    """What `audit` found: a table in a notebook, lines of text elsewhere."""

    summary: str
    findings: list[Finding]

    def rows(self, *kinds: str) -> list[int]:
        """Return the rows with a finding of one of these kinds, in order."""
        return sorted({f.row for f in self.findings if f.kind in kinds and f.row is not None})

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        lines = (f"{kind}: {where}: {found}; {do}" for kind, where, found, do in self._lines())
        return "\n".join([self.summary, *lines])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = pd.DataFrame(self._lines(), columns=["kind", "where", "found", "what to do"])
        with pd.option_context("display.max_colwidth", None):
            shown = table.to_html(index=False, justify="left", border=0) if len(self) else ""
        return f"<p>{self.summary}</p>\n{shown}"

    def _lines(self) -> list[tuple[str, str, str, str]]:
        """Return a line for each finding; for one that is the same in five places or more, one."""
        places: dict[tuple[str, str, str], list[str]] = {}
        for one in self.findings:
            places.setdefault((one.kind, one.found, one.advice), []).append(one.where)
        short = {key: [*some[:2], f"{len(some) - 2} more"] for key, some in places.items()}
        return [
            (kind, " | ".join(some if len(some) < 5 else short[kind, found, do]), found, do)
            for (kind, found, do), some in places.items()
        ]


@dataclass(frozen=True)
class _File:
    """What a look at a file tells; and where it is named, in a table or a list."""

    problem: str = ""
    said: str = ""
    digest: bytes = b""
    mode: str = ""
    size: tuple[int, int] = (0, 0)  # width and height once upright
    orientation: int = 1
    brightness: dict[int, int] = field(default_factory=dict)  # of each palette number in use
    white: float = 0.0  # share of the pixels above 255
    name: str = ""
    column: str = ""
    row: int | None = None  # none in a folder

    def finding(self, kind: str, found: str, advice: str) -> Finding:
        """Return a finding with this file's place."""
        row = "" if self.row is None else f"row {self.row}"
        where = ", ".join(part for part in (row, self.column, self.name) if part)
        return Finding(kind, where, found, advice, self.row)


def audit(
    source: Any,
    columns: Sequence[str] | None = None,
    *,
    folder: str | Path = ".",
    label: str | None = None,
    split: str | None = None,
) -> Report:
    """Look at the images of a folder, a list or a table, and report what to know of them.

    Parameters
    ----------
    source : str, Path, sequence of paths, or pandas.DataFrame
        A folder (searched with its subfolders), image files, or a table that names some.
    columns : sequence of str, optional
        The table's columns of paths. When not given, those whose values end like images.
    folder : str or Path
        Where the paths of a list or a table begin.
    label, split : str, optional
        The table's columns of classes, and of the split that each row is in.

    Returns
    -------
    Report
        ``len(report)`` is the number of findings, ``report.rows("missing")`` are rows.

    Raises
    ------
    FileNotFoundError
        If `source` is a path, and no folder is there.
    ValueError
        If the table has no such column.

    Examples
    --------
    >>> from helpers import tiles
    >>> audit(tiles.folder("imagery", "test"))
    120 files, no findings
    """
    table, numbered = source, not isinstance(source, str | Path)
    if not isinstance(source, pd.DataFrame):
        if not numbered:
            folder = Path(source)
            if not folder.is_dir():
                raise FileNotFoundError(f"expected a folder, found none at {folder}")
            below = filter(_ends_like_an_image, folder.rglob("*"))
            source = sorted(path.relative_to(folder).as_posix() for path in below)
        table, columns = pd.DataFrame({"": list(source)}), [""]
    if columns is None:
        columns = [name for name in table if table[name].map(_ends_like_an_image).mean() > 0.5]
    for name in [*columns, *filter(None, [label, split])]:
        if name not in table:
            found = f"expected a column {name!r}, found {list(table)}"
            if len(table.columns) == 1 and ";" in str(table.columns[0]):
                found += '; read the table with pd.read_csv(…, sep=";")'
            raise ValueError(found)
    names = sorted({str(name) for column in columns for name in table[column].dropna()})
    with ThreadPoolExecutor() as threads:
        looks = threads.map(_look, (Path(folder, name) for name in names))
        bar = tqdm(looks, "looking", len(names), unit=" files", disable=len(names) < _MANY)
        looked = dict(zip(names, bar, strict=True))
    findings: list[Finding] = []
    for column in columns:
        files = [
            replace(looked[name], name=name, column=column, row=row if numbered else None)
            for row, name in enumerate(table[column].fillna("").map(str))
            if name
        ]
        findings += [found for check in _CHECKS for found in check(files)]
    findings += [*_gaps(table), *_strings(table), *_classes(table, label, split)]
    counts = {"file": len(names), "row": 0 if "" in table else len(table)}
    parts = [_count(what, count) for what, count in counts.items() if count]
    return Report(", ".join([*parts, _count("finding", len(findings))]), findings)


def _count(what: str, count: int) -> str:
    return f"{count or 'no'} {what}{'s' * (count != 1)}"


def _ends_like_an_image(name: Any) -> bool:
    return str(name).lower().endswith(_ENDINGS)


def _look(path: Path) -> _File:
    """Read a file and decode it, a JPEG at an eighth of its size, since that is enough."""
    if not path.is_file():
        return _File("missing", "no such file")
    content, digest = b"", b""
    try:
        content = path.read_bytes()
        digest = hashlib.blake2b(content).digest()
        image = Image.open(io.BytesIO(content))
        orientation = image.getexif().get(274, 1)
        _decode(image, content)
    except Exception as error:  # whatever a decoder makes of bytes that are no image
        found = said_of(error)
        ends_early = re.search("truncated|premature|not enough", found, re.IGNORECASE)
        kind = "truncated" if ends_early else "unreadable"
        return _File(kind, found if content else "an empty file", digest)
    size = image.size[::-1] if orientation > 4 else image.size
    look = _File("", "", digest, image.mode, size, orientation)
    if image.mode == "P":
        numbers = np.unique(np.asarray(image))
        swatch = Image.fromarray(numbers[None])
        swatch.putpalette(image.getpalette() or [])
        grey = np.asarray(swatch.convert("L"))[0]
        return replace(look, brightness=dict(zip(numbers.tolist(), grey.tolist(), strict=True)))
    if image.mode[0] in "IF":
        return replace(look, white=float((np.asarray(image) > 255).mean()))
    return look


def said_of(error: Exception) -> str:
    """Return what a decoder says of a file, without the address of an object in memory."""
    return str(error).split(" <", 1)[0] or type(error).__name__


def _decode(image: Image.Image, content: bytes) -> None:
    """Raise if the file cannot be decoded to its end, as `Images` would."""
    if content.startswith(b"\xff\xd8\xff"):
        try:
            colours = "CMYK" if image.mode == "CMYK" else "GRAY"
            simplejpeg.decode_jpeg(content, colours, min_height=1, min_width=1, min_factor=8)
            return
        except ValueError as error:
            if CORRUPT_JPEG.search(str(error)):
                raise
    elif content.startswith(b"\x89PNG"):
        Image.open(io.BytesIO(content)).verify()  # the checksums, which `load` does not compare
    image.load()


def _problems(files: list[_File]) -> Iterator[Finding]:
    for file in files:
        if file.problem:
            do = "correct the path" if file.problem == "missing" else "replace the file"
            yield file.finding(file.problem, file.said, f"{do}, or drop the row")


def _modes(files: list[_File]) -> Iterator[Finding]:
    modes = Counter(file.mode for file in files if file.mode)
    for file in files:
        if file.mode[:1] in ("I", "F"):
            found = f"more than 8 bits ({file.mode}): a flow cuts {file.white:.1%} of it at 255"
            yield file.finding("depth", found, "scale it to 8 bits yourself")
        elif file.mode and file.mode != modes.most_common(1)[0][0]:
            found = f"{file.mode}, where most are {modes.most_common(1)[0][0]}"
            yield file.finding("mode", found, "choose the channels that all are read as")


def _palettes(files: list[_File]) -> Iterator[Finding]:
    grey: dict[int, int] = {}
    for file in files:
        grey |= file.brightness
    numbers = sorted(grey)[:8]
    found = "a palette: read as grey, {} become {}".format(
        *(", ".join(map(str, some)) for some in (numbers, [grey[number] for number in numbers]))
    )
    for file in files:
        if file.brightness:
            yield file.finding("palette", found, "class numbers: read it with one channel")


def _orientations(files: list[_File]) -> Iterator[Finding]:
    for file in files:
        if file.orientation in range(2, 9):
            found = f"to be rotated or flipped (Exif {file.orientation}); a flow does not"
            yield file.finding("orientation", found, "apply_orientation=True")


def _sizes(files: list[_File]) -> Iterator[Finding]:
    sizes = Counter("{} × {}".format(*file.size) for file in files if file.mode)
    shapes = {round(file.size[0] / file.size[1], 2) for file in files if file.mode}
    if len(sizes) > 1:
        found = f"{len(sizes)} sizes (width × height once upright): {_counted(sizes)}"
        do = "resize to one" + "; the proportions differ: distort, cut or pad" * (len(shapes) > 1)
        yield Finding("sizes", files[0].column or "all", found, do)


def _duplicates(files: list[_File]) -> Iterator[Finding]:
    first: dict[bytes, str] = {}
    for file in files:
        if file.digest and first.setdefault(file.digest, file.name) != file.name:
            yield file.finding("duplicate", f"the bytes of {first[file.digest]}", "keep one")


def _shared(files: list[_File]) -> Iterator[Finding]:
    rows = Counter(file.name for file in files if file.row is not None)
    several = Counter({name: count for name, count in rows.items() if count > 1})
    if several:
        found = f"files that several rows name: {_counted(several)}"
        yield Finding("shared", files[0].column or "all", found, "keep their rows in one split")


def _endings(files: list[_File]) -> Iterator[Finding]:
    for file in files:
        if not file.name.lower().endswith(_READ_BY_FLOWS):
            found = f"ending {Path(file.name).suffix!r}: flows skip it, and say nothing"
            do = "convert it" + ", or read it with Images" * (not file.problem)  # HEIC: convert it
            yield file.finding("ending", found, do)


def _orders(files: list[_File]) -> Iterator[Finding]:
    def counting(name: str) -> list[Any]:
        parts = re.split(r"(\d+)", name)
        return [int(part) if place % 2 else part for place, part in enumerate(parts)]

    names = sorted({file.name for file in files})
    for sorts, counts in zip(names, sorted(names, key=counting), strict=True):
        if sorts != counts:
            found = f"{sorts} sorts before {counts}"
            advice = "pair files by table or by name, not by their place in two lists"
            yield Finding("order", files[0].column or "all", found, advice)
            return


def _gaps(table: pd.DataFrame) -> Iterator[Finding]:
    for column in table:
        for row in np.flatnonzero(table[column].isna()).tolist():
            where = f"row {row}, {column}".rstrip(", ")
            yield Finding("gap", where, "no value", "fill it, or drop the row", row)


def _strings(table: pd.DataFrame) -> Iterator[Finding]:
    for column in table:
        counts = Counter(value for value in table[column] if isinstance(value, str))
        if counts and not any(map(_ends_like_an_image, counts)):
            found = f"{len(counts)} different strings: {_counted(counts)}"
            do = "a class is encoded once, for all splits; a group stays in one split"
            if all(re.fullmatch(r"\s*[+-]?\d*,\d+\s*", value) for value in counts):
                do = 'these are numbers with a decimal comma: pd.read_csv(…, decimal=",")'
            yield Finding("strings", str(column), found, do)


def _classes(table: pd.DataFrame, label: str | None, split: str | None) -> Iterator[Finding]:
    if label and split:
        for name, counts in pd.crosstab(table[split], table[label]).iterrows():
            found = _counted(Counter({str(value): count for value, count in counts.items()}))
            yield Finding("classes", f"{split} {name}", found, "see that each split has each class")


_CHECKS = (
    _problems, _modes, _palettes, _orientations, _sizes, _duplicates, _shared, _endings, _orders,
)  # fmt: skip


def _counted(counts: Counter[str]) -> str:
    shown = [f"{name!r}: {count}" for name, count in counts.most_common(5)]
    return ", ".join(shown) + ", …" * (len(counts) > 5)
