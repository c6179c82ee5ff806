"""The picture and the sentence that come first: both follow from the numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from deconvviz.analysis.invariance import InvarianceOptions, invariance
from deconvviz.analysis.occlusion import OcclusionOptions, occlusion, telling
from deconvviz.analysis.registry import analyses
from deconvviz.deconv import Deconvnet
from deconvviz.io.data import draw_shapes
from deconvviz.io.images import photograph
from deconvviz.io.zoo import load
from deconvviz.plots.files import figure_png
from deconvviz.ui.experiments import runnable_analyses
from deconvviz.ui.show import INKS, legend


@pytest.fixture(scope="module")
def demo():
    bundle = load("demo")
    return bundle, Deconvnet(bundle.model, bundle.input_size)


@pytest.fixture(scope="module")
def covered(demo):
    bundle, net = demo
    image = bundle.preprocess(photograph("cat").image)
    return occlusion(bundle, image, OcclusionOptions(side=16, stride=8), net=net)


def made(found, before, after, lowest):
    """The occlusion with its decision and probability at two kinds of places given."""
    places = torch.zeros_like(found.decision, dtype=torch.bool)
    places[0, 1] = True
    return replace(
        found,
        truth=before,
        whole_decision=before,
        whole_probability=0.9,
        decision=torch.where(places, after, before),
        probability=torch.where(places, lowest, 0.8),
    )


def test_a_changed_decision_is_told_and_its_map_has_a_legend(covered):
    found = made(covered, 3, 5, 0.1)
    cat, dog = found.classes[3], found.classes[5]
    assert f"says “{cat}”, but “{dog}”" in found.headline()
    assert "90% to 10%" in found.headline()
    sheet = found.story("#123456")
    titles = [axes.get_title(loc="left") for axes in sheet.axes]
    assert titles[:2] == [f"says: {cat}", f"says: {dog}"]
    (legend,) = sheet.legends
    count = found.decision.numel()
    assert [text.get_text() for text in legend.get_texts()] == [
        f"{cat} {(count - 1) / count:.0%}",
        f"{dog} {1 / count:.0%}",
    ]
    shades = np.asarray(sheet.axes[2].images[0].get_array())
    colours = [to_rgb(patch.get_facecolor()) for patch in legend.get_patches()]
    assert np.allclose(shades[0, 1], colours[1])
    assert np.allclose(shades[1, 1], colours[0])


def test_one_class_everywhere_is_said_and_not_drawn(covered):
    found = made(covered, 3, 3, 0.4)
    assert "wherever the square lies" in found.headline()
    sheet = found.story()
    assert not sheet.axes[2].images
    assert not sheet.legends
    assert "wherever the\nsquare lies" in sheet.axes[2].texts[0].get_text()


def test_the_telling_example_is_the_surest_of_those_that_change(covered):
    same = made(covered, 3, 3, 0.4)
    changed, surer = (replace(made(covered, 3, 5, 0.1), whole_probability=p) for p in (0.6, 0.7))
    assert telling({"same": same, "changed": changed, "surer": surer}) == "surer"
    sure = replace(same, whole_probability=0.99)
    assert telling({"same": same, "sure": sure}) == "sure"
    with pytest.raises(ValueError, match="empty"):
        telling({})


def test_the_worst_transformation_is_named_with_its_numbers(demo):
    bundle, net = demo
    options = InvarianceOptions(shifts=(0, 4), scales=(1, 1.5), angles=(0, 90))
    found = invariance(bundle, draw_shapes(4), options, net=net)
    falls = {one.kind: float(one.mean_probability[1]) for one in found.transformations}
    worst, best = min(falls, key=falls.get), max(falls, key=falls.get)
    names = {"translation": "Moving", "scale": "Enlarging", "rotation": "Turning"}
    said = found.headline()
    assert said.startswith(f"{names[worst]} the pictures costs most")
    assert f"to {falls[worst]:.0%}. {names[best]} them" in said
    sheet = found.story()
    curves = [axes for axes in sheet.axes if axes.lines]
    for axes, one in zip(curves, found.transformations, strict=True):
        drawn = [line.get_ydata() for line in axes.lines]
        assert drawn[0] == pytest.approx(one.mean_distance[0].tolist())
        assert drawn[-1] == pytest.approx(one.mean_probability.tolist())
    blind = replace(
        found,
        classes=(),
        untouched=None,
        transformations=tuple(replace(t, probability=None) for t in found.transformations),
    )
    far = {one.kind: float(one.mean_distance[-1][1]) for one in blind.transformations}
    assert blind.headline().startswith(f"{names[max(far, key=far.get)]} the pictures changes")
    assert blind.story()


def likely(found, *probabilities):
    """The invariance with mean probabilities given for each transformation."""
    return replace(
        found,
        untouched=torch.tensor([0.5]),
        transformations=tuple(
            replace(one, probability=torch.tensor([values]))
            for one, values in zip(found.transformations, probabilities, strict=True)
        ),
    )


def test_the_untouched_picture_is_no_transformation(demo):
    bundle, net = demo
    options = InvarianceOptions(shifts=(-4, 0), scales=(1, 1.5, 1.8), angles=(0, 90, 360))
    found = invariance(bundle, draw_shapes(4), options, net=net)
    some = likely(found, (0.4, 0.5), (0.5, 0.6, 0.55), (0.5, 0.2, 0.5))
    assert some.headline().endswith("falls from 50% to 20%. Enlarging them costs nothing.")
    assert some.headline().startswith("Turning the pictures costs most: by 90 degrees,")
    assert "untransformed picture) does not fall below 0.50" in some.summary()
    all_fall = likely(found, (0.4, 0.5), (0.5, 0.6, 0.45), (0.5, 0.2, 0.5))
    assert all_fall.headline().endswith("Enlarging them costs least (1.8 times: 45%).")
    none = likely(found, (0.5, 0.5), (0.5, 0.6, 0.55), (0.5, 0.7, 0.5))
    assert none.headline() == "None of these changes lowers the probability of the class, 50%."


@pytest.mark.parametrize("name", runnable_analyses())
def test_every_analysis_of_the_page_explains_its_words(name):
    assert len(legend(name)) > 100
    assert name in analyses()


@pytest.mark.parametrize("theme", INKS)
def test_stories_have_the_ink_of_the_theme_and_fit_a_telephone(covered, theme):
    sheet = covered.story(INKS[theme])
    width = int.from_bytes(figure_png(sheet, 100)[16:20], "big")
    assert width <= 560
