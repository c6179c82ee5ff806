"""Units of an atlas drawn together, against one activation at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from torch import nn

from deconvviz.atlas import EDGES, build_atlas
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.errors import AtlasError, SelectionError, UnknownLayerError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset, draw_shapes
from deconvviz.plots.atlas import (
    grid_of,
    histogram_figure,
    render_places,
    render_units,
    unit_figure,
)
from deconvviz.plots.files import figure_png

LAYERS = ("1", "4")
DEAD = 3  # of the second layer


@pytest.fixture(scope="module")
def net(bundle):
    return Deconvnet(bundle.model, bundle.input_size)


@pytest.fixture(scope="module")
def atlas(bundle, shapes, net):
    return build_atlas(bundle, shapes, net=net)


@pytest.fixture(scope="module")
def sheets(atlas, bundle, shapes, net):
    return {layer: list(render_units(atlas, bundle, shapes, layer, net=net)) for layer in LAYERS}


@pytest.mark.parametrize("layer", LAYERS)
def test_many_at_once_are_each_alone(atlas, bundle, shapes, net, sheets, layer):
    for sheet in sheets[layer]:
        assert list(sheet.top) == atlas.top(layer, sheet.unit)
        for place, one in enumerate(sheet.top):
            picture = shapes.images[one.picture]
            image = bundle.preprocessing.normalised(picture[None]).double()
            recording = net.record(image, [layer])
            selection = Selection(layer, 0, [sheet.unit], one.y, one.x)
            alone = net.project(recording, selection)
            assert recording.values(selection).item() == pytest.approx(one.value, rel=1e-12)
            assert list(sheet.boxes[place]) == alone.boxes[0].tolist()
            torch.testing.assert_close(
                sheet.projections[place], alone.pixels[0], rtol=1e-12, atol=1e-12
            )
            top, left, bottom, right = (edge + 20 for edge in sheet.boxes[place])
            padded = np.pad(picture.permute(1, 2, 0), ((20,), (20,), (0,)), constant_values=128)
            assert np.array_equal(sheet.patches[place], padded[top:bottom, left:right])


def test_places_that_are_given_are_drawn_as_those_of_the_atlas(bundle, shapes, net, sheets):
    for sheet in sheets["4"][:3]:
        top = sheet.top[::-1]
        found = render_places(bundle, shapes, "4", sheet.unit, top, net=net)
        assert found.top == top
        assert found.boxes == sheet.boxes[::-1]
        assert np.array_equal(found.patches, sheet.patches[::-1])
        torch.testing.assert_close(found.projections, sheet.projections.flip(0), rtol=1e-12, atol=0)


@pytest.mark.parametrize("layer", LAYERS)
def test_little_memory_and_few_units_give_the_same(atlas, bundle, shapes, net, sheets, layer):
    some = [5, 2, DEAD]
    drawn = render_units(atlas, bundle, shapes, layer, some, net=net, max_bytes=1)
    for sheet, unit in zip(drawn, some, strict=True):
        expected = sheets[layer][unit]
        assert (sheet.unit, sheet.boxes) == (unit, expected.boxes)
        assert len(sheet) == len(expected)
        if len(sheet):
            assert np.array_equal(sheet.patches, expected.patches)
            torch.testing.assert_close(
                sheet.projections, expected.projections, rtol=1e-12, atol=1e-12
            )


def test_a_dead_unit_has_nothing_to_show(sheets):
    dead = sheets["4"][DEAD]
    assert len(dead) == len(dead.patches) == len(dead.projections) == len(dead.shown) == 0
    assert all(len(sheet) for sheet in sheets["4"] if sheet.unit != DEAD)


def test_only_the_strongest_can_be_drawn(atlas, bundle, shapes, net, sheets):
    drawn = list(render_units(atlas, bundle, shapes, "1", net=net, k=1))
    assert [len(sheet) for sheet in drawn] == [min(1, len(sheet)) for sheet in sheets["1"]]
    for one, whole in zip(drawn, sheets["1"], strict=True):
        assert one.top == whole.top[:1]


def test_another_rule_is_another_projection(atlas, bundle, shapes, net, sheets):
    (drawn,) = render_units(atlas, bundle, shapes, "4", [5], net=net, rule="gradient")
    assert not torch.equal(drawn.projections, sheets["4"][5].projections)


def test_a_grey_picture_is_shown_in_grey():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    bundle = Bundle.of(model, (1, 12, 12))
    images = torch.randint(0, 256, (10, 1, 12, 12), dtype=torch.uint8)
    pictures = Dataset(images, torch.zeros(10, dtype=torch.int64), ("noise",), "noise")
    for sheet in render_units(build_atlas(bundle, pictures), bundle, pictures, "1"):
        for patch, one in zip(sheet.patches, sheet.top, strict=True):
            seen = images[one.picture, 0, one.y : one.y + 3, one.x : one.x + 3]
            assert (patch == seen.numpy()[..., None]).all()


def test_what_does_not_go_with_the_atlas_is_refused_at_once(atlas, bundle, shapes):
    with pytest.raises(AtlasError, match="other weights"):
        render_units(atlas, replace(bundle, sha256="0" * 64), shapes, "1")
    with pytest.raises(AtlasError, match="not of these 60"):
        render_units(atlas, bundle, draw_shapes(60, 16), "1")
    with pytest.raises(UnknownLayerError, match="no layer `nine`; this atlas has 1, 4"):
        render_units(atlas, bundle, shapes, "nine")
    with pytest.raises(SelectionError, match="no unit 12 in `4`; it has 12"):
        render_units(atlas, bundle, shapes, "4", [12])


@pytest.mark.parametrize("ink", ["#222222", "#eeeeee"])
def test_the_figure_says_how_strong_each_is_and_how_pixels_are_shown(atlas, sheets, ink):
    figure = unit_figure(sheets["4"][2:5], atlas, ink=ink)
    titles = [" ".join(axes.get_title("left").split()) for axes in figure.axes[::2]]
    expected = [
        f"unit {unit}: " + ", ".join(f"{m.value:.3g}" for m in atlas.top("4", unit))
        for unit in (2, 4)
    ]
    assert titles == expected
    (caption,) = (" ".join(text.get_text().split()) for text in figure.texts)
    assert "Unit 3 is dead" in caption
    assert "symmetric about grey" in caption
    assert "120 pictures" in caption
    assert to_hex(figure.texts[0].get_color()) == ink
    assert figure_png(figure, dpi=40)


def test_the_figure_has_each_tile_in_its_place(sheets):
    sheet = sheets["4"][5]
    height, width = sheet.patches.shape[1:3]
    grid = grid_of(sheet.patches, 9, side=max(height, width))
    for place, patch in enumerate(sheet.patches):
        y, x = place // 3 * (height + 1), place % 3 * (width + 1)
        assert np.array_equal(grid[y : y + height, x : x + width, :3], patch)


def test_a_figure_of_dead_units_alone_says_so(atlas, sheets):
    figure = unit_figure([sheets["4"][DEAD]], atlas)
    assert not figure.axes
    assert "Unit 3 is dead" in figure.texts[0].get_text()


def test_the_bars_of_a_histogram_are_the_pictures_of_their_bin():
    counts = [7, *[0] * len(EDGES)]
    counts[10], counts[12] = 4, 9
    bars = [bar for bar in histogram_figure(counts).axes[0].patches if bar.get_height()]
    assert [bar.get_height() for bar in bars] == [4, 9]
    assert [bar.get_x() for bar in bars] == pytest.approx([EDGES[9], EDGES[11]])
    ends = [bar.get_x() + bar.get_width() for bar in bars]
    assert ends == pytest.approx([EDGES[10], EDGES[12]])


@pytest.mark.parametrize("place", [0, len(EDGES)])
def test_a_histogram_of_silence_or_of_the_last_bin_alone_can_be_drawn(place):
    counts = [0] * (len(EDGES) + 1)
    counts[place] = 3
    assert figure_png(histogram_figure(counts), dpi=40)
