"""Multiply-adds of a picture's forward pass, and of a training step."""

from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from deconvviz.io.zoo import load
from deconvviz.models import build
from deconvviz.training.distillation import TeacherEnsemble
from deconvviz.training.loader import Batch
from deconvviz.training.objective import Objective, StepForward
from deconvviz.training.recipe import Recipe


class StepCost(NamedTuple):
    """The cost of training.

    Attributes:
        parameters: Number of trained parameters, including the decoder's.
        multiply_adds: Multiply-adds before the backward pass for each labelled picture of a step,
            including teachers, attack and unlabelled pictures.
    """

    parameters: int
    multiply_adds: int


def multiply_adds(model: nn.Module, input_size: tuple[int, int, int]) -> int:
    """Multiply-adds of the convolutions and linear layers for one picture."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(1, *input_size))
    return int(counter.get_total_flops()) // 2


def step_cost(recipe: Recipe, input_size: tuple[int, int, int], classes: int) -> StepCost:
    """The cost of a training step, from shapes alone: the step is run on the meta device.

    Args:
        recipe: The options of the run.
        input_size: (C, H, W) of the pictures.
        classes: Number of classes.
    """
    channels, _, side = input_size
    statistics = (0.5,) * channels
    teachers = None
    if recipe.teachers:
        bundles = [load(name) for name in recipe.teachers]
        teachers = TeacherEnsemble(bundles, statistics, statistics).to("meta")
    with torch.device("meta"):
        model = build(recipe.model, channels=channels, classes=classes, size=side)
        objective = Objective(model, input_size, recipe)
        images = torch.empty(recipe.batch_size + recipe.unlabelled_batch, *input_size)
        targets = torch.empty(recipe.batch_size, dtype=torch.int64)
        batch = Batch(
            progress=1.0,
            images=images,
            targets=targets,
            teacher_view=images if recipe.consistency_weight else None,
            clean=images if recipe.needs_clean else None,
        )
        forward = StepForward(objective, statistics, statistics, teachers)
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            forward(batch)
    parameters = sum(weight.numel() for weight in objective.parameters())
    return StepCost(parameters, int(counter.get_total_flops()) // 2 // recipe.batch_size)
