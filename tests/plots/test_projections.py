"""Pictures of projections: each in its place, under its name, with what was done to it."""

from io import BytesIO

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from deconvviz.deconv import Projection, Selection
from deconvviz.errors import PictureError
from deconvviz.plots.arrays import GREY, crop, enlarge, stretched
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.projections import titles
from deconvviz.views import view
from tests.deconv.networks import deconvnet, images_for


def projection(
    count: int, channels: int = 3, side: int = 6, group: list[int] | None = None, image: int = 0
) -> Projection:
    """Of units 0, 1, ... at rows 1, 2, ... of a map, with random pixels."""
    groups = count if group is None else len(set(group))
    pixels = torch.from_numpy(np.random.default_rng(0).normal(size=(groups, channels, side, side)))
    corner = torch.arange(groups)[:, None] - 2
    rows = torch.arange(count)
    return Projection(
        pixels=pixels,
        boxes=torch.cat([corner, corner, corner + side, corner + side], dim=1),
        image=torch.full((groups,), image),
        size=(16, 20),
        selection=Selection("conv", image, rows, rows + 1, 3, group),
        rule="deconvnet",
        start="activation",
    )


def sheet(shown: Projection) -> NDArray[np.uint8]:
    return np.asarray(Image.open(BytesIO(shown._repr_png_())))


def pictures(figure: Figure) -> list[NDArray[np.uint8]]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def names(figure: Figure) -> list[str]:
    """The titles, as if on one line."""
    texts = [axes.get_title("left") for axes in figure.axes]
    return [" ".join(text.split()) for text in texts if text]


def test_a_projection_says_what_it_was_made_from() -> None:
    net = deconvnet("demo", torch.float32)
    recording = net.record(images_for("demo", 1, torch.float32), ["stage1.relu1"])
    units = recording.strongest("stage1.relu1", 2)
    shown = net.project(recording, units, "guided", "one")
    assert shown.selection is units
    assert (shown.rule, shown.start) == ("guided", "one")
    assert [len(axes.images) for axes in shown.plot().axes] == [1, 1]


@pytest.mark.parametrize(("count", "channels"), [(1, 3), (9, 1), (9, 4)])
def test_the_sheet_shows_each_projection_as_display_does(count: int, channels: int) -> None:
    shown = projection(count, channels)
    tiles, side = display(shown.pixels), 96
    drawn = sheet(shown)
    for place, tile in enumerate(tiles):
        y, x = place // 8 * (side + 2), place % 8 * (side + 2)
        assert np.array_equal(drawn[y : y + side, x : x + side, :3], enlarge(tile, side))
    opaque = (drawn[..., 3] == 255).sum()
    assert opaque == count * side**2


def test_the_sheet_of_nothing_is_empty() -> None:
    assert not sheet(projection(0)).any()


def test_of_many_or_large_ones_the_sheet_is_no_larger_than_a_screen() -> None:
    assert sheet(projection(70)).shape == (8 * 98 - 2, 8 * 98 - 2, 4)
    assert sheet(projection(9, side=300)).shape == (2 * 130 - 2, 8 * 130 - 2, 4)


def test_the_plot_shows_each_under_its_title_and_says_how() -> None:
    shown = projection(7)
    figure = shown.plot(columns=4)
    expected = [enlarge(tile, 320) for tile in display(shown.pixels)]
    assert np.array_equal(pictures(figure), expected)
    assert names(figure) == [f"unit {i}, row {i + 1}, column 3" for i in range(7)]
    (caption,) = [" ".join(text.get_text().split()) for text in figure.texts]
    assert caption == (
        f"7 projections from conv, rule deconvnet, start activation. {display_caption()}"
    )
    assert len({round(axes.get_position().y0, 6) for axes in figure.axes}) == 2


def test_a_figure_of_a_command_names_activations_network_and_picture() -> None:
    shown = projection(2)
    drawn = view("projections.figure")(
        shown, 2, None, 64, values=[1.5, 2e-8], source=" of demo in cat"
    )
    assert [" ".join(name.split()) for name in names(drawn)] == [
        "unit 0, row 1, column 3, activation 1.5",
        "unit 1, row 2, column 3, activation 2 · 10⁻⁸",
    ]
    assert drawn.texts[0].get_text().startswith("2 projections from conv of demo in cat, rule")


def test_a_plot_of_many_shows_the_first_and_says_so() -> None:
    figure = projection(9).plot(most=4)
    assert len(figure.axes) == 4
    assert figure.texts[0].get_text().startswith("The first 4 of 9 projections")


@pytest.mark.parametrize("images", [None, torch.rand(1, 3, 16, 20)])
def test_a_plot_of_nothing_says_so(images: Tensor | None) -> None:
    figure = projection(0).plot(images=images)
    assert not figure.axes
    assert figure.texts[0].get_text().startswith("No projections from conv")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_beside_each_projection_is_what_its_window_holds(channels: int) -> None:
    images = torch.randn(3, channels, 16, 20, dtype=torch.float64)
    shown = projection(4, channels, image=2)
    figure = shown.plot(images=images)
    seen = stretched(images.float().numpy())[2]
    for i, (left, right) in enumerate(zip(*[iter(pictures(figure))] * 2, strict=True)):
        window = crop(seen, (i - 2, i - 2, i + 4, i + 4))
        assert np.array_equal(left, enlarge(window, 320))
        assert np.array_equal(right, enlarge(display(shown.pixels[i]), 320))
    assert (pictures(figure)[0][:30] == GREY).all()  # the first window leaves the picture
    assert len(names(figure)) == 4


def test_other_images_than_the_recorded_ones_are_refused() -> None:
    for wrong in ((1, 3, 16, 20), (3, 3, 20, 16), (3, 16, 20)):
        with pytest.raises(PictureError, match=r"recorded, \(N, C, 16, 20\), got"):
            projection(4, image=2).plot(images=torch.rand(wrong))


@pytest.mark.parametrize("setting", ["columns", "most"])
def test_no_columns_and_no_pictures_are_refused(setting: str) -> None:
    with pytest.raises(ValueError, match="must be >= 1"):
        projection(4).plot(**{setting: 0})


def test_titles_of_groups_count_their_units() -> None:
    shown = projection(6, group=[3, 3, 1, 3, 3, 3])
    assert titles(shown) == ["group 1 of 1 unit", "group 3 of 5 units"]


def test_titles_name_the_image_only_where_there_are_several() -> None:
    net, images = deconvnet("seed-cnn", torch.float32), images_for("seed-cnn", 2, torch.float32)
    recording = net.record(images, ["stage1.relu", "head.logits"])
    classes = Selection("head.logits", [0, 1], 5, 0, 0)
    assert titles(net.project(recording, classes)) == ["unit 5, image 0", "unit 5, image 1"]
    corner = Selection("stage1.relu", 1, 5, 0, 0)
    assert titles(net.project(recording, corner)) == ["unit 5, row 0, column 0"]


def test_a_plot_is_shown_by_a_notebook_without_pyplot() -> None:
    png = projection(2).plot()._repr_png_()
    assert Image.open(BytesIO(png)).format == "PNG"
