"""`Images` against what Keras' load_img makes of the same files, and what it refuses."""

import io
import os
import struct
import threading
import zlib

import cv2
import numpy as np
import pytest
import simplejpeg
import tensorflow as tf
from PIL import Image, ImageOps

from helpers import tiles
from helpers.images import Images

load_img = tf.keras.utils.load_img


def chunk(kind, content):
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def png_of_bits(bits, levels, transparent=None):
    """Return a grey PNG file of 1, 2 or 4 bits, which Pillow does not write."""
    rows = b""
    for row in levels % 2**bits:
        text = "".join(format(level, f"0{bits}b") for level in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")
    height, width = levels.shape
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    extra = b"" if transparent is None else chunk(b"tRNS", struct.pack(">H", transparent))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def photo(height, width, channels=3, seed=0):
    """Return a smooth image with some noise, as a camera's."""
    random = np.random.default_rng(seed)
    small = random.uniform(0, 255, (4, 5, channels)).astype("float32")
    smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    noisy = smooth.reshape(height, width, channels) + random.normal(0, 9, (height, width, channels))
    return noisy.clip(0, 255).astype("uint8")


def exif(orientation):
    found = Image.Exif()
    found[274] = orientation
    return found


def jpeg(image, **options):
    content = io.BytesIO()
    image.save(content, "JPEG", **options)
    return content.getvalue()


def write_images(folder, height, width):
    """Write one image in many formats."""
    random = np.random.default_rng(height)
    pixels = photo(height, width, 4, seed=height)
    rgb, rgba = Image.fromarray(pixels[..., :3].copy()), Image.fromarray(pixels)
    grey = rgb.convert("L")
    palette = rgb.convert("P", palette=Image.Palette.ADAPTIVE, colors=200)
    alphas = random.integers(0, 255, 200).astype("uint8").tobytes()
    profile = b"\0\0\0\0lcms" + bytes(120)
    for name, image, options in (
        ("rgb.png", rgb, {}),
        ("rgba.png", rgba, {}),
        ("grey.png", grey, {}),
        ("grey_alpha.png", rgba.convert("LA"), {}),
        ("grey_transparent.png", grey, {"transparency": 120}),
        ("rgb_transparent.png", rgb, {"transparency": (1, 2, 3)}),
        ("one_bit.png", rgb.convert("1"), {}),
        ("palette.png", palette, {}),
        ("palette_alphas.png", palette, {"transparency": alphas}),
        ("palette_transparent.png", palette, {"transparency": 3}),
        ("palette_4_bits.png", rgb.convert("P", palette=1, colors=16), {"bits": 4}),
        ("palette.gif", palette, {}),
        ("turned.png", rgb, {"exif": exif(6)}),
        ("profile.png", rgb, {"icc_profile": profile}),
        ("rgb.jpg", rgb, {}),
        ("coarse.jpg", rgb, {"quality": 40, "subsampling": 2}),
        ("half.jpg", rgb, {"quality": 90, "subsampling": 1}),
        ("full.jpg", rgb, {"quality": 100, "subsampling": 0}),
        ("progressive.jpg", rgb, {"progressive": True}),
        ("optimised.jpg", rgb, {"optimize": True}),
        ("restarts.jpg", rgb, {"restart_marker_blocks": 2}),
        ("grey.jpg", grey, {}),
        ("grey_progressive.jpg", grey, {"progressive": True}),
        ("cmyk.jpg", rgb.convert("CMYK"), {}),
        ("turned.jpg", rgb, {"exif": exif(6)}),
        ("profile.jpg", rgb, {"icc_profile": profile}),
        ("kept_rgb.jpg", rgb, {"keep_rgb": True}),
        ("rgb.bmp", rgb, {}),
        ("grey.bmp", grey, {}),
        ("rgba.bmp", rgba, {}),
        ("one_bit.bmp", rgb.convert("1"), {}),
        ("rgb.tif", rgb, {}),
        ("rgb.ppm", rgb, {}),
        ("rgb.webp", rgb, {}),
    ):
        image.save(folder / name, **options)
    for channels in (3, 4):  # of 16 bits, the upper 8 are read
        deep = pixels[..., :channels].astype("uint16") * 250 + 3
        cv2.imwrite(str(folder / f"deep_{channels}.png"), deep)
    for bits in (1, 2, 4):
        levels = random.integers(0, 16, (height, width))
        (folder / f"grey_{bits}_bits.png").write_bytes(png_of_bits(bits, levels))
        (folder / f"grey_{bits}_bits_transparent.png").write_bytes(png_of_bits(bits, levels, 1))
    return sorted(folder.iterdir())


MODES = {1: "grayscale", 3: "rgb", 4: "rgba"}


def assert_as_loaded(paths, size, channels, **options):
    found = Images(paths, (*size, channels), **options)[range(len(paths))]
    assert found.dtype == np.uint8
    for path, image in zip(paths, found, strict=True):
        wanted = load_img(path, color_mode=MODES[channels], target_size=size, **options)
        wanted = np.asarray(wanted).reshape(*size, channels)
        np.testing.assert_array_equal(image, wanted, err_msg=f"{path.name} {channels} {options}")


@pytest.mark.filterwarnings("ignore:Palette images with Transparency:UserWarning")  # load_img's
@pytest.mark.parametrize("sides", [(32, 32), (33, 47), (8, 5), (1, 1)])
def test_images_are_those_that_keras_loads(sides, tmp_path):
    paths = write_images(tmp_path, *sides)
    for channels in MODES:
        some = [path for path in paths if channels > 1 or not path.name.startswith("palette")]
        for size in (sides, (20, 30)):
            assert_as_loaded(some, size, channels)


@pytest.mark.filterwarnings("ignore:Palette images with Transparency:UserWarning")
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "box", "lanczos"])
@pytest.mark.parametrize("keep_aspect_ratio", [False, True])
def test_sizes_are_those_of_keras(interpolation, keep_aspect_ratio, tmp_path):
    options = {"interpolation": interpolation, "keep_aspect_ratio": keep_aspect_ratio}
    paths = write_images(tmp_path, 33, 47)
    for size in ((33, 47), (20, 30), (70, 21)):
        assert_as_loaded(paths, size, 3, **options)
        assert_as_loaded([path for path in paths if path.stem[:3] == "rgb"], size, 1, **options)


def test_sizes_of_photographs_are_those_of_keras(tmp_path):
    random = np.random.default_rng(1)
    paths = []
    for number in range(12):
        height, width = random.integers(50, 400, 2)
        paths.append(tmp_path / f"{number}.jpg")
        image = Image.fromarray(photo(height, width, seed=number))
        image.save(paths[-1], quality=int(random.integers(60, 96)), subsampling=number % 3)
    for size in ((9, 40_000), (40_000, 9)):
        paths.append(tmp_path / f"{size}.jpg")
        Image.fromarray(photo(*size)).save(paths[-1])
    for keep_aspect_ratio in (False, True):
        assert_as_loaded(paths, (96, 128), 3, keep_aspect_ratio=keep_aspect_ratio)


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_the_cameras_orientation_is_applied_on_request_only(ending, tmp_path):
    image = Image.fromarray(photo(24, 40))
    paths = [tmp_path / f"{orientation}.{ending}" for orientation in range(10)]
    for orientation, path in enumerate(paths):
        image.save(path, exif=exif(orientation))
    for size in ((24, 40), (40, 24), (31, 17)):
        plain = Images(paths, (*size, 3))[range(10)]
        assert all(np.array_equal(one, plain[0]) for one in plain)
        turned = Images(paths, (*size, 3), apply_orientation=True)[range(10)]
        for path, found in zip(paths, turned, strict=True):
            with Image.open(path) as opened:
                wanted = ImageOps.exif_transpose(opened).resize(
                    size[::-1], Image.Resampling.NEAREST
                )
            np.testing.assert_array_equal(found, wanted, err_msg=f"{path.name} {size}")


# --- What a flow misreads ---------------------------------------------------------------------


@pytest.mark.parametrize("channels", MODES)
@pytest.mark.parametrize("size", [(8, 8), (4, 4)])
@pytest.mark.parametrize("kind", ["uint16.png", "uint16.tif", "int32.tif", "float32.tif"])
def test_more_than_eight_bits_are_refused(kind, size, channels, tmp_path):
    path = tmp_path / kind
    Image.fromarray(np.full((8, 8), 1000, kind.split(".")[0])).save(path)
    images = Images([path], (*size, channels))
    with pytest.raises(
        ValueError, match=rf"row 0 \(.*{kind}\): expected 8 bits a channel, found .* bits\); scale"
    ):
        images[[0]]
    with pytest.raises(ValueError, match="expected 8 bits a channel"):
        images.in_memory()


@pytest.mark.parametrize("ending", ["png", "gif", "bmp", "tif"])
@pytest.mark.parametrize("options", [{}, {"transparency": 2}])
def test_a_palette_mask_yields_class_numbers(ending, options, tmp_path):
    classes = np.random.default_rng(0).integers(0, 4, (12, 16)).astype("uint8")
    mask = Image.fromarray(classes)
    mask.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])  # those of VOC
    path = tmp_path / f"mask.{ending}"
    mask.save(path, **(options if ending == "png" else {}))
    assert np.ptp(np.asarray(load_img(path, color_mode="grayscale"))) > 3  # a flow: brightness
    np.testing.assert_array_equal(Images([path], (12, 16, 1))[[0]][0, ..., 0], classes)
    smaller = Images([path], (6, 8, 1))[[0]]
    np.testing.assert_array_equal(smaller[0, ..., 0], classes[1::2, 1::2])
    colours = Images([path], (12, 16, 3))[[0]][0]
    np.testing.assert_array_equal(colours, np.asarray(load_img(path)))
    blended = Images([path], (6, 8, 1), interpolation="bilinear")
    with pytest.raises(ValueError, match=r"row 0 \(.*\): expected interpolation='nearest' for a p"):
        blended[[0]]
    assert Images([path], (12, 16, 1), interpolation="bilinear")[[0]].max() == 3


@pytest.mark.filterwarnings("error")
def test_transparent_palettes_are_read_without_a_warning(tmp_path):
    path = tmp_path / "palette.png"
    image = Image.fromarray(photo(24, 40)).convert("P", palette=Image.Palette.ADAPTIVE)
    image.save(path, transparency=bytes(range(256)))
    for channels in MODES:
        assert Images([path], (12, 20, channels))[[0]].any()


# --- Broken files -----------------------------------------------------------------------------


def broken_files(folder):
    image = Image.fromarray(np.random.default_rng(3).integers(0, 255, (64, 64, 3), "uint8"))
    for ending in ("png", "jpg", "bmp", "tif", "webp"):
        image.save(folder / f"whole.{ending}")
        content = (folder / f"whole.{ending}").read_bytes()
        (folder / f"half.{ending}").write_bytes(content[: len(content) // 2])
        (folder / f"head.{ending}").write_bytes(content[:20])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no image")
    return sorted(path for path in folder.iterdir() if path.stem != "whole")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")  # Pillow's, of half a TIFF
@pytest.mark.parametrize("options", [{}, {"apply_orientation": True}])
@pytest.mark.parametrize("size", [(64, 64), (20, 20)])
def test_files_that_are_no_whole_images_are_named(size, options, tmp_path):
    paths = broken_files(tmp_path)
    assert len(paths) == 12
    files = Images(paths, (*size, 3), **options)
    for row, path in enumerate(paths):
        with pytest.raises(
            ValueError, match=rf"row {row} \(.*{path.name}\): expected an image,"
        ) as r:
            files[[row]]
        assert ("found an empty file;" in str(r.value)) == (path.stem == "empty")
        assert "0x" not in str(r.value)
    with pytest.raises(ValueError, match=r"row 0 .*: expected an image"):
        files.in_memory()


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize("size", [(64, 64), (20, 20)])
def test_a_truncated_file_is_refused_wherever_it_ends(ending, size, tmp_path):
    path = tmp_path / f"cut.{ending}"
    for options in ({}, {"progressive": True}) if ending == "jpg" else ({},):
        Image.fromarray(photo(64, 64)).save(path, **options)
        content = path.read_bytes()
        files = Images([path], (*size, 3))
        assert files[[0]].any()
        # What a PNG may lack is the checksum of its last chunk, which is empty.
        for end in [*range(0, len(content) - 4, 41), len(content) - (5 if ending == "png" else 2)]:
            path.write_bytes(content[:end])
            with pytest.raises(ValueError, match="expected an image, found"):
                files[[0]]


@pytest.mark.parametrize("size", [(64, 64), (20, 20)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_that_its_library_calls_corrupt_is_refused(options, mode, size, tmp_path):
    path = tmp_path / "corrupt.jpg"
    content = jpeg(Image.fromarray(photo(64, 64)).convert(mode), **options)
    path.write_bytes(content)
    files = Images([path], (*size, 3))
    assert files[[0]].any()
    pixels = content.rindex(b"\xff\xda") + 20
    for place in range(pixels, len(content) - 60, 31):
        for part in (
            content[:place] + b"\xff\xd9",  # an end was put on a part of it
            content[:place] + b"\xff\xd9" * 8 + content[place + 16 :],
            content[:-2] + b"\x07" * 9 + content[-2:],  # bytes that nobody needs
        ):
            path.write_bytes(part)
            assert Image.open(path).size == (64, 64)
            with pytest.raises(ValueError, match=r"expected an image, found none, or a part"):
                files[[0]]


def test_a_jpeg_out_of_the_ordinary_is_read(tmp_path):
    image = Image.fromarray(photo(64, 64))
    content = jpeg(image)
    odd = bytearray(content)
    odd[odd.index(b"JFIF\0") + 5] = 9  # a version that is not known
    image.save(tmp_path / "camera.jpg", "MPO", save_all=True, append_images=[image.rotate(90)])
    (tmp_path / "odd.jpg").write_bytes(odd)
    (tmp_path / "more.jpg").write_bytes(content + b"more" * 100)
    image.save(tmp_path / "wide.jpg", subsampling="4:1:1")
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 4
    for channels in MODES:
        for size in ((64, 64), (20, 20)):
            assert_as_loaded(paths, size, channels)


def test_a_jpeg_of_rare_proportions_of_colour_is_left_to_pillow(tmp_path):
    """Two rows of one colour for each of the other: TurboJPEG has no name for that."""
    content = bytearray(jpeg(Image.fromarray(photo(48, 64)), subsampling=0))
    frame = content.index(b"\xff\xc0")
    content[frame + 14] = 0x12  # the second colour: as wide as the first, twice as high
    path = tmp_path / "rare.jpg"
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="subsampling"):
        simplejpeg.decode_jpeg_header(bytes(content))
    expected = np.asarray(Image.open(path).convert("RGB"))
    np.testing.assert_array_equal(Images([path], (48, 64, 3))[[0]][0], expected)


@pytest.mark.parametrize("size", [(64, 64), (20, 20)])
def test_every_changed_bit_of_a_png_is_found(size, tmp_path):
    path = tmp_path / "flipped.png"
    Image.fromarray(photo(64, 64)).save(path)
    content = path.read_bytes()
    files = Images([path], (*size, 3))
    random = np.random.default_rng(0)
    for place in random.integers(8, len(content), 200):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(random.integers(8))
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match="expected an image, found"):
            files[[0]]


# --- Rows and paths ---------------------------------------------------------------------------


def test_files_and_rows_that_are_not_there(tmp_path):
    path, whole = tmp_path / "gone.png", tiles.paths("relief", "test")[0]
    with pytest.raises(FileNotFoundError, match=r"row 1 \(.*gone.png\): .*, found nothing there"):
        Images([whole, path], (32, 32, 3))
    with pytest.raises(FileNotFoundError, match=r"row 0 \(.*\): .*, found a folder; correct"):
        Images([tmp_path], (32, 32, 3))
    with pytest.raises(TypeError, match="row 1: expected a path, found nan"):
        Images([whole, float("nan")], (32, 32, 3))
    with pytest.raises(TypeError, match="paths: expected a sequence of paths, found one path"):
        Images(str(whole), (32, 32, 3))
    Image.new("RGB", (8, 8)).save(path)
    files = Images([path], (8, 8, 3))
    kept = files.in_memory()
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"row 0 \(.*gone\.png\): expected a readable file"):
        files[[0]]
    for some in (files, kept):
        with pytest.raises(IndexError, match="rows: expected 0 to 0, found -1 to 0"):
            some[[0, -1]]
        with pytest.raises(IndexError, match="rows: expected 0 to 0, found 1 to 1"):
            some[np.array([1])]
        for rows in ([True], [0.0], 0, [[0]], slice(1), "0"):
            with pytest.raises(TypeError, match="rows: expected a list of row numbers"):
                some[rows]
        assert some[[]].shape == (0, 8, 8, 3)


@pytest.mark.parametrize("shape", [(8, 8, 2), (8, 8), (0, 8, 3)])
def test_shapes_that_cannot_be(shape):
    with pytest.raises(ValueError, match=r"shape: expected \(height, width, 1, 3 or 4\), found"):
        Images([], shape)


def test_interpolations_that_cannot_be():
    with pytest.raises(ValueError, match=r"interpolation: .* nearest, .*found 'cubic'"):
        Images([], (8, 8, 3), interpolation="cubic")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_name_that_is_not_utf_8_is_a_name(tmp_path):
    path = tmp_path / os.fsdecode(b"\xe9t\xe9 1.png")
    try:
        Image.new("RGB", (8, 8), (1, 2, 3)).save(path)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    images = Images([path], (8, 8, 3))
    for _ in range(2):
        assert images[[0]].tolist() == np.full((1, 8, 8, 3), (1, 2, 3)).tolist()


def test_images_in_memory_are_equal_and_apart():
    files = Images(tiles.paths("relief", "test")[:40], (32, 32, 3))
    kept = files.in_memory()
    assert len(kept) == len(files) == 40
    assert kept.shape == (40, 32, 32, 3)
    rows = np.array([7, 0, 39, 7], "uint8")
    found = kept[rows]
    np.testing.assert_array_equal(found, files[rows])
    found[...] = 0  # the caller's own
    np.testing.assert_array_equal(kept[rows], files[rows])
    np.testing.assert_array_equal(kept.in_memory()[rows], files[rows])
    assert files._kept is None


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_threads_read_at_once(interpolation, tmp_path):
    paths = tiles.paths("imagery", "test")[:12]
    for number in range(12):
        paths.append(tmp_path / f"{number}.jpg")
        image = Image.fromarray(photo(60 + 9 * (number % 5), 90 - 7 * (number % 4), seed=number))
        image.convert("L" if number % 3 == 0 else "RGB").save(paths[-1])
    files = Images(paths, (64, 64, 3), interpolation=interpolation)
    wanted = files[range(24)]
    found = {}

    def read(number):
        found[number] = [files[np.roll(np.arange(24), number)] for _ in range(3)]

    threads = [threading.Thread(target=read, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(6):
        for images in found[number]:
            np.testing.assert_array_equal(images, np.roll(wanted, number, axis=0))
