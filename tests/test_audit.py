"""`images.audit` finds each planted fault, says where it is, and changes nothing."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import audit as module
from helpers import images, tiles

MESSY = tiles.ROOT / "messy"


def photo(path, size=(40, 30), mode="RGB", number=0, **options):
    """Write an image of noise, which is another one for each number."""
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), "uint8")
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """Return a folder of four photographs without a fault."""
    for number in range(4):
        photo(tmp_path / f"{number}.jpg", number=number)
    return tmp_path


def kinds(report):
    return [finding.kind for finding in report.findings]


def only(report):
    """Return the one finding of a report."""
    (finding,) = report.findings
    return finding


def test_a_clean_folder_has_no_finding(folder):
    report = images.audit(folder)
    assert (len(report), str(report)) == (0, "4 files, no findings")
    assert "<table" not in report._repr_html_()
    assert len(images.audit(tiles.folder("relief", "test"))) == 0
    assert len(images.audit(sorted(folder.iterdir()))) == 0


def test_a_clean_table_has_no_finding(folder):
    table = pd.DataFrame({"photo": [f"{n}.jpg" for n in range(4)], "height": [1.5, 2, 3, 4]})
    assert str(images.audit(table, folder=folder)) == "4 files, 4 rows, no findings"


def test_missing(folder):
    finding = only(images.audit(["0.jpg", "gone.jpg"], folder=folder))
    assert (finding.kind, finding.where, finding.row) == ("missing", "row 1, gone.jpg", 1)


def test_unreadable(folder):
    (folder / "4.jpg").write_text("no image")
    (folder / "5.jpg").write_bytes(b"")
    report = images.audit(folder)
    assert kinds(report) == ["unreadable"] * 2
    assert [f.where for f in report.findings] == ["4.jpg", "5.jpg"]
    assert "cannot identify" in report.findings[0].found
    assert "0x" not in str(report)
    assert report.findings[1].found == "an empty file"


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_truncated(folder, ending):
    path = photo(folder / f"4.{ending}", number=4)
    path.write_bytes(path.read_bytes()[:-600])
    (finding, *_) = images.audit(folder).findings
    assert finding.where == f"4.{ending}"
    if ending in ("jpg", "png"):  # the decoders of the others do not say that this is the cause
        assert finding.kind == "truncated"
    else:
        assert finding.kind in ("truncated", "unreadable")


def test_a_png_whose_checksums_disagree_and_a_corrupt_jpeg_are_unreadable(folder):
    path = photo(folder / "4.png", number=4)
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 40] ^= 1
    path.write_bytes(content)
    path = photo(folder / "5.jpg", (200, 200), number=5)
    content = bytearray(path.read_bytes())
    content[9000:9000] = b"\xff\xc4\xff\xff"
    path.write_bytes(content)
    found = {f.where: f.kind for f in images.audit(folder).findings if f.kind != "sizes"}
    assert found == {"4.png": "unreadable", "5.jpg": "unreadable"}


def test_what_the_audit_lets_pass_images_reads_and_what_it_refuses_images_does_not():
    table = pd.read_csv(MESSY / "survey.csv")
    refused = images.audit(table, ["photo"], folder=MESSY).rows("truncated", "unreadable", "depth")
    there = [row for row in range(len(table)) if (MESSY / table["photo"][row]).is_file()]
    some = images.Images([MESSY / table["photo"][row] for row in there], (8, 8, 3))
    for place, row in enumerate(there):
        if row in refused:
            with pytest.raises(ValueError, match="expected"):
                some[[place]]
        else:
            assert some[[place]].shape == (1, 8, 8, 3)
    assert refused == [4, 13]


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_mode(folder, mode):
    photo(folder / "4.jpg", mode=mode, number=4)
    finding = only(images.audit(folder))
    assert (finding.kind, finding.where) == ("mode", "4.jpg")
    assert finding.found == f"{mode}, where most are RGB"


def test_depth(folder):
    grey = np.full((30, 40), 70, "uint16") * 257
    grey[:3] = 200  # a tenth of it stays below 256
    Image.fromarray(grey).save(folder / "4.png")
    finding = only(images.audit(folder))
    assert (finding.kind, finding.where) == ("depth", "4.png")
    assert "90.0% of it at 255" in finding.found


def test_palette(tmp_path):
    mask = Image.fromarray(np.arange(4, dtype="uint8").repeat(25).reshape(10, 10))
    mask.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    mask.save(tmp_path / "0.png")
    finding = only(images.audit(tmp_path))
    assert finding.kind == "palette"
    assert "0, 1, 2, 3 become 0, 38, 75, 113" in finding.found
    as_flows_read_it = np.unique(np.asarray(Image.open(tmp_path / "0.png").convert("L")))
    assert as_flows_read_it.tolist() == [0, 38, 75, 113]


@pytest.mark.parametrize(("orientation", "size"), [(3, (40, 30)), (6, (30, 40)), (8, (30, 40))])
def test_orientation_and_the_size_once_upright(folder, orientation, size):
    exif = Image.Exif()
    exif[274] = orientation
    photo(folder / "4.jpg", size, number=4, exif=exif)
    finding = only(images.audit(folder))  # no finding of sizes: upright, all are 40 × 30
    assert (finding.kind, finding.where) == ("orientation", "4.jpg")
    assert f"Exif {orientation}" in finding.found


def test_sizes_and_proportions(folder):
    photo(folder / "4.jpg", (80, 60), number=4)
    finding = only(images.audit(folder))
    assert finding.kind == "sizes"
    assert "'40 × 30': 4, '80 × 60': 1" in finding.found
    assert "proportions" not in finding.advice
    photo(folder / "5.jpg", (60, 60), number=5)
    assert "proportions differ" in only(images.audit(folder)).advice


def test_duplicate(folder):
    (folder / "4.jpg").write_bytes((folder / "1.jpg").read_bytes())
    finding = only(images.audit(folder))
    assert (finding.kind, finding.where) == ("duplicate", "4.jpg")
    assert "1.jpg" in finding.found


def test_ending(folder):
    photo(folder / "4.webp", number=4)
    (folder / "notes.txt").write_text("no image, and none by its name")
    finding = only(images.audit(folder))
    assert (finding.kind, finding.where) == ("ending", "4.webp")
    flows = module._READ_BY_FLOWS
    import tensorflow as tf

    known = tf.keras.preprocessing.image.Iterator.white_list_formats
    assert sorted(flows) == sorted(f".{ending}" for ending in known)


def test_a_phone_format_that_pillow_does_not_read_is_to_be_converted(folder):
    (folder / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    report = images.audit(folder)
    assert kinds(report) == ["unreadable", "ending"]
    assert report.findings[1].advice == "convert it"


def test_order(tmp_path):
    for number in (1, 2, 10):
        photo(tmp_path / f"img{number}.jpg", number=number)
    finding = only(images.audit(tmp_path))
    assert finding.kind == "order"
    assert "img10.jpg sorts before img2.jpg" in finding.found
    for number in (1, 2, 10):
        (tmp_path / f"img{number}.jpg").rename(tmp_path / f"img{number:02d}²·x.jpg")
    assert len(images.audit(tmp_path)) == 0


def test_gap(folder):
    table = pd.DataFrame({"photo": ["0.jpg", None, "1.jpg"], "height": [1.0, 2.0, None]})
    report = images.audit(table.iloc[::-1], ["photo"], folder=folder)  # rows are positions
    assert [(f.kind, f.where) for f in report.findings] == [
        ("gap", "row 1, photo"),
        ("gap", "row 0, height"),
    ]
    assert report.rows("gap") == [0, 1]


def test_strings(folder):
    table = pd.DataFrame({"photo": ["0.jpg", "1.jpg", "2.jpg"], "label": ["dog", "cat", "cat"]})
    finding = only(images.audit(table, folder=folder))
    assert (finding.kind, finding.where) == ("strings", "label")
    assert "2 different strings: 'cat': 2, 'dog': 1" in finding.found


def test_classes_of_each_split(folder):
    table = pd.DataFrame(
        {"photo": ["0.jpg", "1.jpg", "2.jpg"], "class": [1, 0, 0], "part": [7, 7, 8]}
    )
    report = images.audit(table, folder=folder, label="class", split="part")
    lines = [(f.kind, f.where, f.found) for f in report.findings]
    assert lines == [
        ("classes", "part 7", "'0': 1, '1': 1"),
        ("classes", "part 8", "'0': 1, '1': 0"),
    ]


def test_a_file_that_several_rows_name(folder):
    table = pd.DataFrame({"photo": ["0.jpg", "1.jpg", "0.jpg"]})
    finding = only(images.audit(table, folder=folder))
    assert (finding.kind, finding.where) == ("shared", "photo")
    assert "'0.jpg': 2" in finding.found


def test_the_messy_folder_has_each_trap():
    table = pd.read_csv(MESSY / "survey.csv")
    report = images.audit(table, folder=MESSY)
    rows = {
        "missing": [8], "truncated": [4], "depth": [13], "mode": [6, 14], "duplicate": [18],
        "orientation": [2, 10, 15], "ending": [16], "gap": [7], "palette": list(range(19)),
    }  # fmt: skip
    assert {kind: report.rows(kind) for kind in rows} == rows
    assert {*kinds(report)} == {*rows, "sizes", "order", "shared", "strings"}


def test_a_report_is_text_and_a_table(folder):
    (folder / "<b>.jpg").write_bytes(b"")
    for number in range(5):
        photo(folder / f"4{number}.webp", number=10 + number)
    report = images.audit(folder)
    text, page = str(report), report._repr_html_()
    assert len(report) == 6
    assert "40.webp | 41.webp | 3 more" in text  # five that say the same: one line
    assert len(text.splitlines()) == 3
    assert page.count("<tr") == 3
    assert "<b>" not in page.replace("&lt;b&gt;", "")
    assert str(folder) not in text + page


def test_nothing_is_changed(folder):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    table = pd.DataFrame({"photo": ["0.jpg", None], "label": ["a", "b"]})
    same = table.copy()
    images.audit(folder)
    images.audit(table, folder=folder)
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before}
    pd.testing.assert_frame_equal(table, same)


def test_many_files_show_a_bar_and_few_do_not(folder, monkeypatch, capsys):
    images.audit(folder)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(module, "_MANY", 4)
    images.audit(folder)
    assert re.search(r"looking: 100%.*4/4", capsys.readouterr().err)


def test_what_is_no_folder_and_no_column_is_refused(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a folder, found none at"):
        images.audit(tmp_path / "gone")
    table = pd.DataFrame({"photo": ["0.jpg"]})
    for options in ({"columns": ["image"]}, {"label": "image"}, {"split": "image"}):
        with pytest.raises(ValueError, match=r"expected a column 'image', found \['photo'\]"):
            images.audit(table, folder=folder, **options)


def test_a_table_with_semicolons_is_told_how_to_be_read(folder):
    table = pd.read_csv(io.StringIO("photo;height\n0.jpg;1,5\n1.jpg;2,25\n"))
    with pytest.raises(ValueError, match=r"found \['photo;height'\]; .* sep=\";\""):
        images.audit(table, ["photo"], folder=folder)


def test_numbers_with_a_decimal_comma_are_named(folder):
    table = pd.read_csv(io.StringIO("photo;height\n0.jpg;1,5\n1.jpg;2,25\n"), sep=";")
    assert 'decimal=","' in only(images.audit(table, ["photo"], folder=folder)).advice
    table["height"] = ["1,5", "tall"]
    assert "a class" in only(images.audit(table, ["photo"], folder=folder)).advice


def test_a_large_photograph_is_decoded_small(monkeypatch):
    """What makes thousands of files a minute: an eighth of the height and of the width."""
    asked = []
    decode = module.simplejpeg.decode_jpeg

    def watched(*arguments, **options):
        asked.append(decode(*arguments, **options).shape)
        return decode(*arguments, **options)

    monkeypatch.setattr(module.simplejpeg, "decode_jpeg", watched)
    buffer = io.BytesIO()
    Image.new("RGB", (800, 400)).save(buffer, "JPEG")
    module._decode(Image.open(io.BytesIO(buffer.getvalue())), buffer.getvalue())
    assert asked == [(50, 100, 1)]
