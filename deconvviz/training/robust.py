"""Accuracy under attack: how often a classifier is still right when its pictures are changed."""

from collections.abc import Sequence

import torch
from torch import nn

from deconvviz.io.checkpoint import RobustRecord
from deconvviz.io.data import Dataset, normalise
from deconvviz.progress import Progress
from deconvviz.training.adversary import Adversary, attack

ATTACKS = (
    Adversary(norm="l2", radius=0.5, steps=20),
    Adversary(norm="linf", radius=2 / 255, steps=20),
)
"""Projected gradient descent from the picture itself, so that no seed decides; radii of pixels in
[0, 1]."""


def robust_accuracy(
    model: nn.Module,
    dataset: Dataset,
    mean: Sequence[float],
    std: Sequence[float],
    adversary: Adversary,
    *,
    count: int = 1000,
    batch_size: int = 100,
    progress: Progress | None = None,
) -> RobustRecord:
    """Attack pictures spread evenly over a data set, in float32.

    A picture counts as right if the decision is right before and after the attack. The attack is
    one of many: a stronger one finds more errors, so this is an upper bound.

    Args:
        model: Logits (N, classes) of normalised (N, C, H, W); in evaluation mode meanwhile.
        dataset: Labelled pictures.
        mean: (C,) as in the model's training.
        std: (C,) as in the model's training.
        adversary: The attack; its delay and warmup do not matter.
        count: Number of pictures; all where there are fewer.
        batch_size: Pictures attacked at once; it does not change the result beyond rounding.
        progress: Called after every batch.
    """
    device = next(model.parameters()).device
    chosen = torch.linspace(0, len(dataset) - 1, min(count, len(dataset))).long()
    was_training = model.training
    model.eval()
    right = 0
    try:
        for rows in torch.split(chosen, batch_size):
            images = normalise(dataset.images[rows].to(device), mean, std)
            labels = dataset.labels[rows].to(device)
            attacked = attack(model, images, labels, mean, std, adversary)
            with torch.inference_mode():
                both = [model(one).argmax(1) == labels for one in (images, attacked)]
            right += int((both[0] & both[1]).sum())
            if progress:
                progress(f"attack, {adversary.norm}", int((chosen <= rows[-1]).sum()), len(chosen))
    finally:
        model.train(was_training)
    return {
        "norm": adversary.norm,
        "radius": adversary.radius,
        "steps": adversary.steps,
        "pictures": len(chosen),
        "accuracy": right / len(chosen),
    }
