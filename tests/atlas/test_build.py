"""A build finds what a pass over every picture alone finds, however it is cut up."""

import os
import subprocess
import sys
from dataclasses import replace
from itertools import count as counter
from itertools import pairwise

import pytest
import torch
from torch import nn

import deconvviz as dv
from deconvviz.atlas import EDGES, FILE, build_atlas, load_atlas
from deconvviz.atlas import build as building
from deconvviz.atlas.build import PARTIAL
from deconvviz.errors import (
    AtlasError,
    BusyError,
    DataError,
    PictureError,
    SettingError,
    UnknownLayerError,
)
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset, draw_shapes, load_dataset
from deconvviz.io.files import only_writer

LAYERS = ("1", "4")


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    """Batches of 16 pictures, segments of 32."""
    monkeypatch.setattr(building, "_MAX_BATCH_SIZE", 16)
    monkeypatch.setattr(building, "_BATCHES_PER_SEGMENT", 2)


def maps_one_by_one(bundle, dataset, layer):
    """(N, C, H, W) of every picture run alone through the modules themselves."""
    part = bundle.model[: int(layer) + 1]
    with torch.no_grad():
        inputs = [bundle.preprocessing.normalised(image[None]).double() for image in dataset.images]
        return torch.cat([part(one) for one in inputs])


@pytest.mark.parametrize("layer", LAYERS)
def test_the_strongest_are_those_of_every_picture_alone(bundle, shapes, layer):
    atlas = build_atlas(bundle, shapes, k=5)
    maps = maps_one_by_one(bundle, shapes, layer)
    for unit in range(maps.shape[1]):
        peaks = maps[:, unit].flatten(1).max(1)
        order = sorted(range(len(shapes)), key=lambda i: (-float(peaks.values[i]), i))
        expected = [i for i in order if peaks.values[i] > 0][:5]
        found = atlas.top(layer, unit)
        assert [one.picture for one in found] == expected
        for one in found:
            place = int(peaks.indices[one.picture])
            assert (one.y, one.x) == divmod(place, maps.shape[3])
            truth = float(peaks.values[one.picture])
            assert one.value == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize("layer", LAYERS)
def test_statistics_are_those_of_all_maps_at_once(bundle, shapes, layer):
    units = build_atlas(bundle, shapes)[layer]
    maps = maps_one_by_one(bundle, shapes, layer)
    torch.testing.assert_close(units.mean, maps.mean((0, 2, 3)), rtol=1e-12, atol=0)
    torch.testing.assert_close(units.active, (maps > 0).double().mean((0, 2, 3)))
    peaks = maps.amax((2, 3))
    torch.testing.assert_close(units.activation_frequency, (peaks > 0).double().mean(0))
    by_class = [maps[shapes.labels == label].mean((0, 2, 3)) for label in range(6)]
    torch.testing.assert_close(units.class_mean, torch.stack(by_class, 1), rtol=1e-12, atol=0)
    edges = torch.tensor([-torch.inf, *EDGES, torch.inf], dtype=torch.float64)
    for unit in range(maps.shape[1]):
        values = peaks[:, unit]
        expected = [
            int(((values >= low) & (values < high)).sum()) for low, high in pairwise(edges.tolist())
        ]
        assert units.histogram[unit].tolist() == expected
    assert units.dead.tolist() == [layer == "4" and unit == 3 for unit in range(len(units))]


def test_of_equal_activations_the_earlier_picture_and_the_first_position_win():
    """The network copies the first channel; pictures repeat across batches and segments."""
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU())
    nn.init.ones_(model[0].weight)
    images = torch.zeros(100, 1, 8, 8, dtype=torch.uint8)
    images[:, 0, 2, 5] = images[:, 0, 4, 1] = 200
    images[70:75, 0, 2, 5] = 201
    dataset = Dataset(images, torch.zeros(100).long(), ("one",), "repeated")
    atlas = build_atlas(Bundle.of(model, (1, 8, 8)), dataset, k=9)
    top = atlas.top("1", 0)
    assert [one.picture for one in top] == [70, 71, 72, 73, 74, 0, 1, 2, 3]
    assert {(one.y, one.x) for one in top} == {(2, 5)}


def test_selectivity_is_one_for_a_unit_of_one_class_and_zero_for_one_of_all():
    model = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU())
    model[0].weight.data = torch.eye(3)[:, :, None, None]
    images = torch.zeros(40, 3, 8, 8, dtype=torch.uint8)
    labels = torch.arange(40) % 2
    images[labels == 1, 0] = 100  # unit 0 sees class 1 alone
    images[:, 1] = 50  # unit 1 sees both alike; unit 2 nothing
    dataset = Dataset(images, labels, ("a", "b", "empty"), "two")
    units = build_atlas(Bundle.of(model, (3, 8, 8)), dataset)["1"]
    assert units.selectivity.tolist() == [1, 0, 0]
    assert units.preferred[0] == 1
    assert units.class_mean.isnan().all(0).tolist() == [False, False, True]


def interrupted(after):
    calls = counter(1)

    def progress(title, done, total):
        if next(calls) == after:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("after", [1, 3, 7])
def test_an_interrupted_build_goes_on_to_the_same_file(bundle, shapes, tmp_path, after):
    build_atlas(bundle, shapes, tmp_path / "whole")
    folder = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        build_atlas(bundle, shapes, folder, progress=interrupted(after))
    with pytest.raises(AtlasError, match="no atlas at"):
        load_atlas(folder)
    reason = []
    build_atlas(bundle, shapes, folder, progress=lambda *progress: reason.append(progress))
    assert (folder / FILE).read_bytes() == (tmp_path / "whole" / FILE).read_bytes()
    assert reason[-1] == ("pictures", 120, 120)
    assert len(reason) == 8 - 2 * ((after - 1) // 2)  # only what was not yet kept is run again
    assert [path.name for path in folder.iterdir()] == [FILE]
    again = []
    build_atlas(bundle, shapes, folder, progress=lambda *progress: again.append(progress))
    assert again == []


class Simultaneous:
    """Stands for `size` processes: runs every one's part in this one."""

    rank, is_main = 0, True

    def __init__(self, size):
        self.size = size


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_file_does_not_depend_on_how_many_share_the_work(bundle, shapes, tmp_path, size):
    """Each process's parts are taken from a run of its own, then shared in the order of ranks."""
    build_atlas(bundle, shapes, tmp_path / "one")

    class Peer(Simultaneous):
        def __init__(self, rank, boxes):
            super().__init__(size)
            self.rank, self.boxes, self.is_main = rank, boxes, False

        def all_gather(self, part):
            self.boxes[self.rank].append(part)
            raise StopIteration

    class Leader(Simultaneous):
        def all_gather(self, part):
            return [part, *self.others()]

        def others(self):
            for rank in range(1, size):
                boxes = {rank: []}
                peer = Peer(rank, boxes)
                folder = tmp_path / "all"
                with pytest.raises((StopIteration, RuntimeError)):
                    build_atlas(bundle, shapes, folder, processes=peer)
                yield boxes[rank][0]

    build_atlas(bundle, shapes, tmp_path / "all", processes=Leader(size))
    assert (tmp_path / "all" / FILE).read_bytes() == (tmp_path / "one" / FILE).read_bytes()


@pytest.mark.slow
def test_two_processes_of_torchrun_write_the_same_file(tmp_path, monkeypatch):
    layer = dv.Deconvnet(dv.load("demo").model).default_layers[0]
    words = ["atlas", "build", "--data", "shapes", "--split", "test", "--layer", layer]
    words += ["--device", "cpu", "--out"]
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "deconvviz"]
    done = subprocess.run(
        [sys.executable, "-m", *torchrun, *words, str(tmp_path / "two")],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("units are dead") == 1
    monkeypatch.undo()  # as in those processes, whole batches and segments
    build_atlas(dv.load("demo"), load_dataset("shapes", "test"), tmp_path / "one", layers=[layer])
    assert (tmp_path / "one" / FILE).read_bytes() == (tmp_path / "two" / FILE).read_bytes()


def test_batches_follow_from_the_network_alone(bundle, shapes, monkeypatch):
    builder = building._Builder(bundle, dv.Deconvnet(bundle.model, (3, 16, 16)), shapes, LAYERS)
    assert builder.batch_size == 16
    monkeypatch.setattr(building, "_MAX_BATCH_BYTES", 5 * 4 * (8 * 256 + 12 * 64))
    builder = building._Builder(bundle, builder.net, shapes, LAYERS)
    assert builder.batch_size == 4  # the largest power of two that fits five times


def test_without_statistics_the_strongest_are_the_same(bundle, shapes):
    short, full = (build_atlas(bundle, shapes, statistics=s) for s in (False, True))
    for layer in LAYERS:
        assert torch.equal(short[layer].value, full[layer].value)
        assert torch.equal(short[layer].picture, full[layer].picture)
        assert short[layer].mean is None
        assert short[layer].selectivity is None


def test_any_layer_can_be_asked_for(bundle, shapes):
    atlas = build_atlas(bundle, shapes, layers=["6", "0"], k=3)
    assert list(atlas.units) == ["0", "6"]
    assert atlas["6"].value.shape == (4, 3)
    assert (atlas["6"].y == 0).all()


def test_the_model_stays_as_it_is(bundle, shapes):
    model = bundle.model
    model.train()
    try:
        build_atlas(bundle, shapes.subset(range(10)))
        assert model.training
        assert all(p.grad is None and p.requires_grad for p in model.parameters())
    finally:
        model.eval()


def test_what_cannot_be_built_is_refused(bundle, shapes, tmp_path):
    with pytest.raises(DataError, match="at least 1 pictures, got 0"):
        build_atlas(bundle, shapes.subset([]))
    for k in (0, 121):
        with pytest.raises(SettingError, match=f"from 1 to 120, the number of pictures, got {k}"):
            build_atlas(bundle, shapes, k=k)
    with pytest.raises(DataError, match="have 1 channels"):
        build_atlas(bundle, draw_shapes(20, 16, 1))
    with pytest.raises(UnknownLayerError, match="no layer `9`"):
        build_atlas(bundle, shapes, layers=["9"])
    with pytest.raises(PictureError, match="do not fit"):
        build_atlas(bundle, draw_shapes(20, 24), layers=["6"])


def test_a_folder_with_an_atlas_of_something_else_is_left_alone(bundle, shapes, tmp_path):
    build_atlas(bundle, shapes, tmp_path)
    before = (tmp_path / FILE).read_bytes()
    other = replace(bundle, sha256="0" * 64)
    for arguments, reason in (
        ((other, shapes), "another network"),
        ((bundle, shapes.subset(range(60))), "other data"),
        ((bundle, shapes, 4), "k 9 instead of 4"),
    ):
        network, data, *k = arguments
        with pytest.raises(AtlasError, match=f"is of {reason}; name another folder"):
            build_atlas(network, data, tmp_path, k=k[0] if k else 9)
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize("name", [FILE, PARTIAL])
def test_a_cut_file_is_made_again_by_the_same_command(bundle, shapes, tmp_path, name):
    build_atlas(bundle, shapes, tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).rename(tmp_path / name)
    (tmp_path / name).write_bytes(whole[:-50])
    if name == FILE:
        with pytest.raises(AtlasError, match=f"build --out {tmp_path}"):
            load_atlas(tmp_path)
    build_atlas(bundle, shapes, tmp_path)
    assert (tmp_path / FILE).read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_folder_has_one_build_at_a_time(bundle, shapes, tmp_path):
    with only_writer(tmp_path), pytest.raises(BusyError, match="process"):
        build_atlas(bundle, shapes, tmp_path)
    build_atlas(bundle, shapes, tmp_path)
