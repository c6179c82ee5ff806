"""A network with known faults, from pictures to the page."""

from dataclasses import replace

import pytest

from deconvviz.analysis.diagnosis import diagnose
from deconvviz.atlas import build_atlas
from deconvviz.errors import AtlasError, DataError


def test_the_known_faults_are_found(diagnosis):
    found = {(one.finding.kind, one.finding.layer): one.finding for one in diagnosis.found}
    assert found["Dead units", "4"].units == (5,)
    assert set(found["Duplicate kernels", "1"].units) == {1, 2}
    assert [row["layer"] for row in diagnosis.layers] == ["1", "4"]
    assert [row["dead"] for row in diagnosis.layers] == [0, 1]
    shares = [one.finding.share for one in diagnosis.found]
    assert shares == sorted(shares, reverse=True)
    for one in diagnosis.found:
        assert one.picture.startswith(b"\x89PNG")
        assert one.alt


def test_an_atlas_that_is_there_is_used(bundle, shapes, diagnosis):
    atlas = build_atlas(bundle, shapes)
    again = diagnose(bundle, shapes, atlas=atlas, progress=lambda *_: pytest.fail("swept again"))
    assert again.layers == diagnosis.layers
    with pytest.raises(AtlasError, match="has no statistics"):
        diagnose(bundle, shapes, atlas=build_atlas(bundle, shapes, statistics=False))
    with pytest.raises(AtlasError, match="build one of this network"):
        diagnose(replace(bundle, sha256="1" * 64), shapes, atlas=atlas)


def test_too_few_pictures_are_refused(bundle, shapes):
    with pytest.raises(DataError, match="1 pictures show too little"):
        diagnose(bundle, shapes.subset([0]))
    assert diagnose(bundle, shapes.subset([0, 1])).layers
