"""The one way upwards: every name that a result asks for is there."""

import re
from pathlib import Path

import pytest

import deconvviz
from deconvviz.views import view

PACKAGE = Path(deconvviz.__file__).parent
SOURCES = {path: path.read_text("utf-8") for path in PACKAGE.rglob("*.py")}
NAMES = sorted(
    {name for text in SOURCES.values() for name in re.findall(r'view\("([\w.]+)"\)', text)}
)


@pytest.mark.parametrize("name", NAMES)
def test_every_view_is_there(name):
    assert callable(view(name))


def test_nothing_else_in_a_lower_layer_names_what_draws():
    lower = ("analysis", "atlas", "deconv", "io", "models", "study", "training")
    for path, text in SOURCES.items():
        if path.relative_to(PACKAGE).parts[0].removesuffix(".py") in lower:
            assert '"deconvviz.plots' not in text, path
