"""Projects on the workbench: saved, and opened in another session."""

import io
import json
import zipfile

import pytest
from PIL import Image
from streamlit.runtime.media_file_manager import MediaFileManager

from deconvviz.io.images import to_png
from deconvviz.io.project import ProjectRecord, project_bytes
from deconvviz.ui.networks import network
from tests.pages.conftest import all_words, alternatives, fine, grid

QUERY = {
    "pictures": ["rocket"],
    "layer": "stage2.relu1",
    "unit": "7/3/5",
    "rule": "guided",
    "share": "all",
    "start": "one",
    "contrast": "shared",
    "enlargement": "pixels",
    "class": "ship",
    "against": "truck",
    "off": "stage2.relu1:3.4",
}
OWN = Image.effect_noise((40, 32), 90).convert("RGB")


@pytest.fixture
def saved(monkeypatch):
    """What a page's button Save project makes, as the browser would ask for it."""
    made = {}
    keep = MediaFileManager.add_deferred

    def add(self, data, mimetype, coordinates, file_name=None, **more):
        made[file_name] = data
        return keep(self, data, mimetype, coordinates, file_name, **more)

    monkeypatch.setattr(MediaFileManager, "add_deferred", add)
    return made


def give(app, name, content, place=0):
    app.get("file_uploader")[place].set_value([(name, content, "application/octet-stream")])
    return app.run()


def state(app):
    """All that a link says of the page, and the answer without the units that are off."""
    data = grid(app)
    words = ("chosen", "box", "off", "place", "crisp", "answer", "heading", "tiles")
    return {name: data[name] for name in words} | {"picture": data["picture"]["alt"]}


def test_a_project_restores_pictures_and_choices_in_another_session(open_page, saved):
    first = open_page("workbench", **QUERY)
    give(first, "own.png", to_png(OWN))
    wanted = state(fine(first))
    assert "own.png" in wanted["picture"]
    content = saved["project.deconvviz"]()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        record = json.loads(archive.read("project.json"))
        with Image.open(io.BytesIO(archive.read("pictures/0.png"))) as stored:
            assert stored.tobytes() == OWN.tobytes()
    assert record["choices"]["off"] == ["stage2.relu1:3.4"]
    assert record["sha256"] == network("demo").key

    second = open_page("workbench", model="demo-accurate")
    assert state(second) != wanted
    give(second, "mine.deconvviz", content, 1)
    assert state(fine(second)) == wanted
    assert second.session_state["model"] == "demo"
    assert second.button_group(key="share").value == "all"
    assert second.button_group(key="start").value == "one"
    assert any("mine.deconvviz is open, with 1 picture" in one.value for one in second.info)
    assert not second.warning
    assert not fine(second.run()).info  # said once
    # the same again, as a file that is dropped among the pictures
    give(second, "mine.deconvviz", content)
    assert state(fine(second)) == wanted
    assert list(second.session_state["uploads"]) == ["own.png"]


def test_labels_of_units_come_back_with_the_project(open_page, saved):
    first = open_page("workbench", **QUERY)
    (line,) = [one for one in first.text_input if one.label == "Your label of unit 7"]
    line.set_value("tail fins").run()
    assert list(fine(first).session_state["labels"].values()) == ["tail fins"]
    content = saved["project.deconvviz"]()  # before another page makes its own
    second = give(open_page("workbench", model="demo-accurate"), "x.deconvviz", content, 1)
    key = (network("demo").key, "stage2.relu1", 7)
    assert fine(second.run()).session_state["labels"] == {key: "tail fins"}
    assert open_page("workbench", **QUERY).session_state["labels"] == {}  # another session


def test_a_picture_of_the_same_name_keeps_both(open_page):
    other = Image.effect_noise((40, 32), 30).convert("RGB")
    choices = {"pictures": ("own.png", "cat"), "focus": ("own.png",)}
    content = project_bytes(ProjectRecord("demo", network("demo").key, choices), {"own.png": other})
    app = open_page("workbench")
    give(app, "own.png", to_png(OWN))
    give(app, "mine.deconvviz", content, 1)
    assert "own.png (2)" in grid(fine(app))["picture"]["alt"]
    assert list(app.session_state["uploads"]) == ["own.png", "own.png (2)"]


def test_a_network_that_is_not_here_is_named_and_the_rest_restored(open_page):
    choices = {"pictures": ("rocket",), "rule": ("guided",), "layer": ("stage2.relu1",)}
    record = ProjectRecord("runs/x/<b>.safetensors", "0" * 64, choices)
    app = open_page("workbench")
    give(app, "mine.deconvviz", project_bytes(record, {}), 1)
    (said,) = fine(app).warning
    assert "x/\\<b>.safetensors is not here" in said.value
    assert app.session_state["model"] == "demo"
    assert grid(app)["picture"]["alt"].startswith("rocket, ")
    assert any("guided" in one for one in alternatives(app))
    assert "of stage2.relu1" in all_words(app)


def test_other_weights_of_the_same_name_are_told(open_page):
    app = open_page("workbench")
    record = ProjectRecord("demo", "0" * 64, {})
    give(app, "mine.deconvviz", project_bytes(record, {}), 1)
    assert "has other weights here" in fine(app).warning[0].value


@pytest.mark.parametrize(
    "choices",
    [
        {"pictures": ("nobody", "../x"), "focus": ("nobody",)},
        {"layer": ("nowhere",), "unit": ("9999",), "rule": ("<b>",), "share": ("x",)},
        {"place": ("9,9",), "class": ("<b>",), "off": ("x:y",), "input-size": ("",)},
        {"camera-on": ("1",), "uploads": ("x",), "upload-files": ("7",), "opened-project": ("x",)},
    ],
)
def test_choices_that_are_not_here_are_the_default_and_others_are_ignored(open_page, choices):
    app = open_page("workbench")
    before = state(app)
    record = ProjectRecord("demo", network("demo").key, choices)
    give(app, "mine.deconvviz", project_bytes(record, {}), 1)
    assert state(fine(app)) == before


def test_a_file_that_is_no_project_is_refused_and_nothing_changes(open_page):
    app = open_page("workbench", pictures="rocket")
    before = state(app)
    for place in (0, 1):
        give(app, "mine.deconvviz", b"PK\3\4" + bytes(100), place)
        (said,) = fine(app).warning
        assert "mine.deconvviz is damaged, or no project" in said.value
        assert state(app) == before
