"""The report: verdicts whose truth is built in, and an answer that claims no more than was run."""

import json
import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats

from deconvviz.errors import StudyError
from deconvviz.plots.display import minus
from deconvviz.plots.study import (
    answer,
    baseline_table,
    markdown_report,
    measure_table,
    pooling,
    published,
    summary,
)
from deconvviz.study import PairedDifference, analyse, find_plan
from deconvviz.study.metrics import RECONSTRUCTION
from deconvviz.study.plan import Contrast, Published
from deconvviz.study.report import (
    HARMS,
    HELPS,
    INCONCLUSIVE,
    NO_EFFECT,
    NOT_RUN,
    Effect,
)
from tests.study.samples import helps, record, sweep

WOBBLE = (0.001, -0.001, 0.002, -0.002, 0.0, 0.001, -0.001, 0.002, -0.002, 0.0)  # of ten seeds
WILD = tuple(20 * w for w in WOBBLE)
ARMS = tuple(arm.name for arm in find_plan("helps").arms)
BUDGETS = tuple(find_plan("helps").budgets)


def runs(arm, labels, shift=0.0, wobble=WOBBLE, seeds=10):
    """Runs whose difference to those of another arm without shift and wobble is known."""
    changes = [shift + w for w in wobble[:seeds]]
    return [
        record(arm, labels, seed, 0.6 + seed / 100 + change, subset=f"{labels}, {seed}")
        for seed, change in enumerate(changes)
    ]


def plain(arm, labels, seeds=10):
    return runs(arm, labels, 0.0, (0.0,) * 10, seeds)


def primary(alone=None, beside=None):
    """All arms that decide, at 1000 labels: R-all above A by `alone`, C+R above C by `beside`."""
    made = plain("A", 1000) + plain("C", 1000)
    if alone is not None:
        made += runs("R-all", 1000, *alone)
    return helps(made + (runs("C+R", 1000, *beside) if beside is not None else []))


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ((0.02,), HELPS),
        ((-0.02,), HARMS),
        ((0.0,), NO_EFFECT),
        ((0.0, WILD), INCONCLUSIVE),
        ((0.02, WOBBLE, 5), INCONCLUSIVE),  # five pairs: p is 2/32 at least
        ((0.02, WOBBLE, 1), INCONCLUSIVE),
        (None, NOT_RUN),
    ],
)
def test_verdicts_are_what_the_runs_were_made_to_show(change, verdict):
    assert primary(change).effect("R-all", "A").verdict == verdict


def test_a_single_pair_proves_nothing():
    found = primary((0.02, WOBBLE, 1))
    assert found.effect("R-all", "A").p is None
    assert "one pair proves nothing" in summary(found)
    assert "| R-all − A | 1000 | 1 | +2.10 | – " in markdown_report(found)


def test_an_interval_clear_of_zero_is_not_enough_without_p():
    found, contrast = (
        PairedDifference((0.01,) * 3, 0.01, 0.005, 0.015, 0.01, 1.0),
        Contrast("C", "A"),
    )
    assert Effect(contrast, 500, found, p=0.04).verdict == HELPS
    assert Effect(contrast, 500, found, p=0.06).verdict == INCONCLUSIVE
    wide = PairedDifference((), 0, -0.01, 0.02, 0.01, 1.0)
    assert Effect(contrast, 500, wide, 0.01).verdict == INCONCLUSIVE


def test_p_is_adjusted_over_the_budgets_that_the_plan_declares_for_one_contrast():
    made = [r for n in (500, 1000, 4000) for r in plain("A", n)]
    made += runs("R-all", 500, 0.02) + runs("R-all", 1000, 0.02) + runs("R-all", 4000, 0.0, WILD)
    made += plain("A", 50_000, 1) + runs("R-all", 50_000, 0.02, seeds=1)  # has no p to count
    made += runs("C", 500, 0.02)
    found = helps(made)
    assert len(BUDGETS) == 5  # two of them were not run with enough pairs: each counts as p = 1
    assert found.effect("R-all", "A", 500).difference.p == 2 / 1024
    assert found.effect("R-all", "A", 500).p == pytest.approx(5 * 2 / 1024)
    assert found.effect("R-all", "A", 1000).p == pytest.approx(5 * 2 / 1024)
    assert found.effect("R-all", "A", 4000).p == 1
    # another contrast is another question, with as many budgets
    assert found.effect("C", "A", 500).p == pytest.approx(5 * 2 / 1024)
    assert found.effect("R-all", "A", 50_000).p is None


def test_budgets_at_which_a_contrast_is_not_declared_do_not_count():
    plan = replace(find_plan("helps"), swept=("A", "R-all"))  # C at the first budget alone, 500
    made = plain("A", 500) + runs("R-all", 500, 0.02) + runs("C", 500, 0.02)
    found = analyse(plan, made)
    assert found.effect("R-all", "A", 500).p == pytest.approx(5 * 2 / 1024)
    assert found.effect("C", "A", 500).p == 2 / 1024


def test_aims_are_met_by_what_helps_by_more():
    assert primary((0.02,)).effect("R-all", "A").met
    assert not primary((0.012,)).effect("R-all", "A").met
    assert not primary((0.05, WOBBLE, 5)).effect("R-all", "A").met  # inconclusive
    assert primary(None, (0.02,)).effect("C+R", "C").aim == 0.03
    assert not primary(None, (0.02,)).effect("C+R", "C").met
    assert helps([]).effect("R-all", "A", 4000).aim is None


YES, NO, LESS, OPEN, NONE = (0.04,), (0.0,), (-0.04,), (0.0, WILD), None


@pytest.mark.parametrize(
    ("alone", "beside", "begins"),
    [
        (YES, YES, "Yes"),
        (NO, NO, "No"),
        (NO, LESS, "No"),
        (LESS, LESS, "No, it lowers it"),
        (YES, NO, "In part"),
        (NONE, YES, "In part"),
        (YES, OPEN, "In part"),
        (YES, LESS, "It depends"),
        (OPEN, NO, "No gain was shown"),
        (OPEN, LESS, "No gain was shown, and in part a loss"),
        (OPEN, NONE, "No gain was shown"),
        (NONE, NONE, "Not known, because no pair that decides it was run"),
    ],
)
def test_the_answer_claims_what_the_primary_contrasts_carry(alone, beside, begins):
    short, rest = answer(primary(alone, beside))
    assert short == begins
    assert rest.startswith("At 1000 labels of shapes: ")
    assert rest.endswith(".")
    assert rest.count("no pair was run") == (alone is None) + (beside is None)


def test_every_verdict_has_an_answer():
    """Whatever the two primary contrasts say: an answer, and a yes only where something helps."""
    choices = (YES, NO, LESS, OPEN, NONE)
    for alone, beside in product(choices, choices):
        found = primary(alone, beside)
        verdicts = [found.effect(*pair).verdict for pair in (("R-all", "A"), ("C+R", "C"))]
        assert summary(found).startswith(("Yes", "In part", "It depends")) == (HELPS in verdicts)


def test_runs_without_a_seed_in_common_make_no_pair():
    alone = [r for r in runs("R-all", 1000, 0.05) if r.seed > 4]
    found = helps(plain("A", 1000, 5) + alone)
    assert found.effect("R-all", "A").verdict == NOT_RUN
    assert "of reconstruction beside cross-entropy (R-all − A) no pair was run" in summary(found)


def test_pairs_are_of_equal_seeds():
    ours = [record("R-all", seed=s, accuracy=0.6 + s / 100) for s in (1, 2, 5)]
    theirs = [record("A", seed=s, accuracy=0.6) for s in (0, 1, 5, 6)]
    found = helps(ours + theirs).effect("R-all", "A").difference
    assert found.pairs == pytest.approx((0.01, 0.05))


def test_other_budgets_do_not_answer():
    made = plain("A", 4000) + runs("R-all", 4000, 0.05) + plain("C", 4000) + runs("C+R", 4000, 0.05)
    found = summary(helps(made))
    assert found.startswith("Not known")
    assert " At 4000 labels, reconstruction beside cross-entropy (R-all − A) changes" in found
    assert found.count(": helps.") == 2


def test_without_runs_everything_is_not_run():
    found = helps([])
    assert (found.arms, found.budgets) == (ARMS, BUDGETS)
    assert {effect.verdict for effect in found.effects} == {NOT_RUN}
    assert len(found.effects) == len(found.plan.contrasts) * len(BUDGETS)
    text = markdown_report(found)
    # accuracies on test and training pictures, gap, NLL, ECE, and the four declared corruptions
    assert text.count("| A2 |" + 5 * " not run |") == 9
    assert "0 runs. Data: unknown." in text


def test_tables_hold_every_cell_and_unknown_arms_too():
    found = helps(plain("A", 1000) + plain("own", 2000, 2))
    assert found.arms == (*ARMS, "own")
    assert found.budgets == (500, 1000, 2000, 4000, 10_000, 50_000)
    text = markdown_report(found)
    assert "| A | not run | 64.50 ± 3.03 (10) | not run |" in text
    assert "| own | not run | not run | 60.50 ± 0.71 (2) | not run |" in text
    assert "### Accuracy under noise, %" in text
    assert "| own | 2000 | 0.306 (2) | 20.0 (2) | 0.500 (2) | 40.0 (2) | 100 (2) |" in text
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_numbers_survive_json_and_hold_every_run():
    found = primary((0.02,))
    numbers = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    points = {(one["arm"], one["labels"]): one for one in numbers["points"]}
    assert points["A", 1000]["seeds"] == list(range(10))
    assert points["A", 1000]["test accuracy"]["values"] == pytest.approx(
        [0.6 + s / 100 for s in range(10)]
    )
    assert points["A", 1000]["accuracy under noise"]["deviation"] == pytest.approx(0)
    assert "test accuracy" not in points["A2", 1000]
    (effect,) = [
        e for e in numbers["effects"] if (e["contrast"], e["labels"]) == ("R-all − A", 1000)
    ]
    assert effect["difference"]["mean"] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("one", "other", "word"),
    [
        ({"arm": "A"}, {"arm": "C", "study": "hyperparameters"}, "studies"),
        ({"data": {"test": "x"}}, {"arm": "C", "data": {"test": "y"}}, "different pictures"),
        (
            {"configuration": {"recipe": {"seed": 0, "momentum": 0.9}}},
            {"seed": 1, "configuration": {"recipe": {"seed": 1, "momentum": 0.8}}},
            "configurations",
        ),
        ({"subset": "x"}, {"arm": "C", "subset": "y"}, "labelled pictures"),
    ],
)
def test_what_does_not_belong_together_is_refused_by_name(one, other, word):
    one, other = record(**one), record(**other)
    with pytest.raises(StudyError, match=word) as refusal:
        helps([one, other])
    assert str(one) in str(refusal.value)
    assert str(other) in str(refusal.value)


def test_seeds_budgets_and_arms_may_differ():
    made = [
        record("A", seed=0, configuration={"rate": 1, "recipe": {"seed": 0}}, subset="x"),
        record("A", seed=1, configuration={"rate": 1, "recipe": {"seed": 1}}, subset="y"),
        record("A", 4000, 0, configuration={"rate": 2}, subset="z"),
        record("C", seed=0, configuration={"rate": 3}, subset="x"),
    ]
    assert len(helps(made).records) == 4


DECLARED = [("kernel=3", 1000), ("kernel=5", 1000), ("depth=6", 1000), ("labels", 500)]


def some():
    made = [record("kernel=3", seed=s, accuracy=0.6 + s / 100) for s in range(3)]
    made += [record("kernel=5", seed=s, accuracy=0.62 + s / 100) for s in (1, 2, 7)]
    return [*made, record("labels", 500), record("labels", 4000), record("rate=0.1", seed=9)]


def test_points_of_a_sweep_are_paired_with_the_first_arm():
    found = sweep(some(), DECLARED)
    assert found.base == "kernel=3"
    counts = {point: len(found.runs(*point)) for point in found.points}
    assert {point: n for point, n in counts.items() if n} == {
        ("kernel=3", 1000): 3,
        ("kernel=5", 1000): 3,
        ("labels", 500): 1,
        ("labels", 4000): 1,
        ("rate=0.1", 1000): 1,
    }
    assert ("depth=6", 1000) in counts
    assert found.effect("kernel=5", "kernel=3", 1000).difference.pairs == pytest.approx(
        (0.02, 0.02)
    )
    assert [e.contrast.arm for e in found.effects if e.difference] == ["kernel=5"]


def test_factors_are_what_has_several_values():
    found = sweep([*some(), record("depth=4")], DECLARED).factors
    values = {name: {p.value for p in own} for name, own in found.items()}
    assert values["kernel"] == {"3", "5"}
    assert values["depth"] == {"6", "4"}
    assert {"500", "4000"} <= values["labels"]
    assert "rate" not in values


def test_the_table_of_a_sweep_has_costs_differences_and_what_was_not_run():
    text, _ = markdown_report(sweep(some(), DECLARED)).split("### Where the baselines stand")
    lines = [line for line in text.splitlines() if "|" in line]
    by_arm = {line.split(" | ")[0]: line for line in lines if " 1000 |" in line}
    assert by_arm["| kernel=3"].endswith("| 100 (3) | 0 | – | – | – |")
    assert by_arm["| kernel=5"].endswith("| 100 (3) | 2 | +2.00 | +2.00 | +2.00 |")
    assert by_arm["| depth=6"].count("not run") == 7
    assert len({line.count("|") for line in lines}) == 1


def test_a_reconstruction_error_has_a_column_if_a_factor_had_one():
    epochs = ({"epoch": 1, "reconstruction_error": 0.9}, {"epoch": 2, "reconstruction_error": 0.25})
    made = [record("base"), record("decoder-lr=1", epochs=epochs)]
    assert not sweep(made).factors_with(RECONSTRUCTION)  # one value is no factor
    table = markdown_report(sweep([*made, record("decoder-lr=3", epochs=epochs)]))
    assert "| reconstruction error |" in table
    assert "| 0.250 (1) |" in table
    assert "| not measured |" in table


def test_one_shared_seed_has_no_interval():
    text = markdown_report(sweep([record("base"), record("without crop", accuracy=0.5)]))
    assert "| 1 | -10.00 | – | – |" in text


def noisy(arm, labels=1000, shift=0.0, seeds=3, spread=0.01, **changes):
    """Runs whose chance follows from their name, the same at every call."""
    rng = np.random.default_rng([ord(letter) for letter in f"{arm}{labels}"])
    chance = spread * rng.standard_normal(10)
    return [
        record(arm, labels, s, 0.6 + 0.02 * s + shift + chance[s], subset=f"{s}", **changes)
        for s in range(seeds)
    ]


def residual_deviation(records):
    """Twice the residual mean square of a complete table of arms by seeds, from its means."""
    arms, seeds = (sorted({getattr(r, name) for r in records}) for name in ("arm", "seed"))
    table = np.array(
        [[next(r.test_accuracy for r in records if (r.arm, r.seed) == (a, s)) for s in seeds]
         for a in arms]
    )  # fmt: skip
    left = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    degrees = (len(arms) - 1) * (len(seeds) - 1)
    return math.sqrt(2 * (left**2).sum() / degrees), degrees


def test_few_pairs_take_the_deviation_of_all_arms():
    """S9: three lucky seeds; against the analysis of variance written out."""
    made = [r for name in ("base", "B", "C", "D", "E") for r in noisy(name)]
    lucky = [replace(r, arm="lucky", test_accuracy=r.test_accuracy - 0.002) for r in noisy("base")]
    lucky[0] = replace(lucky[0], test_accuracy=lucky[0].test_accuracy - 1e-5)
    found = sweep([*made, *lucky])
    deviation, degrees = residual_deviation([*made, *lucky])
    assert (found.pool.deviation, found.pool.degrees) == pytest.approx((deviation, degrees))
    half = stats.t.ppf(0.975, degrees) * deviation / math.sqrt(3)
    for effect in found.effects:
        one = effect.difference
        assert one.pooled
        assert (one.low, one.high) == pytest.approx((one.mean - half, one.mean + half))
    of_lucky = found.effect("lucky", "base", 1000).difference
    assert of_lucky.low < 0 < of_lucky.high  # its own three would leave zero far out
    assert "Pooled: with fewer than 5 pairs" in markdown_report(found)
    assert f"{100 * deviation:.2f} points" in summary(found)
    wide = stats.t.ppf(1 - 0.025 / 5, degrees) * deviation / math.sqrt(3)
    said = f"reaches {100 * half:.2f} points to each side, and {100 * wide:.2f} if all 5 are"
    assert said in pooling(found)


def test_five_pairs_keep_their_own_deviation():
    made = [*noisy("base", seeds=5), *noisy("B", seeds=5), *noisy("C", seeds=3)]
    found = sweep(made)
    own, few = (found.effect(name, "base", 1000).difference for name in "BC")
    interval = stats.ttest_1samp(own.pairs, 0).confidence_interval(0.95)
    assert not own.pooled
    assert (own.low, own.high) == pytest.approx(tuple(interval))
    assert few.pooled
    assert few.degrees > 2
    assert pooling(sweep([*noisy("base", seeds=5), *noisy("B", seeds=5)])) == ""


def test_an_arm_by_another_name_counts_once_and_differs_by_nothing():
    made = [r for name in ("base", "B", "C") for r in noisy(name)]
    same = [replace(r, arm=name) for name in ("kernel=3", "depth=6") for r in noisy("base")]
    found = sweep([*made, *same])
    assert found.pool == sweep(made).pool
    one = found.effect("kernel=3", "base", 1000).difference
    assert (one.mean, one.low, one.high, one.pooled) == (0, 0, 0, False)


def test_an_arm_that_varies_more_keeps_its_own_and_spoils_no_pool():
    made = [r for name in ("base", "B", "C", "D", "E") for r in noisy(name)]
    wild = [
        replace(r, arm="wild", test_accuracy=r.test_accuracy + (0.2, -0.2, 0.1)[r.seed])
        for r in noisy("base")
    ]
    found = sweep([*made, *wild])
    assert [point.arm for point in found.pool.apart] == ["wild"]
    assert found.pool.deviation == sweep(made).pool.deviation
    assert not found.effect("wild", "base", 1000).difference.pooled
    assert found.effect("B", "base", 1000).difference.pooled
    assert "“wild” at 1000 labels varies more than the others" in pooling(found)


def test_other_budgets_pool_together_with_blocks_of_their_own():
    """Two budgets whose seeds differ wildly: what a seed brings to all arms is no chance."""
    made = [r for name in ("base", "B", "C") for r in noisy(name)]
    more = [
        replace(r, test_accuracy=r.test_accuracy + 0.1 * r.seed)
        for name in ("base", "B")
        for r in noisy(name, 4000)
    ]
    (one, few), (two, other) = residual_deviation(made), residual_deviation(more)
    pooled = sweep([*made, *more], [("base", 1000), ("base", 4000)]).pool
    assert pooled.degrees == few + other
    expected = math.sqrt((few * one**2 + other * two**2) / (few + other))
    assert pooled.deviation == pytest.approx(expected)


def test_every_metric_of_the_plan_has_its_difference_in_every_contrast():
    ours = [
        replace(r, train_accuracy=0.9, nll=1.0 + r.seed / 100, ece=0.12)
        for r in runs("C", 1000, 0.01)
    ]
    ours = [replace(r, robustness={"noise": (0.3,), "blur": (0.5, 0.7)}) for r in ours]
    found = helps(plain("A", 1000) + ours)
    effect = found.effect("C", "A")
    measured = {
        "training accuracy": -0.09,
        "train-test gap": -0.1,
        "NLL": -0.155,
        "ECE": 0.02,
        "accuracy under noise": -0.01,
    }
    assert {name: one.mean for name, one in effect.measures.items()} == pytest.approx(measured)
    nll = effect.measures["NLL"]
    interval = stats.ttest_1samp(nll.pairs, 0).confidence_interval(0.95)
    assert (nll.low, nll.high) == pytest.approx(tuple(interval))
    assert nll.equivalent_p is None  # no margin was declared for it
    (row,) = measure_table(found).to_dict("records")
    assert (row["contrast"], row["labels"], row["pairs"]) == ("C − A", 1000, 10)
    assert row["NLL, nats"] == minus(f"-0.155 ({nll.low:+.3f} to {nll.high:+.3f})")
    assert row["training accuracy, points"] == minus("-9.00 (-9.00 to -9.00)")
    assert "accuracy under blur, points" not in row  # A has none
    assert "| C − A | 1000 | 10 | +1.00" in markdown_report(found)
    (numbers,) = [e for e in found.to_dict()["effects"] if e["difference"]]
    assert numbers["measures"]["ECE"]["mean"] == pytest.approx(0.02)


def test_corruptions_that_are_declared_are_told_even_if_nobody_measured_them():
    found = helps([replace(r, robustness={}) for r in plain("A", 1000)])
    assert "### Accuracy under blur, %" in markdown_report(found)
    assert "accuracy under blur" in [metric.name for metric in found.metrics]


def test_baselines_stand_beside_their_training_accuracy_and_what_was_published():
    figures = Published(
        arm="A", name="a classifier alone", source="somebody", accuracy={1000: 0.634, 2000: 0.715}
    )
    plan = replace(find_plan("helps"), published=(figures,))
    found = analyse(plan, plain("A", 1000) + plain("A", 4000) + plain("C", 1000) + plain("A2", 500))
    rows = {(r["arm"], r["labels"]): r for r in baseline_table(found).to_dict("records")}
    assert set(rows) == {("A", 1000), ("A", 4000), ("C", 1000)}
    assert rows["A", 1000]["published, %"] == "63.40 (a classifier alone)"
    assert rows["A", 1000]["training accuracy, %"] == "99.00 (10)"
    assert rows["A", 4000]["published, %"] == "–"
    assert "63.4% with 1000 labels, 71.5% with 2000 labels (somebody)" in published(found)
    assert "63.40 (a classifier alone)" in markdown_report(found)
    assert "published, %" not in baseline_table(helps(plain("A", 1000)))
    assert json.loads(json.dumps(found.to_dict()))["published"][0]["accuracy"]["2000"] == 0.715
