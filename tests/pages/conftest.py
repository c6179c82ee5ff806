"""The whole app, opened at a page."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import deconvviz

APP = Path(deconvviz.__file__).parent / "app.py"


@pytest.fixture(scope="session", autouse=True)
def shelf(tmp_path_factory):
    """An empty one, which keeps what a page puts there for the next."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def open_page():
    def opened(name, **query):
        app = AppTest.from_file(str(APP), default_timeout=240)
        for key, value in query.items():
            app.query_params[key] = value
        # The first run tells AppTest which pages there are; a person would not see it.
        if name != "overview":
            app.session_state["model"] = query.get("model", "demo")
        app.run()
        if name != "overview":
            app.switch_page(f"../pages/{name}.py").run()
        return app

    return opened


def alternatives(app):
    """The text alternatives of all pictures on the page."""
    return [picture.alt for image in app.get("image") for picture in image.proto.imgs]


def all_words(app):
    """What stands on the page."""
    kinds = (app.title, app.header, app.subheader, app.markdown, app.caption, app.info, app.warning)
    return "\n".join(element.value for kind in kinds for element in kind)


def grid(app):
    """What the grid of units is given to draw."""
    (element,) = app.get("bidi_component")
    return json.loads(element.proto.json)
