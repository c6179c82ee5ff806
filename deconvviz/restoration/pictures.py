"""The tasks that restore pictures: enlarge, denoise, deblur, inpaint."""

from collections.abc import Iterator, Mapping
from typing import Self

import torch
from torch import Tensor, nn

from deconvviz.io.data import load_dataset, stratified_subset
from deconvviz.io.data.benchmarks import PictureSet, joined, load_pictures
from deconvviz.io.data.pictures import to_channels
from deconvviz.restoration.degradations import (
    add_noise,
    blurred,
    cropped,
    draw_masks,
    reduced,
    to_8_bit,
)
from deconvviz.restoration.metrics import luma, psnr
from deconvviz.restoration.patches import Pair, PatchTask
from deconvviz.restoration.recipe import RestorationRecipe
from deconvviz.restoration.task import Batch, answer

HELD_OUT_EVERY = 18
"""Of the training pictures, every 18th is held out: 5 of T91, 22 of Train400."""
_PHOTOS = 4000  # of photos20, as many pixels as T91 and its copies have
_VALIDATED = 8  # held-out pictures that are looked at after each epoch
_CLIPPED = 0.25  # share of noisy training patches that are 8-bit pictures, as files are


class SuperResolution(PatchTask):
    """Undo the reduction of a picture: luma of the small one in, luma of the large one out."""

    @classmethod
    def load(cls, recipe: RestorationRecipe) -> Self:
        """The task on T91."""
        return cls(recipe, *load_pictures("t91").held_out(HELD_OUT_EVERY))

    @property
    def channels(self) -> int:
        """Luma alone."""
        return 1

    def prepare(self, pixels: Tensor) -> Pair:
        """Luma of a picture reduced in 8 bits of RGB, and of the picture."""
        scale = self.architecture.enlarges
        large = cropped(pixels, scale)
        return Pair(*(luma(one.float()) / 255 for one in (reduced(large, scale), large)))

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Mean PSNR of luma, borders of the scale cut."""
        scale = self.architecture.enlarges
        pairs = [self.prepare(one) for one in self.held_out.pictures]
        found = [psnr(answer(model, one.inputs) * 255, one.targets * 255, scale) for one in pairs]
        return {"psnr": _mean(found)}


class _SameSize(PatchTask):
    """A task on 8-bit pictures whose restored picture has the size of the given one."""

    @classmethod
    def load(cls, recipe: RestorationRecipe) -> Self:
        """The task on Train400 (grey), or on T91 and photos20 reduced by 2 (colour)."""
        if recipe.channels == 1:
            return cls(recipe, *load_pictures("train400").held_out(HELD_OUT_EVERY))
        training, held_out = load_pictures("t91").held_out(HELD_OUT_EVERY)
        return cls(recipe, joined(training, _reduced_photos()), held_out)

    def prepare(self, pixels: Tensor) -> Pair:
        """The picture itself, twice; it is degraded patch by patch."""
        grey_or_colour = to_channels(pixels[None], self.recipe.channels)[0]
        return Pair(grey_or_colour, grey_or_colour)

    def validation(self) -> Iterator[tuple[Tensor, torch.Generator]]:
        """Held-out pictures (1, C, H, W) in [0, 1], and a generator for each."""
        for number, pixels in enumerate(self.held_out.pictures[:_VALIDATED]):
            even = cropped(self.prepare(pixels).targets, self.architecture.multiple)
            yield even[None] / 255, torch.Generator().manual_seed(number)


class Denoising(_SameSize):
    """Remove Gaussian noise of unknown strength.

    Each patch has a strength of its own. A quarter of the noisy patches are rounded and clipped to
    8 bits, as noisy files are; the others are not, as benchmarks have it.
    """

    def degrade(self, patches: Pair, generator: torch.Generator) -> Batch:
        """Noise of a strength drawn between the recipe's limits for each patch."""
        clean = patches.targets.float() / 255
        low, high = self.recipe.noise
        drawn = torch.rand(2, len(clean), 1, 1, 1, generator=generator)
        noisy = add_noise(clean, low + (high - low) * drawn[0], generator)
        return Batch(torch.where(drawn[1] < _CLIPPED, to_8_bit(noisy), noisy), clean)

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Mean PSNR at standard deviations of 15, 25 and 50."""
        found: dict[str, list[float]] = {}
        for clean, generator in self.validation():
            for sigma in (15, 25, 50):
                noisy = add_noise(clean, torch.tensor(float(sigma)), generator)
                value = psnr(answer(model, noisy[0]) * 255, clean[0] * 255)
                found.setdefault(f"psnr_{sigma}", []).append(value)
        return {name: _mean(values) for name, values in found.items()}


class Deblurring(_SameSize):
    """Undo a Gaussian blur of 1.6 pixels, with noise of 2 grey levels on it."""

    BLUR, NOISE = 1.6, 2.0

    def prepare(self, pixels: Tensor) -> Pair:
        """The blurred picture, not rounded, in 0..255, and the picture."""
        clean = super().prepare(pixels).targets
        return Pair(blurred(clean, self.BLUR), clean)

    def degrade(self, patches: Pair, generator: torch.Generator) -> Batch:
        """Noise on blurred patches."""
        noisy = add_noise(patches.inputs / 255, torch.tensor(self.NOISE), generator)
        return Batch(noisy, patches.targets.float() / 255)

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Mean PSNR."""
        found = []
        for clean, generator in self.validation():
            soft = blurred(clean[0] * 255, self.BLUR)[None] / 255
            noisy = add_noise(soft, torch.tensor(self.NOISE), generator)
            found.append(psnr(answer(model, noisy[0]) * 255, clean[0] * 255))
        return {"psnr": _mean(found)}


class Inpainting(_SameSize):
    """Fill in missing pixels: RGBA in, where alpha is 0 and colour black where they are missing."""

    @property
    def channels(self) -> int:
        """The picture's channels and alpha."""
        return self.recipe.channels + 1

    def degrade(self, patches: Pair, generator: torch.Generator) -> Batch:
        """Pixels, lines or boxes taken away."""
        clean = patches.targets.float() / 255
        count, _, height, width = clean.shape
        known = draw_masks(count, height, width, self.recipe.missing, generator)
        return Batch(torch.cat([clean * known, known], dim=1), clean)

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Mean PSNR of whole pictures that miss half of their pixels; known ones are kept."""
        found = []
        for clean, generator in self.validation():
            known = (torch.rand(1, 1, *clean.shape[2:], generator=generator) < 0.5).float()
            given = torch.cat([clean * known, known], dim=1)
            filled = torch.where(known[0] > 0, clean[0], answer(model, given[0]))
            found.append(psnr(filled * 255, clean[0] * 255))
        return {"psnr_half_missing": _mean(found)}


def _reduced_photos() -> PictureSet:
    """4000 training pictures of photos20 at 64 pixels: half the size, without JPEG's blocks."""
    photos = stratified_subset(load_dataset("photos20", "train", size=64), _PHOTOS)
    names = tuple(map(str, range(len(photos))))
    return PictureSet("photos20, reduced to 64 pixels", tuple(photos.images), names)


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 4)
