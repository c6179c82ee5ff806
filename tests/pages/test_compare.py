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
    assert [one.proto.label for one in app.get("download_button")] == ["Figure", "Numbers"]
    assert app.code[0].value.startswith("deconvviz compare demo random cat --layer ")


def test_another_demo_and_an_earlier_epoch_can_be_chosen(open_page):
    app = fine(open_page("compare", model="demo", **{"with": "demo-deconv"}))
    assert "**demo-deconv** says" in all_words(app)
    bundle = load("demo-photos")
    epoch = min(bundle.snapshots)
    query = {"with": f"after epoch {epoch}", "layer": "stage2.relu"}
    app = fine(open_page("compare", model="demo-photos", **query))
    assert f"**demo-photos, epoch {epoch}**" in all_words(app)
    assert "demo" not in app.selectbox(key="with").options  # of another input size


CODE = """
from torch import nn
from deconvviz.io.bundle import Bundle

class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.low, self.high = (
            nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU(), nn.Conv2d(3, 3, 3)), nn.ReLU()
        )

    def forward(self, x):
        return self.high(self.low(x))

def named():
    return Bundle.of(Named(), (3, 32, 32), name="named_nets:named")
"""


def test_of_a_network_with_other_layers_the_layer_can_be_chosen(open_page, tmp_path, monkeypatch):
    (tmp_path / "named_nets.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.argv", ["app.py", "named_nets:named"])
    app = fine(open_page("compare", model="demo", **{"with": "named_nets:named"}))
    assert app.selectbox(key="other-layer").options == ["the last, high", "low.1", "high"]
    assert "Of its high, the units" in all_words(app)
    app.selectbox(key="other-layer").set_value("low.1").run()
    assert "Of its low.1, the units" in all_words(fine(app))
    app = fine(open_page("compare", model="demo", **{"with": "demo-deconv"}))
    assert "other-layer" not in [one.key for one in app.selectbox]  # its layers are the same


@pytest.mark.parametrize("query", [{"with": "nothing"}, {"layer": "nowhere"}, {"pictures": "x"}])
def test_a_bad_link_is_the_default(open_page, query):
    app = open_page("compare", model="demo", **query)
    assert not app.exception
