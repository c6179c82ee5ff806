"""What networks cost: multiply-adds of a picture's way forward, and of a step of learning."""

from collections import Counter

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from deconvviz.errors import SettingError
from deconvviz.models import build
from deconvviz.training.objective import Objective
from deconvviz.training.recipe import Recipe

__all__ = ["multiply_adds", "step_cost"]

_STEPS = 100  # of a run, at which it is looked how large its pictures are


def multiply_adds(model: nn.Module, input_size: tuple[int, int, int]) -> int:
    """Of one picture's forward pass through convolutions and linear layers."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(1, *input_size))
    return int(counter.get_total_flops()) // 2


def step_cost(recipe: Recipe, input_size: tuple[int, int, int], classes: int) -> tuple[int, int]:
    """What learning by a recipe takes, found without computing.

    Args:
        recipe: Which network, decoder and teacher, and how many pictures of which kind and size in
            a step.
        input_size: (C, H, W) of the pictures.
        classes: How many there are.

    Returns:
        The numbers that are learnt, the decoder's included; and the multiply-adds that a step's
        way forward takes, the teacher's included, for each labelled picture of the step, in the
        mean of all steps.

    Raises:
        SettingError: The network does not take pictures as small as the recipe makes them.
    """
    channels, *whole = input_size
    with torch.device("meta"):
        model = build(recipe.model, channels=channels, classes=classes, size=whole[-1])
        parts = Objective(model, input_size, recipe)
        sizes = Counter(recipe.size((step + 0.5) / _STEPS, whole) for step in range(_STEPS))
        work = sum(_step(parts, (channels, *size)) * often for size, often in sizes.items())
    learnt = sum(weight.numel() for weight in parts.parameters())
    return learnt, work // _STEPS // recipe.batch_size


def _step(parts: Objective, size: tuple[int, int, int]) -> int:
    """The multiply-adds of one step's way forward with pictures of this size."""
    recipe = parts.recipe
    images = torch.empty(recipe.batch_size + recipe.unlabelled_batch, *size)
    targets = torch.empty(recipe.batch_size, dtype=torch.int64)
    counter = FlopCounterMode(display=False)
    try:
        with counter, torch.no_grad():
            taught = parts.model(images) if recipe.consistency_weight else None
            fills = recipe.deconv_weight and recipe.decoder.fill
            parts(images, targets, taught, images if recipe.noise or fills else None)
    except RuntimeError as fault:
        if recipe.first_scale == 1:
            raise
        height, width = size[-2:]
        raise SettingError(
            f"`{recipe.model}` does not take the pictures of {height}x{width} pixels that "
            f"first_scale {recipe.first_scale} makes; ask for a larger scale, or for a network for "
            "pictures of any size, as `vgg` and `fast` are"
        ) from fault
    return int(counter.get_total_flops()) // 2
