"""Small networks with random weights, one of each family, for the engine's tests."""

import copy
from functools import cache

import torch
from torch import Tensor, nn

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
    "seed-cnn": (models.seed_cnn, (3, 32, 32), ("stage2.conv", "stage3.relu", "head.logits")),
    "average": (lambda: staged(nn.AdaptiveAvgPool2d(1)), (3, 24, 40), ("0.5", "2.3", "2.6", "5")),
    "maximum": (lambda: staged(nn.AdaptiveMaxPool2d(1)), (3, 32, 32), ("2.5", "5")),
    "odd": (odd, (2, 21, 26), ("2", "3", "7", "8", "10")),
    "vgg11": (
        lambda: thin_vgg(batch_norm=False),
        (3, 64, 64),
        ("features.9", "avgpool", "classifier.6"),
    ),
    "vgg11_bn": (lambda: thin_vgg(batch_norm=True), (3, 64, 64), ("features.13", "classifier.1")),
    "alexnet": (alexnet, (3, 96, 96), ("features.2", "features.11", "classifier.6")),
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
    "fcn": (fcn, (3, 64, 64), ("backbone.5.block.1.0", "classifier.4", "aux_classifier.4")),
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
