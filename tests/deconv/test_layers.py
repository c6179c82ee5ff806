import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.deconv import Deconvnet, Layer
from deconvviz.deconv.layers import unknown_layer
from tests import oracle
from tests.deconv.networks import FAMILIES, deconvnet, network
from tests.deconv.small_networks import Branches, Functional, Residual


def test_modules_have_their_paths_in_the_order_of_execution() -> None:
    net = deconvnet("seed-cnn")
    assert list(net.layers) == [
        "stage1.conv",
        "stage1.relu",
        "stage1.pool",
        "stage1",
        "stage2.conv",
        "stage2.relu",
        "stage2.pool",
        "stage2",
        "stage3.conv",
        "stage3.relu",
        "stage3.pool",
        "stage3",
        "head.flatten",
        "head.hidden",
        "head.relu",
        "head.logits",
        "head",
    ]
    assert net.layers["stage3"] == net.layers["stage3.pool"]
    assert net.layers["stage2.relu"] == Layer(64, (16, 16), (2, 2), (8, 8), (-3, -3))
    assert net.layers["head.hidden"] == Layer(512, (1, 1), (0, 0), (32, 32), (0, 0))


@pytest.mark.parametrize(
    ("layer", "printed"),
    [
        (
            Layer(64, (16, 16), (2, 2), (10, 10), (-3, -3)),
            "Layer(64 maps of 16 x 16, each unit sees 10 x 10 pixels, stride 2)",
        ),
        (
            Layer(1, (9, 20), (2, 1), (8, 4), (0, 0)),
            "Layer(1 map of 9 x 20, each unit sees 8 x 4 pixels, stride 2 x 1)",
        ),
        (
            Layer(8, (4, 4), (0, 0), (32, 32), (0, 0)),
            "Layer(8 maps of 4 x 4, each unit sees the whole picture)",
        ),
        (
            Layer(10, (1, 1), (0, 0), (32, 32), (0, 0)),
            "Layer(10 units, each sees the whole picture)",
        ),
    ],
)
def test_a_layer_prints_in_one_line(layer: Layer, printed: str) -> None:
    assert repr(layer) == f"Layer({layer})" == printed


@pytest.mark.parametrize(
    ("family", "default"),
    [
        ("seed-cnn", ("stage1.relu", "stage2.relu", "stage3.relu")),
        ("demo", tuple(f"stage{s}.relu{r}" for s in (1, 2, 3) for r in (1, 2))),
        ("average", ("0.2", "0.5", "1.2", "1.5", "2.2", "2.5")),
        ("alexnet", tuple(f"features.{i}" for i in (1, 4, 7, 9, 11))),
        ("vgg11", tuple(f"features.{i}" for i in (1, 4, 7, 9, 12, 14, 17, 19))),
    ],
)
def test_default_layers_are_the_rectified_maps(family: str, default: tuple[str, ...]) -> None:
    assert deconvnet(family).default_layers == default


def test_functional_and_shared_activations_are_counted() -> None:
    net = Deconvnet(Functional(), (3, 16, 16))
    names = ["conv1", "relu@3", "conv2", "relu", "conv3", "relu@4", "relu@2", "last"]
    assert list(net.layers) == names
    assert net.default_layers == ("relu@3", "relu", "relu@4")


def test_the_default_after_a_residual_convolution_is_none_before_another() -> None:
    assert Deconvnet(Residual(), (3, 16, 16)).default_layers == ("relu",)
    assert Deconvnet(Branches(), (3, 16, 16)).default_layers == ("relu", "relu@2")


def test_each_default_layer_knows_its_convolution_and_the_norm_between() -> None:
    convolved = deconvnet("demo").convolutions
    names = [(c.convolution, c.norm) for c in convolved.values()]
    wanted = [(f"stage{s}.conv{i}", f"stage{s}.bn{i}") for s in (1, 2, 3) for i in (1, 2)]
    assert names == wanted
    alone = [(c.convolution, c.norm) for c in deconvnet("alexnet").convolutions.values()]
    assert alone == [(f"features.{i}", None) for i in (0, 3, 6, 8, 10)]
    functional_only = deconvnet("densenet").convolutions
    first = functional_only["features.relu0"]
    assert (first.convolution, first.norm) == ("features.conv0", "features.norm0")


class Blocks(nn.Module):
    """One block called twice, with a functional activation at its end."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return functional.relu(self.conv(x))

    def __init__(self) -> None:
        super().__init__()
        self.block = self.Block()

    def forward(self, x: Tensor) -> Tensor:
        return self.block(self.block(x)).mean([2, 3])


def test_a_shared_block_names_what_is_inside_it_once_a_call() -> None:
    net = Deconvnet(Blocks(), (3, 16, 16))
    first = ["block.conv", "block.relu@1", "block"]
    assert list(net.layers) == [*first, "block.conv@2", "block@2.relu@1", "block@2"]
    assert net.default_layers == ("block.relu@1", "block@2.relu@1")
    assert net.layers["block@2"].receptive_field == (5, 5)


@pytest.mark.parametrize("family", ["seed-cnn", "average", "odd", "alexnet"])
def test_receptive_fields_hold_all_that_a_unit_sees(family: str) -> None:
    """Outside its receptive field no pixel has a gradient; at its edges some do."""
    size, net = FAMILIES[family][1], deconvnet(family)
    images = torch.rand(1, *size, dtype=torch.float64, requires_grad=True)
    value: Tensor = images
    for name, module in oracle.leaves(network(family)):
        value = smooth(module)(value)
        if name not in net.default_layers:
            continue
        layer = net.layers[name]
        y, x = layer.size[0] // 2, layer.size[1] // 2
        (seen,) = torch.autograd.grad(value[0, :, y, x].sum(), images, retain_graph=True)
        places = (seen[0].abs().sum(0) > 0).nonzero().T
        for axis, unit in enumerate((y, x)):
            first = unit * layer.stride[axis] + layer.offset[axis]
            last = first + layer.receptive_field[axis] - 1
            assert places[axis].min() == max(first, 0)
            assert places[axis].max() == min(last, size[axis + 1] - 1)
        if name == net.default_layers[-1]:
            break


def smooth(module: nn.Module) -> nn.Module:
    """What sees the same, and gives every position that it sees a gradient."""
    if isinstance(module, nn.ReLU):
        return nn.Softplus()
    if isinstance(module, nn.MaxPool2d):
        sides = (module.kernel_size, module.stride, module.padding, module.ceil_mode)
        return nn.AvgPool2d(*sides)
    return module


def test_the_error_for_an_unknown_layer_has_the_names_that_exist() -> None:
    few, many = ["conv1", "conv2"], [f"stage{i}.conv" for i in range(40)]
    assert str(unknown_layer("conv6", few, "this model")) == (
        "no layer `conv6`; this model has conv1, conv2"
    )
    assert "40 layers, the closest stage3.conv" in str(unknown_layer("stage3.con", many, "it"))
    assert "40 layers, the first stage0.conv, " in str(unknown_layer("zzz", many, "it"))
    assert "it has no layers" in str(unknown_layer("zzz", [], "it"))


class Aside(nn.Module):
    """Its last operation is not its output, which a later one reads."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.side = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        y = self.main(x).relu()
        self.kept = self.side(y).tanh()
        return y


class WithAside(nn.Module):
    """A container that computes more after its output, one that returns it twice, one nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block, self.again = nn.Conv2d(3, 4, 3), Aside(), Aside()
        self.last = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(self.stem(x))
        z = self.again(y)
        return self.last(z + self.block.kept + self.again.kept)


@pytest.mark.filterwarnings("ignore:The tensor attribute .* was assigned during export:UserWarning")
def test_a_container_is_what_it_returns_and_not_its_last_operation() -> None:
    model, images = WithAside().double().eval(), torch.randn(2, 3, 9, 8, dtype=torch.float64)
    held: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda _m, _i, value, name=name: held.update({name: value}))
    net = Deconvnet(model, (3, 9, 8))
    assert net.checked.left_out == ""
    recording = net.record(images, list(net.layers))
    held.clear()
    model(images)
    for name in ("block", "again", "block.side", "last"):
        torch.testing.assert_close(recording[name], held[name].detach(), rtol=0, atol=1e-12)
    assert net.verify(["block", "again"], dtype=torch.float64).passed


def test_the_nearest_unit_is_the_one_whose_window_has_its_centre_there():
    model = nn.Sequential(nn.Conv2d(3, 2, 5, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2))
    layer = Deconvnet(model.eval(), (3, 31, 23)).layers["2"]
    height, width = layer.size
    centres = [
        (
            layer.offset[0] + y * layer.stride[0] + (layer.receptive_field[0] - 1) / 2,
            layer.offset[1] + x * layer.stride[1] + (layer.receptive_field[1] - 1) / 2,
        )
        for y in range(height)
        for x in range(width)
    ]
    for row in range(31):
        for column in range(23):
            y, x = layer.nearest((row, column), layer.size, (31, 23))
            gaps = [(row - a) ** 2 + (column - b) ** 2 for a, b in centres]
            assert gaps[y * width + x] == min(gaps)


def test_units_that_see_all_are_spread_evenly_over_the_picture():
    one = Layer(4, (1, 1), (0, 0), (9, 9), (0, 0))
    assert one.nearest((8, 0), (1, 1), (9, 9)) == (0, 0)
    assert one.centre((0, 0), (1, 1), (9, 9)) == (4, 4)
    four = Layer(4, (4, 4), (0, 0), (8, 8), (0, 0))
    assert [four.nearest((row, 7), (4, 4), (8, 8)) for row in (0, 2, 5, 7)] == [
        (0, 3),
        (1, 3),
        (2, 3),
        (3, 3),
    ]
