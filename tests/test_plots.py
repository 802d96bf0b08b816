"""Figures show what the batch, the structure and the table hold."""

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import tensorflow as tf

from helpers import plots, tiles
from helpers.models import build_model

rng = np.random.default_rng(0)
IMAGERY = rng.random((4, 64, 64, 3), dtype="float32")
COVER = rng.integers(0, 9, (4, 64, 64, 1))
LABELS = np.eye(8, dtype="float32")[[7, 2, 0, 6]]
SITE = np.array([[-1, 0, 1, 2, 3]] * 4, "float32")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def drawn(batch, **options):
    plots.show_batch(batch, **options)
    return plt.gcf()


def test_a_nested_batch_has_a_column_a_sample_and_a_row_a_leaf(capsys):
    fig = drawn(({"imagery": IMAGERY, "site": SITE}, LABELS), samples=3, title="Three tiles")
    assert len(fig.axes) == 6
    assert [axes.get_title() for axes in fig.axes[:3]] == ["water", "forest", "barren"]
    assert [axes.get_ylabel() for axes in fig.axes if axes.get_ylabel()] == ["imagery", "site"]
    assert fig.get_suptitle() == "Three tiles"
    assert np.allclose(fig.axes[1].images[0].get_array(), IMAGERY[1])
    assert [bar.get_height() for bar in fig.axes[3].patches] == SITE[0].tolist()
    assert capsys.readouterr().out.startswith("inputs\n├── imagery  (4, 64, 64, 3)  float32")


def test_bars_share_their_axis():
    fig = drawn(SITE * np.arange(1, 5)[:, None])
    assert len({axes.get_ylim() for axes in fig.axes}) == 1


def test_tensors_whole_number_labels_and_names_of_ones_own():
    fig = drawn(
        (tf.constant(IMAGERY), tf.constant([1, 0, 1, 0])), samples=9, class_names=("no", "yes")
    )
    assert [axes.get_title() for axes in fig.axes] == ["yes", "no", "yes", "no"]


def test_labels_alone_are_drawn_as_bars():
    fig = drawn(LABELS)
    assert [bar.get_height() for bar in fig.axes[0].patches] == LABELS[0].tolist()


@pytest.mark.parametrize("scale", [1, 255])
def test_pictures_from_0_to_255_look_as_those_from_0_to_1(scale):
    picture = np.zeros((1, 8, 8, 3)) + np.array([0.2, 0.4, 1.0])
    shown = drawn(picture * scale).axes[0].images[0].get_array()
    assert np.allclose(shown, picture[0])


def test_masks_are_drawn_in_the_class_colours():
    image = drawn({"cover": COVER}).axes[0].images[0]
    assert image.get_cmap().name == "cover"
    assert image.get_clim() == (0, tiles.OTHER)
    assert np.array_equal(image.get_array(), COVER[0, ..., 0])


def test_every_class_has_a_colour_of_its_own():
    assert set(plots.CLASS_COLOURS) == set(tiles.CLASS_NAMES)
    assert len(set(plots.COVER_COLOURS.colors)) == len(tiles.CLASS_NAMES) + 1


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="at least one array with samples"):
        plots.show_batch(np.zeros((0, 3)))


def chain(batch, model):
    plots.show_chain(batch, tf.data.Dataset.from_tensors(batch), model)
    axes = plt.gca()
    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None)]
    dashed = [patch for patch in axes.patches if patch.get_linestyle() == "--"]
    return {text.get_text() for text in axes.texts}, len(arrows), len(dashed)


def test_a_chain_that_fits_joins_every_leaf():
    model = build_model(["imagery", "site"], ["land_cover"])
    texts, arrows, dashed = chain(((IMAGERY, SITE), LABELS), model)
    assert "input imagery\n(None, 64, 64, 3)" in texts
    assert "output land_cover\n(None, 8)" in texts
    assert (arrows, dashed) == (6, 0)


def test_a_chain_that_does_not_fit_has_dashed_frames():
    model = build_model(["imagery", "site"], ["land_cover", "composition"], named=True)
    batch = ({"imagery": IMAGERY, "sites": SITE}, {"land_cover": LABELS})
    _, arrows, dashed = chain(batch, model)
    assert (arrows, dashed) == (3 + 2, 1 + 2)


def test_a_chain_does_not_join_shapes_that_differ():
    model = build_model(["site", "imagery"], ["land_cover"])
    _, arrows, dashed = chain(((IMAGERY, SITE), LABELS), model)
    assert (arrows, dashed) == (3 + 1, 2 + 2)


@pytest.mark.parametrize("colour_by", ["class", "split"])
def test_the_map_shows_every_tile_once(colour_by):
    plots.show_map(colour_by)
    upper, lower = plt.gcf().axes
    assert len(upper.images) == len(tiles.table())
    assert sum(len(points.get_offsets()) for points in lower.collections) == len(tiles.table())


def test_the_map_without_images():
    plots.show_map("split", images=False)
    (axes,) = plt.gcf().axes
    assert [points.get_label() for points in axes.collections] == list(tiles.SPLITS)


def test_a_contact_sheet_has_every_option_at_every_strength():
    sheet = {"zoom": {0.1: IMAGERY[0] * 255, 0.5: IMAGERY[1] * 255}, "centre": {"on": SPREAD}}
    plots.show_contact_sheet(sheet, columns=2, title="Options")
    blocks = plt.gcf().subfigs
    assert [block.get_suptitle() for block in blocks] == ["zoom", "centre"]
    assert [axes.get_title() for axes in blocks[0].axes] == ["0.1", "0.5"]
    assert np.allclose(blocks[0].axes[1].images[0].get_array(), IMAGERY[1])
    stretched = blocks[1].axes[0].images[0].get_array()
    assert (stretched.min(), stretched.max()) == (0, 1)


SPREAD = IMAGERY[0] * 300 - 100


def test_outlines_surround_the_largest_class():
    masks = np.zeros((2, 32, 32, 1), int)
    masks[:, 8:24, 8:24] = 5
    plots.show_outlines({"imagery": IMAGERY[:2]}, masks)
    axes = plt.gcf().axes[0]
    (outline,) = axes.collections[-1].get_paths()
    low, high = outline.vertices.min(axis=0), outline.vertices.max(axis=0)
    assert np.allclose([low, high], [[0.25, 0.25], [0.75, 0.75]], atol=0.02)


def test_a_montage_has_every_picture_with_its_name():
    plots.show_montage(IMAGERY * 255, ["a", "b", "c", "d"], columns=3)
    shown = [axes for axes in plt.gcf().axes if axes.images]
    assert [axes.get_title() for axes in shown] == ["a", "b", "c", "d"]
    assert np.allclose(shown[3].images[0].get_array() * 255, IMAGERY[3] * 255)


def test_values_and_classes_are_counted():
    plots.show_values({"one": IMAGERY, "other": IMAGERY / 2}, ["water", "water", "forest"])
    left, right = plt.gcf().axes
    assert [np.isclose(line.get_data().values.sum(), 1) for line in left.patches] == [True, True]
    widths = dict(zip(tiles.CLASS_NAMES, (bar.get_width() for bar in right.patches), strict=True))
    assert (widths["water"], widths["forest"], widths["barren"]) == (2, 1, 0)
