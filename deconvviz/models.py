"""The CNNs that the trainer makes: a few lines each, named stages, a registry.

Every network is a `StagedCNN`: convolutional stages one after the other, then a `head` that
classifies. ReLU and max pooling throughout, as in the paper; only `zf`'s pools overlap.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from torch import Tensor, nn

from deconvviz.errors import UnknownModelError

__all__ = [
    "MODELS",
    "StagedCNN",
    "build",
    "ddnet",
    "deconv_mnist",
    "fast",
    "plain",
    "seed_cnn",
    "tutorial_cnn",
    "vgg",
    "zf",
]


class StagedCNN(nn.Sequential):
    """Stages one after the other, then `head`: (N, C, H, W) -> logits (N, classes).

    A `stem`, where there is one, comes before the stages and pools nothing. Steps `back`, where
    there are some, come after them and each double it, up to a picture of the input's form: the
    network's features are then what comes back, and the head classifies that.
    """

    head: nn.Module

    def __init__(
        self,
        stages: list[nn.Module],
        head: nn.Module,
        stem: nn.Module | None = None,
        back: Sequence[nn.Module] = (),
    ) -> None:
        named = [(f"stage{i}", stage) for i, stage in enumerate(stages, 1)]
        named += [(f"back{i}", step) for i, step in enumerate(back, 1)]
        first = [] if stem is None else [("stem", stem)]
        super().__init__(OrderedDict([*first, *named, ("head", head)]))
        self.features_are_images = bool(back)

    @property
    def stages(self) -> nn.Sequential:
        """The network without its head, sharing its parameters; names stay the same."""
        return nn.Sequential(OrderedDict(list(self.named_children())[:-1]))

    def features(self, images: Tensor) -> Tensor:
        """What the last stage, or the last step back, gives: (N, C, h, w)."""
        features: Tensor = self.stages(images)
        return features


def _named(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


def seed_cnn(channels: int = 3, classes: int = 10, size: int = 32) -> StagedCNN:
    """Three convolutions 32-64-128, each halved by pooling, then 512 hidden units.

    At 32x32 three poolings leave 128 maps of 4x4. `size` is the side of the pictures it takes.
    """
    widths = (32, 64, 128)
    stages: list[nn.Module] = [
        _named(conv=nn.Conv2d(c, w, 3, padding=1), relu=nn.ReLU(), pool=nn.MaxPool2d(2))
        for c, w in zip((channels, *widths), widths, strict=False)
    ]
    head = _named(
        flatten=nn.Flatten(),
        hidden=nn.Linear(widths[-1] * (size // 8) ** 2, 512),
        relu=nn.ReLU(),
        logits=nn.Linear(512, classes),
    )
    return StagedCNN(stages, head)


def vgg(
    channels: int = 3,
    classes: int = 10,
    size: int = 32,  # noqa: ARG001  global pooling makes it free; the registry passes it to all
    widths: tuple[int, ...] = (64, 224, 256),
) -> StagedCNN:
    """Two 3x3 convolutions a stage with BatchNorm and a pool; the mean of the last maps decides.

    After Simonyan & Zisserman (2015), arXiv:1409.1556, at the size of CIFAR-10. Where a stage
    widens, its second convolution does, and pooling follows at once, before BatchNorm: more maps at
    every size for the same work. It takes pictures of any size from 8x8.
    """
    stages: list[nn.Module] = [
        _named(
            conv1=nn.Conv2d(c, middle, 3, padding=1, bias=False),
            bn1=nn.BatchNorm2d(middle),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(middle, w, 3, padding=1, bias=False),
            pool=nn.MaxPool2d(2),
            bn2=nn.BatchNorm2d(w),
            relu2=nn.ReLU(),
        )
        for c, middle, w in zip(
            (channels, *widths), (widths[0] // 2, *widths), widths, strict=False
        )
    ]
    head = _named(
        pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), logits=nn.Linear(widths[-1], classes)
    )
    return StagedCNN(stages, head)


def fast(
    channels: int = 3,
    classes: int = 10,
    size: int = 32,  # noqa: ARG001  global pooling makes it free; the registry passes it to all
    widths: tuple[int, ...] = (64, 192, 256),
) -> StagedCNN:
    """A stem and stages of two 3x3 convolutions with BatchNorm; the last maps' maxima decide.

    After the network of Jordan (2024), arXiv:2404.00498, with ReLU for GELU: a stage pools right
    after its first convolution, the one that widens, which gives more maps at every size for the
    same work. The stem has no padding: maps of 30, 15, 7 and 3 pixels for 32, 16, 8 and 4 save a
    fifth of the work. It takes pictures of any size from 10x10.
    """
    thin = widths[0] // 2
    stem = _named(
        conv=nn.Conv2d(channels, thin, 3, bias=False),
        bn=nn.BatchNorm2d(thin),
        relu=nn.ReLU(),
    )
    stages: list[nn.Module] = [
        _named(
            conv1=nn.Conv2d(c, w, 3, padding=1, bias=False),
            pool=nn.MaxPool2d(2),
            bn1=nn.BatchNorm2d(w),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(w, w, 3, padding=1, bias=False),
            bn2=nn.BatchNorm2d(w),
            relu2=nn.ReLU(),
        )
        for c, w in zip((thin, *widths), widths, strict=False)
    ]
    head = _named(
        pool=nn.AdaptiveMaxPool2d(1), flatten=nn.Flatten(), logits=nn.Linear(widths[-1], classes)
    )
    return StagedCNN(stages, head, stem)


def plain(
    channels: int = 3,
    classes: int = 10,
    size: int = 32,
    stages: Sequence[Sequence[int]] = ((32, 32), (64, 64), (128, 128)),
    hidden: Sequence[int] = (256,),
    kernel: int = 3,
    pool: str = "max",
    head: str = "maps",
) -> StagedCNN:
    """Convolutions with BatchNorm, a pool after each stage, then hidden layers: any of each.

    The network for ablations, which take away and resize its layers. By name, `plain:32,32/64+256`
    has two stages, of two convolutions and of one, and 256 hidden units; a stage without
    convolutions, as in `plain:32,32/+256`, only pools. `plain:32/64:kernel=5:pool=mean:head=mean`
    differs in all that can.

    Args:
        channels: Of the pictures.
        classes: How many logits.
        size: The pictures' side.
        stages: The widths of each stage's convolutions.
        hidden: The widths of the hidden layers.
        kernel: The convolutions' side, an odd number.
        pool: "max", which a deconvnet undoes by its switches, or "mean".
        head: What the first dense layer sees: all of the last "maps", or the "mean" of each.

    Raises:
        UnknownModelError: There is no convolution, or the pools leave nothing of the picture.
    """
    side = size >> len(stages)
    if not any(stages) or not side:
        raise UnknownModelError(
            f"no model `plain` of {len(stages)} stages and {sum(map(len, stages))} convolutions "
            f"for pictures of {size} pixels; it needs a convolution, and a pixel that is left"
        )
    made: list[nn.Module] = []
    for widths in stages:
        layers = OrderedDict[str, nn.Module]()
        for i, width in enumerate(widths, 1):
            layers[f"conv{i}"] = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False)
            layers[f"bn{i}"] = nn.BatchNorm2d(width)
            layers[f"relu{i}"] = nn.ReLU()
            channels = width
        made.append(_named(**layers, pool=nn.AvgPool2d(2) if pool == "mean" else nn.MaxPool2d(2)))
    top = OrderedDict[str, nn.Module]()
    if head == "mean":
        top["pool"], side = nn.AdaptiveAvgPool2d(1), 1
    top["flatten"] = nn.Flatten()
    units = channels * side**2
    for i, width in enumerate(hidden, 1):
        top |= {f"hidden{i}": nn.Linear(units, width), f"relu{i}": nn.ReLU()}
        units = width
    return StagedCNN(made, _named(**top, logits=nn.Linear(units, classes)))


def zf(
    channels: int = 3,
    classes: int = 10,
    size: int = 128,
    widths: tuple[int, ...] = (48, 96, 160, 256),
) -> StagedCNN:
    """The design of Zeiler & Fergus (2014), arXiv:1311.2901, for pictures of 64 to 224 pixels.

    As there, the first kernels are 7x7 with a stride of 2, the second ones 5x5, all later ones 3x3,
    and 3x3 pools overlap. BatchNorm replaces contrast normalisation, and the mean of the last maps
    replaces the hidden layers: 1.5 million parameters. Units see 7, 27, 51, 67, 115 and 147 pixels.

    Args:
        channels: Input channels.
        classes: Number of logits.
        size: Side of the pictures, at least 16 pixels; any size works afterwards.
        widths: Channels of the four stages.

    Raises:
        UnknownModelError: There are not four widths, or the pictures are too small.
    """
    if len(widths) != 4 or size < 16:
        raise UnknownModelError(
            f"`zf` needs 4 widths and pictures of 16 pixels or more, got {len(widths)} and {size}"
        )
    first, second, third, fourth = widths
    stages: list[nn.Module] = [
        _named(**_filtered(channels, first, 7, stride=2), pool=_overlapping_pool()),
        _named(**_filtered(first, second, 5), pool=_overlapping_pool()),
        _named(
            **_filtered(second, third, 3, number="1"),
            **_filtered(third, third, 3, number="2"),
            pool=_overlapping_pool(),
        ),
        _named(
            **_filtered(third, fourth, 3, number="1"), **_filtered(fourth, fourth, 3, number="2")
        ),
    ]
    head = _named(
        pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), logits=nn.Linear(fourth, classes)
    )
    return StagedCNN(stages, head)


def _filtered(
    inputs: int, width: int, kernel: int, *, stride: int = 1, number: str = ""
) -> dict[str, nn.Module]:
    """A convolution with BatchNorm and a rectifier; `number` tells several of a stage apart."""
    conv = nn.Conv2d(inputs, width, kernel, stride, padding=kernel // 2, bias=False)
    return {
        f"conv{number}": conv,
        f"bn{number}": nn.BatchNorm2d(width),
        f"relu{number}": nn.ReLU(),
    }


def _overlapping_pool() -> nn.Module:
    return nn.MaxPool2d(3, stride=2, padding=1)


def tutorial_cnn(channels: int = 3, classes: int = 10, size: int = 32) -> StagedCNN:
    """Two unpadded convolutions with pools, and 64 hidden units: what beginners are shown first."""
    widths = (32, 64)
    stages: list[nn.Module] = [
        _named(conv=nn.Conv2d(c, w, 3), relu=nn.ReLU(), pool=nn.MaxPool2d(2))
        for c, w in zip((channels, *widths), widths, strict=False)
    ]
    side = ((size - 2) // 2 - 2) // 2
    head = _named(
        flatten=nn.Flatten(),
        hidden=nn.Linear(widths[-1] * side**2, 64),
        relu=nn.ReLU(),
        logits=nn.Linear(64, classes),
    )
    return StagedCNN(stages, head)


def ddnet(
    channels: int = 3,
    classes: int = 10,
    size: int = 32,
    widths: tuple[int, ...] = (32, 64, 128),
    convolutions: int = 1,
    norm: bool = True,
) -> StagedCNN:
    """The deep deconvolution network: down to features, back to a picture, and a class from that.

    Convolutions and pools lead down; transposed convolutions lead back to the input's size, as
    many as there were; a dense layer says what comes back is. A step back doubles the side with a
    4x4 kernel of stride 2, a multiple of which every pixel gets equally much: a 3x3 kernel would
    draw a checkerboard. Pictures larger than 32 pixels are averaged to 32 x 32 before the dense
    layer, which would else have a hundred thousand inputs at 224. That layer sees whole pictures,
    so training wants a peak rate of about 0.01, a tenth of the other networks'.

    Args:
        channels: Of the pictures.
        classes: How many logits.
        size: The pictures' side; each of the stages must be able to halve it.
        widths: Of the stages down.
        convolutions: In each stage, and in each step back; 1, 2 and 4 make 6, 12 and 24 layers.
        norm: Whether BatchNorm stands before each rectifier.

    Raises:
        UnknownModelError: The side cannot be halved so often.
    """
    if size % 2 ** len(widths):
        raise UnknownModelError(
            f"no model `ddnet` for pictures of {size} pixels: {len(widths)} stages halve the side, "
            f"so it must be a multiple of {2 ** len(widths)}"
        )
    down: list[nn.Module] = [
        _named(**_convolutions(c, w, convolutions, norm), pool=nn.MaxPool2d(2))
        for c, w in zip((channels, *widths), widths, strict=False)
    ]
    targets = (*widths[-2::-1], channels)
    back = [
        _step_back(c, w, convolutions, norm, last=i == len(widths) - 1)
        for i, (c, w) in enumerate(zip(widths[::-1], targets, strict=True))
    ]
    side = min(size, 32)
    head = _named(
        pool=nn.AdaptiveAvgPool2d(side),
        flatten=nn.Flatten(),
        logits=nn.Linear(channels * side**2, classes),
    )
    return StagedCNN(down, head, back=back)


def _convolutions(inputs: int, width: int, count: int, norm: bool) -> dict[str, nn.Module]:
    """Some 3x3 convolutions of one width, each with its rectifier."""
    layers: dict[str, nn.Module] = {}
    for i in range(1, count + 1):
        layers[f"conv{i}"] = nn.Conv2d(inputs, width, 3, padding=1, bias=not norm)
        if norm:
            layers[f"bn{i}"] = nn.BatchNorm2d(width)
        layers[f"relu{i}"] = nn.ReLU()
        inputs = width
    return layers


def _step_back(inputs: int, width: int, count: int, norm: bool, *, last: bool) -> nn.Module:
    """Convolutions of one width less one, then a transposed one that doubles the side.

    The very last gives the picture in normalised units, hence has no rectifier.
    """
    layers = _convolutions(inputs, inputs, count - 1, norm)
    layers["up"] = nn.ConvTranspose2d(inputs, width, 4, stride=2, padding=1, bias=last or not norm)
    if not last:
        layers |= {"bn": nn.BatchNorm2d(width)} if norm else {}
        layers["relu"] = nn.ReLU()
    return _named(**layers)


def deconv_mnist(channels: int = 1, classes: int = 10, size: int = 28) -> StagedCNN:
    """A convolution, a transposed convolution, a pool, and a dense layer, for small grey pictures.

    The transposed convolution doubles the side and the pool halves it again, so that the dense
    layer sees 32 maps of the picture's own size.
    """
    stage = _named(
        conv=nn.Conv2d(channels, 32, 3, padding=1),
        relu1=nn.ReLU(),
        up=nn.ConvTranspose2d(32, 32, 3, stride=2, padding=1, output_padding=1),
        relu2=nn.ReLU(),
        pool=nn.MaxPool2d(2),
    )
    head = _named(flatten=nn.Flatten(), logits=nn.Linear(32 * size**2, classes))
    return StagedCNN([stage], head)


MODELS: dict[str, Callable[..., StagedCNN]] = {
    "seed-cnn": seed_cnn,
    "vgg": vgg,
    "fast": fast,
    "zf": zf,
    "plain": plain,
    "ddnet": ddnet,
    "deconv-mnist": deconv_mnist,
    "tutorial-cnn": tutorial_cnn,
}
"""Every network the trainer can make, by the name that a checkpoint records."""

# Of bounded length, because the name may come from anyone's checkpoint.
_WIDTHS = r"(?:[1-9]\d{0,3}(?:,[1-9]\d{0,3}){0,15})"
_PLAIN = re.compile(
    rf"plain:({_WIDTHS}?(?:/{_WIDTHS}?){{0,9}})(?:\+({_WIDTHS}))?"
    r"(?::kernel=([13579]))?(?::pool=(max|mean))?(?::head=(maps|mean))?"
)

_WIDE = re.compile(rf"(vgg|fast|zf):({_WIDTHS})")


def build(name: str, *, channels: int = 3, classes: int = 10, size: int = 32) -> StagedCNN:
    """Make an untrained network of the registry.

    Args:
        name: One of `MODELS`; `vgg:32,64,128` and `fast:32,64,128` have stages of such widths, as
            has `zf:48,96,160,256`;
            `plain:` has more parts, see `plain`.
        channels: Of the pictures.
        classes: How many logits.
        size: The pictures' side in pixels.

    Raises:
        UnknownModelError: `name` is not in `MODELS`, or `plain` cannot have such layers.
    """
    if form := _PLAIN.fullmatch(name):
        stages = [_numbers(stage) for stage in form[1].split("/")]
        hidden, kernel = _numbers(form[2] or ""), int(form[3] or 3)
        pool, head = form[4] or "max", form[5] or "maps"
        return plain(channels, classes, size, stages, hidden, kernel, pool, head)
    if form := _WIDE.fullmatch(name):
        widths = tuple(_numbers(form[2]))
        return MODELS[form[1]](channels=channels, classes=classes, size=size, widths=widths)
    if name not in MODELS:
        near = get_close_matches(name, MODELS, n=1)
        hint = f" (did you mean `{near[0]}`?)" if near else ""
        raise UnknownModelError(f"no model `{name}`{hint}; there are {', '.join(MODELS)}")
    return MODELS[name](channels=channels, classes=classes, size=size)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]
