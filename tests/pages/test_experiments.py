"""The experiments, as a person finds them: something to see at once, and kept."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from deconvviz.cli import app as cli
from deconvviz.io.data import cache_folder
from deconvviz.io.images import PHOTOGRAPHS
from deconvviz.ui import experiments
from deconvviz.ui.experiments import runnable_analyses
from tests.pages.conftest import all_words, alternatives


@pytest.mark.parametrize("name", ["filters", "occlusion", "trust"])
def test_a_result_is_there_without_a_click_and_kept(open_page, name, monkeypatch):
    title = runnable_analyses()[name].title
    app = open_page("experiments", experiment=title)
    assert not app.exception
    assert title in [header.value for header in app.header]
    assert alternatives(app)[:2] == [f"The result of {name}", f"The figure of {name}"]
    (headline,) = [one.value for one in app.markdown if one.value.startswith("#### ")]
    numbers = [one for one in app.get("download_button") if one.proto.label == "Numbers"]
    assert len(numbers) == 1
    monkeypatch.setattr(experiments, "run_analysis", None)  # it is not run again
    again = open_page("experiments", experiment=title)
    assert not again.exception
    assert headline in [one.value for one in again.markdown]


def test_the_first_experiment_begins_with_a_picture_in_which_the_decision_changes(open_page):
    app = open_page("experiments")
    assert not app.exception
    assert app.header[0].value == "Occlusion"
    (chosen,) = app.button_group(key="pictures").value
    assert chosen in PHOTOGRAPHS
    assert ", but “" in all_words(app)  # says one thing, but another where it is covered
    assert "The result of occlusion" in alternatives(app)


def test_one_address_shows_one_picture_whichever_experiment_came_before(open_page):
    app = open_page("experiments", model="demo-photos")
    assert not app.exception
    first = app.button_group(key="pictures").value
    app.button_group(key="experiment").set_value("Attributions").run()
    assert not app.exception
    again = open_page("experiments", model="demo-photos", experiment="Attributions")
    assert not again.exception
    assert app.button_group(key="pictures").value == again.button_group(key="pictures").value
    assert again.button_group(key="pictures").value == first


@pytest.mark.parametrize("name", ["occlusion", "correspondence", "clarity", "trust"])
def test_the_command_gives_the_same_numbers(open_page, name, tmp_path):
    app = open_page("experiments", experiment=runnable_analyses()[name].title)
    assert not app.exception
    (shown,) = [one.value for one in app.code if "deconvviz" in one.value]
    words = shlex.split(shown)
    assert words[:4] == ["deconvviz", "experiment", name, "demo"]
    result = CliRunner().invoke(cli, [*words[1:-1], str(tmp_path)])
    assert not result.exit_code, result.output
    kept = [json.loads(p.read_text()) for p in cache_folder().glob(f"experiments/*/{name}.json")]
    assert json.loads((tmp_path / f"{name}.json").read_text()) in kept


@pytest.mark.parametrize("name", ["diagnosis", "evolution", "invariance", "verdicts"])
def test_a_long_experiment_is_asked_for(open_page, name):
    title = runnable_analyses()[name].title
    app = open_page("experiments", experiment=title, model="demo-photos")
    assert not app.exception
    assert "Not run yet" in all_words(app)
    assert f"run-{name}" in [one.key for one in app.button]


def test_a_large_network_is_asked_for(open_page, monkeypatch):
    monkeypatch.setattr(experiments, "_QUICK", 0)
    title = runnable_analyses()["filters"].title
    app = open_page("experiments", experiment=title, model="demo-photos")
    assert not app.exception
    assert "Not run yet" in all_words(app)
    app.button(key="run-filters").click().run()
    assert not app.exception
    assert "The result of filters" in alternatives(app)
    assert "run-filters" not in [one.key for one in app.button]


def test_a_wrong_link_is_the_first_experiment(open_page):
    app = open_page("experiments", experiment="<script>")
    assert not app.exception
    assert app.header[0].value == next(iter(runnable_analyses().values())).title


def test_without_a_picture_there_is_nothing_to_cover(open_page):
    app = open_page("experiments", experiment="Occlusion", pictures="")
    app.button_group(key="pictures").set_value([]).run()
    assert not app.exception
    assert "Choose a picture" in app.info[0].value
