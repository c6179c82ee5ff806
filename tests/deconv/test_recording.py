import weakref

import pytest
import torch
from torch import Tensor, nn

from deconvviz.deconv import Deconvnet, Recording, Selection
from deconvviz.errors import PictureError, UnknownLayerError
from tests.deconv.comparing import output_of
from tests.deconv.networks import FAMILIES, deconvnet, images_for, network
from tests.deconv.small_networks import EvenHeights, Functional, SamePadding


@pytest.mark.parametrize("family", FAMILIES)
def test_activations_are_the_modules_outputs(family: str) -> None:
    """To rounding: channels last, torch adds up in another order."""
    model, images, layers = network(family), images_for(family), FAMILIES[family][2]
    recording = deconvnet(family).record(images, layers)
    assert recording.layers == layers
    for layer in layers:
        truth = output_of(model, layer, images)
        torch.testing.assert_close(recording[layer], truth, rtol=1e-11, atol=1e-11)


def test_a_module_output_is_from_before_a_later_write_in_place() -> None:
    model = Functional().eval()
    images = torch.randn(2, 3, 12, 12)
    recording = Deconvnet(model, (3, 16, 16)).record(images, ["conv2", "relu"])
    assert torch.equal(recording["conv2"], output_of(model, "conv2", images))
    assert recording["conv2"].min() < 0 == recording["relu"].min()


def test_default_layers_and_aliases() -> None:
    net, images = deconvnet("average"), images_for("average")
    assert net.record(images).layers == net.default_layers
    recording = net.record(images, "0")
    assert recording.layers == ("0",)
    assert torch.equal(recording["0"], net.record(images, ["0.6"])["0.6"])


def test_shapes() -> None:
    net, images = deconvnet("average", torch.float32), images_for("average", 3, torch.float32)
    recording = net.record(images, ["0.0", "1.6", "3", "4", "5"])
    assert isinstance(recording, Recording)
    assert len(recording) == 3
    assert recording.size == (24, 40)
    shapes = {layer: tuple(recording[layer].shape) for layer in recording.layers}
    assert shapes == {
        "0.0": (3, 16, 24, 40),
        "1.6": (3, 32, 6, 10),
        "3": (3, 64, 1, 1),
        "4": (3, 64, 1, 1),
        "5": (3, 10, 1, 1),
    }
    assert recording.dtype == torch.float32
    peaks = recording.peaks("1.6")
    for column in (peaks.value, peaks.y, peaks.x):
        assert column.shape == (3, 32)
    assert repr(recording).startswith("Recording(3 images of 24 x 40: 0.0, 1.6")


def test_only_what_is_needed_is_run_and_kept() -> None:
    """Nothing above the layer is run; masks and switches take one byte a unit."""
    net, images = deconvnet("average"), images_for("average")
    recording = net.record(images, ["0.5"])
    assert set(recording.activations) == {"0.5"}
    assert {r.dtype for r in recording.saved.values()} == {torch.bool}
    assert len(recording.saved) == 2
    switches = set(net.record(images, ["0.6"]).saved) - set(recording.saved)
    assert {net.record(images, ["0.6"]).saved[s].dtype for s in switches} == {torch.uint8}


def test_other_sizes_and_batches() -> None:
    net = deconvnet("demo")
    for count, height, width in ((1, 32, 32), (3, 45, 70)):
        images = torch.randn(count, 3, height, width, dtype=torch.float64)
        recording = net.record(images, ["stage3.relu2", "head.logits"])
        truth = network("demo")(images)[:, :, None, None].detach()
        torch.testing.assert_close(recording["head.logits"], truth)
        projection = net.project(recording, recording.strongest("stage3.relu2", 1))
        assert projection.full().shape == (count, 3, height, width)


def test_layers_before_an_impossible_flatten_still_record() -> None:
    net = deconvnet("seed-cnn")
    images = torch.randn(2, 3, 48, 40, dtype=torch.float64)
    assert net.record(images)["stage3.relu"].shape == (2, 128, 12, 10)
    with pytest.raises(PictureError, match=r"images of 48 x 40 pixels do not fit linear in `head"):
        net.record(images, ["head.logits"])


class Folding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before = nn.ReLU()
        self.after = nn.Linear(3 * 8 * 8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.before(x).view(-1, 3 * 8 * 8))


def test_pixels_are_never_folded_into_the_batch() -> None:
    net, images = Deconvnet(Folding(), (3, 8, 8)), torch.randn(1, 3, 16, 16)
    assert net.record(images, ["before"])["before"].shape == images.shape
    with pytest.raises(PictureError, match=r"reshape in the model.*: it would mix pixels with"):
        net.record(images, ["after"])


def test_a_network_traced_for_one_size_refuses_others() -> None:
    net = Deconvnet(nn.Sequential(*(SamePadding(3, 3, 3, stride=2) for _ in range(4))), (3, 16, 16))
    assert net.record(torch.randn(3, 3, 16, 16), ["3"])["3"].shape == (3, 3, 1, 1)
    with pytest.raises(PictureError, match=r"traced for 16 x 16 only; make .*=\(3, 16, 18\)"):
        net.record(torch.randn(1, 3, 16, 18), ["0"])


def test_images_that_take_another_way_through_the_network_are_refused() -> None:
    model = EvenHeights().eval()
    net, images = Deconvnet(model, (3, 16, 16)), torch.randn(2, 3, 18, 17)
    torch.testing.assert_close(net.record(images, ["relu"])["relu"], model(images))
    with pytest.raises(PictureError, match=r"2 images of 17 x 17 .* at small_networks.py:\d+ than"):
        net.record(images[:, :, 1:], ["relu"])
    other = Deconvnet(model, (3, 17, 17)).record(images[:, :, 1:], ["relu"])
    torch.testing.assert_close(other["relu"], model(images[:, :, 1:]))


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (torch.zeros(1, 3, 8, 8).numpy(), "ndarray"),
        (torch.zeros(3, 32, 32), r"\(N, 3, H, W\), got \(3, 32, 32\)"),
        (torch.zeros(1, 1, 32, 32), r"\(N, 3, H, W\), got \(1, 1, 32, 32\)"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "torch.uint8"),
        (torch.zeros(1, 3, 32, 32), "torch.float32, but the model is torch.float64"),
        (torch.full((1, 3, 32, 32), torch.nan, dtype=torch.float64), "NaN"),
        (torch.zeros(1, 3, 2, 2, dtype=torch.float64), "do not fit max_pool2d"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.float64, device="meta"), "on meta"),
    ],
)
def test_images_that_the_network_does_not_take(images: Tensor, reason: str) -> None:
    with pytest.raises(PictureError, match=reason):
        deconvnet("seed-cnn").record(images)


def test_unknown_layers() -> None:
    net, images = deconvnet("average"), images_for("average")
    with pytest.raises(UnknownLayerError, match=r"no layer `conv9`; this model has \d+ layers"):
        net.record(images, ["0.5", "conv9"])
    with pytest.raises(UnknownLayerError, match=r"no layer `0.2`; this recording has 0.5"):
        net.record(images, ["0.5"])["0.2"]


def rows_of(units: Selection) -> list[tuple[int, ...]]:
    columns = (units.image, units.channel, units.y, units.x)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def by_hand(maps: Tensor, k: int) -> list[tuple[int, ...]]:
    """The strongest units, as slowly as they are defined."""
    chosen = []
    for i, image in enumerate(maps.tolist()):
        peaks = []
        for c, channel in enumerate(image):
            places = [(-v, y, x) for y, row in enumerate(channel) for x, v in enumerate(row)]
            value, y, x = min(places)
            peaks.append((value, c, y, x))
        chosen += [(i, c, y, x) for value, c, y, x in sorted(peaks)[:k] if value < 0]
    return chosen


@pytest.mark.parametrize(("layer", "k"), [("0.3", 9), ("0.3", 0), ("2.5", 1), ("5", 1000)])
def test_strongest_is_as_defined(layer: str, k: int) -> None:
    recording = deconvnet("average").record(images_for("average"), [layer])
    units = recording.strongest(layer, k)
    assert isinstance(units, Selection)
    assert rows_of(units) == by_hand(recording[layer], k)


class Coarse(nn.Module):
    """Activations with many ties, and channels that are never positive."""

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, x, -x.abs()], dim=1)
        return nn.functional.avg_pool2d(x, 1)


def test_ties_go_to_the_lower_channel_and_the_first_position() -> None:
    net = Deconvnet(Coarse(), (2, 6, 6))
    torch.manual_seed(0)
    images = torch.randint(-3, 2, (3, 2, 6, 6)).float()
    images[2] = -1
    recording = net.record(images, [])
    assert recording.layers == ()
    maps = torch.cat([images, images, -images.abs()], dim=1)
    held = Recording(recording.tape, recording.shapes, {}, {"maps": maps})
    units = held.strongest("maps", 3)
    assert rows_of(units) == by_hand(maps, 3)
    assert 2 not in units.image


def test_peaks_and_values_are_the_activations() -> None:
    recording = deconvnet("average").record(images_for("average"), ["0.3"])
    maps, peaks = recording["0.3"], recording.peaks("0.3")
    assert torch.equal(peaks.value, maps.amax(dim=(2, 3)))
    units = Selection("0.3", 1, range(16), peaks.y[1], peaks.x[1])
    assert torch.equal(recording.values(units), peaks.value[1])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stream_gives_what_a_recording_keeps(family: str) -> None:
    net, images = deconvnet(family), images_for(family)
    layers = list(net.layers)
    recording = net.record(images, layers)
    streamed = list(net.stream(images, layers[::-1]))
    assert {layer for layer, _ in streamed} == set(layers)
    for layer, maps in streamed:
        assert torch.equal(maps, recording[layer])


def test_a_stream_holds_no_map_that_the_pass_has_gone_on_from() -> None:
    net, images = deconvnet("average"), images_for("average")
    held = []
    for _, maps in net.stream(images):
        assert sum(one() is not None for one in held) <= 1  # the one before may still be read
        held.append(weakref.ref(maps))
        del maps
    assert len(held) == 6


def test_a_stream_refuses_what_a_recording_refuses() -> None:
    net, images = deconvnet("average"), images_for("average")
    with pytest.raises(UnknownLayerError, match="no layer `conv9`"):
        next(net.stream(images, ["conv9"]))
    with pytest.raises(PictureError, match="must be of shape"):
        next(net.stream(images[:, :2]))
    with pytest.raises(PictureError, match="do not fit"):
        list(deconvnet("odd").stream(images_for("odd")[:, :, :9, :9], ["10"]))


def test_a_recording_prints_in_one_line_its_first_layers_named() -> None:
    net, images = deconvnet("seed-cnn", torch.float32), images_for("seed-cnn", 1, torch.float32)
    few, many = ["stage1.relu", "stage2.relu"], list(net.layers)[:9]
    printed = repr(net.record(images, few))
    assert printed == "Recording(1 image of 32 x 32: stage1.relu, stage2.relu)"
    printed = repr(net.record(images.repeat(2, 1, 1, 1), many))
    assert printed == f"Recording(2 images of 32 x 32: {', '.join(many[:6])} and 3 more)"
