"""The script that trains segmenters, detectors and generators: its recipes can be built."""

import runpy
from pathlib import Path

import pytest

from deconvviz.networks import architecture
from deconvviz.restoration import TASKS

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "train_dense.py"))
RECIPES = SCRIPT["RECIPES"]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_recipe_names_a_task_and_a_network_that_takes_its_patches(recipe):
    assert recipe.task in TASKS
    assert recipe.patch % architecture(recipe.network).multiple == 0


def test_a_name_is_a_recipe_or_the_beginning_of_several():
    chosen = SCRIPT["chosen"]
    assert chosen(["segment-unet-1"]) == ["segment-unet-1"]
    assert len(chosen(["segment"])) == 9
    assert len(chosen(["segment-unet"])) == 3
    with pytest.raises(SystemExit, match="no recipe `segm`"):
        chosen(["segm"])


def test_designs_differ_in_the_network_alone():
    recipes = [RECIPES[f"segment-{back}-0"] for back in SCRIPT["DESIGNS"]]
    assert len({r.network for r in recipes}) == 3
    assert len({repr(r).replace(r.network, "") for r in recipes}) == 1
