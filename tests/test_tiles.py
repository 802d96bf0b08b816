"""`helpers.tiles` gives rows in one order, and says in one line what is wrong with the data."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from helpers import tiles

FIRST = "imagery/train/barren"


@pytest.fixture
def root(tmp_path):
    """Return a copy of the data, cut down to the first tile of each split and class."""
    lines = {
        name: (tiles.ROOT / name).read_text().splitlines()
        for name in ("tiles.csv", "checksums.csv")
    }
    taken, kept = set(), {"id"}
    for line in lines["tiles.csv"][1:]:
        tile, split, class_name = line.split(",")[:3]
        if (split, class_name) in taken:
            continue
        taken.add((split, class_name))
        kept.add(tile)
        for stream in tiles.PICTURES:
            target = tmp_path / stream / split / class_name
            target.mkdir(parents=True)
            shutil.copy(tiles.ROOT / stream / split / class_name / f"{tile}.png", target)
    for name, all_lines in lines.items():
        chosen = [line for line in all_lines if line.split(",")[0] in kept]
        (tmp_path / name).write_text("\n".join(chosen) + "\n")
    return tmp_path


def first_picture(root):
    (path,) = (root / FIRST).iterdir()
    return path


def edit(root, change, name="tiles.csv"):
    """Change the cells of a table: `change` takes and returns a list of lists."""
    path = root / name
    cells = change([line.split(",") for line in path.read_text().splitlines()])
    path.write_text("".join(",".join(line) + "\n" for line in cells))


def assert_refused(action, *parts):
    with pytest.raises(tiles.TileError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message


# Whoever reads anything is told of a wrong table, not only who asks for all files to be checked.
READERS = {
    "table": lambda root: tiles.table(root=root),
    "columns": lambda root: tiles.columns("test", tiles.SITE, root),
    "labels": lambda root: tiles.labels("test", root),
    "paths": lambda root: tiles.paths("relief", "test", root),
    "read_pictures": lambda root: tiles.read_pictures("relief", "test", root),
    "check_files": tiles.check_files,
}


@pytest.fixture(params=list(READERS))
def reader(request):
    return READERS[request.param]


# What is right.


def test_a_whole_copy_is_accepted(root):
    tiles.check_files(root)
    assert len(tiles.table(root=root)) == 24


def test_the_data_itself_is_accepted():
    tiles.check_files()


@pytest.mark.parametrize(("split", "rows"), [("train", 480), ("validation", 120), ("test", 120)])
def test_shapes_and_dtypes(split, rows):
    for stream, shape in tiles.PICTURES.items():
        pictures = tiles.read_pictures(stream, split)
        assert (pictures.shape, pictures.dtype) == ((rows, *shape), np.uint8)
    for names in (tiles.SPECTRAL, tiles.SITE, tiles.COMPOSITION):
        numbers = tiles.columns(split, names)
        assert (numbers.shape, numbers.dtype) == ((rows, len(names)), np.float32)
    assert (tiles.labels(split).shape, tiles.labels(split).dtype) == ((rows,), np.int64)
    one_hot = tiles.one_hot(split)
    assert (one_hot.shape, one_hot.dtype) == ((rows, 8), np.float32)
    assert (one_hot.sum(axis=1) == 1).all()
    assert (one_hot.argmax(axis=1) == tiles.labels(split)).all()


def test_the_table_has_all_splits_in_order():
    whole = tiles.table()
    assert whole["split"].unique().tolist() == list(tiles.SPLITS)
    assert whole.index.tolist() == list(range(720))
    for split in tiles.SPLITS:
        part = tiles.table(split)
        assert part.index.tolist() == list(range(len(part)))
        assert part["id"].tolist() == whole["id"][whole["split"] == split].tolist()


def test_rows_mean_the_same_in_every_function():
    rows = tiles.table("test")
    for stream, shape in tiles.PICTURES.items():
        paths = tiles.paths(stream, "test")
        folder = tiles.folder(stream, "test")
        names = [tiles.CLASS_NAMES[number] for number in tiles.labels("test")]
        expected = [
            str(folder / name / f"{tile}.png") for name, tile in zip(names, rows["id"], strict=True)
        ]
        assert paths == expected
        pictures = tiles.read_pictures(stream, "test")
        for row in (0, 50, 119):
            assert (pictures[row] == tiles.read_picture(paths[row], shape)).all()
    columns = tiles.columns("test", ("roughness", "red_mean"))
    assert (columns[:, 0] == rows["roughness"].to_numpy("float32")).all()
    assert (columns[:, 1] == rows["red_mean"].to_numpy("float32")).all()


def test_a_picture_keeps_its_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "one.png")
    assert (tiles.read_picture(tmp_path / "one.png", (64, 64, 3)) == pixels).all()


@pytest.mark.parametrize("split", [None, "test"])
def test_a_caller_may_change_the_table(split):
    mine = tiles.table(split)
    mine.loc[:, "latitude"] = 0.0
    assert tiles.table(split)["latitude"].abs().min() > 0


def test_files_that_are_no_pictures_do_not_matter(root):
    (root / FIRST / ".DS_Store").write_bytes(b"desktop")
    tiles.check_files(root)


def test_it_loads_no_tensorflow():
    code = "import sys, helpers.tiles; print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# A wrong table.


def test_no_table(root, reader):
    (root / "tiles.csv").unlink()
    assert_refused(lambda: reader(root), root / "tiles.csv", "found no such file")


def test_an_empty_table(root):
    (root / "tiles.csv").write_text("")
    assert_refused(lambda: tiles.table(root=root), root / "tiles.csv", "column id, found none")


def test_a_table_that_is_no_text(root):
    (root / "tiles.csv").write_bytes(b"\xff\xfe\x00")
    assert_refused(lambda: tiles.table(root=root), root / "tiles.csv", "expected a table")


def test_a_table_with_an_open_quote(root):
    edit(root, lambda lines: [*lines[:-1], ['"' + lines[-1][0], *lines[-1][1:]]])
    assert_refused(lambda: tiles.table(root=root), root / "tiles.csv", "expected a table")


def test_no_column(root, reader):
    edit(root, lambda lines: [line[:-1] for line in lines])
    assert_refused(lambda: reader(root), root / "tiles.csv", "cover_diversity, found none")


def test_an_unknown_column(root):
    edit(root, lambda lines: [[*lines[0], "odd"], *([*line, "0"] for line in lines[1:])])
    assert_refused(lambda: tiles.table(root=root), root / "tiles.csv", "found 'odd'")


def test_columns_in_another_order(root):
    edit(root, lambda lines: [[*line[:3], line[4], line[3], *line[5:]] for line in lines])
    assert_refused(lambda: tiles.table(root=root), root / "tiles.csv", "order", "'longitude'")


@pytest.mark.parametrize(
    ("change", "found"), [(lambda line: line[:-1], 21), (lambda line: [*line, "1"], 23)]
)
def test_a_line_of_another_length(root, change, found):
    edit(root, lambda lines: [*lines[:3], change(lines[3]), *lines[4:]])
    assert_refused(
        lambda: tiles.table(root=root), root / "tiles.csv", "line 4", f"22 values, found {found}"
    )


@pytest.mark.parametrize("value", ["text", "", "nan", "inf", "-inf", "1.2.3", "NA"])
def test_not_a_number(root, reader, value):
    names = (root / "tiles.csv").read_text().splitlines()[0].split(",")
    tile = tiles.table(root=tiles.ROOT)["id"][0]

    def change(lines):
        lines[1][names.index("roughness")] = value
        return lines

    edit(root, change)
    place = f"{root / 'tiles.csv'}: line 2: id {tile}: column roughness: "
    assert_refused(lambda: reader(root), place, f"found {value!r}")


@pytest.mark.parametrize(
    "column", ["latitude", "longitude", *tiles.SPECTRAL, *tiles.SITE, *tiles.COMPOSITION]
)
def test_every_column_of_numbers_is_checked(root, column):
    def change(lines):
        lines[-1][lines[0].index(column)] = "n/a"
        return lines

    edit(root, change)
    assert_refused(lambda: tiles.table(root=root), "line 25", f"column {column}", "'n/a'")


@pytest.mark.parametrize(("at", "column"), [(1, "split"), (2, "class")])
def test_an_unknown_split_or_class(root, reader, at, column):
    tile = first_picture(root).stem

    def change(lines):
        lines[1][at] = "lake"
        return lines

    edit(root, change)
    assert_refused(
        lambda: reader(root),
        root / "tiles.csv",
        "line 2",
        f"id {tile}",
        f"column {column}",
        "'lake'",
    )


def test_an_id_twice(root, reader):
    edit(root, lambda lines: [*lines[:2], lines[1], *lines[2:]])
    tile = first_picture(root).stem
    assert_refused(lambda: reader(root), root / "tiles.csv", "line 3", f"id {tile}", "second time")


def test_another_order(root, reader):
    edit(root, lambda lines: [lines[0], lines[2], lines[1], *lines[3:]])
    tile = first_picture(root).stem
    assert_refused(lambda: reader(root), root / "tiles.csv", "line 3", f"id {tile}", "order")


@pytest.mark.parametrize("tile", ["r99_c999", "..", "a/b"])
def test_a_row_too_many(root, reader, tile):
    def change(lines):
        at = -1 if tile > "r" else 1  # where the order allows it
        row = [tile, *lines[at][1:]]
        return [*lines, row] if at == -1 else [lines[0], row, *lines[1:]]

    edit(root, change)
    assert_refused(lambda: reader(root), f"{tile}.png", f"id {tile}", "found no file")


def test_a_row_too_few(root, reader):
    edit(root, lambda lines: [lines[0], *lines[2:]])
    assert_refused(lambda: reader(root), first_picture(root), "found one more")


def test_a_row_of_another_class(root, reader):
    path = first_picture(root)

    def change(lines):
        lines[1][2], lines[2][2] = lines[2][2], lines[1][2]
        return [lines[0], lines[2], lines[1], *lines[3:]]

    edit(root, change)
    assert_refused(lambda: reader(root), FIRST, "found no file")
    assert path.exists()


# Wrong pictures.


@pytest.mark.parametrize("stream", tiles.PICTURES)
def test_no_picture(root, reader, stream):
    path = first_picture(root).relative_to(root / "imagery")
    (root / stream / path).unlink()
    assert_refused(lambda: reader(root), root / stream / path, f"id {path.stem}", "found no file")


@pytest.mark.parametrize("name", ["r99_c999.png", "copy.PNG", "photo.jpeg"])
def test_a_picture_too_many(root, reader, name):
    path = first_picture(root).with_name(name)
    shutil.copy(first_picture(root), path)
    assert_refused(lambda: reader(root), path, "found one more")


def test_a_folder_without_pictures_that_would_count_as_a_class(root, reader):
    path = root / "imagery/train/.ipynb_checkpoints"
    path.mkdir()
    assert_refused(lambda: reader(root), path, "a folder for each class, found one more")


def test_a_table_that_changes_while_it_is_in_use(root):
    before = tiles.table(root=root)
    edit(root, lambda lines: [*lines[:1], [*lines[1][:5], "0.5", *lines[1][6:]], *lines[2:]])
    assert before.iloc[0, 5] != tiles.table(root=root).iloc[0, 5] == 0.5


def test_a_picture_in_a_folder_of_its_own(root, reader):
    path = root / "imagery/train/lava/r00_c000.png"
    path.parent.mkdir()
    shutil.copy(first_picture(root), path)
    assert_refused(lambda: reader(root), path, "found one more")


def readers_of_pictures(root):
    return [
        lambda: tiles.read_pictures("imagery", "train", root),
        lambda: tiles.check_files(root),
        lambda: tiles.read_picture(first_picture(root), (64, 64, 3)),
    ]


@pytest.mark.parametrize("part", [0, 0.01, 0.5, 0.9, -1, -12, -20])
def test_a_truncated_picture(root, part):
    path = first_picture(root)
    data = path.read_bytes()
    path.write_bytes(data[: part if part < 0 else int(part * len(data))])
    for action in readers_of_pictures(root):
        assert_refused(action, path, "64 × 64", "found a")


def test_no_byte_of_a_picture_may_be_missing(root):
    path = first_picture(root)
    data = path.read_bytes()
    for length in range(len(data) % 7, len(data), 7):
        path.write_bytes(data[:length])
        assert_refused(lambda: tiles.read_picture(path, (64, 64, 3)), path)


def test_a_damaged_byte_gives_the_same_pixels_or_one_line(root):
    path = first_picture(root)
    data = path.read_bytes()
    good = tiles.read_pictures("imagery", "train", root)
    messages = []
    places = [*range(64), *range(64, len(data), 29)]
    for at, bits in [(at, bits) for at in places for bits in (1, 255)]:
        path.write_bytes(data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :])
        try:
            assert (tiles.read_pictures("imagery", "train", root) == good).all()
        except tiles.TileError as error:
            messages.append(str(error))
    assert len(messages) > 120
    assert all(message.startswith(f"{path}: ") for message in messages)
    assert not [message for message in messages if "\n" in message or " at 0x" in message]


def test_something_else_under_the_name_of_a_picture(root):
    path = first_picture(root)
    path.write_text("no picture")
    for action in readers_of_pictures(root):
        assert_refused(action, path, "found a file that is no PNG")
    Image.new("RGB", (64, 64)).save(path, "JPEG")
    for action in readers_of_pictures(root):
        assert_refused(action, path, "found a file that is no PNG")


def test_no_file_for_a_single_picture(tmp_path):
    path = tmp_path / "none.png"
    assert_refused(lambda: tiles.read_picture(path, (32, 32, 3)), path, "32 × 32", "found no file")


@pytest.mark.parametrize("size", [(63, 64), (64, 63), (32, 32)])
def test_a_picture_of_another_size(root, size):
    path = first_picture(root)
    Image.new("RGB", size).save(path)
    for action in readers_of_pictures(root):
        assert_refused(action, path, "64 × 64", f"found {size[0]} × {size[1]}, mode RGB")


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_a_picture_of_another_mode(root, mode):
    path = first_picture(root)
    Image.new(mode, (64, 64)).save(path)
    for action in readers_of_pictures(root):
        assert_refused(action, path, "mode RGB", f"found 64 × 64, mode {mode}")


@pytest.mark.parametrize("stream", tiles.PICTURES)
def test_a_changed_pixel(root, stream):
    path = root / stream / first_picture(root).relative_to(root / "imagery")
    with Image.open(path) as picture:
        pixels = np.array(picture)
    pixels[5, 7] ^= 1
    Image.fromarray(pixels).save(path)
    assert_refused(lambda: tiles.read_pictures(stream, "train", root), path, "checksum")
    assert_refused(lambda: tiles.check_files(root), path, "checksum")


def test_two_pictures_swapped(root):
    path = first_picture(root)
    (other,) = (root / "imagery/train/forest").iterdir()
    data = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(data)
    assert_refused(lambda: tiles.read_pictures("imagery", "train", root), path, "checksum")


# Wrong checksums.


def test_no_checksums(root):
    (root / "checksums.csv").unlink()
    for action in readers_of_pictures(root)[:2]:
        assert_refused(action, root / "checksums.csv", "found no such file")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: lines[:-1], 25),
        (lambda lines: [*lines, ["r99_c999", *lines[-1][1:]]], 26),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], 3),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 2),
    ],
)
def test_checksums_of_other_tiles(root, change, line):
    edit(root, change, "checksums.csv")
    for action in readers_of_pictures(root)[:2]:
        assert_refused(action, root / "checksums.csv", f"line {line}: expected")


# Wrong names.


def test_unknown_names():
    assert_refused(lambda: tiles.table("dev"), "split", "'dev'", "validation")
    assert_refused(lambda: tiles.labels("dev"), "split", "'dev'")
    assert_refused(lambda: tiles.columns("test", ("red_mean", "height")), "column", "'height'")
    assert_refused(lambda: tiles.columns("test", ("class",)), "column", "'class'")
    assert_refused(lambda: tiles.folder("radar", "test"), "stream", "'radar'", "relief")
    assert_refused(lambda: tiles.folder("relief", "tests"), "split", "'tests'")
    assert_refused(lambda: tiles.read_pictures("radar", "test"), "stream", "'radar'")
    assert_refused(lambda: tiles.paths("cover", "dev"), "split", "'dev'")
