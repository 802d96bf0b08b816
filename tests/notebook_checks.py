"""What a stored lesson must be, and whether an image drawn now is the image stored.

Pure functions on notebooks (as parsed JSON) and PNG files; nothing here runs a cell.
`conftest.py` wires them to pytest and nbval, `tools/regenerate.py` stores lessons that pass them.
"""

from __future__ import annotations

import base64
import io
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import tolerance
from PIL import Image, ImageDraw

Cell = dict[str, Any]

RAISES = "raises-exception"
REMEDY = "run `make notebooks`"

# An image has so many pixels for one of its size on the page, as many as good screens have.
SHARPNESS = 2

# Largest notebook file, in bytes: GitHub stops showing larger ones.
MAX_BYTES = 1_500_000

# What may stand in metadata; all else is left behind by a program, and differs between machines.
NOTEBOOK_METADATA = {"kernelspec", "language_info"}
CELL_METADATA = {"tags", "jupyter", "jp-MarkdownHeadingCollapsed"}

# The tag of a cell that held a solution, when solutions were cells: they are folded Markdown now.
SOLUTION = "solution"

# Comments and tags that switch a check off, or stand for a tag that says it better.
_MARKER = re.compile(r"^\s*#+\s*((?:NBVAL|PYTEST_VALIDATE)_[A-Z_]+)\s*$", re.MULTILINE)
_FORBIDDEN_TAG = re.compile(r"nbval-|pytest-validate-|skip-execution")

# A live widget: it names a model by a random number, which dies with its kernel. Where a figure
# comes with it, that is stored and compared in its place.
WIDGET = "application/vnd.jupyter.widget-view+json"

# Kinds of output that nbval never compares.
_UNCOMPARED = ("image/jpeg", WIDGET)

# Traces of one machine or one process.
_TRACES = {
    "a path of one machine": re.compile(
        r"(?:/home/|/Users/|/root/|/tmp/|/private/|/var/folders/|[A-Za-z]:\\+Users\\+)[^\s'\"]*"
        r"|[^\s'\"]*(?:site|dist)-packages[^\s'\"]*"
        r"|[^\s'\"]*ipykernel_\d+[^\s'\"]*"
    ),
    "a memory address": re.compile(r"\b0x[0-9a-fA-F]{7,16}\b"),
}


# --- where something is ---------------------------------------------------------------------------


def text_of(value: str | Sequence[str]) -> str:
    """Return a notebook's multi-line text, which JSON stores as one string or as a list."""
    return value if isinstance(value, str) else "".join(value)


def tags_of(cell: Cell) -> list[str]:
    """Return a cell's tags."""
    return list(cell.get("metadata", {}).get("tags", []))


def percent_of(cell: Cell) -> float | None:
    """Return the tolerance in percent that a cell's tag states, if any; a wrong tag states none."""
    try:
        return tolerance.percent_of(tags_of(cell))
    except ValueError:
        return None  # the check of the stored form says so


def heading_above(cells: Sequence[Cell], index: int) -> str:
    """Return the text of the last Markdown heading before a cell, or an empty string."""
    for cell in reversed(cells[: index + 1]):
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^#{1,6}\s+(.+?)\s*#*$", text_of(cell["source"]), re.MULTILINE)
            if headings:
                return str(headings[-1])
    return ""


def place(cells: Sequence[Cell], index: int) -> str:
    """Name a cell as nbval does (code cells counted from 0), with the heading it stands under.

    Examples
    --------
    >>> lesson = [
    ...     {"cell_type": "markdown", "source": "## Two inputs"},
    ...     {"cell_type": "code", "source": "1"},
    ... ]
    >>> place(lesson, 1)
    "Cell 0 under 'Two inputs'"
    """
    if cells[index]["cell_type"] == "code":
        number = sum(cell["cell_type"] == "code" for cell in cells[:index])
        name = f"Cell {number}"
    else:
        name = f"{cells[index]['cell_type']} cell (number {index} of all)"
    heading = heading_above(cells, index)
    return f"{name} under {heading!r}" if heading else name


def alternative_of(output: dict[str, Any]) -> str:
    """Return the alternative text of an output's image, which its metadata hold."""
    return str(output.get("metadata", {}).get("image/png", {}).get("alt", ""))


def size_of(output: dict[str, Any]) -> dict[str, int]:
    """Return the width and height of an output's image on the page, if its metadata hold them."""
    said = output.get("metadata", {}).get("image/png", {})
    return {side: said[side] for side in ("width", "height") if side in said}


def machine_trace(text: str) -> str | None:
    """Return what in a text would differ on another machine or in another process, if anything.

    Examples
    --------
    >>> machine_trace("<Model at 0x7f3a5c0b2d90>")
    "a memory address: '0x7f3a5c0b2d90'"
    >>> machine_trace("shape (None, 64, 64, 3)")
    """
    known = {Path.home(), Path(tempfile.gettempdir()), Path(__file__).resolve().parents[1]}
    for folder in sorted(str(path) for path in known if len(path.parts) > 1):
        if folder in text:
            return f"a path of one machine: {folder!r}"
    for what, pattern in _TRACES.items():
        found = pattern.search(text)
        if found:
            return f"{what}: {found.group()!r}"
    return None


def headline(name: str, message: str) -> str:
    """Return an error in one line: its class, and the first line of its message that says anything.

    Examples
    --------
    >>> headline("AssertionError", "\\nNot equal to tolerance rtol=1e-07, atol=0\\n\\nMismatched …")
    'AssertionError: Not equal to tolerance rtol=1e-07, atol=0'
    """
    lines = message.split("\n")
    return ": ".join([name, *[line.strip() for line in lines if line.strip()][:1]])


def output_texts(output: dict[str, Any]) -> Iterator[str]:
    """Yield every text in one output: printed, shown, or in an error message."""
    if "text" in output:
        yield text_of(output["text"])
    for kind, value in output.get("data", {}).items():
        if kind != "image/png":
            yield text_of(value) if isinstance(value, str | list) else json.dumps(value)
    if output["output_type"] == "error":
        yield from (output["ename"], output["evalue"], *output["traceback"])


# --- the stored file ------------------------------------------------------------------------------


def stored_problems(path: Path) -> list[str]:
    """List all that is wrong with a lesson as it is stored, one line each.

    Parameters
    ----------
    path
        The notebook file.

    Returns
    -------
    list of str
        Empty if nothing is wrong. Each line names the cell and what to do.
    """
    size = path.stat().st_size
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells = notebook["cells"]
    except (ValueError, KeyError, TypeError) as error:
        return [f"not a notebook: {error}"]
    problems = list(_file_problems(notebook, size))
    invalid = _schema_error(notebook)
    if invalid:
        return [*problems, f"not a valid notebook: {invalid}"]
    expected_count = 0
    for index, cell in enumerate(cells):
        found = list(_cell_problems(cell))
        if cell["cell_type"] == "code" and text_of(cell["source"]).strip():
            expected_count += 1
            found += _count_problems(cell, expected_count)
            found += _marker_problems(cell)
            found += _tolerance_problems(cell)
            found += _output_problems(cell)
        problems += [f"{place(cells, index)}: {problem}" for problem in found]
    return problems


def _file_problems(notebook: dict[str, Any], size: int) -> Iterator[str]:
    """Check what concerns the file as a whole."""
    version = f"{notebook.get('nbformat')}.{notebook.get('nbformat_minor')}"
    if version != "4.5":
        yield f"notebook format {version}, expected 4.5: {REMEDY}"
    if size > MAX_BYTES:
        yield f"{size:,} bytes, expected at most {MAX_BYTES:,}: draw fewer or smaller images"
    metadata = notebook.get("metadata", {})
    for key in sorted(metadata.keys() - NOTEBOOK_METADATA):
        yield f"metadata {key!r} is left behind by a program: {REMEDY}"
    kernel = metadata.get("kernelspec", {}).get("name")
    if kernel != "python3":
        yield f"kernel {kernel!r}, expected 'python3': {REMEDY}"
    if "version" in metadata.get("language_info", {}):
        yield f"metadata 'language_info' holds the version of one Python: {REMEDY}"


def _schema_error(notebook: dict[str, Any]) -> str:
    """Return the first line of what nbformat finds wrong, or an empty string."""
    ids = [cell.get("id") for cell in notebook["cells"]]
    twice = next((name for name in ids if name is not None and ids.count(name) > 1), None)
    if twice is not None:
        return f"two cells with the id {twice!r}"
    try:
        nbformat.validate(nbformat.from_dict(notebook))
    except nbformat.ValidationError as error:
        return str(error).splitlines()[0]
    return ""


def _cell_problems(cell: Cell) -> Iterator[str]:
    """Check what concerns any cell."""
    for key in sorted(cell.get("metadata", {}).keys() - CELL_METADATA):
        yield f"metadata {key!r} is left behind by a program: {REMEDY}"
    if cell["cell_type"] == "code" and not text_of(cell["source"]).strip():
        yield "an empty code cell, expected none: delete it"
    folding = cell.get("metadata", {}).get("jupyter", {})
    if SOLUTION in tags_of(cell):
        yield f"tagged {SOLUTION!r}, expected a solution in Markdown, folded by <details>"
    if folding.get("outputs_hidden"):
        yield "hidden outputs, expected those of all cells in sight"


def _count_problems(cell: Cell, expected: int) -> Iterator[str]:
    """Check that the cell was run, and in its turn."""
    count = cell.get("execution_count")
    if count is None:
        yield f"stored without having been run, so nothing is compared: {REMEDY}"
    elif count != expected:
        yield f"stored as In [{count}], expected In [{expected}] (run from top to bottom): {REMEDY}"


def _marker_problems(cell: Cell) -> Iterator[str]:
    """Check that nothing switches a check off."""
    markers = _MARKER.findall(text_of(cell["source"]))
    markers += [tag for tag in tags_of(cell) if _FORBIDDEN_TAG.match(tag)]
    for marker in markers:
        yield f"{marker!r} switches a check: every cell is compared (raising: tag {RAISES!r})"


def _tolerance_problems(cell: Cell) -> Iterator[str]:
    """Check that a cell's tolerance is well-formed, and has something to allow."""
    try:
        percent = tolerance.percent_of(tags_of(cell))
    except ValueError as error:
        yield str(error)
        return
    if percent is not None and not tolerance.values(cell.get("outputs", [])):
        yield f"tagged 'within-{percent:g}%', but its outputs hold no number that may differ"


def _output_problems(cell: Cell) -> Iterator[str]:
    """Check the stored outputs of a code cell."""
    outputs = cell.get("outputs", [])
    errors = [output for output in outputs if output["output_type"] == "error"]
    if errors and RAISES not in tags_of(cell):
        yield f"stored with {errors[0]['ename']}, but not tagged {RAISES!r}"
    if RAISES in tags_of(cell) and not errors:
        yield f"tagged {RAISES!r}, but stored without an error"
    for output in outputs:
        if output.get("name") == "stderr":
            first = text_of(output["text"]).strip().partition("\n")[0]
            yield f"stored with standard error, which is not compared: {first[:80]!r}"
        for kind in sorted(output.get("data", {}).keys() & set(_UNCOMPARED)):
            remedy = REMEDY if kind == WIDGET else "show text or image/png"
            yield f"stored with {kind}, which is not compared: {remedy}"
        yield from _image_problems(output)
        if "image/png" in output.get("data", {}) and not alternative_of(output):
            yield (
                "an image without alternative text in its metadata, {'image/png': {'alt': …}}: "
                f"{REMEDY}, which gives each figure one"
            )
        for text in output_texts(output):
            trace = machine_trace(text)
            if trace or "\x1b[" in text:
                yield f"output holds {trace or 'terminal colours'}"
                break


def _image_problems(output: dict[str, Any]) -> Iterator[str]:
    """Check that a stored image is a clean, sharp PNG with a fingerprint."""
    data = output.get("data", {})
    if "image/png" not in data:
        return
    png = base64.b64decode(text_of(data["image/png"]))
    try:
        extra = png_notes(png)
    except ValueError as error:
        yield str(error)
        return
    if extra:
        yield f"image carries notes that differ between versions ({', '.join(extra)}): {REMEDY}"
    if sharpness(output) != SHARPNESS:
        yield (
            f"an image that is not sharp on good screens: {_pixels_and_size(output)}, expected "
            f"{SHARPNESS} times as many pixels as it is wide and high on the page: {REMEDY}"
        )
    if text_of(data.get("text/plain", "")).startswith("<Figure size"):
        yield f"figure without a fingerprint: {REMEDY}"


# --- PNG files ------------------------------------------------------------------------------------

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_NOTES = (b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf")


def _png_chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield a PNG file's chunks: the name, and all bytes of the chunk."""
    if not png.startswith(_PNG_START):
        raise ValueError(f"not a PNG file: begins with {png[:8]!r}")
    position = len(_PNG_START)
    while position < len(png):
        length = 12 + int.from_bytes(png[position : position + 4], "big")
        yield png[position + 4 : position + 8], png[position : position + length]
        position += length


def png_notes(png: bytes) -> list[str]:
    """Name the chunks that hold no pixels but notes, such as the program's version."""
    return [name.decode() for name, _ in _png_chunks(png) if name in _PNG_NOTES]


def without_notes(png: bytes) -> bytes:
    """Return the same image without the notes."""
    kept = (chunk for name, chunk in _png_chunks(png) if name not in _PNG_NOTES)
    return _PNG_START + b"".join(kept)


# --- images -------------------------------------------------------------------------------------
#
# Two drawings of one figure differ by fonts, anti-aliasing and a pixel here and there. So the means
# of small blocks are compared, each block with the nearest of its neighbours a few pixels around.
# On trial figures: another rasteriser, another font of the same width, text without anti-aliasing,
# a shift of one pixel: up to 16.2. Flipped, swapped, blank images, swapped channels: from 70 on.

BLOCK = 8  # pixels
SLACK = 3  # pixels that a part of the image may have moved
DRIFT = 6  # pixels by which width or height may differ: longer labels push the edges
LIMIT = 18.0  # largest allowed difference of a block's mean, in one channel of 0 to 255

# Figures of a cell with a tolerance: lines may lie elsewhere, and that is compared by the figures'
# descriptions. Of the blocks that are not background, so many may be unlike the stored ones: curves
# within 2 %, 10 %, 60 %: up to 0.05, 0.20, 0.31; a blank image 0.82.
ELSEWHERE = 0.5


@dataclass(frozen=True)
class Difference:
    """Where two images differ most.

    Attributes
    ----------
    amount
        Difference of the means of a block in its worst channel, 0 to 255.
    x, y
        The block's upper left pixel.
    """

    amount: float
    x: int
    y: int


def pixels(png: bytes) -> np.ndarray:
    """Decode a PNG file to (height, width, 3) uint8, transparent parts on white."""
    with Image.open(io.BytesIO(png)) as image:
        shown = image.convert("RGBA")
    white = Image.new("RGBA", shown.size, "white")
    return np.asarray(Image.alpha_composite(white, shown).convert("RGB"))


def sharpness(output: dict[str, Any]) -> int:
    """Return how many pixels an output's image has for one of its size on the page."""
    height, width = pixels(png_of(output)).shape[:2]
    size = size_of(output)
    if not size:
        return 1
    times = round(width / size["width"])
    near = [abs(times * size["width"] - width), abs(times * size["height"] - height)]
    return times if max(near) < times else 0  # a size that is not the image's


def displayed(output: dict[str, Any]) -> np.ndarray:
    """Decode an output's image, (height, width, 3) uint8, with as many pixels as it is large."""
    return shrunk(pixels(png_of(output)), max(sharpness(output), 1))


def shrunk(image: np.ndarray, times: int = SHARPNESS) -> np.ndarray:
    """Return an image, (height, width, 3) uint8, with the means of so many pixels each way."""
    height, width = image.shape[0] // times, image.shape[1] // times
    blocks = image[: height * times, : width * times].reshape(height, times, width, times, 3)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)


def _pixels_and_size(output: dict[str, Any]) -> str:
    height, width = pixels(png_of(output)).shape[:2]
    size = size_of(output)
    shown = f"shown {size['width']} x {size['height']}" if size else "no size in its metadata"
    return f"{width} x {height} pixels, {shown}"


def image_difference(stored: np.ndarray, new: np.ndarray) -> Difference:
    """Find the block in which two images differ most.

    Parameters
    ----------
    stored, new
        Shape (height, width, 3), uint8. The sizes may differ by a few pixels: all ways to place
        one on the other with two edges flush are tried, and the best one counts.
    """
    height = max(stored.shape[0], new.shape[0])
    width = max(stored.shape[1], new.shape[1])
    placements = {
        (top, left)
        for top in (0, height - min(stored.shape[0], new.shape[0]))
        for left in (0, width - min(stored.shape[1], new.shape[1]))
    }
    return min(
        (
            _block_difference(_framed(stored, height, width, at), _framed(new, height, width, at))
            for at in sorted(placements)
        ),
        key=lambda difference: difference.amount,
    )


def _framed(image: np.ndarray, height: int, width: int, at: tuple[int, int]) -> np.ndarray:
    """Extend a smaller image by its edge pixels, at the top and left or the bottom and right."""
    rows, columns = height - image.shape[0], width - image.shape[1]
    top, left = min(at[0], rows), min(at[1], columns)
    return np.pad(image, ((top, rows - top), (left, columns - left), (0, 0)), mode="edge")


def _block_difference(one: np.ndarray, other: np.ndarray) -> Difference:
    """Compare images of one size, both ways: what is only in one must show too."""
    worst = np.maximum(_unmatched(one, other), _unmatched(other, one))
    row, column = np.unravel_index(int(worst.argmax()), worst.shape)
    return Difference(float(worst.max()), int(column) * BLOCK, int(row) * BLOCK)


def _unmatched(image: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return for each block how far its mean is from the nearest one around it in the other."""
    blocks = _means(image)[SLACK::BLOCK, SLACK::BLOCK]
    around = _means(other)
    best = np.full(blocks.shape[:2], np.inf)
    for down in range(2 * SLACK + 1):
        for right in range(2 * SLACK + 1):
            moved = around[down::BLOCK, right::BLOCK][: blocks.shape[0], : blocks.shape[1]]
            best = np.minimum(best, np.abs(blocks - moved).max(axis=2))
    return best


def _means(image: np.ndarray) -> np.ndarray:
    """Return the means of all BLOCK x BLOCK windows, SLACK pixels beyond each edge included."""
    height, width = image.shape[:2]
    reach = ((SLACK, SLACK + -height % BLOCK), (SLACK, SLACK + -width % BLOCK), (0, 0))
    framed = np.pad(image.astype(np.float64), reach, mode="edge")
    sums = np.pad(framed.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0), (0, 0)))
    windows = sums[BLOCK:, BLOCK:] - sums[:-BLOCK, BLOCK:]
    windows -= sums[BLOCK:, :-BLOCK] - sums[:-BLOCK, :-BLOCK]
    return np.asarray(windows / BLOCK**2)


def image_problem(stored: np.ndarray, new: np.ndarray) -> tuple[str, Difference | None]:
    """Say in a few words how a new image differs from the stored one.

    Returns
    -------
    str
        The fault, or an empty string.
    Difference or None
        Where it is, if at one place.
    """
    if stored.shape != new.shape and max(abs(np.subtract(stored.shape, new.shape))) > DRIFT:
        sizes = [f"{image.shape[1]} x {image.shape[0]}" for image in (new, stored)]
        return f"is {sizes[0]} pixels, stored {sizes[1]}", None
    difference = image_difference(stored, new)
    if difference.amount <= LIMIT:
        return "", None
    where = f"around pixel x {difference.x}, y {difference.y}"
    amount = f"by {difference.amount:.0f} of 255 (allowed {LIMIT:.0f}) {where}"
    blank = " (it is blank)" if new.max() - new.min() < LIMIT else ""
    return f"differs from the stored one{blank} {amount}", difference


def loose_problem(stored: np.ndarray, new: np.ndarray) -> tuple[str, None]:
    """Say how an image of a cell with a tolerance differs by more than lines that lie elsewhere."""
    if max(abs(np.subtract(stored.shape, new.shape))) > DRIFT:
        return image_problem(stored, new)[0], None
    height, width = np.maximum(stored.shape[:2], new.shape[:2])
    pair = [_framed(image, height, width, (0, 0)) for image in (stored, new)]
    share = max(_share_elsewhere(one, other) for one, other in (pair, pair[::-1]))
    if share <= ELSEWHERE:
        return "", None
    return f"has {share:.0%} of its parts elsewhere (allowed {ELSEWHERE:.0%})", None


def _share_elsewhere(image: np.ndarray, other: np.ndarray) -> float:
    """Return which part of an image's blocks, background left out, is not in the other image."""
    background = np.median(image.reshape(-1, 3), axis=0)
    blocks = _means(image)[SLACK::BLOCK, SLACK::BLOCK]
    shown = np.abs(blocks - background).max(axis=2) > LIMIT / 3
    return float((shown & (_unmatched(image, other) > LIMIT)).sum() / max(shown.sum(), 1))


def save_images(
    stored: np.ndarray, new: np.ndarray, difference: Difference | None, stem: Path
) -> str:
    """Save the stored, the new and a difference image beside each other; return their pattern.

    The difference image is white where both agree; a frame marks the worst block.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    height, width = np.maximum(stored.shape[:2], new.shape[:2])
    at = (0, 0)
    gap = _framed(stored, height, width, at).astype(int) - _framed(new, height, width, at)
    contrast = Image.fromarray((255 - np.abs(gap)).astype(np.uint8))
    if difference is not None:
        corner = (difference.x - 2, difference.y - 2)
        opposite = (difference.x + BLOCK + 1, difference.y + BLOCK + 1)
        ImageDraw.Draw(contrast).rectangle((corner, opposite), outline="red")
    Image.fromarray(stored).save(stem.with_name(stem.name + "-stored.png"))
    Image.fromarray(new).save(stem.with_name(stem.name + "-new.png"))
    contrast.save(stem.with_name(stem.name + "-difference.png"))
    return f"{stem}-{{stored,new,difference}}.png"


# --- outputs of a cell that has just run ----------------------------------------------------------


def png_of(output: dict[str, Any]) -> bytes:
    """Return the PNG file in an output that has one."""
    return base64.b64decode(text_of(output["data"]["image/png"]))


def figure_problems(
    stored: Sequence[dict[str, Any]],
    new: Sequence[dict[str, Any]],
    stem: Path,
    percent: float | None = None,
) -> list[str]:
    """Compare the figures of a cell's new outputs with those of the stored ones.

    Parameters
    ----------
    stored, new
        Outputs, as notebooks store them.
    stem
        Where images that differ are saved: beginning of the file names.
    percent
        The tolerance that the cell's tag states: lines may then lie elsewhere.

    Returns
    -------
    list of str
        A line for each figure that differs; empty if none does.
    """
    before, now = (
        [output for output in outputs if "image/png" in output.get("data", {})]
        for outputs in (stored, new)
    )
    if len(before) != len(now):
        return [f"{len(now)} figures, stored {len(before)}"]
    problems = []
    for number, pair in enumerate(zip(before, now, strict=True), start=1):
        old, drawn = map(displayed, pair)
        compare = image_problem if percent is None else loose_problem
        problem, where = compare(old, drawn)
        if not problem and sharpness(pair[0]) != sharpness(pair[1]):
            problem = f"has {_pixels_and_size(pair[1])}, stored {_pixels_and_size(pair[0])}"
        if problem:
            saved = save_images(old, drawn, where, stem.with_name(f"{stem.name}-figure-{number}"))
            problems.append(f"figure {number} of {len(now)} {problem}; see {saved}")
    return problems


def first_difference(
    stored: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]], percent: float | None = None
) -> str:
    """Say in one line where two lists of outputs first differ in text; empty if they do not.

    With a tolerance in percent, numbers may differ by as much.

    Examples
    --------
    >>> was = [{"output_type": "stream", "name": "stdout", "text": "rows 32"}]
    >>> now = [{"output_type": "stream", "name": "stdout", "text": "rows 31"}]
    >>> first_difference(was, now)
    "stdout: stored 'rows 32', now 'rows 31'"
    """
    if percent is not None:
        return tolerance.outputs_difference(stored, new, percent)
    texts = [_texts_by_kind(outputs) for outputs in (stored, new)]
    for kind in dict.fromkeys([*texts[0], *texts[1]]):
        before, now = (text.get(kind, "").splitlines() for text in texts)
        for old, drawn in zip_longest(before, now):
            if old != drawn:
                shown = ["nothing" if line is None else repr(line[:200]) for line in (old, drawn)]
                return f"{kind}: stored {shown[0]}, now {shown[1]}"
    return ""


def _texts_by_kind(outputs: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Join the compared texts of outputs: printed ones, shown ones by type, error messages."""
    texts: dict[str, str] = {}
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] != "stderr":
            texts[output["name"]] = texts.get(output["name"], "") + text_of(output["text"])
        if output["output_type"] == "error":
            texts["error"] = f"{output['ename']}: {output['evalue']}"
        for kind, value in output.get("data", {}).items():
            if not kind.startswith("image/p") and kind != WIDGET:
                text = text_of(value) if isinstance(value, str | list) else json.dumps(value)
                texts[kind] = texts.get(kind, "") + text + "\n"
        if alternative_of(output):
            texts["alternative text"] = texts.get("alternative text", "") + alternative_of(output)
    return texts
