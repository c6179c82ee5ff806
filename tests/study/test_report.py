"""The report: verdicts whose truth is built in, and an answer that claims no more than was run."""

import json
from itertools import product

import pytest

from deconvviz.errors import StudyError
from deconvviz.study import Difference, read_report, report
from deconvviz.study.paired import MARGIN
from deconvviz.study.report import (
    ARMS,
    BUDGETS,
    CONTRASTS,
    HARMS,
    HELPS,
    INCONCLUSIVE,
    NO_EFFECT,
    NOT_RUN,
    Contrast,
)
from tests.study.samples import record

WOBBLE = (0.001, -0.001, 0.002, -0.002, 0.0, 0.001, -0.001, 0.002, -0.002, 0.0)  # of ten seeds
WILD = tuple(20 * w for w in WOBBLE)


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
    return report(made + (runs("C+R", 1000, *beside) if beside is not None else []))


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
    assert primary(change).contrast("R-all", "A").verdict == verdict


def test_a_single_pair_proves_nothing():
    told = primary((0.02, WOBBLE, 1))
    assert told.contrast("R-all", "A").p is None
    assert "one pair proves nothing" in told.summary()
    assert "| R-all − A | 1000 | 1 | +2.10 | – " in told.markdown()


def test_an_interval_clear_of_zero_is_not_enough_without_p():
    found = Difference((0.01,) * 3, 0.01, 0.005, 0.015, 0.01, 1.0)
    assert Contrast("C", "A", 500, found, p=0.04).verdict == HELPS
    assert Contrast("C", "A", 500, found, p=0.06).verdict == INCONCLUSIVE
    assert Contrast("C", "A", 500, Difference((), 0, -0.01, 0.02, 0.01, 1.0), 0.01).verdict == (
        INCONCLUSIVE
    )


def test_p_is_adjusted_over_the_budgets_of_one_contrast_that_were_run():
    made = [r for n in (500, 1000, 4000) for r in plain("A", n)]
    made += runs("R-all", 500, 0.02) + runs("R-all", 1000, 0.02) + runs("R-all", 4000, 0.0, WILD)
    made += plain("A", 50_000, 1) + runs("R-all", 50_000, 0.02, seeds=1)  # has no p to count
    made += runs("C", 500, 0.02)
    told = report(made)
    assert told.contrast("R-all", "A", 500).difference.p == 2 / 1024
    assert told.contrast("R-all", "A", 500).p == pytest.approx(3 * 2 / 1024)
    assert told.contrast("R-all", "A", 4000).p == 1
    assert told.contrast("C", "A", 500).p == 2 / 1024  # another contrast is another question
    assert told.contrast("R-all", "A", 50_000).p is None


def test_aims_are_met_by_what_helps_by_more():
    assert primary((0.02,)).contrast("R-all", "A").met
    assert not primary((0.012,)).contrast("R-all", "A").met
    assert not primary((0.05, WOBBLE, 5)).contrast("R-all", "A").met  # inconclusive
    assert primary(None, (0.02,)).contrast("C+R", "C").aim == 0.03
    assert not primary(None, (0.02,)).contrast("C+R", "C").met
    assert report([]).contrast("R-all", "A", 4000).aim is None


YES, NO, LESS, OPEN, NONE = (0.04,), (0.0,), (-0.04,), (0.0, WILD), None


@pytest.mark.parametrize(
    ("alone", "beside", "begins"),
    [
        (YES, YES, "Yes, at 1000"),
        (NO, NO, "No, at 1000"),
        (NO, LESS, "No, at 1000"),
        (LESS, LESS, "No, it lowers it, at 1000"),
        (YES, NO, "In part, at 1000"),
        (NONE, YES, "In part, at 1000"),
        (YES, OPEN, "In part, at 1000"),
        (YES, LESS, "It depends, at 1000"),
        (OPEN, NO, "Not shown, at 1000"),
        (OPEN, NONE, "Not shown, at 1000"),
        (NO, NONE, "Not shown, at 1000"),
        (NONE, NONE, "Not known, because no pair that decides it was run, at 1000"),
    ],
)
def test_the_answer_claims_what_the_primary_contrasts_carry(alone, beside, begins):
    told = primary(alone, beside).summary()
    assert told.startswith(begins)
    assert told.endswith(".")
    assert "shapes" in told  # on which pictures
    assert told.count("no pair was run") == (alone is None) + (beside is None)


def test_runs_without_a_seed_in_common_make_no_pair():
    alone = [r for r in runs("R-all", 1000, 0.05) if r.seed > 4]
    told = report(plain("A", 1000, 5) + alone)
    assert told.contrast("R-all", "A").verdict == NOT_RUN
    assert "of reconstruction beside cross-entropy (R-all − A) no pair was run" in told.summary()


def test_other_budgets_do_not_answer():
    made = plain("A", 4000) + runs("R-all", 4000, 0.05) + plain("C", 4000) + runs("C+R", 4000, 0.05)
    told = report(made).summary()
    assert told.startswith("Not known")
    assert " At 4000 labels, reconstruction beside cross-entropy (R-all − A) changes" in told
    assert told.count(": helps.") == 2  # what they say is told, behind the answer


def test_without_runs_all_is_told_as_not_run():
    told = report([])
    assert (told.arms, told.budgets) == (tuple(ARMS), BUDGETS)
    assert {c.verdict for c in told.contrasts} == {NOT_RUN}
    assert len(told.contrasts) == len(CONTRASTS) * len(BUDGETS)
    lines = told.markdown().splitlines()
    assert [line for line in lines if line.startswith("| A2 |")] == [
        "| A2 |" + 5 * " not run |"
    ] * 4
    assert "0 runs. Data: not told." in told.markdown()


def test_tables_hold_every_cell_and_strangers_too():
    told = report(plain("A", 1000) + plain("own", 2000, 2))
    assert told.arms == (*ARMS, "own")
    assert told.budgets == (500, 1000, 2000, 4000, 10_000, 50_000)
    text = told.markdown()
    assert "| A | not run | 64.50 ± 3.03 (10) | not run |" in text
    assert "| own | not run | not run | 60.50 ± 0.71 (2) | not run |" in text
    assert "### Accuracy under noise, %" in text
    assert "| own | 2000 | 0.306 (2) | 20.0 (2) | 0.500 (2) | 40.0 (2) | 100 (2) |" in text


def test_markdown_has_whole_tables():
    tables = [
        [line.count("|") for line in block.splitlines()]
        for block in primary((0.02,), (0.0, WILD)).markdown().split("\n\n")
        if block.startswith("| ")
    ]
    assert len(tables) == 7
    assert all(len(set(table)) == 1 for table in tables)


def test_facts_survive_json_and_hold_every_pair():
    told = primary((0.02,), (0.0, WOBBLE, 1))
    facts = told.to_dict()
    again = json.loads(json.dumps(facts, allow_nan=False))
    assert again["answer"] == told.summary()
    found = {(c["contrast"], c["labels"]): c for c in again["contrasts"]}
    assert found["R-all − A", 1000]["verdict"] == HELPS
    assert found["R-all − A", 1000]["difference"]["pairs"] == pytest.approx(
        [0.02 + w for w in WOBBLE]
    )
    assert found["C+R − C", 1000]["difference"]["p"] is None
    assert found["C+R − C", 4000]["difference"] is None
    assert again["margin"] == MARGIN
    assert len(again["cells"]) == len(ARMS) * len(BUDGETS)


def test_a_folder_is_read_and_its_false_pairs_are_refused(tmp_path):
    for one in plain("A", 1000) + runs("R-all", 1000, 0.02):
        one.write(tmp_path)
    assert read_report(tmp_path) == report(plain("A", 1000) + runs("R-all", 1000, 0.02))
    record("C", 1000, 3, subset="others").write(tmp_path)
    with pytest.raises(StudyError, match=r"A-1000-3\.json and C-1000-3\.json"):
        read_report(tmp_path)


def test_every_verdict_has_an_answer():
    """Whatever the two primary contrasts say: an answer, and a yes only where something helps."""
    choices = (YES, NO, LESS, OPEN, NONE)
    for alone, beside in product(choices, choices):
        told = primary(alone, beside)
        verdicts = [told.contrast(*pair).verdict for pair in (("R-all", "A"), ("C+R", "C"))]
        assert told.summary().startswith(("Yes", "In part", "It depends")) == (HELPS in verdicts)
