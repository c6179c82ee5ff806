"""The CNNs that the trainer makes."""

import pytest
import torch
from torch import nn

from deconvviz.deconv import Deconvnet, Selection
from deconvviz.errors import UnknownModelError
from deconvviz.models import MODELS, build, ddnet


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("channels", "classes", "size"), [(3, 10, 32), (1, 7, 64)])
def test_gives_one_logit_a_class(name, channels, classes, size):
    model = build(name, channels=channels, classes=classes, size=size)
    assert model(torch.zeros(2, channels, size, size)).shape == (2, classes)


def test_seed_cnn_is_the_one_described_with_128_maps_of_4x4():
    model = build("seed-cnn")
    assert [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)] == [32, 64, 128]
    assert model.stages(torch.zeros(1, 3, 32, 32)).shape == (1, 128, 4, 4)
    assert model.head.hidden.weight.shape == (512, 128 * 4 * 4)


@pytest.mark.parametrize("name", ["vgg", "fast"])
def test_global_pooling_takes_other_sizes_than_it_was_built_for(name):
    assert build(name).eval()(torch.zeros(1, 3, 48, 80)).shape == (1, 10)


@pytest.mark.parametrize("name", MODELS)
def test_stages_then_head_is_the_network_and_stages_keep_their_names(name):
    model = build(name).eval()
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(model.head(model.stages(images)), model(images))
    names = model.state_dict().keys()
    assert {n for n in names if not n.startswith("head.")} == model.stages.state_dict().keys()


@pytest.mark.parametrize("name", MODELS)
def test_only_zf_has_overlapping_pools_and_all_activations_are_relu(name):
    for module in build(name).modules():
        if isinstance(module, nn.MaxPool2d):
            assert (module.kernel_size > module.stride) == (name == "zf")
        elif not list(module.children()):
            known = nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU, nn.Linear, nn.Flatten
            assert isinstance(module, (*known, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d))


def test_an_unknown_name_is_told_what_there_is():
    with pytest.raises(
        UnknownModelError, match=r"no model `vg` .did you mean `vgg`.+seed-cnn, vgg, fast"
    ):
        build("vg")


@pytest.mark.parametrize(
    ("name", "widths", "hidden"),
    [
        ("plain", [32, 32, 64, 64, 128, 128], [256]),
        ("plain:32,32/64,64/128,128+256", [32, 32, 64, 64, 128, 128], [256]),
        ("plain:8", [8], []),
        ("plain:8//+16,4", [8], [16, 4]),
        ("plain:/8,9", [8, 9], []),
    ],
)
def test_plain_has_the_layers_of_its_name(name, widths, hidden):
    model = build(name, classes=7)
    assert [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)] == widths
    units = [m.out_features for m in model.modules() if isinstance(m, nn.Linear)]
    assert units == [*hidden, 7]
    pools = sum(isinstance(m, nn.MaxPool2d) for m in model.modules())
    assert pools == (3 if name == "plain" else name.count("/") + 1)
    assert model.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize(
    "name", ["plain:", "plain:/", "plain:+256", "plain:8,", "plain:0", "plain:99999", "plain:8+a"]
)
def test_plain_without_a_convolution_or_with_another_form_is_refused(name):
    with pytest.raises(UnknownModelError, match="no model `plain"):
        build(name)


def test_plain_cannot_pool_the_picture_away():
    assert build("plain:4////", size=32)
    with pytest.raises(UnknownModelError, match="pictures of 16 pixels"):
        build("plain:4////", size=16)


@pytest.mark.parametrize("size", [32, 64, 224])
def test_what_ddnet_classifies_is_a_picture_of_the_inputs_size(size):
    model = build("ddnet", size=size).eval()
    assert model.features_are_images
    back = model.stages(torch.zeros(1, 3, size, size))
    assert back.shape == (1, 3, size, size)
    assert model.head(back).shape == (1, 10)
    assert model.head.logits.in_features == 3 * 32 * 32


@pytest.mark.parametrize(("convolutions", "norm"), [(1, True), (2, False), (4, True)])
def test_ddnet_has_as_many_layers_back_as_down(convolutions, norm):
    model = ddnet(convolutions=convolutions, norm=norm)
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    layers = [name for name, m in model.named_modules() if isinstance(m, kinds)]
    assert sum(name.startswith("stage") for name in layers) == 3 * convolutions
    assert sum(name.startswith("back") for name in layers) == 3 * convolutions
    assert any(isinstance(m, nn.BatchNorm2d) for m in model.modules()) == norm
    assert not isinstance(list(model.back3.children())[-1], nn.ReLU)


def test_ddnet_refuses_a_side_that_cannot_be_halved_so_often():
    with pytest.raises(UnknownModelError, match="must be a multiple of 8"):
        build("ddnet", size=28)


def test_deconv_mnist_is_the_one_described():
    model = build("deconv-mnist", channels=1, size=28)
    assert model.stage1.up(torch.zeros(1, 32, 28, 28)).shape == (1, 32, 56, 56)
    assert model.stages(torch.zeros(2, 1, 28, 28)).shape == (2, 32, 28, 28)
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize(("name", "kernel", "pairs"), [(":kernel=5", 5, 1), (":pairs=2", 3, 2)])
def test_deconv_mnist_of_other_kernels_and_pairs(name, kernel, pairs):
    model = build(f"deconv-mnist{name}", channels=1, size=28)
    weights = 32 * kernel**2 * (1 + 32) + 2 * 32
    weights += (pairs - 1) * (32 * kernel**2 * 2 * 32 + 2 * 32)
    assert sum(p.numel() for p in model.stages.parameters()) == weights
    assert model.stages(torch.zeros(2, 1, 28, 28)).shape == (2, 32, 28, 28)


@pytest.mark.parametrize("name", ["ddnet", "deconv-mnist"])
def test_transposed_convolutions_are_undone_too(name):
    model = build(name, size=32, channels=1).eval()
    net = Deconvnet(model, (1, 32, 32))
    assert not net.coverage.unsupported
    recording = net.record(torch.randn(1, 1, 32, 32), ["head.logits"])
    projection = net.project(recording, Selection("head.logits", 0, [0, 1], 0, 0), "gradient")
    assert projection.full().shape == (2, 1, 32, 32)
    assert projection.pixels.abs().sum() > 0


def test_vggs_first_kernels_and_pools_are_options():
    usual, other = build("vgg:4,8"), build("vgg:4,8:first=7:pool=overlap")
    assert usual.stage1.conv1.kernel_size == (3, 3)
    assert other.stage1.conv1.kernel_size == (7, 7)
    assert other.stage2.conv1.kernel_size == (3, 3)
    images = torch.rand(2, 3, 32, 32)
    assert other.stages(images).shape == usual.stages(images).shape == (2, 8, 8, 8)
    maps = torch.randn(1, 8, 16, 16)
    expected = torch.nn.functional.max_pool2d(maps, 3, 2, padding=1)
    assert torch.equal(other.stage2.pool(maps), expected)


def test_stages_of_vgg_and_fast_are_as_wide_as_their_names_say():
    for name in ("vgg", "fast"):
        model = build(f"{name}:8,16")
        assert [len(stage.bn2.weight) for stage in (model.stage1, model.stage2)] == [8, 16]
        assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    with pytest.raises(UnknownModelError, match="no model `vgg:8,`"):
        build("vgg:8,")


def test_plain_differs_in_kernel_pool_and_head_where_its_name_says():
    model = build("plain:8,8/16+32:kernel=5:pool=mean:head=mean").eval()
    assert {m.kernel_size for m in model.modules() if isinstance(m, nn.Conv2d)} == {(5, 5)}
    assert isinstance(model.stage1.pool, nn.AvgPool2d)
    assert not any(isinstance(m, nn.MaxPool2d) for m in model.modules())
    assert model.head.hidden1.in_features == 16
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    for wrong in ("plain:8:kernel=4", "plain:8:pool=min", "plain:8:head=mean:pool=max"):
        with pytest.raises(UnknownModelError, match="no model `plain"):
            build(wrong)


def test_the_tutorials_network_has_the_layers_that_the_tutorial_has():
    model = build("tutorial-cnn")
    # a bias each: 3x3x3x32, 3x3x32x64, 6x6x64x64, 64x10
    sizes = [896, 18_496, 147_520, 650]
    assert sum(p.numel() for p in model.parameters()) == sum(sizes)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
