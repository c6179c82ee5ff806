"""Projections are held to two oracles of their own, to captum, and to what must be true of them."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from deconvviz.deconv import Deconvnet, Projection, Recording, Selection
from deconvviz.errors import SelectionError, UnknownLayerError, UnsupportedOperationError
from tests import oracle
from tests.deconv.networks import (
    FAMILIES,
    GRAPHS,
    SEVERAL,
    Branches,
    Functional,
    Residual,
    Smooth,
    Varied,
    deconvnet,
    images_for,
    network,
)
from tests.deconv.test_tape import Plain

RULES = ("deconvnet", "guided", "gradient")
CHANNELS_LAST = ("features.1.1.block.4",)  # in torch's own hands; on our tape all are first
LAYERS = [(family, layer) for family, (_, _, layers) in FAMILIES.items() for layer in layers]


def deviation(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, relative to the largest value."""
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    assert theirs.abs().max() > 0
    return float((ours - theirs).abs().max() / theirs.abs().max())


def some_units(recording: Recording, layer: str) -> Selection:
    """The strongest units, and a few at the corners."""
    maps = recording[layer]
    n, c, h, w = maps.shape
    best = recording.strongest(layer, k=2)
    return Selection(
        layer,
        torch.cat([best.image, torch.tensor([0, n - 1, n - 1])]),
        torch.cat([best.channel, torch.tensor([0, c // 2, c - 1])]),
        torch.cat([best.y, torch.tensor([0, h - 1, h // 2])]),
        torch.cat([best.x, torch.tensor([0, 0, w - 1])]),
    )


def by_oracle(
    method: Callable[..., Tensor],
    model: nn.Module,
    images: Tensor,
    units: Selection,
    rule: str,
    start: str = "activation",
) -> Tensor:
    rows = torch.arange(len(units))

    def begin(value: Tensor) -> Tensor:
        if units.layer in CHANNELS_LAST:
            return units_of(value.movedim(-1, 1)).movedim(1, -1)
        return units_of(value)

    def units_of(value: Tensor) -> Tensor:
        return oracle.units_at(value, rows, units.channel, units.y, units.x, start)

    return method(model, images[units.image], units.layer, begin, rule).detach()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("family", "layer"), LAYERS)
def test_equals_both_oracles(family: str, layer: str, rule: str) -> None:
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        model, images = network(family, dtype), images_for(family, dtype=dtype)
        net = deconvnet(family, dtype)
        recording = net.record(images, [layer])
        units = some_units(recording, layer)
        ours = net.project(recording, units, rule).full()
        names = dict(oracle.leaves(model))
        assert layer in names
        assert deviation(ours, by_oracle(oracle.autograd, model, images, units, rule)) < tolerance
        assert deviation(ours, by_oracle(oracle.plain, model, images, units, rule)) < tolerance


# --- graphs that are no sequence -----------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("family", GRAPHS | SEVERAL)
def test_torchvisions_families_equal_the_autograd_oracle(family: str, rule: str) -> None:
    """An early, a middle and the last map, and a class.

    In float32 it is compared at the masks and switches of the float64 pass: those of a pass of its
    own may differ where an activation is zero but for rounding, and then it is another projection.
    """
    net, single = deconvnet(family), deconvnet(family, torch.float32)
    for layer in (GRAPHS | SEVERAL)[family][2]:
        recording = net.record(images_for(family), [layer])
        units = some_units(recording, layer)
        truth = by_oracle(oracle.autograd, network(family), images_for(family), units, rule)
        assert deviation(net.project(recording, units, rule).full(), truth) < 1e-10, layer
        ours = single.project(in_float32(recording), units, rule).full()
        assert ours.dtype == torch.float32
        assert deviation(ours.double(), truth) < 1e-5, layer


def in_float32(recording: Recording) -> Recording:
    """The same recording, its masks and switches as they are, its numbers rounded."""

    def rounded(held: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        if isinstance(held, tuple):
            return tuple(map(rounded, held))
        return held.float() if held.is_floating_point() else held

    residues = {name: rounded(held) for name, held in recording.residues.items()}
    activations = {name: maps.float() for name, maps in recording.activations.items()}
    return replace(recording, residues=residues, activations=activations)


@pytest.mark.parametrize("family", ["resnet", "squeezenet", "mobilenet_v2"])
def test_a_float32_pass_has_all_but_a_few_of_the_masks_and_switches(family: str) -> None:
    layer = GRAPHS[family][2][-1]
    images = images_for(family)
    double = deconvnet(family).record(images, [layer])
    single = deconvnet(family, torch.float32).record(images.float(), [layer])
    assert deviation(single[layer].double(), double[layer]) < 1e-5
    other = [(held != single.residues[name]).sum() for name, held in double.residues.items()]
    assert sum(other) <= 1e-5 * sum(held.numel() for held in double.residues.values())


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        pytest.param(
            "tf_mobilenetv3_small_minimal_100",
            ("blocks.0.0.conv_dw", "conv_head", "classifier"),
            id="TensorFlow's padding",
        ),
        pytest.param(
            "test_nfnet",
            ("stem.conv2", "stages.1.0.conv2b", "final_conv"),
            id="computed weights",
        ),
        pytest.param("fasternet_t0", ("stages.1.blocks.0.mlp.0", "conv_head"), id="split maps"),
    ],
)
def test_timms_families_equal_the_autograd_oracle(name: str, layers: tuple[str, ...]) -> None:
    timm = pytest.importorskip("timm", reason="needs timm, which is an extra")
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, num_classes=10).double().eval()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    net = Deconvnet(model, (3, 64, 64))
    for layer in layers:
        recording = net.record(images, [layer])
        units = some_units(recording, layer)
        for rule in RULES:
            ours = net.project(recording, units, rule).full()
            truth = by_oracle(oracle.autograd, model, images, units, rule)
            assert deviation(ours, truth) < 1e-9, (layer, rule)


def graph(make: Callable[[], nn.Module]) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = make().double().eval()
    if isinstance(model, Residual):
        nn.init.normal_(model.bn.weight)
        nn.init.normal_(model.bn.running_mean)
    return model, torch.randn(2, 3, 17, 20, dtype=torch.float64)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (Functional, "last"),
        (Residual, "last"),
        (Branches, "join"),
        (Branches, "last"),
        (Smooth, "11"),
    ],
)
def test_graphs_equal_the_autograd_oracle(
    make: Callable[[], nn.Module], layer: str, rule: str
) -> None:
    model, images = graph(make)
    net = Deconvnet(model, (3, 16, 16))
    recording = net.record(images, [layer])
    units = some_units(recording, layer)
    ours = net.project(recording, units, rule).full()
    assert deviation(ours, by_oracle(oracle.autograd, model, images, units, rule)) < 1e-10


@pytest.mark.parametrize("layer", ["padded.5", "padded.7", "overlap", "deal", "up", "norm", "last"])
def test_every_way_to_pad_pool_scale_and_gate_equals_the_autograd_oracle(layer: str) -> None:
    """On pictures of five channels, not square, and of another size than traced."""
    model, net = varied()
    torch.manual_seed(1)
    images = torch.randn(3, 5, 19, 26, dtype=torch.float64)
    recording = net.record(images, [layer])
    units = some_units(recording, layer)
    for rule in RULES:
        ours = net.project(recording, units, rule).full()
        assert deviation(ours, by_oracle(oracle.autograd, model, images, units, rule)) < 1e-10


@cache
def varied() -> tuple[nn.Module, Deconvnet]:
    torch.manual_seed(0)
    model = Varied().double().eval()
    return model, Deconvnet(model, (5, 16, 20))


@pytest.mark.parametrize("rule", ["deconvnet", "guided"])
@pytest.mark.parametrize(
    ("family", "layers"),
    [("vgg11", ("features.9", "features.19")), ("resnet", ("layer2.1.bn2", "layer4.0", "fc"))],
)
def test_captum_agrees_on_vgg_and_resnet(family: str, layers: tuple[str, ...], rule: str) -> None:
    model, images, net = network(family), images_for(family, 1), deconvnet(family)
    for layer in layers:
        recording = net.record(images, [layer])
        unit = recording.strongest(layer, k=1)
        ours = net.project(recording, unit, rule, start="one").full()
        assert deviation(ours, by_captum(model, images, unit, rule)) < 1e-10


def activated(activation: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Conv2d(3, 8, 3), activation, nn.Conv2d(8, 8, 3))


@pytest.mark.parametrize(
    ("make", "layer", "rules"),
    [
        pytest.param(Functional, "last", RULES[:2], id="functional ReLU"),
        pytest.param(Residual, "last", RULES[:2], id="second reader of the ReLU's input"),
        pytest.param(Branches, "join", RULES[:1], id="ReLU shared by parallel branches"),
        pytest.param(activated(nn.GELU()), "2", RULES[:2], id="GELU"),
        pytest.param(activated(nn.SiLU()), "2", RULES[:2], id="SiLU"),
    ],
)
def test_captum_is_wrong_where_we_are_right(
    make: Callable[[], nn.Module], layer: str, rules: tuple[str, ...]
) -> None:
    """Hooks on ReLU modules miss functional ones and all that are no ReLU.

    They also rectify what a second reader of the ReLU's input sends, and take one branch's signal
    for another's where a module is shared; all without a word.

    Should this fail, captum has become right: then it can serve as an oracle here too.
    """
    model, images = graph(make)
    check_against_captum(model, Deconvnet(model, (3, 16, 16)), images[:1], layer, rules)


@pytest.mark.parametrize(
    ("family", "layer"), [("googlenet", "inception3b.branch2.1.bn"), ("densenet", "classifier")]
)
def test_captum_is_wrong_on_families_with_functional_relu(family: str, layer: str) -> None:
    images = images_for(family, 1)
    check_against_captum(network(family), deconvnet(family), images, layer, RULES[:2])


def check_against_captum(
    model: nn.Module, net: Deconvnet, images: Tensor, layer: str, rules: tuple[str, ...]
) -> None:
    recording = net.record(images, [layer])
    unit = recording.strongest(layer, k=1)
    for rule in rules:
        ours = net.project(recording, unit, rule, start="one").full()
        truth = by_oracle(oracle.autograd, model, images, unit, rule, start="one")
        assert deviation(ours, truth) < 1e-10
        assert deviation(by_captum(model, images, unit, rule), truth) > 0.1


def by_captum(model: nn.Module, images: Tensor, unit: Selection, rule: str) -> Tensor:
    """captum's picture of one unit; on a copy, because it cannot take in-place activations."""
    from captum.attr import NeuronDeconvolution, NeuronGuidedBackprop

    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    method = {"deconvnet": NeuronDeconvolution, "guided": NeuronGuidedBackprop}[rule]
    place = (int(unit.channel), int(unit.y), int(unit.x))
    if isinstance(model.get_submodule(unit.layer), nn.Linear):
        place = place[:1]
    images = images[unit.image].clone().requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum tells of the hooks that it sets
        return method(model, model.get_submodule(unit.layer)).attribute(images, place).detach()


# --- what must be true of every projection -------------------------------------------------------

COLUMNS = st.tuples(
    st.integers(0, 1), st.integers(0, 63), st.integers(0, 5), st.integers(0, 9), st.integers(0, 3)
)
PROPERTY_LAYER = "2.5"  # of "average": stride 4, and its windows reach over every edge


def property_case() -> tuple[Deconvnet, Recording]:
    net = deconvnet("average")
    return net, net.record(images_for("average"), [PROPERTY_LAYER, "2.3"])


def selected(rows: list[tuple[int, ...]], layer: str = PROPERTY_LAYER) -> Selection:
    image, channel, y, x, _ = zip(*rows, strict=True)
    return Selection(layer, image, channel, y, x)


@settings(max_examples=10, deadline=None)
@given(rows=st.lists(COLUMNS, min_size=1, max_size=6), rule=st.sampled_from(RULES))
def test_one_call_equals_one_call_a_unit(rows: list[tuple[int, ...]], rule: str) -> None:
    net, recording = property_case()
    units = selected(rows)
    together = net.project(recording, units, rule, start="one").full()
    alone = [net.project(recording, unit, rule, start="one").full() for unit in units]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-10, atol=1e-14)


@settings(max_examples=10, deadline=None)
@given(rows=st.lists(COLUMNS, min_size=1, max_size=8, unique=True), rule=st.sampled_from(RULES))
def test_a_group_starts_together(rows: list[tuple[int, ...]], rule: str) -> None:
    net, recording = property_case()
    rows = list({row[:4]: row for row in rows}.values())
    group = [row[4] * 2 + row[0] for row in rows]  # never two images in one
    one = selected(rows)
    units = Selection(one.layer, one.image, one.channel, one.y, one.x, group)
    projection = net.project(recording, units, rule)
    numbers = sorted(set(group))
    assert len(projection) == len(numbers)

    def start(value: Tensor) -> Tensor:
        begin = torch.zeros_like(value)
        for row, number in zip(rows, group, strict=True):
            _, c, y, x, _ = row
            begin[numbers.index(number), c, y, x] = value[numbers.index(number), c, y, x]
        return begin

    images = images_for("average")[projection.image]
    truth = oracle.plain(network("average"), images, PROPERTY_LAYER, start, rule).detach()
    torch.testing.assert_close(projection.full(), truth, rtol=1e-10, atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(row=COLUMNS, rule=st.sampled_from(RULES))
def test_a_window_is_the_crop_of_the_full_map(row: tuple[int, ...], rule: str) -> None:
    net, recording = property_case()
    unit = selected([row], "2.3")
    projection = net.project(recording, unit, rule, start="one")

    def start(value: Tensor) -> Tensor:
        return oracle.units_at(value, torch.tensor([0]), unit.channel, unit.y, unit.x, "one")

    image = images_for("average")[unit.image]
    truth = oracle.plain(network("average"), image, "2.3", start, rule).detach()
    height, width = projection.pixels.shape[2:]
    padded = nn.functional.pad(truth, (width, width, height, height))
    top, left = int(projection.boxes[0, 0]) + height, int(projection.boxes[0, 1]) + width
    crop = padded[:, :, top : top + height, left : left + width]
    torch.testing.assert_close(projection.pixels, crop, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(projection.full(), truth, rtol=1e-10, atol=1e-14)


SHIFTED = [
    *(("maximum", layer) for layer in ("0.5", "1.2", "1.6", "2.5")),
    *(("odd", layer) for layer in ("2", "3", "5", "7")),
    *(("resnet", layer) for layer in ("layer1.0.bn1", "layer2.0")),
    ("shufflenet_v2", "stage2.0"),
]


@settings(max_examples=20, deadline=None)
@given(
    place=st.sampled_from(SHIFTED),
    rule=st.sampled_from(RULES),
    steps=st.tuples(st.integers(-2, 2), st.integers(-2, 2)),
    channel=st.integers(0, 5),
)
def test_a_shift_by_strides_moves_the_window_by_as_much(
    place: tuple[str, str], rule: str, steps: tuple[int, int], channel: int
) -> None:
    """Where no edge of the picture is in sight."""
    family, layer = place
    net = deconvnet(family)
    info, size = net.layers[layer], (120, 112)
    torch.manual_seed(0)
    picture = torch.randn(1, images_for(family).shape[1], *size, dtype=torch.float64)
    shift = tuple(n * stride for n, stride in zip(steps, info.stride, strict=True))
    middle = [
        (length // 2 - field // 2 - offset) // stride
        for length, field, offset, stride in zip(
            size, info.receptive_field, info.offset, info.stride, strict=True
        )
    ]
    moved = [position + n for position, n in zip(middle, steps, strict=True)]
    here, there = (
        net.project(net.record(images, [layer]), Selection(layer, 0, channel, *at), rule, "one")
        for images, at in ((picture, middle), (picture.roll(shift, dims=(2, 3)), moved))
    )
    assert here.boxes.min() >= 0
    assert there.boxes.min() >= 0
    assert torch.equal(there.boxes, here.boxes + torch.tensor([*shift, *shift]))
    torch.testing.assert_close(here.pixels, there.pixels, rtol=1e-10, atol=1e-14)


WEIGHTS = st.lists(st.floats(-3, 3), min_size=4, max_size=4)


def weighted(layer: str, weights: list[float]) -> Selection:
    """Three neighbours, and one far from them, start together."""
    y, x = [2, 2, 3, 5], [4, 5, 4, 9]
    return Selection(layer, 1, [0, 3, 3, 7], y, x, group=0, weight=weights)


@settings(max_examples=10, deadline=None)
@given(weights=WEIGHTS, place=st.sampled_from([("2.3", "gradient"), *(("0.1", r) for r in RULES)]))
def test_linear_where_nothing_is_rectified(weights: list[float], place: tuple[str, str]) -> None:
    """Under the gradient everywhere, under every rule below the first activation."""
    layer, rule = place
    net = deconvnet("average")
    recording = net.record(images_for("average"), [layer])
    together = weighted(layer, weights)
    alone = Selection(layer, together.image, together.channel, together.y, together.x)
    pictures = net.project(recording, alone, rule).full()
    sum_of_all = (together.weight[:, None, None, None] * pictures).sum(0, keepdim=True)
    joint = net.project(recording, together, rule).full()
    torch.testing.assert_close(joint, sum_of_all, rtol=1e-10, atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(weights=WEIGHTS, times=st.floats(0.01, 100), rule=st.sampled_from(RULES))
def test_a_start_that_is_times_as_strong_gives_a_picture_that_is(
    weights: list[float], times: float, rule: str
) -> None:
    net, recording = property_case()
    once = net.project(recording, weighted("2.3", weights), rule).pixels
    stronger = weighted("2.3", [times * weight for weight in weights])
    scale = float(once.abs().max()) * times
    torch.testing.assert_close(
        net.project(recording, stronger, rule).pixels, once * times, rtol=0, atol=1e-12 * scale
    )


@pytest.mark.parametrize("rule", RULES)
def test_a_zero_start_gives_exactly_zero(rule: str) -> None:
    net, recording = property_case()
    dead = (recording[PROPERTY_LAYER] == 0).nonzero()[:5].T
    projection = net.project(recording, Selection(PROPERTY_LAYER, *dead), rule)
    assert torch.equal(projection.pixels, torch.zeros_like(projection.pixels))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("layer", ["0.5", "5"])
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
    net, recording = property_case()
    units = Selection(PROPERTY_LAYER, 1, torch.arange(64), 0, 0)
    with Memory() as memory:
        pixels = net.project(recording, units).pixels
    assert memory.most - pixels.nbytes > 3_000_000


def test_a_negative_activation_keeps_its_sign() -> None:
    net, recording = property_case()
    maps = recording["2.3"]
    _, channel, y, x = (maps == maps[0].min()).nonzero()[0].tolist()
    unit = Selection("2.3", 0, channel, y, x)
    own, one = (
        net.project(recording, unit, "gradient", start).pixels for start in ("activation", "one")
    )
    torch.testing.assert_close(own, one * maps[0].min(), rtol=1e-10, atol=1e-14)
    assert maps[0].min() < 0


# --- shapes, types and refusals ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize(
    ("layer", "size"), [("0.0", (3, 3)), ("0.5", (5, 5)), ("1.5", (14, 14)), ("5", (24, 40))]
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
    ("column", "value", "told"),
    [
        ("image", 2, "no image 2 in `0.5`; it has 2, counted from 0"),
        ("channel", 999, "no channel 999 in `0.5`; it has 16"),
        ("channel", -1, "no channel -1 in `0.5`; it has 16"),
        ("y", 24, "no y 24 in `0.5`; it has 24, counted from 0"),
        ("x", 40, "no x 40 in `0.5`; it has 40, counted from 0"),
    ],
)
def test_units_that_are_not_there(column: str, value: int, told: str) -> None:
    net = deconvnet("average")
    recording = net.record(images_for("average"), ["0.5"])
    place = {"image": 0, "channel": 0, "y": 0, "x": 0, column: value}
    with pytest.raises(SelectionError) as refused:
        net.project(recording, Selection("0.5", **place))
    assert str(refused.value) == told


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
    for layer in ("share", "after"):  # it tells more than the product, which is refused too
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
    ("make", "below", "above", "told"),
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
    make: Callable[[], nn.Module], below: str, above: str, told: str
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
        with pytest.raises(UnsupportedOperationError, match=f"cannot undo {told}.*no rule"):
            net.project(recording, Selection(above, 0, 0, 0, 0), rule)


@pytest.mark.gpu
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("family", ["demo", "alexnet"])
def test_cuda_equals_the_cpu(family: str, rule: str) -> None:
    layer = FAMILIES[family][2][2]
    net = deconvnet(family)
    recording = net.record(images_for(family), [layer])
    units = some_units(recording, layer)
    there = Deconvnet(copy.deepcopy(network(family)).cuda(), FAMILIES[family][1])
    recorded = there.record(images_for(family).cuda(), [layer])
    projection = there.project(recorded, units, rule)
    assert projection.pixels.is_cuda
    assert projection.boxes.is_cuda
    truth = net.project(recording, units, rule).full()
    assert deviation(projection.full().cpu(), truth) < 1e-9
