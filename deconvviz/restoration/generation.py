"""Generation: a variational auto-encoder, its samples, and what lies between them."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.errors import SettingError
from deconvviz.io.data import Dataset, load_dataset, train_test_split
from deconvviz.networks.generators import VaeNet
from deconvviz.restoration.recipe import RestorationRecipe
from deconvviz.restoration.shipped import checkpoints_for, load_for
from deconvviz.restoration.task import Batch, Task, drawn, generators

HELD_OUT = 5000
"""Training pictures that are held out to validate on."""
_BLOCK = 500
_FITTED = 10_000  # training pictures, for 64 + 64 * 65 / 2 numbers at most


class Generation(Task[Dataset]):
    """Latents from which pictures can be drawn, and the pictures.

    The loss is the negative evidence lower bound of a picture in nats. With `loss=cross-entropy`
    pixels are Bernoulli, as MNIST's nearly are; with `loss=l2` they are Gaussian around the output,
    of the variance that fits a batch best (Rybkin et al. 2021, arXiv:2006.13202).

    Args:
        recipe: The options of the run.
        training: Pictures to train on.
        held_out: Pictures to validate on.
    """

    values = ("train_loss", "train_reconstruction", "train_divergence")

    def __init__(self, recipe: RestorationRecipe, training: Dataset, held_out: Dataset) -> None:
        if recipe.loss not in ("cross-entropy", "l2"):
            raise SettingError(f"loss must be cross-entropy or l2 to generate, got {recipe.loss}")
        super().__init__(recipe, training, held_out)
        self.mean, self.std = (0.0,) * self.channels, (1.0,) * self.channels

    @classmethod
    def load(cls, recipe: RestorationRecipe) -> "Generation":
        """The task on the recipe's data set."""
        whole = load_dataset(recipe.pictures, "train", progress=False)
        return cls(recipe, *train_test_split(whole, HELD_OUT))

    @property
    def channels(self) -> int:
        """Those of the pictures."""
        return self.training.images.shape[1]

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Pictures in [0, 1], and the noise of their latents in place of targets; see `Task`."""
        ordering, generator = generators(self.recipe.seed, epoch, 2)
        latent = self.architecture.latent  # type: ignore[attr-defined]  # a `Vae`
        for chosen in drawn(len(self.training), self.recipe, ordering):
            images = self.training.images[chosen].float() / 255
            if images.shape[1] == 3:  # mirrored photographs are photographs; digits are not
                mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
                images = torch.where(mirrored, images.flip(-1), images)
            yield Batch(images, torch.randn(len(images), latent, generator=generator))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Negative evidence lower bound, and its two parts, in nats of a picture."""
        net = cast(VaeNet, model)
        mean, log_variance = (one.float() for one in net.encode(batch.inputs))
        logits = net.logits(mean + batch.targets * (log_variance / 2).exp()).float()
        error = reconstruction(logits, batch.inputs, self.recipe.loss)
        divergence = kl_divergence(mean, log_variance).mean()
        return torch.stack([error + self.recipe.kl_weight * divergence, error, divergence])

    def finish(self, model: nn.Module) -> None:
        """Fit the normal distribution that samples are drawn from."""
        images = self.training.images[:: max(1, len(self.training) // _FITTED)]
        fit_latents(cast(VaeNet, model), images)

    @torch.inference_mode()
    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Mean of the loss on held-out pictures, and RMS error from the latents' means."""
        generator = torch.Generator().manual_seed(0)
        losses, squares = [], []
        device = next(model.parameters()).device
        for block in torch.split(self.held_out.images, _BLOCK):
            images = block.to(device).float() / 255
            latent = cast(VaeNet, model).latent
            noise = torch.randn(len(images), latent, generator=generator).to(device)
            losses.append(self.loss(model, Batch(images, noise))[0] * len(images))
            squares.append((model(images).float() - images).square().mean() * len(images))
        count = len(self.held_out)
        rms = math.sqrt(float(sum(squares)) / count) * 255
        return {"held_out_loss": round(float(sum(losses)) / count, 3), "rms": round(rms, 3)}


def load_generator(data: str, checkpoint: Path | None = None) -> VaeNet:
    """The generator in the package, or one of your own.

    Args:
        data: Data set that the one in the package was trained on: "mnist" or "cifar10".
        checkpoint: Network to take instead.

    Raises:
        SettingError: There is no such data set, or the checkpoint is of another task.
        CheckpointError: It is missing or damaged, or none is in the package.
    """
    if data not in ("mnist", "cifar10"):
        raise SettingError(f"no generator of `{data}`; there are mnist, cifar10")
    (path,) = checkpoints_for(f"generate-{data}", checkpoint)
    return cast(VaeNet, load_for("generate", path).network())


def reconstruction(logits: Tensor, images: Tensor, kind: str) -> Tensor:
    """Negative log-likelihood of pictures in nats, averaged over the batch.

    Args:
        logits: (N, C, H, W), pixels before the sigmoid.
        images: (N, C, H, W) in [0, 1].
        kind: "cross-entropy" or "l2"; see `Generation`.
    """
    if kind == "cross-entropy":
        total = functional.binary_cross_entropy_with_logits(logits, images, reduction="sum")
        return total / len(images)
    variance = (logits.sigmoid() - images).square().mean()
    return images[0].numel() / 2 * (1 + math.log(2 * math.pi) + variance.log())


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """(N,) divergence of N(mean, variance) from N(0, 1), summed over dimensions, in nats."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2


def as_pictures(pixels: Tensor) -> NDArray[np.uint8]:
    """(N, 1 or 3, H, W) in [0, 1] as RGB pictures, (N, H, W, 3)."""
    eight_bit = (pixels.clamp(0, 1) * 255).round().byte().expand(-1, 3, -1, -1)
    return eight_bit.permute(0, 2, 3, 1).contiguous().numpy()


@torch.no_grad()
def fit_latents(model: VaeNet, images: Tensor) -> None:
    """Fit the normal distribution of the latents of pictures, from which samples are drawn.

    Over all pictures the latents of a trained encoder are not distributed as N(0, 1), as its loss
    supposes, and what lies between them looks like no picture (Ghosh et al. 2020,
    arXiv:1903.12436).

    Args:
        model: The network, in evaluation mode; its `centre` and `spread` are set.
        images: (N, C, H, W) uint8.
    """
    device = next(model.parameters()).device
    blocks = [model.encode(one.to(device).float() / 255) for one in torch.split(images, _BLOCK)]
    means, log_variances = (torch.cat(part).double() for part in zip(*blocks, strict=True))
    covariance = means.T.cov() + log_variances.exp().mean(0).diag()
    model.centre.copy_(means.mean(0))
    model.spread.copy_(torch.linalg.cholesky(covariance))


def draw_latents(model: VaeNet, count: int, seed: int, *, prior: bool = False) -> Tensor:
    """(count, L) latents, distributed as those of training pictures, or as the prior, N(0, 1)."""
    normal = torch.randn(count, model.latent, generator=torch.Generator().manual_seed(seed))
    return normal if prior else model.centre.cpu() + normal @ model.spread.cpu().T


@torch.inference_mode()
def samples(model: VaeNet, count: int, seed: int = 0, *, prior: bool = False) -> Tensor:
    """(count, C, H, W) in [0, 1], from latents as `draw_latents` draws them."""
    latents = draw_latents(model, count, seed, prior=prior)
    device = next(model.parameters()).device
    blocks = torch.split(latents.to(device), _BLOCK)
    return torch.cat([model.decode(block).float().cpu() for block in blocks])


@torch.inference_mode()
def interpolated(model: VaeNet, first: Tensor, second: Tensor, steps: int = 8) -> Tensor:
    """(steps, C, H, W) from one picture (C, H, W) to another, evenly between their latents."""
    latents = model.encode(torch.stack([first, second]))[0]
    return between(model, latents[0], latents[1], steps)


@torch.inference_mode()
def between(model: VaeNet, start: Tensor, end: Tensor, steps: int = 8) -> Tensor:
    """(steps, C, H, W) from one latent (L,) to another, evenly."""
    return model.decode(torch.lerp(start, end, torch.linspace(0, 1, steps)[:, None]))


@torch.inference_mode()
def along(model: VaeNet, latent: Tensor, dimension: int, values: Tensor) -> Tensor:
    """Pictures of one latent (L,) as one of its dimensions takes (K,) values."""
    many = latent.repeat(len(values), 1)
    many[:, dimension] = values
    return model.decode(many)


@torch.inference_mode()
def from_feature(model: VaeNet, channel: int, y: int, x: int, value: float) -> Tensor:
    """What one unit of the decoder's lowest maps draws, (C, H, W): alone, minus nothing at all.

    Args:
        model: The network.
        channel: Of its lowest maps, of shape `model.maps`.
        y: Row.
        x: Column.
        value: Activation of the unit; all others are 0.

    Returns:
        Difference of the pixels before the sigmoid.
    """
    maps = torch.zeros(2, *model.maps)
    maps[1, channel, y, x] = value
    pictures = model.draw(maps)
    return pictures[1] - pictures[0]
