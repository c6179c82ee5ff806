"""The declared plans: that they can be run at all, and that pairs are pairs."""

from pathlib import Path

import pytest

from deconvviz.errors import StudyError
from deconvviz.io.legacy import earlier_study
from deconvviz.schema import to_dict
from deconvviz.study import PLANS, find_plan, read_records
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
def test_every_arm_and_every_budget_can_be_built(plan):
    first = next(iter(plan.budgets))
    specs = [*plan.specs(labels=[first], seeds=plan.seeds[:1])]
    specs += plan.specs([plan.arms[0].name], seeds=plan.seeds[:1])
    for spec in specs:
        learnt, cost = step_cost(plan.recipe_of(spec), (3, 32, 32), 10)
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
    assert {name for one in plan.contrasts for name in (one.arm, one.base)} <= names
    assert plan.primary in plan.budgets
    assert any(one.aim for one in plan.contrasts)
    assert len(plan.seeds) >= 10
    assert plan.hold_out == 0


def test_a2_has_about_the_compute_of_r_all_at_every_budget_of_few_labels():
    """With all labels R-all takes fewer unlabelled pictures for each labelled one."""
    plan = find_plan("helps")
    for labels in (500, 1000, 4000, 10_000):
        work = {}
        for spec in plan.specs(["A", "A2", "R-all"], [labels], [0]):
            recipe = plan.recipe_of(spec)
            cost = step_cost(recipe, (3, 32, 32), 10)[1]
            work[spec.arm.name] = cost * recipe.epochs
        assert work["A2"] == pytest.approx(work["R-all"], rel=0.06)
        assert work["A2"] > 2 * work["A"]


def test_arms_of_the_question_differ_in_what_they_are_about_alone():
    plan = find_plan("helps")
    for arm in plan.arms:
        assert {name.partition(".")[0] for name in arm.changes} <= _MAY_DIFFER["helps"]


def test_clarity_changes_one_thing_at_a_time_in_at_most_45_runs():
    plan = find_plan("clarity")
    assert len({repr(plan.recipe_of(spec)) for spec in plan.specs()}) <= 45
    (base,) = plan.specs(["plain"], seeds=[0])
    factors = {}
    for spec in plan.specs(seeds=[0]):
        factors.setdefault(spec.arm.name.partition("=")[0], []).append(plan.recipe_of(spec))
    del factors["plain"]
    assert set(factors) == {
        "radius",
        "noise",
        "weight-decay",
        "kernel-rms",
        "decoder",
        "first",
        "pool",
    }
    for recipes in factors.values():
        assert plan.recipe_of(base) in recipes


def test_digits_changes_one_option_at_a_time_and_all_take_as_many_steps():
    plan = find_plan("digits")
    base, *others = list(plan.specs(labels=[1000], seeds=[0]))
    for spec in others:
        assert len(differences(to_dict(plan.recipe_of(base)), plan.recipe_of(spec))) == 1
    recipes = {spec.labels: plan.recipe_of(spec) for spec in plan.specs(["base"], seeds=[0])}
    assert set(recipes) == {100, 1000, 60_000}
    assert len(set(map(repr, recipes.values()))) == 1


@pytest.mark.parametrize("factor", ["kernel", "depth", "lr", "decoder-kernel", "decoder-lr"])
def test_each_factor_holds_the_value_that_its_base_has(factor):
    """Else its curve would lack the point that all others share."""
    plan = find_plan("hyperparameters")
    base = "decoder" if "decoder" in factor else "classifier"
    (first,) = plan.specs([base], [4000], [0])
    values = [s for s in plan.specs(seeds=[0]) if s.arm.name.startswith(f"{factor}=")]
    assert len(values) > 1
    assert plan.recipe_of(first) in map(plan.recipe_of, values)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_records_that_are_kept_are_of_the_plan_as_it_stands(plan):
    """A plan that was run is not changed afterwards."""
    for record in read_records(RESULTS / f"{plan.name}.jsonl"):
        (spec,) = plan.specs([record.arm], [record.labels], [record.seed])
        assert differences(record.configuration["recipe"], plan.recipe_of(spec)) == []
        assert record.configuration["held_out"] == plan.hold_out
        assert record.configuration["label_noise"] == spec.arm.label_noise


def test_a_name_that_is_no_plan_lists_them():
    with pytest.raises(
        StudyError, match="no study `help`; there are ablation, clarity, decoder-search, digits"
    ):
        find_plan("help")


@pytest.mark.parametrize("name", ["search", "search-longer"])
def test_what_chooses_never_sees_the_test_pictures_nor_the_seeds_that_count(name):
    search = find_plan(name)
    assert search.hold_out > 0
    assert not set(search.seeds) & set(find_plan("helps").seeds)


SMALL = """
name = "small"
question = "Is it small?"
seeds = [0, 1]
recipe = { epochs = 2, augmentation.cutout = 4, precision = "float32" }
budgets.24 = {}
budgets.48 = { steps_per_epoch = 3 }
arms = [
  { name = "A", description = "as it is" },
  { name = "B", description = "a decoder", changes.decoder.stages = [0.5, 0.5] },
]
contrasts = [{ arm = "B", base = "A", aim = 0.01 }]
primary = 24
published = [
  { arm = "A", name = "theirs", source = "a text", accuracy = { 24 = 0.5, 36 = 0.6 } },
]
"""


def test_a_plan_of_ones_own_is_a_file(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(SMALL)
    plan = find_plan(str(path))
    assert (plan.name, plan.recipe.augmentation.cutout, list(plan.budgets)) == (
        "small",
        4,
        [24, 48],
    )
    *_, last = plan.specs()
    recipe = plan.recipe_of(last)
    assert (recipe.steps_per_epoch, recipe.decoder.stages) == (3, (0.5, 0.5))
    assert [(one.arm, one.accuracy) for one in plan.published] == [("A", {24: 0.5, 36: 0.6})]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("name =", "name", "is not a plan"),
        ("seeds = [0, 1]", "seeds = [-1]", "seeds"),
        ("seeds = [0, 1]", "", "seeds"),
        ("epochs = 2", "epoch = 2", "no option `epoch`"),
        ("aim = 0.01", "aim = nan", "aim"),
        ('name = "A", ', "", "arms"),
        ("primary = 24", "primary = 24\nmore = 1", "more"),
        ("24 = 0.5", "24 = 50", "accuracy"),
    ],
)
def test_a_file_that_is_no_plan_is_one_sentence(tmp_path, before, after, says):
    path = tmp_path / "own.toml"
    path.write_text(SMALL.replace(before, after, 1))
    with pytest.raises(StudyError, match=r"own\.toml is not a plan: .+") as refusal:
        find_plan(str(path))
    assert says in str(refusal.value)
    with pytest.raises(StudyError, match="is not a plan"):
        find_plan(str(tmp_path / "none.toml"))


def test_no_plan_has_a_name_that_another_had_before():
    """Its records would be read as the other's."""
    assert not set(PLANS) & {earlier_study(name) for name in PLANS if earlier_study(name) != name}
