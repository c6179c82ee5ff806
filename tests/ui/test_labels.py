"""A person's labels of units."""

import pytest
from streamlit.testing.v1 import AppTest

from deconvviz.ui import labels
from deconvviz.ui.networks import network


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.setattr("streamlit.session_state", {})
    return network("demo")


def test_a_label_is_one_short_line_and_an_empty_one_takes_it_away(demo):
    labels.set_label(demo, "stage3.relu2", 3, "  eyes \n of\tcats\u202e " + "x" * 100)
    found = labels.label_of(demo, "stage3.relu2", 3)
    assert found.startswith("eyes of cats x")
    assert len(found) <= labels.LONGEST
    assert labels.label_of(demo, "stage3.relu2", 4) == ""
    labels.set_label(demo, "stage3.relu2", 3, " ")
    assert labels.labels_of(demo) == {}


def test_labels_are_bounded_and_are_of_one_network(demo):
    for unit in range(labels.MOST + 5):
        labels.set_label(demo, "layer", unit, "x")
    assert len(labels.labels_of(demo)) == labels.MOST
    assert labels.labels_of(network("demo-deconv")) == {}


def test_stored_labels_come_back_but_for_units_that_are_not_there(demo):
    stored = {
        "stage3.relu2/3": "eyes",
        "stage3.relu2/9999": "x",
        "nowhere/1": "x",
        "a": "x",
        "": "",
    }
    labels.restore_labels(demo, stored | {"stage3.relu2/-1": "x", "stage3.relu2/²": "x"})
    assert labels.labels_of(demo) == {"stage3.relu2/3": "eyes"}


def test_a_label_is_written_on_the_page_and_stands_on_the_tile(open_page_with_label):
    app, unit = open_page_with_label
    assert unit["label"] == "whiskers <b>"
    assert not app.exception


@pytest.fixture
def open_page_with_label():
    from tests.pages.conftest import APP, grid

    app = AppTest.from_file(str(APP), default_timeout=240)
    app.session_state["model"] = "demo"
    app.run()
    chosen = grid(app)["chosen"]
    (line,) = [one for one in app.text_input if one.label == f"Your label of unit {chosen}"]
    line.set_value("whiskers <b>").run()
    return app, {"label": grid(app)["labels"][str(chosen)]}
