"""The page of a diagnosis stands alone, and escapes names."""

import json

import pytest
import torch
from torch import nn

from deconvviz.analysis.diagnosis import diagnose
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset, draw_shapes
from deconvviz.plots.diagnosis import evidence


@pytest.fixture(scope="module")
def found():
    """A layer with duplicates and a unit that is active on one picture alone, and a dead unit."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU())
    shapes = draw_shapes(120, 16)
    images = shapes.images.clone()
    images[7] = 255
    with torch.no_grad():
        model[0].weight[2] = model[0].weight[1]
        model[0].weight[3] = 1 / 27
        model[0].bias[3] = -0.99
        model[2].weight[4] = model[2].weight[1]
        model[2].bias[5] = -1e6
    bundle = Bundle.of(model, (3, 16, 16), (0,) * 3, (1,) * 3, name="faulty & <odd>")
    return diagnose(bundle, Dataset(images, shapes.labels, shapes.classes, "shapes"))


def test_every_kind_of_evidence_is_drawn(found):
    kinds = {one.evidence.kind: evidence(one, found.k) for one in found.findings}
    assert set(kinds) == {"patches", "kernels", "slices", "activation_frequency"}
    for png, alt in kinds.values():
        assert png.startswith(b"\x89PNG")
        assert alt


def test_the_page_holds_all_in_itself(found, tmp_path):
    numbers, *_ = found.save(tmp_path)
    page = (tmp_path / "diagnosis.html").read_text("utf-8")
    assert "faulty &amp; &lt;odd&gt;" in page
    assert "<odd>" not in page
    assert page.count("<article>") == page.count("data:image/png") == len(found.findings)
    assert "http" not in page.replace("http-equiv", "")
    content = json.loads(numbers.read_text())
    assert content["analysis"] == "diagnosis"
    assert len(content["layers"]) == 2
    assert {"kind", "share", "units", "values"} <= set(content["findings"][0])
