"""What networks cost: multiply-adds of a picture's way forward, and of a step of learning."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from deconvviz.io.zoo import load
from deconvviz.models import build
from deconvviz.training.objective import Objective
from deconvviz.training.recipe import Recipe

__all__ = ["multiply_adds", "step_cost"]


def multiply_adds(model: nn.Module, input_size: tuple[int, int, int]) -> int:
    """Of one picture's forward pass through convolutions and linear layers."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(1, *input_size))
    return int(counter.get_total_flops()) // 2


def step_cost(recipe: Recipe, input_size: tuple[int, int, int], classes: int) -> tuple[int, int]:
    """What learning by a recipe takes, found without computing.

    Args:
        recipe: Which network, decoder and teacher, and how many pictures of which kind in a step.
        input_size: (C, H, W) of the pictures.
        classes: How many there are.

    Returns:
        The numbers that are learnt, the decoder's included; and the multiply-adds that a step's
        way forward takes, the teacher's and the ensemble's included, for each labelled picture of
        the step.
    """
    channels, _, side = input_size
    asked = [load(name).model.to("meta") for name in recipe.teachers]
    with torch.device("meta"):
        model = build(recipe.model, channels=channels, classes=classes, size=side)
        parts = Objective(model, input_size, recipe)
        images = torch.empty(recipe.batch_size + recipe.unlabelled_batch, *input_size)
        targets = torch.empty(recipe.batch_size, dtype=torch.int64)
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            for network in asked:
                network(images[: recipe.batch_size])
            taught = model(images) if recipe.consistency_weight else None
            fills = recipe.deconv_weight and recipe.decoder.inpaint
            parts(images, targets, taught, images if recipe.noise or fills else None)
    learnt = sum(weight.numel() for weight in parts.parameters())
    return learnt, int(counter.get_total_flops()) // 2 // recipe.batch_size
