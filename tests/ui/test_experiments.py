"""Results are kept on disk, separately for every network, set of pictures, picture and unit."""

import os
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from streamlit.testing.v1 import AppTest

from deconvviz.analysis.evolution import Evolution
from deconvviz.analysis.occlusion import occlusion, telling
from deconvviz.cli.base import InputOptions
from deconvviz.cli.experiment import pictures
from deconvviz.io.data import draw_shapes
from deconvviz.io.images import PHOTOGRAPHS, photograph
from deconvviz.io.zoo import DEMOS
from deconvviz.ui import experiments, networks
from deconvviz.ui.experiments import (
    AnalysisInputs,
    history,
    patch,
    run_analysis,
    runnable_analyses,
    saved_result,
    some_pictures,
    telling_photograph,
)
from deconvviz.units import Unit


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def inputs(network, noise):
    picture = networks.input_view(network, noise, "trained")
    layer = network.layers[1]
    unit = Unit.at_peak(network.net.record(picture.pixels, [layer]), layer)
    return AnalysisInputs(network, draw_shapes(12), picture, unit)


def test_all_but_training_can_be_run():
    assert {"trust", "occlusion", "evolution", "diagnosis"} <= set(runnable_analyses())
    assert "depth" not in runnable_analyses()


@pytest.mark.parametrize("name", ["occlusion", "trust", "diagnosis"])
def test_an_analysis_is_run_and_kept(inputs, name, monkeypatch):
    steps = []

    @contextmanager
    def bar(title):
        yield lambda *step: steps.append(step)

    monkeypatch.setattr(experiments, "bar", bar)
    assert saved_result(inputs, name) is None
    run_analysis(inputs, name)
    assert steps
    saved = saved_result(inputs, name)
    assert saved.summary
    assert saved.headline
    assert saved.figure.startswith(b"\x89PNG")
    assert saved.story.startswith(b"\x89PNG")
    assert saved_result(inputs, name, "dark").story != saved.story


def test_all_inputs_have_a_folder_of_their_own(inputs, make_network):
    network, dataset, picture, unit, _ = vars(inputs).values()
    others = [
        AnalysisInputs(make_network("seed-cnn"), dataset, picture, unit),
        AnalysisInputs(network, draw_shapes(21), picture, unit),
        AnalysisInputs(network, dataset, picture, replace(unit, channel=unit.channel + 1)),
        AnalysisInputs(network, dataset, picture),
        AnalysisInputs(network, dataset),
        AnalysisInputs(network),
    ]
    assert len({one.folder for one in (inputs, *others)}) == 7


def test_a_damaged_result_counts_as_never_run(inputs):
    inputs.folder.mkdir(parents=True)
    (inputs.folder / "filters.png").write_bytes(b"")
    for content in ("{", "[]", '{"finding": 1}'):
        (inputs.folder / "filters.json").write_text(content)
        assert saved_result(inputs, "filters") is None


def test_some_pictures_are_those_that_a_command_chooses(network):
    options = InputOptions(data="photos", split="all")
    for count in (100, 10**6):
        some = some_pictures(network, "photos", count)
        assert some.fingerprint == pictures(network.bundle, options, count, seed=0).fingerprint
        assert len(some) <= count


def page():
    import streamlit as st

    from deconvviz.deconv import Deconvnet
    from deconvviz.io.data import draw_shapes
    from deconvviz.io.zoo import load
    from deconvviz.ui.experiments import AnalysisInputs, run_analysis, saved_result
    from deconvviz.ui.networks import Network

    bundle = load("demo")
    inputs = AnalysisInputs(Network(bundle, Deconvnet(bundle.model)), draw_shapes(12))
    run_analysis(inputs, "filters")
    st.write(saved_result(inputs, "filters").summary)


def test_a_page_runs_one_with_a_bar_that_goes_away():
    app = AppTest.from_function(page, default_timeout=120).run()
    assert not app.exception
    assert "kernels of" in app.markdown[0].value
    assert not app.get("progress")


def test_a_history_has_the_chosen_units_of_one_layer():
    from deconvviz.deconv import Deconvnet
    from deconvviz.io.zoo import load

    bundle = load("demo-photos")
    network = networks.Network(bundle, Deconvnet(bundle.model))
    layer = network.layers[0]
    found = history(network, draw_shapes(12), layer, range(20, 25))
    assert isinstance(found, Evolution)
    assert found.histories[0].units.tolist() == [20, 21, 22, 23, 24]


def test_the_oldest_results_go_first(tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "_KEPT", 2)
    for age, name in enumerate("abcd"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "clarity.json").write_text("{}")
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    experiments._tidy(tmp_path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a", "b"]


def test_a_patch_is_the_window_of_the_projection():
    pictures = draw_shapes(12)
    net = networks.network("demo-photos")
    units = history(net, pictures, net.layers[0], range(3)).histories[0]
    for row, unit in enumerate(units.units.tolist()):
        top, left, bottom, right = units.boxes[row, -1].tolist()
        seen = patch(units, pictures, row, -1)
        assert seen.shape == (bottom - top, right - left, 3)
        image = pictures.images[int(units.picture[unit, -1])].permute(1, 2, 0).numpy()
        for y, x in ((0, 0), (bottom - top - 1, right - left - 1)):
            at = top + y, left + x
            inside = all(0 <= place < side for place, side in zip(at, image.shape, strict=False))
            assert seen[y, x].tolist() == (image[at].tolist() if inside else [128] * 3)
    none = replace(units, picture=torch.full_like(units.picture, -1))
    assert set(patch(none, pictures, 0, 0).flatten().tolist()) == {128}


@pytest.mark.parametrize(
    "name", [DEMOS[0], *(pytest.param(n, marks=pytest.mark.slow) for n in DEMOS[1:])]
)
def test_the_photograph_to_begin_with_is_the_telling_one(name):
    chosen = networks.network(name)
    bundle, net = chosen.bundle, chosen.net
    found = {
        photo: occlusion(bundle, bundle.preprocess(photograph(photo).image), net=net)
        for photo in PHOTOGRAPHS
    }
    assert telling_photograph(chosen) == telling(found)
    assert found[telling(found)].changed.any()


@pytest.mark.parametrize("name", runnable_analyses())
def test_a_quick_look_has_options_of_the_analysis(name):
    analysis = runnable_analyses()[name]
    assert replace(analysis.options, **analysis.quick)
