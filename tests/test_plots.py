"""Figures show what the batch, the structure and the table hold."""

import matplotlib as mpl

mpl.use("Agg")

import keras
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
    fig = drawn(({"imagery": IMAGERY, "site": SITE}, LABELS), title="Three tiles")
    assert len(fig.axes) == 8
    assert [axes.get_title() for axes in fig.axes[:4]] == ["water", "forest", "barren", "snow_ice"]
    assert [axes.get_ylabel() for axes in fig.axes if axes.get_ylabel()] == ["imagery", "site"]
    assert fig.get_suptitle() == "Three tiles"
    assert np.allclose(fig.axes[1].images[0].get_array(), IMAGERY[1])
    assert [bar.get_height() for bar in fig.axes[4].patches] == SITE[0].tolist()
    assert capsys.readouterr().out.startswith("inputs\n├── imagery  (4, 64, 64, 3)  float32")


def test_of_a_longer_batch_six_samples_are_shown():
    assert len(drawn(np.zeros((32, 5))).axes) == 6


def test_one_channel_that_is_no_mask_is_grey():
    (image,) = drawn(IMAGERY[:1, ..., :1]).axes[0].images
    assert (image.get_cmap().name, image.get_clim()) == ("gray", (0, 1))


def test_bars_share_their_axis():
    fig = drawn(SITE * np.arange(1, 5)[:, None])
    ((low, high),) = {axes.get_ylim() for axes in fig.axes}
    assert low < -4
    assert high > 12


def test_tensors_integer_labels_and_names_of_ones_own():
    fig = drawn((tf.constant(IMAGERY), tf.constant([1, 0, 1, 0])), class_names=("no", "yes"))
    assert [axes.get_title() for axes in fig.axes] == ["yes", "no", "yes", "no"]


def test_labels_alone_are_drawn_as_bars():
    fig = drawn(LABELS)
    assert [bar.get_height() for bar in fig.axes[0].patches] == LABELS[0].tolist()


@pytest.mark.parametrize("scale", [1, 255])
def test_images_from_0_to_255_look_as_those_from_0_to_1(scale):
    image = np.zeros((1, 8, 8, 3)) + np.array([0.2, 0.4, 1.0])
    shown = drawn(image * scale).axes[0].images[0].get_array()
    assert np.allclose(shown, image[0])


def test_masks_are_drawn_in_the_class_colours():
    image = drawn({"cover": COVER}).axes[0].images[0]
    assert image.get_cmap().name == "cover"
    assert image.get_clim() == (0, tiles.OTHER)
    assert np.array_equal(image.get_array(), COVER[0, ..., 0])


def test_every_class_has_a_colour_of_its_own():
    assert tuple(plots.CLASS_COLOURS) == tiles.CLASS_NAMES
    assert len(set(plots.COVER_COLOURS.colors)) == len(tiles.CLASS_NAMES) + 1


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="at least one array with samples"):
        plots.show_batch(np.zeros((0, 3)))


def chain(batch, model):
    """Plot a chain; return its texts, its arrows as pairs of first lines, its dashed frames."""
    plots.show_chain(batch, tf.data.Dataset.from_tensors(batch), model)
    axes = plt.gca()
    dashed = [patch for patch in axes.patches if patch.get_linestyle() == "--"]

    def beside(x, y, side):
        """Return the first line of the frame to the left (-1) or to the right (1) of a point."""
        texts = {
            side * (text.get_position()[0] - x): text.get_text()
            for text in axes.texts
            if text.get_text() and abs(text.get_position()[1] - y) < 0.1
        }
        return texts[min(away for away in texts if away > 0)].split("\n")[0]

    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None)]
    heads = {type(arrow.arrow_patch.get_arrowstyle()) for arrow in arrows}
    assert heads == {mpl.patches.ArrowStyle.CurveB}  # at the end, not at the beginning
    bold = [text for text in axes.texts if text.get_fontweight() == "bold"]
    headings = sorted((text.get_position()[0], text.get_text().split()[0]) for text in bold)
    assert [first for _, first in headings] == ["batch", "element", "model"]
    joins = [(beside(*arrow.xyann, -1), beside(*arrow.xy, 1)) for arrow in arrows]
    return {text.get_text() for text in axes.texts}, sorted(joins), len(dashed)


def test_a_chain_that_fits_joins_every_leaf():
    model = build_model(["imagery", "site"], ["land_cover"])
    texts, joins, dashed = chain(((IMAGERY, SITE), LABELS), model)
    assert "input imagery\n(None, 64, 64, 3)" in texts
    assert "output land_cover\n(None, 8)" in texts
    assert joins == [
        ("inputs[0]", "input imagery"),
        ("inputs[0]", "inputs[0]"),
        ("inputs[1]", "input site"),
        ("inputs[1]", "inputs[1]"),
        ("targets", "output land_cover"),
        ("targets", "targets"),
    ]
    assert dashed == 0


def test_a_list_of_one_is_taken_like_the_one():
    site = keras.Input((5,), name="site")
    model = keras.Model([site], [keras.layers.Dense(8, name="land_cover")(site)])
    _, joins, dashed = chain((SITE, LABELS), model)
    ports = [("inputs", "input site"), ("targets", "output land_cover")]
    assert (joins[::2], dashed) == (ports, 0)


def test_a_chain_that_does_not_fit_has_dashed_frames():
    model = build_model(["imagery", "site"], ["land_cover", "composition"], named=True)
    batch = ({"imagery": IMAGERY, "sites": SITE}, {"land_cover": LABELS})
    _, joins, dashed = chain(batch, model)
    paths = ["inputs['imagery']", "inputs['sites']", "targets['land_cover']"]
    ports = [(paths[0], "input imagery"), (paths[2], "output land_cover")]
    assert joins == sorted([*((path, path) for path in paths), *ports])
    assert dashed == 1 + 2


def test_a_chain_does_not_join_shapes_that_differ():
    model = build_model(["site", "imagery"], ["land_cover"])
    _, joins, dashed = chain(((IMAGERY, SITE), LABELS), model)
    assert [join for join in joins if join[0] != join[1]] == [("targets", "output land_cover")]
    assert (len(joins), dashed) == (3 + 1, 2 + 2)


@pytest.mark.parametrize("colour_by", ["class", "split"])
def test_the_map_shows_every_tile_at_its_place(colour_by):
    plots.show_map(colour_by)
    upper, lower = plt.gcf().axes
    table = tiles.table()
    places = table[["longitude", "latitude"]].to_numpy()
    extents = np.array([image.get_extent() for image in upper.images])
    assert np.allclose(extents - places.repeat(2, axis=1), (-1.6, 1.6, -1.6, 1.6))
    for row in (0, 479, 480, 719):
        tile, split, name = table.loc[row, ["id", "split", "class"]]
        stored = plt.imread(tiles.ROOT / "imagery" / split / name / f"{tile}.png")
        assert np.allclose(upper.images[row].get_array() / 255, stored[::4, ::4])
    colours = {"class": plots.CLASS_COLOURS, "split": plots.SPLIT_COLOURS}[colour_by]
    assert [points.get_label() for points in lower.collections] == list(colours)
    for points in lower.collections:
        name = points.get_label()
        assert np.array_equal(points.get_offsets(), places[table[colour_by] == name])
        assert mpl.colors.same_color(points.get_facecolor()[0], colours[name])


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
    low, high = SPREAD.min(), SPREAD.max()
    assert np.allclose(stretched, (SPREAD - low) / (high - low))
    assert blocks[1].axes[0].get_title() == f"on\n{low:.3g} to {high:.3g}"


SPREAD = IMAGERY[0] * 300 - 100


def test_outlines_surround_the_largest_class_of_each_sample():
    masks = np.zeros((2, 32, 32, 1), int)
    masks[0, 2:26, 6:30] = 5
    masks[1, 6:30, 4:28] = 3
    plots.show_outlines({"imagery": IMAGERY[:2]}, masks)
    for number, axes in enumerate(plt.gcf().axes):
        ys, xs = np.nonzero(masks[number, ..., 0])
        (outline,) = axes.collections[-1].get_paths()
        low, high = outline.vertices.min(axis=0), outline.vertices.max(axis=0)
        expected = np.array([[xs.min(), ys.min()], [xs.max() + 1, ys.max() + 1]]) / 32
        assert np.allclose([low, high], expected, atol=0.02)
        (image,) = axes.images
        assert np.allclose(image.get_array(), IMAGERY[number])
        assert (image.origin, tuple(image.get_extent())) == ("upper", (0, 1, 1, 0))


def test_a_montage_has_every_image_with_its_name():
    plots.show_montage(IMAGERY * 255, ["a", "b", "c", "d"])
    shown = [axes for axes in plt.gcf().axes if axes.images]
    assert [axes.get_title() for axes in shown] == ["a", "b", "c", "d"]
    assert np.allclose(shown[3].images[0].get_array() * 255, IMAGERY[3] * 255)


def test_snow_on_a_white_page_has_an_edge():
    snow = np.ones((2, 64, 64, 3), "float32")
    sheet = {"brightness": {1: snow[0] * 255}, "flip": {1: snow[0] * 255, 2: snow[0] * 255}}
    for plot in (
        lambda: plots.show_batch({"imagery": snow}, print_structure=False),
        lambda: plots.show_montage(snow, ["a", "b"]),
        lambda: plots.show_outlines({"imagery": snow}, COVER[:2]),
        lambda: plots.show_contact_sheet(sheet),
    ):
        plot()
        framed = [axes for axes in plt.gcf().axes if axes.images]
        assert framed
        assert all(spine.get_visible() for axes in framed for spine in axes.spines.values())
        assert not any(len(axes.get_xticks()) for axes in framed)


def test_the_name_of_an_option_stands_over_its_own_images():
    sheet = {
        "many": dict.fromkeys(range(4), IMAGERY[0]),
        "few": dict.fromkeys(range(2), IMAGERY[0]),
    }
    plots.show_contact_sheet(sheet, columns=1)
    many, few = plt.gcf().subfigs
    assert [block.get_suptitle() for block in (many, few)] == ["many", "few"]
    assert [block._suptitle.get_position()[0] for block in (many, few)] == [0.5, 0.25]


def test_values_and_classes_are_counted():
    plots.show_values({"one": IMAGERY, "other": IMAGERY / 2}, ["water", "water", "forest"])
    left, right = plt.gcf().axes
    for line, values in zip(left.patches, (IMAGERY, IMAGERY / 2), strict=True):
        shown = line.get_data()
        assert np.allclose(shown.values * values.size, np.histogram(values, shown.edges)[0])
        assert np.isclose(shown.values.sum(), 1)
    widths = dict(zip(tiles.CLASS_NAMES, (bar.get_width() for bar in right.patches), strict=True))
    assert (widths["water"], widths["forest"], widths["barren"]) == (2, 1, 0)


def test_bars_have_their_names_beside_them_once():
    batch = ({"imagery": IMAGERY, "site": SITE}, LABELS)
    fig = drawn(batch, bar_names={"site": tiles.SITE})
    first, second = fig.axes[4:6]
    assert [label.get_text() for label in first.get_yticklabels()] == list(tiles.SITE)
    assert [bar.get_width() for bar in second.patches] == SITE[1].tolist()
    assert first.yaxis_inverted()  # the first name is on top
    assert not any(label.get_visible() for label in second.get_yticklabels())
    assert [axes.get_ylabel() for axes in fig.axes if axes.get_ylabel()] == ["imagery", "site"]
    plain = drawn(batch, bar_names={"inputs['site']": tiles.SITE})
    assert len(plain.axes[4].get_yticklabels()) == 5


def test_bars_with_another_number_of_names_are_refused():
    with pytest.raises(ValueError, match=r"a name for each number of inputs.*\(4, 5\), found 2"):
        plots.show_batch(({"site": SITE}, LABELS), bar_names={"site": ["one", "two"]})


def test_learning_curves_are_told_apart():
    one = {"loss": [2.0, 1.5], "val_loss": [2.1, 1.7], "mae": [0.3, 0.2]}
    plots.show_history({"a": one, "b": {**one, "loss": [1.0, 0.5]}}, names=["loss", "mae"])
    loss, mae = plt.gcf().axes
    lines = {line.get_label(): line for line in loss.lines}
    assert list(lines) == ["a, training", "a, validation", "b, training", "b, validation"]
    assert lines["b, training"].get_ydata().tolist() == [1.0, 0.5]
    assert lines["a, validation"].get_xdata().tolist() == [1, 2]
    assert len({(line.get_color(), line.get_linestyle()) for line in loss.lines}) == 4
    assert len(mae.lines) == 2
    with pytest.raises(ValueError, match=r"b: expected some of .*'loss'.*, found 'accuracy'"):
        plots.show_history({"b": one}, names=["accuracy"])
