"""A network with an operation that cannot be reversed: what lies below it is still shown."""

import pytest

from tests.pages.conftest import all_words, alternatives, fine, grid

CODE = """
import torch
from torch import nn

class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = torch.fft.fft2(torch.relu(self.one(x))).real
        return self.head(torch.relu(self.two(x)).mean((2, 3)))

def odd():
    from deconvviz.io.bundle import Bundle
    return Bundle.of(Odd(), (3, 32, 32), name="odd_nets:odd")
"""


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """A network of two rectified maps, of which only the lower can be projected."""
    (tmp_path / "odd_nets.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.argv", ["app.py", "odd_nets:odd"])
    return "odd_nets:odd"


@pytest.mark.parametrize(
    "page", ["workbench", "compare", "overview", "atlas", "experiments", "reading"]
)
def test_a_page_begins_with_a_layer_that_can_be_projected(open_page, odd, page):
    app = fine(open_page(page, model=odd))
    assert "1 of its 2 layers can be projected (not relu" in all_words(app)
    assert grid(app)["tiles"] if page in ("workbench", "atlas") else alternatives(app)


def test_filters_shows_the_other_layers_kernels_and_says_that_it_cannot_be_projected(
    open_page, odd
):
    app = fine(open_page("filters", model=odd))
    _, high = app.button_group(key="layer").options
    app.button_group(key="layer").set_value(high).run()
    words = all_words(fine(app))
    assert f"{high}: 4 units, receptive field" in words
    assert "pixels, not projectable" in words
    assert "feature maps below it" in words
