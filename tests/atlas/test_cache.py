"""The cache has an atlas, or builds it."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from deconvviz.atlas import FILE, build_atlas, cache, load_atlas
from deconvviz.atlas.build import PARTIAL
from deconvviz.atlas.cache import (
    PHOTOS,
    atlas_folder,
    available_datasets,
    cached_atlases,
    open_atlas,
    shipped_atlas,
)
from deconvviz.atlas.store import BuildState
from deconvviz.errors import DataError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import DATASETS, Dataset, DatasetEntry, draw_shapes, load_dataset


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DECONVVIZ_DATA", raising=False)
    return tmp_path / "cache" / "deconvviz" / "atlases"


@pytest.fixture
def large():
    """Takes tiles of 64 pixels, which are few."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 5, stride=3), nn.ReLU())
    return Bundle.of(model, (3, 64, 64))


def test_each_network_and_each_data_has_its_own_place(bundle, large, shapes, folder):
    others = draw_shapes(20, 16)
    places = {atlas_folder(b, d) for b in (bundle, large) for d in (shapes, others)}
    assert len(places) == 4
    assert {place.parent for place in places} == {folder}
    assert atlas_folder(bundle, shapes).name == f"{bundle.sha256[:16]}-{shapes.fingerprint[:16]}"


def test_what_is_missing_is_built_and_then_there(bundle, shapes):
    seen = []
    found = open_atlas(bundle, shapes, progress=lambda *at: seen.append(at))
    assert seen[-1] == ("pictures", 120, 120)
    assert found.header == build_atlas(bundle, shapes).header
    again = open_atlas(bundle, shapes, progress=lambda *_: pytest.fail("it was built again"))
    assert again.header == found.header
    assert torch.equal(again["4"].value, found["4"].value)


@pytest.fixture
def shipped(bundle, shapes, tmp_path, monkeypatch):
    """The network as one of the package, with an atlas of drawn shapes beside it."""
    build_atlas(bundle, shapes, tmp_path / "built", progress=None)
    BuildState.load(tmp_path / "built" / FILE).save(tmp_path / "mine-atlas.safetensors")
    monkeypatch.setattr(cache, "DEMOS", ("mine",))
    monkeypatch.setattr(cache, "demo_folder", lambda: tmp_path)
    return replace(bundle, name="mine")


def test_an_atlas_in_the_package_need_not_be_built(shipped, bundle, shapes):
    assert shipped_atlas(bundle) is None
    assert cached_atlases(shipped) == (shipped_atlas(shipped),)
    found = open_atlas(shipped, shapes, progress=lambda *_: pytest.fail("it was built"))
    assert found.header.fingerprint == shapes.fingerprint
    other = replace(shipped, sha256="0" * 64)  # trained again since
    assert shipped_atlas(other) is None


def broken(folder, bundle, shapes):
    (folder / FILE).write_bytes(b"nothing")


def without_statistics(folder, bundle, shapes):
    build_atlas(bundle, shapes, folder, statistics=False)


def of_one_layer(folder, bundle, shapes):
    build_atlas(bundle, shapes, folder, layers=["1"])


def begun_otherwise(folder, bundle, shapes):
    build_atlas(bundle, shapes, folder, k=2)
    (folder / FILE).rename(folder / PARTIAL)


@pytest.mark.parametrize("spoil", [broken, without_statistics, of_one_layer, begun_otherwise])
def test_what_is_of_no_use_is_built_again(bundle, shapes, spoil):
    folder = atlas_folder(bundle, shapes)
    folder.mkdir(parents=True)
    spoil(folder, bundle, shapes)
    found = open_atlas(bundle, shapes)
    assert (found.header.k, found.header.statistics, len(found.units)) == (9, True, 2)
    assert load_atlas(folder).header == found.header
    assert not (folder / PARTIAL).exists()


def test_fewer_than_nine_pictures_are_all_kept(bundle):
    assert open_atlas(bundle, draw_shapes(6, 16)).header.k == 6


def test_a_cache_that_cannot_be_written_to_is_done_without(bundle, shapes, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert open_atlas(bundle, shapes).header.pictures == 120


def test_the_photographs_are_always_known(large):
    known = available_datasets(large)
    assert list(known) == [PHOTOS]
    assert known[PHOTOS].images.shape[1:] == (3, 64, 64)
    assert open_atlas(large, known[PHOTOS]).header.pictures == len(known[PHOTOS])
    assert list(available_datasets(large)) == [PHOTOS]


def test_data_sets_of_cached_atlases_are_available_where_they_are_found(
    large, tmp_path, monkeypatch
):
    """By name and split, as long as they are the same pictures."""
    images = draw_shapes(40, 64).images
    drawn = Dataset(images, torch.zeros(40, dtype=torch.int64), ("all",), "drawn")
    entry = DatasetEntry(lambda _: drawn, "drawn", splits=())
    monkeypatch.setitem(DATASETS, "drawn", entry)
    pictures = load_dataset("drawn", "test")
    build_atlas(large, pictures, atlas_folder(large, pictures))
    open_atlas(large, available_datasets(large)[PHOTOS])  # an atlas of these is no second entry
    found = available_datasets(large)
    assert list(found) == [PHOTOS, "drawn test"]
    assert found["drawn test"].fingerprint == pictures.fingerprint
    for other in (draw_shapes(40, 64), None):

        def load(_, other=other):
            if other is None:
                raise DataError("not here")
            return other

        monkeypatch.setitem(DATASETS, "drawn", replace(entry, load=load))
        assert list(available_datasets(large)) == [PHOTOS]


def test_a_network_that_takes_no_photographs_is_refused():
    wide = Bundle.of(nn.Sequential(nn.Conv2d(5, 2, 3), nn.ReLU()), (5, 32, 32))
    with pytest.raises(DataError, match="channel"):
        available_datasets(wide)
