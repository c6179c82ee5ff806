"""The whole app, opened at a page."""

import json
import re
from html import unescape
from pathlib import Path

import pytest
from streamlit.navigation.page import StreamlitPage
from streamlit.testing.v1 import AppTest

import deconvviz
from tests.ui.conftest import no_component_scan  # noqa: F401  a fixture

APP = Path(deconvviz.__file__).parent / "app.py"


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """An empty one, which keeps what one page stores there for the next."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def open_page():
    def opened(name, **query):
        app = AppTest.from_file(str(APP), default_timeout=240)
        for key, value in query.items():
            app.query_params[key] = value
        app.session_state["model"] = query.get("model", "demo")
        if name == "workbench":
            return app.run()
        with pytest.MonkeyPatch.context() as patch:
            # The first run only shows AppTest which pages there are; the workbench would be slow.
            patch.setattr(StreamlitPage, "run", lambda _: None)
            app.run()
        return app.switch_page(f"../pages/{name}.py").run()

    return opened


def alternatives(app):
    """The text alternatives of all pictures on the page."""
    pages = "".join(one.proto.body for one in app.get("html"))
    inside = [unescape(alt) for alt in re.findall(r'<img [^>]*alt="([^"]*)"', pages)]
    return inside + [picture.alt for image in app.get("image") for picture in image.proto.imgs]


def all_words(app):
    """All text on the page."""
    kinds = (app.title, app.header, app.subheader, app.markdown, app.caption, app.info, app.warning)
    return "\n".join(element.value for kind in kinds for element in kind)


def grid(app):
    """The data of the grid of units."""
    (data,) = components(app, "workbench") or components(app, "grid")
    return data


def components(app, name):
    """The data of the components of a name, in their order."""
    found = (one.proto for one in app.get("bidi_component"))
    every = [json.loads(one.json) for one in found if one.component_name.endswith(name)]
    return [data for (data,) in every]


def channels(app):
    """The channels in the grid, in order."""
    return [tile["channel"] for tile in grid(app)["tiles"]]


def fine(app):
    assert not app.exception
    assert not app.error
    return app
