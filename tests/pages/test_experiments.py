"""The experiments, as a person runs them and finds them again."""

import pytest

from deconvviz.ui.experiments import runnable_analyses
from tests.pages.conftest import all_words, alternatives


@pytest.mark.parametrize("name", ["filters", "occlusion", "trust"])
def test_what_was_run_once_is_there_again(open_page, name):
    title = runnable_analyses()[name].title
    app = open_page("experiments", experiment=title)
    assert not app.exception
    assert title in [header.value for header in app.header]
    assert "Not run yet" in all_words(app)
    app.button(key=f"run-{name}").click().run()
    assert not app.exception
    assert f"The figure of {name}" in alternatives(app)
    again = open_page("experiments", experiment=title)
    assert "Not run yet" not in all_words(again)
    assert again.button(key=f"run-{name}").label == "Run it again"
    numbers = [one for one in again.get("download_button") if one.proto.label == "Numbers"]
    assert len(numbers) == 1


def test_a_wrong_link_is_the_first_experiment(open_page):
    app = open_page("experiments", experiment="<script>")
    assert not app.exception
    assert app.header[0].value == next(iter(runnable_analyses().values())).title


def test_without_a_picture_there_is_nothing_to_cover(open_page):
    app = open_page("experiments", experiment="Occlusion", pictures="")
    app.button_group(key="pictures").set_value([]).run()
    assert not app.exception
    assert "Choose a picture" in app.info[0].value
