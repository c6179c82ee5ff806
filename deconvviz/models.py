"""The CNNs that the trainer makes: named stages, and a registry.

Every network is a `StagedCNN`: convolutional stages one after the other, then a `head` that
classifies. ReLU and max pooling throughout, as in the paper; only `zf`'s pools overlap by default.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from itertools import pairwise

from torch import nn

from deconvviz.errors import UnknownModelError


class StagedCNN(nn.Sequential):
    """Stages one after the other, then `head`: (N, C, H, W) -> logits (N, classes).

    An optional `stem` without pool comes before the stages. Optional `back` steps come after them
    and each double the side, up to a picture of the input's shape, which the head classifies.
    """

    head: nn.Module

    def __init__(
        self,
        stages: list[nn.Module],
        head: nn.Module,
        stem: nn.Module | None = None,
        back: Sequence[nn.Module] = (),
    ) -> None:
        first = [] if stem is None else [("stem", stem)]
        named = [(f"stage{i}", stage) for i, stage in enumerate(stages, 1)]
        named += [(f"back{i}", step) for i, step in enumerate(back, 1)]
        super().__init__(OrderedDict([*first, *named, ("head", head)]))
        self.features_are_images = bool(back)

    @property
    def stages(self) -> nn.Sequential:
        """The network without its head, sharing its parameters; names stay the same."""
        return nn.Sequential(OrderedDict(list(self.named_children())[:-1]))


def _named(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


def _conv(
    inputs: int,
    width: int,
    number: int | str = "",
    kernel: int = 3,
    stride: int = 1,
    norm: bool = True,
) -> dict[str, nn.Module]:
    """A padded convolution, BatchNorm and a rectifier, with `number` at the end of their names."""
    conv = nn.Conv2d(inputs, width, kernel, stride, padding=kernel // 2, bias=not norm)
    layers: dict[str, nn.Module] = {f"conv{number}": conv}
    if norm:
        layers[f"bn{number}"] = nn.BatchNorm2d(width)
    return {**layers, f"relu{number}": nn.ReLU()}


def _convs(
    inputs: int, widths: Sequence[int], kernel: int = 3, norm: bool = True
) -> dict[str, nn.Module]:
    layers: dict[str, nn.Module] = {}
    for i, (source, width) in enumerate(pairwise((inputs, *widths)), 1):
        layers |= _conv(source, width, i, kernel, norm=norm)
    return layers


def _global_head(pool: nn.Module, width: int, classes: int) -> nn.Module:
    return _named(pool=pool, flatten=nn.Flatten(), logits=nn.Linear(width, classes))


def _dense_head(units: int, hidden: int, classes: int) -> nn.Module:
    return _named(
        flatten=nn.Flatten(),
        hidden=nn.Linear(units, hidden),
        relu=nn.ReLU(),
        logits=nn.Linear(hidden, classes),
    )


def seed_cnn(channels: int = 3, classes: int = 10, size: int = 32) -> StagedCNN:
    """Three convolutions 32-64-128, each followed by a pool, then 512 hidden units.

    At 32x32 three pools leave 128 maps of 4x4. `size` is the side of the pictures it takes.
    """
    widths = (32, 64, 128)
    stages: list[nn.Module] = [
        _named(**_conv(c, w, norm=False), pool=nn.MaxPool2d(2))
        for c, w in pairwise((channels, *widths))
    ]
    return StagedCNN(stages, _dense_head(widths[-1] * (size // 8) ** 2, 512, classes))


def tutorial_cnn(
    channels: int = 3, classes: int = 10, size: int = 32, pool: str = "max"
) -> StagedCNN:
    """Two unpadded convolutions with pools, then 64 hidden units: the CNN of many tutorials.

    With mean pooling by name: `tutorial-cnn:pool=mean`.
    """
    widths = (32, 64)
    pooling = {"max": nn.MaxPool2d, "mean": nn.AvgPool2d}[pool]
    stages: list[nn.Module] = [
        _named(conv=nn.Conv2d(c, w, 3), relu=nn.ReLU(), pool=pooling(2))
        for c, w in pairwise((channels, *widths))
    ]
    side = ((size - 2) // 2 - 2) // 2
    return StagedCNN(stages, _dense_head(widths[-1] * side**2, 64, classes))


def vgg(
    channels: int = 3,
    classes: int = 10,
    size: int = 32,  # noqa: ARG001  global pooling makes it free; the registry passes it to all
    widths: tuple[int, ...] = (64, 224, 256),
    first: int = 3,
    pool: str = "max",
) -> StagedCNN:
    """Two 3x3 convolutions per stage with BatchNorm and a pool, then global average pooling.

    After Simonyan & Zisserman (2015), arXiv:1409.1556, at the size of CIFAR-10. A stage widens in
    its second convolution and pools at once, before BatchNorm: more maps for the same work. It
    takes pictures of any size from 8x8. All options by name: `vgg:32,64,128:first=7:pool=overlap`.

    Args:
        channels: Input channels.
        classes: Number of logits.
        size: Not used.
        widths: Channels of the stages.
        first: Side of the first kernels, an odd number.
        pool: "max" of 2x2 pixels, or "overlap", of 3x3 with a stride of 2.
    """
    pooling = {"max": (2, 2, 0), "overlap": (3, 2, 1)}[pool]
    inner = (widths[0] // 2, *widths)
    stages: list[nn.Module] = [
        _named(
            **_conv(c, middle, 1, kernel=3 if stage else first),
            conv2=nn.Conv2d(middle, w, 3, padding=1, bias=False),
            pool=nn.MaxPool2d(*pooling),
            bn2=nn.BatchNorm2d(w),
            relu2=nn.ReLU(),
        )
        for stage, (c, middle, w) in enumerate(
            zip((channels, *widths), inner, widths, strict=False)
        )
    ]
    return StagedCNN(stages, _global_head(nn.AdaptiveAvgPool2d(1), widths[-1], classes))


def fast(
    channels: int = 3,
    classes: int = 10,
    size: int = 32,  # noqa: ARG001  global pooling makes it free; the registry passes it to all
    widths: tuple[int, ...] = (64, 192, 256),
) -> StagedCNN:
    """A stem and stages of two 3x3 convolutions with BatchNorm, then global max pooling.

    After Jordan (2024), arXiv:2404.00498, with ReLU for GELU: a stage pools right after its first
    convolution, the one that widens. The stem has no padding: maps of 30, 15, 7 and 3 pixels
    instead of 32, 16, 8 and 4 save a fifth of the work. It takes pictures of any size from 10x10.
    """
    thin = widths[0] // 2
    stem = _named(
        conv=nn.Conv2d(channels, thin, 3, bias=False), bn=nn.BatchNorm2d(thin), relu=nn.ReLU()
    )
    stages: list[nn.Module] = [
        _named(
            conv1=nn.Conv2d(c, w, 3, padding=1, bias=False),
            pool=nn.MaxPool2d(2),
            bn1=nn.BatchNorm2d(w),
            relu1=nn.ReLU(),
            **_conv(w, w, 2),
        )
        for c, w in pairwise((thin, *widths))
    ]
    return StagedCNN(stages, _global_head(nn.AdaptiveMaxPool2d(1), widths[-1], classes), stem)


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
    """Convolutions with BatchNorm, a pool after each stage, then hidden layers: any number of each.

    The network for ablations. By name, `plain:32,32/64+256` has two stages, of two convolutions and
    of one, and 256 hidden units; a stage without convolutions, as in `plain:32,32/+256`, only
    pools. All options: `plain:32/64:kernel=5:pool=mean:head=mean`.

    Args:
        channels: Input channels.
        classes: Number of logits.
        size: Side of the pictures.
        stages: Widths of each stage's convolutions.
        hidden: Widths of the hidden layers.
        kernel: Side of the kernels, an odd number.
        pool: "max", which a deconvnet undoes by its switches, or "mean".
        head: Input of the first dense layer: all of the last "maps", or the "mean" of each.

    Raises:
        UnknownModelError: There is no convolution, or the pools leave no pixel.
    """
    side = size >> len(stages)
    if not any(stages) or not side:
        raise UnknownModelError(
            f"no model `plain` of {len(stages)} stages and {sum(map(len, stages))} convolutions "
            f"for pictures of {size} pixels; it needs a convolution, and a pixel after all pools"
        )
    made: list[nn.Module] = []
    for widths in stages:
        pooling = nn.AvgPool2d(2) if pool == "mean" else nn.MaxPool2d(2)
        made.append(_named(**_convs(channels, widths, kernel), pool=pooling))
        channels = widths[-1] if widths else channels
    top: dict[str, nn.Module] = {}
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
    and 3x3 pools overlap. BatchNorm replaces contrast normalisation, and global average pooling the
    hidden layers: 1.5 million parameters. Units see 7, 27, 51, 67, 115 and 147 pixels.

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
    convolutions = [
        _conv(channels, first, kernel=7, stride=2),
        _conv(first, second, kernel=5),
        _convs(second, (third, third)),
    ]
    stages: list[nn.Module] = [
        _named(**layers, pool=nn.MaxPool2d(3, stride=2, padding=1)) for layers in convolutions
    ]
    stages.append(_named(**_convs(third, (fourth, fourth))))
    return StagedCNN(stages, _global_head(nn.AdaptiveAvgPool2d(1), fourth, classes))


def ddnet(
    channels: int = 3,
    classes: int = 10,
    size: int = 32,
    widths: tuple[int, ...] = (32, 64, 128),
    convolutions: int = 1,
    norm: bool = True,
) -> StagedCNN:
    """The deep deconvolution network: down to features, back to a picture, and a class from that.

    Convolutions and pools lead down; as many transposed convolutions lead back to the input's size.
    They double the side with 4x4 kernels of stride 2, which give every pixel equally many
    contributions; 3x3 kernels would draw a checkerboard. Pictures larger than 32 pixels are
    averaged to 32 x 32 before the dense layer. That layer sees whole pictures, so training needs a
    peak learning rate of about 0.01, a tenth of the other networks'.

    Args:
        channels: Input channels.
        classes: Number of logits.
        size: Side of the pictures; each stage must be able to halve it.
        widths: Widths of the stages down.
        convolutions: Number in each stage and in each step back; 1, 2 and 4 make 6, 12 and 24
            layers.
        norm: Whether BatchNorm comes before each rectifier.

    Raises:
        UnknownModelError: The side cannot be halved so often.
    """
    if size % 2 ** len(widths):
        raise UnknownModelError(
            f"no model `ddnet` for pictures of {size} pixels: {len(widths)} stages halve the side, "
            f"so it must be a multiple of {2 ** len(widths)}"
        )
    down: list[nn.Module] = [
        _named(**_convs(c, (w,) * convolutions, norm=norm), pool=nn.MaxPool2d(2))
        for c, w in pairwise((channels, *widths))
    ]
    back = [
        _back_step(c, w, convolutions, norm, last=i == len(widths))
        for i, (c, w) in enumerate(pairwise((*reversed(widths), channels)), 1)
    ]
    side = min(size, 32)
    head = _global_head(nn.AdaptiveAvgPool2d(side), channels * side**2, classes)
    return StagedCNN(down, head, back=back)


def _back_step(inputs: int, width: int, count: int, norm: bool, *, last: bool) -> nn.Module:
    """One convolution less than in a stage, then a transposed one that doubles the side.

    The very last gives the picture in normalised units, hence has no rectifier.
    """
    layers = _convs(inputs, (inputs,) * (count - 1), norm=norm)
    layers["up"] = nn.ConvTranspose2d(inputs, width, 4, stride=2, padding=1, bias=last or not norm)
    if not last:
        layers |= {"bn": nn.BatchNorm2d(width)} if norm else {}
        layers["relu"] = nn.ReLU()
    return _named(**layers)


def deconv_mnist(
    channels: int = 1, classes: int = 10, size: int = 28, kernel: int = 3, pairs: int = 1
) -> StagedCNN:
    """Pairs of a convolution and a transposed one that doubles the side, each with a pool.

    A pool brings each pair back to the picture's side; then comes a dense layer. All options by
    name: `deconv-mnist:kernel=5:pairs=2`.

    Args:
        channels: Input channels.
        classes: Number of logits.
        size: Side of the pictures.
        kernel: Side of all kernels, an odd number of at least 3.
        pairs: Number of pairs.
    """
    half = kernel // 2
    stages: list[nn.Module] = [
        _named(
            conv=nn.Conv2d(source, 32, kernel, padding=half),
            relu1=nn.ReLU(),
            up=nn.ConvTranspose2d(32, 32, kernel, stride=2, padding=half, output_padding=1),
            relu2=nn.ReLU(),
            pool=nn.MaxPool2d(2),
        )
        for source in (channels, *(32,) * (pairs - 1))
    ]
    head = _named(flatten=nn.Flatten(), logits=nn.Linear(32 * size**2, classes))
    return StagedCNN(stages, head)


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
"""Every network of the trainer, by the name that a checkpoint records."""

# The length is bounded, because the name may come from anyone's checkpoint.
_WIDTHS = r"(?:[1-9]\d{0,3}(?:,[1-9]\d{0,3}){0,15})"
_PLAIN = re.compile(
    rf"plain:({_WIDTHS}?(?:/{_WIDTHS}?){{0,9}})(?:\+({_WIDTHS}))?"
    r"(?::kernel=([13579]))?(?::pool=(max|mean))?(?::head=(maps|mean))?"
)
_WIDE = re.compile(rf"(fast|zf):({_WIDTHS})")
_VGG = re.compile(rf"vgg:({_WIDTHS})(?::first=([13579]))?(?::pool=(max|overlap))?")
_TUTORIAL = re.compile(r"tutorial-cnn:pool=(max|mean)")
_DECONV_MNIST = re.compile(r"deconv-mnist(?::kernel=([3579]))?(?::pairs=([1-9]))?")


def build(name: str, *, channels: int = 3, classes: int = 10, size: int = 32) -> StagedCNN:
    """Make an untrained network of the registry.

    Args:
        name: One of `MODELS`, with widths for some, as in `vgg:32,64,128` and `zf:48,96,160,256`;
            see `plain` for its parts.
        channels: Input channels.
        classes: Number of logits.
        size: Side of the pictures in pixels.

    Raises:
        UnknownModelError: `name` is not in `MODELS`, or the network cannot have such layers.
    """
    if form := _PLAIN.fullmatch(name):
        stages = [_numbers(stage) for stage in form[1].split("/")]
        hidden, kernel = _numbers(form[2] or ""), int(form[3] or 3)
        pool, head = form[4] or "max", form[5] or "maps"
        return plain(channels, classes, size, stages, hidden, kernel, pool, head)
    if form := _VGG.fullmatch(name):
        widths, kernel = tuple(_numbers(form[1])), int(form[2] or 3)
        return vgg(channels, classes, size, widths, kernel, form[3] or "max")
    if form := _DECONV_MNIST.fullmatch(name):
        return deconv_mnist(channels, classes, size, int(form[1] or 3), int(form[2] or 1))
    if form := _TUTORIAL.fullmatch(name):
        return tutorial_cnn(channels, classes, size, form[1])
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
