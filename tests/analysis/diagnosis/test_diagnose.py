"""A network with known faults, from pictures to the page."""

from dataclasses import replace

import pytest
import torch

from deconvviz.analysis.diagnosis import diagnose
from deconvviz.analysis.diagnosis.diagnose import _patches
from deconvviz.analysis.diagnosis.findings import LayerStats
from deconvviz.atlas import build_atlas
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.errors import AtlasError, DataError


def test_the_known_faults_are_found(bundle, diagnosis):
    found = {(one.kind, one.layer): one for one in diagnosis.findings}
    assert found["dead", "4"].units == (5,)
    assert set(found["duplicate", "1"].units) == {1, 2}
    assert [row["layer"] for row in diagnosis.layers] == ["1", "4"]
    assert [row["dead"] for row in diagnosis.layers] == [0, 1]
    shares = [one.share for one in diagnosis.findings]
    assert shares == sorted(shares, reverse=True)
    assert found["dead", "4"].evidence.values.shape == (6,)
    assert torch.equal(found["duplicate", "1"].evidence.values, bundle.model[0].weight[[1, 2]])


def test_patches_are_the_strongest_of_the_atlas(bundle, shapes):
    net, atlas = Deconvnet(bundle.model, bundle.input_size), build_atlas(bundle, shapes)
    stats = LayerStats("4", 1.0, atlas["4"], (), False, None, None)
    found = _patches(bundle, net, shapes, stats, 2)
    moments = list(atlas.top("4", 2))
    recording = net.record(bundle.preprocessing.normalised(shapes.images), ["4"])
    for nth, one in enumerate(moments):
        own = net.project(recording, Selection("4", one.picture, 2, one.y, one.x))
        torch.testing.assert_close(found.values[nth], own.pixels[0], atol=1e-5, rtol=1e-4)
        assert found.boxes[nth] == tuple(own.boxes[0].tolist())
        picture = shapes.images[one.picture].permute(1, 2, 0).numpy()
        assert (found.pictures[nth] == picture).all()


def test_an_atlas_that_is_there_is_used(bundle, shapes, diagnosis):
    atlas = build_atlas(bundle, shapes)
    again = diagnose(bundle, shapes, atlas=atlas, progress=lambda *_: pytest.fail("swept again"))
    assert again.layers == diagnosis.layers
    with pytest.raises(AtlasError, match="statistics"):
        diagnose(bundle, shapes, atlas=build_atlas(bundle, shapes, statistics=False))
    with pytest.raises(AtlasError, match="build one of this network"):
        diagnose(replace(bundle, sha256="1" * 64), shapes, atlas=atlas)


def test_too_few_pictures_are_refused(bundle, shapes):
    with pytest.raises(DataError, match="got 1"):
        diagnose(bundle, shapes.subset([0]))
    assert diagnose(bundle, shapes.subset([0, 1])).layers
