"""Benchmarks of restoration: each method on each picture of a set, all in one run."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from deconvviz.io.data.benchmarks import PictureSet
from deconvviz.progress import Progress, track
from deconvviz.restoration.apply import Network
from deconvviz.restoration.degradations import add_noise, blurred, cropped, reduced, resize
from deconvviz.restoration.frechet import phase_spread
from deconvviz.restoration.metrics import luma, psnr, ssim
from deconvviz.restoration.pictures import Deblurring

Method = Callable[[Tensor], Tensor]
"""What a method makes of (C, H, W) in 0..255, in 0..255, not rounded."""


@dataclass(frozen=True)
class Problem:
    """One picture and what is to be compared.

    Attributes:
        name: Name of the picture.
        given: What a method gets, (C, H, W) in 0..255.
        original: What it is compared with, (c, h, w) in 0..255.
        border: Pixels that are cut off each side before measuring.
    """

    name: str
    given: Tensor = field(repr=False)
    original: Tensor = field(repr=False)
    border: int = 0


@dataclass
class Scores:
    """A method's figures, one for each picture.

    Attributes:
        psnr: In dB.
        ssim: Structural similarity.
        seconds: Time of the method alone.
        spread: Standard deviation, in grey levels, of the mean error over the positions of a grid
            with the period that was asked for: a checkerboard's strength.
    """

    psnr: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    spread: list[float] = field(default_factory=list)

    def mean(self, figure: str = "psnr") -> float:
        """The mean of a figure over the pictures."""
        values: list[float] = getattr(self, figure)
        return sum(values) / len(values)


def compare(
    problems: Sequence[Problem],
    methods: Mapping[str, Method],
    period: int = 0,
    progress: Progress | None = None,
) -> dict[str, Scores]:
    """Apply each method to each picture; methods take turns, so that a busy machine slows all.

    Args:
        problems: The pictures.
        methods: The methods by name.
        period: Period of checkerboards to look for; 0 for none.
        progress: Called after each picture.
    """
    scores = {name: Scores() for name in methods}
    for problem in track(problems, "measuring", progress):
        for name, method in methods.items():
            started = time.perf_counter()
            restored = method(problem.given)
            scores[name].seconds.append(time.perf_counter() - started)
            pair = restored, problem.original, problem.border
            scores[name].psnr.append(psnr(*pair))
            scores[name].ssim.append(ssim(*pair))
            if period:
                error = (restored - problem.original)[None]
                scores[name].spread.append(phase_spread(error, period))
    return scores


def enlarging(pictures: PictureSet, scale: int) -> list[Problem]:
    """RGB pictures reduced by Pillow in 8 bits; what is compared is luma, the border cut."""
    made = []
    for name, pixels in zip(pictures.names, pictures.pictures, strict=True):
        large = cropped(pixels, scale)
        small = reduced(large, scale).float()
        made.append(Problem(name, small, luma(large.float()), scale))
    return made


def bicubic(scale: int) -> Method:
    """Pillow's bicubic interpolation of an 8-bit picture, and the luma of that."""

    def method(small: Tensor) -> Tensor:
        height, width = (side * scale for side in small.shape[-2:])
        return luma(resize(small.byte(), height, width).float())

    return method


def enlarged_by(network: Network) -> Method:
    """The luma that a network makes of the luma of an RGB picture."""
    return lambda small: network(luma(small) / 255) * 255


def noisy(pictures: PictureSet, sigma: float) -> list[Problem]:
    """Pictures with Gaussian noise, neither clipped nor rounded; a seed for each picture."""
    return _degraded(
        pictures,
        lambda pixels, generator: (
            add_noise(pixels.float() / 255, torch.tensor(sigma), generator) * 255
        ),
    )


def soft(pictures: PictureSet) -> list[Problem]:
    """Pictures blurred by a Gaussian of 1.6 pixels, with noise of 2 grey levels."""

    def degrade(pixels: Tensor, generator: torch.Generator) -> Tensor:
        given = blurred(pixels, Deblurring.BLUR) / 255
        return add_noise(given, torch.tensor(Deblurring.NOISE), generator) * 255

    return _degraded(pictures, degrade)


def holed(pictures: PictureSet, share: float) -> list[Problem]:
    """Pictures with an alpha channel, which is 0 at pixels that are missing, drawn one by one."""

    def degrade(pixels: Tensor, generator: torch.Generator) -> Tensor:
        known = (torch.rand(1, *pixels.shape[1:], generator=generator) >= share).float()
        return torch.cat([pixels * known, known * 255])

    return _degraded(pictures, degrade)


def _degraded(
    pictures: PictureSet, degrade: Callable[[Tensor, torch.Generator], Tensor]
) -> list[Problem]:
    """A problem of each picture, degraded by random numbers of its own that its place decides."""
    return [
        Problem(name, degrade(pixels, torch.Generator().manual_seed(number)), pixels.float())
        for number, (name, pixels) in enumerate(zip(pictures.names, pictures.pictures, strict=True))
    ]


def unchanged(given: Tensor) -> Tensor:
    """The picture as it is given, without alpha."""
    return given[:3]


def restored_by(network: Network) -> Method:
    """A network's answer; known pixels stay where it fills in missing ones."""

    def method(given: Tensor) -> Tensor:
        made = network(given / 255) * 255
        return torch.where(given[-1:] > 0, given[:-1], made) if network.task == "inpaint" else made

    return method
