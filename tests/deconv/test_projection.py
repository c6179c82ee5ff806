"""Projections: their shapes, their windows, their memory, and what is refused."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from deconvviz.deconv import Deconvnet, Projection, Selection
from deconvviz.errors import SelectionError, UnknownLayerError, UnsupportedOperationError
from tests import oracle
from tests.deconv.comparing import RULES, by_oracle, deviation, some_units
from tests.deconv.networks import deconvnet, images_for
from tests.deconv.small_networks import Plain


@pytest.mark.parametrize(
    ("layer", "size", "count", "dtype"),
    [
        ("0.0", (3, 3), 5, torch.float32),
        ("0.5", (5, 5), 0, torch.float64),
        ("1.5", (14, 14), 1, torch.float32),
        ("5", (24, 40), 5, torch.float64),
        ("5", (24, 40), 0, torch.float32),
    ],
)
def test_shapes(layer: str, size: tuple[int, int], count: int, dtype: torch.dtype) -> None:
    net = deconvnet("average", dtype)
    recording = net.record(images_for("average", 3, dtype), [layer])
    projection = net.project(recording, Selection(layer, 1, torch.zeros(count, dtype=int), 0, 0))
    assert isinstance(projection, Projection)
    assert len(projection) == count
    assert projection.pixels.shape == (count, 3, *size)
    assert projection.pixels.dtype == dtype
    assert projection.boxes.shape == (count, 4)
    assert projection.boxes.dtype == torch.int64
    assert torch.equal(projection.image, torch.ones(count, dtype=torch.int64))
    assert projection.full().shape == (count, 3, 24, 40)
    assert projection.full().dtype == dtype
    spans = projection.boxes[:, 2:] - projection.boxes[:, :2]
    assert torch.equal(spans, torch.tensor(size).expand(count, 2))


def test_a_box_may_leave_the_picture_and_is_zero_there() -> None:
    net, recording = (
        deconvnet("average"),
        deconvnet("average").record(images_for("average"), ["1.5"]),
    )
    projection = net.project(recording, Selection("1.5", 0, 0, 0, 0), start="one")
    top, left, _, _ = projection.boxes[0].tolist()
    assert (top, left) == (-6, -6)
    assert projection.pixels[:, :, :6].abs().max() == 0
    assert projection.pixels[:, :, :, :6].abs().max() == 0
    assert projection.pixels.abs().max() > 0


def test_a_linear_layer_has_units_without_positions() -> None:
    net = deconvnet("average")
    recording = net.record(images_for("average"), ["5"])
    assert recording["5"].shape == (2, 10, 1, 1)
    with pytest.raises(SelectionError, match="no y 1 in `5`; it has 1"):
        net.project(recording, Selection("5", 0, 3, 1, 0))


@pytest.mark.parametrize("start", ["activation", "one"])
def test_a_difference_of_two_classes_is_one_start(start: str) -> None:
    """Under the gradient, which is linear, it is the difference of two projections."""
    net = deconvnet("average")
    recording = net.record(images_for("average"), ["5"])
    pair = Selection("5", 1, [3, 7], 0, 0)
    together = Selection("5", 1, [3, 7], 0, 0, group=0, weight=[1, -1])
    one, other = net.project(recording, pair, "gradient", start).pixels
    difference = net.project(recording, together, "gradient", start).pixels
    torch.testing.assert_close(difference[0], one - other)
    deconvnets = net.project(recording, together, start=start).pixels
    assert deconvnets.abs().max() > 0
    assert not torch.allclose(deconvnets, difference)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("image", 2, "no image 2 .* 2, counted from 0"),
        ("channel", -1, "no channel -1 .* 16$"),
        ("y", 24, "no y 24 .* 24, counted from 0"),
        ("x", 99, "no x 99 .* 40$"),
    ],
)
def test_units_that_do_not_exist(column: str, value: int, reason: str) -> None:
    net = deconvnet("average")
    recording = net.record(images_for("average"), ["0.5"])
    place = {"image": 0, "channel": 0, "y": 0, "x": 0, column: value}
    with pytest.raises(SelectionError, match=reason):
        net.project(recording, Selection("0.5", **place))


def test_other_refusals() -> None:
    net = deconvnet("average")
    recording = net.record(images_for("average"), ["0.5"])
    unit = Selection("0.5", 0, 0, 0, 0)
    with pytest.raises(UnknownLayerError, match=r"no layer `conv6`; this model has .* layers"):
        net.project(recording, Selection("conv6", 0, 0, 0, 0))
    with pytest.raises(UnknownLayerError, match=r"no layer `1.5`; this recording has 0.5"):
        net.project(recording, Selection("1.5", 0, 0, 0, 0))
    with pytest.raises(ValueError, match="no rule `lrp`; there are deconvnet, guided, gradient"):
        net.project(recording, unit, "lrp")
    with pytest.raises(ValueError, match="no start `zero`; there are activation, one"):
        net.project(recording, unit, start="zero")
    with pytest.raises(SelectionError, match="group 7 has units of several images"):
        net.project(recording, Selection("0.5", [0, 1], 0, 0, 0, group=[7, 7]))
    with pytest.raises(SelectionError, match="another Deconvnet"):
        deconvnet("maximum").project(recording, unit)


class Weighed(nn.Module):
    """Maps weighed against each other by softmax, as attention does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.share = nn.Softmax2d()
        self.after = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.after(x * self.share(x))


@pytest.mark.parametrize("rule", RULES)
def test_an_operation_without_a_row_is_refused_by_name(rule: str) -> None:
    net = Deconvnet(Weighed(), (3, 8, 8))
    recording = net.record(torch.randn(1, 3, 8, 8), ["conv", "share", "after"])
    assert len(net.project(recording, recording.strongest("conv", 1), rule)) == 1
    for layer in ("share", "after"):  # and not the product, which is refused too
        with pytest.raises(UnsupportedOperationError, match=r"softmax in `share`.*: there is no r"):
            net.project(recording, recording.strongest(layer, 1), rule)


def test_an_operation_that_its_row_refuses_is_named_too() -> None:
    net = Deconvnet(Plain(lambda x: (x * x).relu()), (3, 8, 8))
    recording = net.record(torch.randn(1, 3, 8, 8), ["relu@1"])
    with pytest.raises(UnsupportedOperationError, match=r"mul in the model.*: it multiplies two"):
        net.project(recording, recording.strongest("relu@1", 1))


class Tokens(nn.Module):
    """Patches that attend to each other."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, stride=4)
        self.relu = nn.ReLU()
        self.attention = attention
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.relu(self.conv(x)).flatten(2).transpose(1, 2)
        return self.head(self.attention(tokens).mean(1))


class OfTorch(nn.Module):
    """torch's own attention, whose tokens lie along the first axis."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.MultiheadAttention(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(0, 1)
        return self.heads(x, x, x, need_weights=False)[0].transpose(0, 1)


class ByHand(nn.Module):
    """softmax(q k^T) v."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return (q @ k.transpose(1, 2)).softmax(-1) @ v


def vision_transformer() -> nn.Module:
    from torchvision.models import VisionTransformer

    model = VisionTransformer(16, 4, 1, 2, 8, 16, num_classes=5)
    nn.init.normal_(model.heads.head.weight)
    return model


@pytest.mark.parametrize(
    ("make", "below", "above", "reason"),
    [
        (lambda: Tokens(OfTorch()), "relu", "head", "scaled_dot_product_.* in `attention.heads`"),
        (lambda: Tokens(ByHand()), "relu", "head", "matmul in `attention`"),
        (
            vision_transformer,
            "conv_proj",
            "heads.head",
            "scaled_dot_product_attention in `encoder.layers.encoder_layer_0.self_attention`",
        ),
    ],
    ids=["torch", "by hand", "vision transformer"],
)
def test_attention_is_refused_by_name_and_what_is_below_it_is_projected(
    make: Callable[[], nn.Module], below: str, above: str, reason: str
) -> None:
    torch.manual_seed(0)
    model, images = make().double().eval(), torch.randn(3, 3, 16, 16, dtype=torch.float64)
    net = Deconvnet(model, (3, 16, 16))
    recording = net.record(images, [below, above])
    torch.testing.assert_close(recording[above][:, :, 0, 0], model(images).detach())
    units = some_units(recording, below)
    for rule in RULES:
        ours = net.project(recording, units, rule).full()
        assert deviation(ours, by_oracle(oracle.autograd, model, images, units, rule)) < 1e-10
        with pytest.raises(UnsupportedOperationError, match=f"cannot undo {reason}.*no rule"):
            net.project(recording, Selection(above, 0, 0, 0, 0), rule)


@pytest.mark.parametrize(
    ("layer", "rule"), [("0.5", "deconvnet"), ("2.3", "guided"), ("5", "gradient")]
)
def test_memory_bound_changes_nothing_but_memory(layer: str, rule: str) -> None:
    net = deconvnet("average")
    recording = net.record(images_for("average"), [layer])
    units = recording.strongest(layer, k=7)
    grouped = Selection(layer, units.image, units.channel, units.y, units.x, units.image)
    for selection in (units, grouped):
        whole = net.project(recording, selection, rule)
        for max_bytes in (1, 200_000, 1_000_000):
            parts = net.project(recording, selection, rule, max_bytes=max_bytes)
            assert torch.equal(parts.boxes, whole.boxes)
            torch.testing.assert_close(parts.pixels, whole.pixels, rtol=1e-10, atol=1e-14)


class Memory(TorchDispatchMode):
    """Counts the bytes of all tensors that are made and held at once."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[int, tuple[StorageWeakRef, int]] = {}
        self.most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        value = func(*args, **(kwargs or {}))
        given = {storage_of(tensor)._cdata for tensor in tensors_in((args, kwargs))}
        for storage in map(storage_of, tensors_in(value)):
            if storage._cdata not in given:  # views take nothing
                self.held[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.held = {key: held for key, held in self.held.items() if not held[0].expired()}
        self.most = max(self.most, sum(size for _, size in self.held.values()))
        return value


def tensors_in(tree: object) -> list[Tensor]:
    leaves = (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
    return [leaf for leaf in leaves if not leaf.is_meta]


def storage_of(tensor: Tensor) -> torch.UntypedStorage:
    return tensor.untyped_storage()


@pytest.mark.parametrize(("family", "layer"), [("average", "2.5"), ("densenet", "classifier")])
def test_memory_stays_within_its_bound_however_many_units(family: str, layer: str) -> None:
    """Beside the pictures themselves, under the rule that takes most."""
    net, bound = deconvnet(family), 3_000_000
    recording = net.record(images_for(family), [layer])
    channels = recording[layer].shape[1]
    for count in (4, 32):
        units = Selection(layer, 1, torch.arange(count) % channels, 0, 0)
        with Memory() as memory:
            pixels = net.project(recording, units, "guided", max_bytes=bound).pixels
        assert pixels.nbytes < memory.most < pixels.nbytes + bound


def test_memory_without_a_bound_is_more() -> None:
    net = deconvnet("average")
    recording = net.record(images_for("average"), ["2.5"])
    units = Selection("2.5", 1, torch.arange(64), 0, 0)
    with Memory() as memory:
        pixels = net.project(recording, units).pixels
    assert memory.most - pixels.nbytes > 3_000_000
