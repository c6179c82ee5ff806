"""The recipes of segmenters, generators and networks without labels: they can be built."""

import sys
from pathlib import Path

import pytest
import torch

from deconvviz.networks import architecture
from deconvviz.restoration import TASKS

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from dense_recipes import DESIGNS, RECIPES, RUN_OF, UPS


@pytest.mark.parametrize("recipe", [one for one, _ in RECIPES.values()], ids=RECIPES)
def test_every_recipe_names_a_task_and_a_network_that_takes_its_patches(recipe):
    assert recipe.task in TASKS
    made = architecture(recipe.network)
    assert recipe.patch % made.multiple == 0
    with torch.device("meta"):
        net = made.network(recipe.channels, 5, recipe.patch)
        net(torch.empty(2, recipe.channels, recipe.patch, recipe.patch))


@pytest.mark.parametrize(
    "names",
    [
        [f"segment-{back}-0" for back in DESIGNS],
        [f"detect-{head}-0" for head in ("decoder", "plain")],
        [f"generate-mnist-{up}" for up in UPS],
        [f"generate-cifar10-{up}" for up in UPS],
        [f"autoencode-{name}-0" for name in ("tied", "untied", "tied-switches", "untied-switches")],
    ],
    ids=["segment", "detect", "mnist", "cifar10", "autoencode"],
)
def test_what_is_compared_differs_in_the_network_alone(names):
    recipes = [RECIPES[name][0] for name in names]
    assert len({r.network for r in recipes}) == len(names)
    assert len({repr(r).replace(r.network, "") for r in recipes}) == 1


def test_what_ships_is_a_run():
    assert set(RUN_OF.values()) <= set(RECIPES)
