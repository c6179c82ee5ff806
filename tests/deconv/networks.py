"""Small networks with random weights, one of each family, for the engine's tests."""

import copy
import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz import models
from deconvviz.deconv import Deconvnet


def stage(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def staged(pool: nn.Module) -> nn.Module:
    stages = (stage(3, 16), stage(16, 32), stage(32, 64))
    return nn.Sequential(*stages, pool, nn.Flatten(), nn.Linear(64, 10))


def odd() -> nn.Module:
    """Strides, dilation, groups, padded and ceil-mode pooling, no square anywhere."""
    return nn.Sequential(
        nn.Conv2d(2, 8, (5, 3), stride=(2, 1), padding=(1, 0)),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
        nn.Conv2d(8, 12, 3, padding=2, dilation=(2, 1), groups=4),
        nn.ReLU(),
        nn.MaxPool2d((3, 2), stride=(1, 2)),
        nn.Conv2d(12, 6, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d((2, 3)),
        nn.Flatten(),
        nn.Linear(36, 5),
    )


def thin_vgg(batch_norm: bool) -> nn.Module:
    """torchvision's VGG11 at an eighth of its width."""
    from torchvision.models.vgg import VGG, make_layers

    plan = [8, "M", 16, "M", 32, 32, "M", 64, 64, "M", 64, 64, "M"]
    model = VGG(make_layers(plan, batch_norm), num_classes=10, init_weights=False)
    return with_narrow_classifier(model, 64 * 49)


def with_narrow_classifier(model: nn.Module, inputs: int) -> nn.Module:
    """Other widths for the linear layers of torchvision's classifiers, which are slow."""
    widths = iter([32, 32, 10])
    for place, module in enumerate(model.classifier):
        if isinstance(module, nn.Linear):
            outputs = next(widths)
            model.classifier[place] = nn.Linear(inputs, outputs)
            inputs = outputs
    return model


def alexnet() -> nn.Module:
    from torchvision.models import alexnet

    return with_narrow_classifier(alexnet(weights=None), 256 * 36)


# Name -> how to make it, input size, and an early, a middle and the last map, and a linear layer.
FAMILIES = {
    "demo": (
        lambda: models.build("vgg"),
        (3, 32, 32),
        ("stage1.relu1", "stage3.conv2", "head.logits"),
    ),
    "seed-cnn": (
        models.seed_cnn,
        (3, 32, 32),
        ("stage2.conv", "stage3.relu", "head.logits"),
    ),
    "average": (
        lambda: staged(nn.AdaptiveAvgPool2d(1)),
        (3, 24, 40),
        ("0.5", "2.3", "2.6", "5"),
    ),
    "maximum": (lambda: staged(nn.AdaptiveMaxPool2d(1)), (3, 32, 32), ("2.5", "5")),
    "odd": (odd, (2, 21, 26), ("2", "3", "7", "8", "10")),
    "vgg11": (
        lambda: thin_vgg(batch_norm=False),
        (3, 64, 64),
        ("features.9", "avgpool", "classifier.6"),
    ),
    "vgg11_bn": (
        lambda: thin_vgg(batch_norm=True),
        (3, 64, 64),
        ("features.13", "classifier.1"),
    ),
    "alexnet": (
        alexnet,
        (3, 96, 96),
        ("features.2", "features.11", "classifier.6"),
    ),
}


# --- torchvision's families that are no sequence, as small as their constructors allow ------------


def resnet(block: str, **widths: int) -> nn.Module:
    from torchvision.models import resnet

    return resnet.ResNet(getattr(resnet, block), [1, 2, 1, 1], num_classes=10, **widths)


def densenet() -> nn.Module:
    from torchvision.models import DenseNet

    return DenseNet(8, (2, 2, 3), 16, num_classes=10)


def inverted_residuals(name: str) -> nn.Module:
    """EfficientNet and its second version, two stages each."""
    from torchvision.models.efficientnet import EfficientNet, FusedMBConvConfig, MBConvConfig

    first = FusedMBConvConfig if name == "v2" else MBConvConfig
    stages = [first(2, 3, 1, 8, 8, 2), MBConvConfig(3, 5, 2, 8, 16, 2)]
    return EfficientNet(stages, dropout=0.1, num_classes=10, last_channel=32)


def regnet(squeeze: float | None) -> nn.Module:
    from torchvision.models.regnet import BlockParams, RegNet

    params = BlockParams([1, 2], [16, 32], [8, 8], [1.0, 1.0], [2, 2], squeeze)
    return RegNet(params, num_classes=10, stem_width=8)


def convnext() -> nn.Module:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    stages = [CNBlockConfig(8, 16, 2), CNBlockConfig(16, None, 1)]
    return ConvNeXt(stages, layer_scale=1.0, num_classes=10)


def of_zoo(name: str, **options: object) -> nn.Module:
    from torchvision.models import get_model

    return get_model(name, weights=None, num_classes=10, **options)


GRAPHS = {
    "resnet": (
        lambda: resnet("BasicBlock"),
        (3, 64, 64),
        ("layer1.0.bn1", "layer2.1.bn2", "layer4.0", "fc"),
    ),
    "resnext": (
        lambda: resnet("Bottleneck", groups=4, width_per_group=16),
        (3, 64, 64),
        ("layer1.0.conv2", "layer2.0", "layer4.0.conv3", "fc"),
    ),
    "wide_resnet": (
        lambda: resnet("Bottleneck", width_per_group=96),
        (3, 64, 64),
        ("layer1.0.conv2", "layer2.0", "layer4.0.conv3", "fc"),
    ),
    "densenet": (
        densenet,
        (3, 64, 64),
        (
            "features.relu0",
            "features.denseblock2.denselayer2.conv2",
            "features.norm5",
            "classifier",
        ),
    ),
    "googlenet": (
        lambda: of_zoo("googlenet", init_weights=False, aux_logits=False),
        (3, 64, 64),
        ("conv2.bn", "inception3b.branch2.1.bn", "inception5b", "fc"),
    ),
    "inception_v3": (
        lambda: of_zoo("inception_v3", init_weights=False, aux_logits=False),
        (3, 96, 96),
        ("Conv2d_2a_3x3.bn", "Mixed_6a", "Mixed_7c.branch_pool.bn", "fc"),
    ),
    "squeezenet": (
        lambda: of_zoo("squeezenet1_1"),
        (3, 64, 64),
        ("features.1", "features.6.expand3x3", "classifier.1", "classifier.3"),
    ),
    "mobilenet_v2": (
        lambda: of_zoo("mobilenet_v2", width_mult=0.25),
        (3, 64, 64),
        ("features.0.2", "features.3.conv.1.1", "features.18.0", "classifier.1"),
    ),
    "mobilenet_v3": (
        lambda: of_zoo("mobilenet_v3_small", width_mult=0.5),
        (3, 64, 64),
        ("features.0.2", "features.5.block.1.2", "features.12.0", "classifier.3"),
    ),
    "mnasnet": (
        lambda: of_zoo("mnasnet0_5"),
        (3, 64, 64),
        ("layers.2", "layers.9.1.layers.3", "layers.14", "classifier.1"),
    ),
    "shufflenet_v2": (
        lambda: of_zoo("shufflenet_v2_x0_5"),
        (3, 64, 64),
        ("conv1.2", "stage3.1", "conv5.0", "fc"),
    ),
    "efficientnet": (
        lambda: inverted_residuals("v1"),
        (3, 64, 64),
        ("features.0.2", "features.1.1.block.1", "features.3.0", "classifier.1"),
    ),
    "efficientnet_v2": (
        lambda: inverted_residuals("v2"),
        (3, 64, 64),
        ("features.0.2", "features.2.1.block.1", "features.3.0", "classifier.1"),
    ),
    "regnet_x": (
        lambda: regnet(None),
        (3, 64, 64),
        ("stem.2", "trunk_output.block2.block2-0.f.b", "trunk_output.block2", "fc"),
    ),
    "regnet_y": (
        lambda: regnet(0.25),
        (3, 64, 64),
        ("stem.2", "trunk_output.block2.block2-0.f.se", "trunk_output.block2", "fc"),
    ),
    "convnext": (
        convnext,
        (3, 64, 64),
        ("features.1.0.block.0", "features.1.1.block.4", "features.3.0", "classifier.2"),
    ),
}


# --- and those that give several outputs: segmenters, and the pyramid of a detector ---------------


def features_of(outputs: dict[str, str]) -> nn.Module:
    """A MobileNetV3 that gives some of its stages: their name -> how each output is called."""
    from torchvision.models._utils import IntermediateLayerGetter

    return IntermediateLayerGetter(of_zoo("mobilenet_v3_small", width_mult=0.5).features, outputs)


def fcn() -> nn.Module:
    from torchvision.models.segmentation.fcn import FCN, FCNHead

    return FCN(features_of({"8": "aux", "12": "out"}), FCNHead(288, 5), FCNHead(24, 5))


def deeplab() -> nn.Module:
    from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3

    return DeepLabV3(features_of({"12": "out"}), DeepLabHead(288, 5, (2, 3)))


def lraspp() -> nn.Module:
    from torchvision.models.segmentation import LRASPP

    return LRASPP(features_of({"3": "low", "12": "high"}), 16, 288, 5)


def pyramid() -> nn.Module:
    from torchvision.models.detection.backbone_utils import BackboneWithFPN

    features = of_zoo("mobilenet_v3_small", width_mult=0.5).features
    return BackboneWithFPN(features, {"3": "0", "8": "1"}, [16, 24], 8)


SEVERAL = {
    "fcn": (
        fcn,
        (3, 64, 64),
        ("backbone.5.block.1.0", "classifier.4", "aux_classifier.4"),
    ),
    "deeplab": (deeplab, (3, 64, 64), ("backbone.5.block.1.0", "classifier.4")),
    "lraspp": (
        lraspp,
        (3, 64, 64),
        ("backbone.5.block.1.0", "classifier.high_classifier", "classifier"),
    ),
    "pyramid": (
        pyramid,
        (3, 64, 64),
        ("body.5.block.1.0", "fpn.inner_blocks.0.0", "fpn.layer_blocks.0.0"),
    ),
}


_ALL = FAMILIES | GRAPHS | SEVERAL


@cache
def network(family: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """One network of a family, in evaluation mode, with statistics that are no identity."""
    if dtype != torch.float64:
        return copy.deepcopy(network(family)).to(dtype)
    torch.manual_seed(0)
    model = _ALL[family][0]().double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.3, 2)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
    return model


def images_for(family: str, count: int = 2, dtype: torch.dtype = torch.float64) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(count, *_ALL[family][1], dtype=dtype)


@cache
def deconvnet(family: str, dtype: torch.dtype = torch.float64) -> Deconvnet:
    """Its deconvnet, traced once for all tests."""
    if dtype != torch.float64:
        return deconvnet(family).with_model(network(family, dtype))
    return Deconvnet(network(family), _ALL[family][1])


class Plain(nn.Module):
    """A model from a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Functional(nn.Module):
    """One ReLU module and functional ones, in place and not, with functional pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.conv3 = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 4, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = self.relu(self.conv2(x))
        x = self.conv3(x).relu_()
        x = self.relu(x * 2 - 0.5)
        return self.last(x)


class Residual(nn.Module):
    """A residual sum, in place, whose ReLU's input has a second reader: h + f(relu(h))."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.bn(self.conv1(x))
        out = self.conv2(self.relu(h))
        out += h
        return self.last(out)


class Smooth(nn.Sequential):
    """Activations of which the paper says nothing."""

    def __init__(self) -> None:
        kinds = (nn.GELU(), nn.SiLU(), nn.Hardswish(), nn.LeakyReLU(0.2), nn.ELU(), nn.ReLU6())
        pairs = [
            (nn.Conv2d(c, 6, 3, padding=1), f) for c, f in zip((3, *[6] * 5), kinds, strict=True)
        ]
        super().__init__(*[module for pair in pairs for module in pair])


class Branches(nn.Module):
    """Parallel branches that share one ReLU, of different reach, put side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(3, 4, 1, stride=2)
        self.wide = nn.Conv2d(3, 4, 5, stride=2, padding=2)
        self.relu = nn.ReLU()
        self.join = nn.Conv2d(12, 6, 3)
        self.last = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        narrow, wide = self.narrow(x), self.wide(x)
        narrow, wide = self.relu(narrow), self.relu(wide)
        pooled = functional.avg_pool2d(functional.pad(wide, (1, 1, 1, 1)), 3, stride=1)
        return self.last(self.join(torch.cat([narrow, wide, pooled - narrow], dim=1)))


class Varied(nn.Module):
    """Every way to pad, to pool with overlaps, to deal channels out, to scale up and to gate."""

    def __init__(self) -> None:
        super().__init__()
        padded: list[nn.Module] = []
        for mode, inputs in (("zeros", 5), ("reflect", 8), ("replicate", 8), ("circular", 8)):
            padded += [nn.Conv2d(inputs, 8, 3, padding=(1, 2), padding_mode=mode), nn.ReLU()]
        self.padded = nn.Sequential(*padded)
        self.overlap = nn.MaxPool2d(3, 2, padding=1, ceil_mode=True)
        self.mean = nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False)
        self.deal = nn.ChannelShuffle(4)
        self.gate = nn.Conv2d(8, 8, 1)
        self.slope = nn.PReLU(8)
        self.up = nn.ConvTranspose2d(
            8, 8, 3, stride=2, padding=1, output_padding=(1, 0), dilation=2, groups=2
        )
        self.norm = nn.InstanceNorm2d(8, affine=True)
        self.tiles = nn.PixelShuffle(2)
        self.last = nn.Conv2d(2, 3, 3, padding="same")

    def forward(self, x: Tensor) -> Tensor:
        x = self.padded(x)
        a, b = torch.cat([self.overlap(x), self.mean(x)], dim=1).split([8, 8], dim=1)
        x = self.deal(a) * torch.sigmoid(self.gate(b)) + 1 - b[:, :8, :, :]
        x = self.norm(functional.threshold(self.up(self.slope(x)), 0, 0))
        x = functional.interpolate(x, size=(24, 31), mode="nearest-exact")
        return self.last(self.tiles(functional.hardsigmoid(x.mean((2, 3), keepdim=True)) * x))


class SamePadding(nn.Conv2d):
    """A convolution with TensorFlow's padding, which depends on the size of what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = (
            (need // 2, need - need // 2)
            for size, kernel, stride in zip(x.shape[2:], self.kernel_size, self.stride, strict=True)
            for need in (max((math.ceil(size / stride) - 1) * stride + kernel - size, 0),)
        )
        return super().forward(functional.pad(x, (left, right, top, bottom)))


class EvenHeights(nn.Module):
    """Takes two ways: pictures of odd height get a row more."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] % 2:
            x = functional.pad(x, (0, 0, 0, 1), value=1)
        return self.relu(self.conv(x))
