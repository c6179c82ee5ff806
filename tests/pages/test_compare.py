"""Two networks side by side."""

import pytest

from deconvviz.io.zoo import load
from tests.pages.conftest import all_words, alternatives, fine


def test_the_same_network_with_random_weights_comes_first(open_page):
    app = fine(open_page("compare", model="demo"))
    assert "demo, random weights" in all_words(app)
    assert "By chance it would" in all_words(app)
    first = [text for text in alternatives(app) if "of demo, by the deconvnet rule" in text]
    second = [text for text in alternatives(app) if "of demo, random weights" in text]
    assert len(first) == len(second) == 5


def test_another_demo_and_an_earlier_epoch_can_be_chosen(open_page):
    app = fine(open_page("compare", model="demo", **{"with": "demo-deconv"}))
    assert "**demo-deconv** says" in all_words(app)
    bundle = load("demo-photos")
    epoch = min(bundle.snapshots)
    query = {"with": f"after epoch {epoch}", "layer": "stage2.relu"}
    app = fine(open_page("compare", model="demo-photos", **query))
    assert f"**demo-photos, epoch {epoch}**" in all_words(app)
    assert "demo" not in app.selectbox(key="with").options  # of another input size


@pytest.mark.parametrize("query", [{"with": "nothing"}, {"layer": "nowhere"}, {"pictures": "x"}])
def test_a_bad_link_is_the_default(open_page, query):
    app = open_page("compare", model="demo", **query)
    assert not app.exception
