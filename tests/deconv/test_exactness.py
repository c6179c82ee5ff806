"""Projections are held to two oracles of their own, and to captum."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from deconvviz.deconv import Deconvnet, Recording, Selection
from tests import oracle
from tests.deconv.comparing import RULES, by_oracle, deviation, some_units
from tests.deconv.networks import FAMILIES, GRAPHS, SEVERAL, deconvnet, images_for, network
from tests.deconv.small_networks import Branches, Functional, Residual, Smooth, Varied

LAYERS = [(family, layer) for family, (_, _, layers) in FAMILIES.items() for layer in layers]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(("family", "layer"), LAYERS)
def test_equals_both_oracles(family: str, layer: str, dtype: torch.dtype) -> None:
    precise = dtype == torch.float64
    tolerance = 1e-10 if precise else 1e-5
    oracles = (oracle.autograd, oracle.plain) if precise else (oracle.plain,)
    model, images = network(family, dtype), images_for(family, dtype=dtype)
    net = deconvnet(family, dtype)
    recording = net.record(images, [layer])
    units = some_units(recording, layer)
    for rule in RULES:
        ours = net.project(recording, units, rule).full()
        for method in oracles:
            truth = by_oracle(method, model, images, units, rule)
            assert deviation(ours, truth) < tolerance, (rule, method)


# One family of each kind of structure in every run: residual sums, concatenation, channels-last
# maps, and gates with several outputs. The rest are slow to export.
EVERY_RUN = ("resnet", "densenet", "convnext", "lraspp")


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=[] if family in EVERY_RUN else pytest.mark.slow)
        for family in GRAPHS | SEVERAL
    ],
)
def test_torchvisions_families_equal_the_autograd_oracle(family: str) -> None:
    """An early, a middle and the last map, and a class.

    float32 is compared at the masks and switches of the float64 pass: those of a pass of its own
    may differ where an activation is zero but for rounding, which gives another projection.
    """
    net, single = deconvnet(family), deconvnet(family, torch.float32)
    for layer in (GRAPHS | SEVERAL)[family][2]:
        recording = net.record(images_for(family), [layer])
        rounded = in_float32(recording)
        units = some_units(recording, layer)
        for rule in RULES:
            truth = by_oracle(oracle.autograd, network(family), images_for(family), units, rule)
            ours = net.project(recording, units, rule).full()
            assert deviation(ours, truth) < 1e-10, (layer, rule)
            ours = single.project(rounded, units, rule).full()
            assert ours.dtype == torch.float32
            assert deviation(ours.double(), truth) < 1e-5, (layer, rule)


def in_float32(recording: Recording) -> Recording:
    """The same recording, its masks and switches as they are, its numbers rounded."""

    def rounded(held: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        if isinstance(held, tuple):
            return tuple(map(rounded, held))
        return held.float() if held.is_floating_point() else held

    saved = {name: rounded(held) for name, held in recording.saved.items()}
    activations = {name: maps.float() for name, maps in recording.activations.items()}
    return replace(recording, saved=saved, activations=activations)


@pytest.mark.parametrize("family", ["resnet", "densenet"])
def test_a_float32_pass_has_all_but_a_few_of_the_masks_and_switches(family: str) -> None:
    layer = GRAPHS[family][2][-1]
    images = images_for(family)
    double = deconvnet(family).record(images, [layer])
    single = deconvnet(family, torch.float32).record(images.float(), [layer])
    assert deviation(single[layer].double(), double[layer]) < 1e-5
    other = [(held != single.saved[name]).sum() for name, held in double.saved.items()]
    assert sum(other) <= 1e-5 * sum(held.numel() for held in double.saved.values())


@pytest.mark.slow
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
        pytest.param(
            "fasternet_t0",
            ("stages.1.blocks.0.mlp.0", "conv_head"),
            id="split maps",
        ),
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


def weight_normed() -> nn.Module:
    """Kernels that are computed from other weights whenever the model runs."""
    first, second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3)
    return nn.Sequential(weight_norm(first), nn.ReLU(), weight_norm(second))


def graph(make: Callable[[], nn.Module]) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = make().double().eval()
    if isinstance(model, Residual):
        nn.init.normal_(model.bn.weight)
        nn.init.normal_(model.bn.running_mean)
    return model, torch.randn(2, 3, 17, 20, dtype=torch.float64)


@pytest.mark.parametrize(
    ("make", "layers"),
    [
        (Functional, ["last"]),
        (Residual, ["last"]),
        (Branches, ["join", "last"]),
        (Smooth, ["11"]),
        (weight_normed, ["2"]),
    ],
)
def test_graphs_equal_the_autograd_oracle(make: Callable[[], nn.Module], layers: list[str]) -> None:
    model, images = graph(make)
    net = Deconvnet(model, (3, 16, 16))
    for layer in layers:
        recording = net.record(images, [layer])
        units = some_units(recording, layer)
        for rule in RULES:
            ours = net.project(recording, units, rule).full()
            assert deviation(ours, by_oracle(oracle.autograd, model, images, units, rule)) < 1e-10


def test_every_way_to_pad_pool_scale_and_gate_equals_the_autograd_oracle() -> None:
    """On pictures of five channels, not square, and of another size than traced."""
    torch.manual_seed(0)
    model = Varied().double().eval()
    net = Deconvnet(model, (5, 16, 20))
    images = torch.randn(3, 5, 19, 26, dtype=torch.float64)
    for layer in ("padded.5", "padded.7", "overlap", "deal", "up", "norm", "last"):
        recording = net.record(images, [layer])
        units = some_units(recording, layer)
        for rule in RULES:
            ours = net.project(recording, units, rule).full()
            truth = by_oracle(oracle.autograd, model, images, units, rule)
            assert deviation(ours, truth) < 1e-10, (layer, rule)


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
    ("family", "layer"),
    [
        pytest.param("googlenet", "inception3b.branch2.1.bn", marks=pytest.mark.slow),
        ("densenet", "classifier"),
    ],
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
