"""A person's own runs on a page, seen by one and by another."""

import sys
import time
from threading import Event

import pytest
from streamlit.testing.v1 import AppTest

from deconvviz.io.data import draw_shapes
from deconvviz.io.zoo import DEMOS
from deconvviz.ui import runner as module
from deconvviz.ui.own_runs import runner
from deconvviz.ui.runner import Job


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def gate(monkeypatch):
    """Holds a run where it takes its pictures, until it is opened."""
    opened = Event()

    def pictures(_):
        assert opened.wait(100)
        return draw_shapes(120, 16), draw_shapes(30, 16)

    monkeypatch.setattr(module, "_pictures", pictures)
    yield opened
    opened.set()


def own_page():
    from deconvviz.ui.own_runs import own_runs

    own_runs()


def train_page():
    from deconvviz.ui.own_runs import train_now

    train_now()


def button(app, label):
    return next(one for one in app.button if one.label == label)


def test_a_checkpoint_that_was_named_and_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["app", "runs/none/model.safetensors"])
    app = AppTest.from_function(own_page, default_timeout=120).run()
    assert not app.exception
    assert "runs/none/model.safetensors" in app.warning[0].value
    assert app.dataframe[0].value["run"].tolist() == list(DEMOS)


def test_another_person_sees_the_run_and_may_stop_it(gate):
    assert runner().start(Job(network="plain:4/8", labels=60, steps=20))
    app = AppTest.from_function(train_page, default_timeout=120).run()
    assert not app.exception
    assert button(app, "Train").disabled
    assert "A run is in progress" in app.caption[0].value
    assert app.header[0].value.startswith("plain:4/8 without decoder, 60 labels of shapes")
    button(app, "Stop the run").click().run()
    assert button(app, "Stop the run").disabled
    gate.set()
    until = time.monotonic() + 100
    while runner().status.running:
        assert time.monotonic() < until
        time.sleep(0.01)
    app.run()
    assert not app.exception
    assert "nothing is kept" in app.success[0].value
    assert not button(app, "Train").disabled
    assert [one.label for one in app.button] == ["Train"]
