"""Plans: which runs there are, and how each is trained."""

from dataclasses import replace

import pytest

from deconvviz.errors import SettingError, StudyError
from deconvviz.study import Arm, Plan
from deconvviz.training import Recipe

PLAN = Plan(
    name="small",
    question="Is it small?",
    recipe=Recipe(epochs=2, lr=0.1, precision="float32"),
    arms=(Arm("A", "as it is"), Arm("B", "faster", {"lr": 0.2, "decoder.kernel": 6})),
    budgets={10: {}, 20: {"epochs": 3, "lr": 0.05}},
    seeds=(0, 1),
)


def keys(specs):
    return [spec.key for spec in specs]


def test_an_early_end_leaves_whole_comparisons():
    assert keys(PLAN.specs()) == [
        (arm, labels, seed) for seed in (0, 1) for labels in (10, 20) for arm in "AB"
    ]


def test_some_arms_budgets_and_seeds_can_be_asked_for():
    assert keys(PLAN.specs(["B"], [20], [1])) == [("B", 20, 1)]
    assert keys(PLAN.specs(["B", "A"], seeds=[1])) == [
        (arm, labels, 1) for labels in (10, 20) for arm in "BA"
    ]


def test_an_arm_changes_the_recipe_after_its_budget_and_the_seed_is_the_runs():
    *_, last = PLAN.specs()
    recipe = PLAN.recipe_of(last)
    assert (recipe.epochs, recipe.lr, recipe.seed) == (3, 0.2, 1)
    assert recipe.decoder.kernel == 6
    assert str(last) == "B, 20 labels, seed 1"


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ((["a"],), "the study small has no arm a; there are A, B"),
        ((None, [15]), r"no budget 15.*there are 10, 20"),
        ((None, None, [7]), "no seed 7; there are 0, 1"),
    ],
)
def test_what_the_plan_does_not_have_is_refused(wanted, says):
    with pytest.raises(StudyError, match=says):
        list(PLAN.specs(*wanted))


def test_arms_that_are_not_swept_are_run_at_the_first_budget_alone():
    plan = replace(PLAN, swept=("A",), seeds=(0,))
    assert keys(plan.specs()) == [("A", 10, 0), ("B", 10, 0), ("A", 20, 0)]
    assert plan.points == (("A", 10), ("B", 10), ("A", 20))


@pytest.mark.parametrize("changes", [{"seeds": (-1,)}, {"seeds": ()}, {"arms": ()}, {"primary": 0}])
def test_a_plan_checks_its_values(changes):
    with pytest.raises(SettingError, match=next(iter(changes))):
        replace(PLAN, **changes)
    with pytest.raises(SettingError, match="label_noise"):
        Arm("A", "as it is", label_noise=1.0)
