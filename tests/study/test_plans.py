"""The declared plans: that they can be run at all, and that pairs are pairs."""

from pathlib import Path

import pytest
import torch

from deconvviz.errors import StudyError
from deconvviz.study import PLANS, find_plan, read_records
from deconvviz.study.report import AIMS, BUDGETS, CONTRASTS, PRIMARY
from deconvviz.training.cost import step_cost
from deconvviz.training.recipe import differences

RESULTS = Path(__file__).parents[2] / "results"
_MAY_DIFFER = {
    "helps": {
        "epochs",
        "unlabelled_batch",
        "deconv_weight",
        "decoder",
        "consistency_weight",
    }
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_every_arm_at_every_budget_can_be_built(plan):
    for cell in plan.cells(seeds=plan.seeds[:1]):
        learnt, cost = step_cost(plan.recipe_of(cell), (3, 32, 32), 10)
        assert learnt > 0
        assert cost > 0


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_no_precision_is_left_open_and_nothing_is_stored_twice(plan):
    assert plan.recipe.precision != "auto"
    assert plan.recipe.snapshots == ()
    names = [arm.name for arm in plan.arms]
    assert len(set(names)) == len(names)
    assert len(set(plan.seeds)) == len(plan.seeds)


def test_the_question_has_the_arms_the_budgets_and_the_pairs_it_needs():
    plan = find_plan("helps")
    names = {arm.name for arm in plan.arms}
    assert {name for pair in CONTRASTS for name in pair} <= names
    assert tuple(plan.budgets) == BUDGETS
    assert PRIMARY in plan.budgets
    assert len(plan.seeds) >= 10
    assert set(AIMS) <= set(CONTRASTS)
    assert plan.hold_out == 0


def test_a2_has_about_the_compute_of_r_all_at_every_budget_of_few_labels():
    """With all labels R-all takes fewer unlabelled pictures for each labelled one."""
    plan = find_plan("helps")
    for labels in (500, 1000, 4000, 10_000):
        work = {}
        for cell in plan.cells(["A", "A2", "R-all"], [labels], [0]):
            recipe = plan.recipe_of(cell)
            cost = step_cost(recipe, (3, 32, 32), 10)[1]
            work[cell.arm.name] = cost * recipe.epochs
        assert work["A2"] == pytest.approx(work["R-all"], rel=0.06)
        assert work["A2"] > 2 * work["A"]


def test_arms_of_the_question_differ_in_what_they_are_about_alone():
    plan = find_plan("helps")
    for arm in plan.arms:
        assert {name.partition(".")[0] for name in arm.changes} <= _MAY_DIFFER["helps"]


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_plan_of_values_holds_the_value_that_its_base_has(plan):
    """Else a lever's curve would lack the point that all others share."""
    base = plan.recipe_of(next(iter(plan.cells())))
    with_decoder = [arm for arm in plan.arms if arm.name == "decoder"]
    levers = {arm.name.partition("=")[0] for arm in plan.arms if "=" in arm.name}
    for lever in levers:
        recipes = [
            plan.recipe_of(cell)
            for cell in plan.cells(seeds=plan.seeds[:1])
            if cell.arm.name.startswith(f"{lever}=")
        ]
        first = plan.recipe_of(
            next(plan.cells([with_decoder[0].name] if "decoder" in lever else None))
        )
        assert (first if "decoder" in lever else base) in recipes


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_records_that_are_kept_are_of_the_plan_as_it_stands(plan):
    """A plan that was run is not changed afterwards."""
    for record in read_records(RESULTS / plan.name):
        (cell,) = plan.cells([record.arm], [record.labels], [record.seed])
        assert differences(record.configuration["recipe"], plan.recipe_of(cell)) == []
        assert record.configuration["held_out"] == plan.hold_out
        assert record.configuration["label_noise"] == cell.arm.label_noise


def test_a_name_that_is_no_plan_lists_them():
    with pytest.raises(
        StudyError, match="no study `help`; there are helps, levers, recipe, search, search-longer"
    ):
        find_plan("help")
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("name", ["search", "search-longer"])
def test_what_chooses_never_sees_the_test_pictures_nor_the_seeds_that_count(name):
    search = find_plan(name)
    assert search.hold_out > 0
    assert not set(search.seeds) & set(find_plan("helps").seeds)
