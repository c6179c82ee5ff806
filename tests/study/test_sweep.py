"""Sweeps: points in the declared order, differences to the first arm, nothing invented."""

import json

import pytest

from deconvviz.study import sweep
from tests.study.samples import record

DECLARED = [("kernel=3", 1000), ("kernel=5", 1000), ("depth=6", 1000), ("labels", 500)]


def some():
    made = [record("kernel=3", seed=s, accuracy=0.6 + s / 100) for s in range(3)]
    made += [record("kernel=5", seed=s, accuracy=0.62 + s / 100) for s in (1, 2, 7)]
    return [*made, record("labels", 500), record("labels", 4000), record("rate=0.1", seed=9)]


def test_points_are_declared_ones_then_others_and_each_is_paired_with_the_first():
    found = sweep(some(), DECLARED)
    assert found.base == "kernel=3"
    told = [(p.cell.arm, p.cell.labels, len(p.cell.records)) for p in found.points]
    assert told == [
        ("kernel=3", 1000, 3),
        ("kernel=5", 1000, 3),
        ("depth=6", 1000, 0),
        ("labels", 500, 1),
        ("labels", 4000, 1),
        ("rate=0.1", 1000, 1),
    ]
    changes = [p.difference for p in found.points]
    assert changes[1].pairs == pytest.approx((0.02, 0.02))
    assert [change is None for change in changes] == [True, False, True, True, True, True]


def test_factors_are_what_has_several_values():
    found = sweep([*some(), record("depth=4")], DECLARED).factors
    values = {name: [p.value for p in own] for name, own in found.items()}
    assert values == {"kernel": ["3", "5"], "depth": ["6", "4"], "labels": ["500", "4000"]}


def test_the_table_tells_costs_differences_and_what_was_not_run():
    lines = sweep(some(), DECLARED).markdown().splitlines()
    assert "accuracy less kernel=3, points" in lines[0]
    by_arm = {line.split(" | ")[0]: line for line in lines}
    assert by_arm["| kernel=3"].endswith("| 100 (3) | – | – | – |")
    assert by_arm["| kernel=5"].endswith("| 100 (3) | +2.00 | +2.00 to +2.00 | 2 |")
    assert by_arm["| depth=6"].count("not run") == 7
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1


def test_what_a_decoder_leaves_has_a_column_where_a_lever_had_one():
    epochs = ({"epoch": 1, "reconstruction_error": 0.9}, {"epoch": 2, "reconstruction_error": 0.25})
    made = [record("A"), record("decoder-rate=1", epochs=epochs)]
    assert "reconstruction error" not in sweep(made).markdown()  # one arm is no lever
    table = sweep([*made, record("decoder-rate=3", epochs=epochs)]).markdown()
    assert "| reconstruction error |" in table
    assert "| 0.250 (1) |" in table
    assert "| not measured |" in table


def test_one_shared_seed_has_no_interval():
    lines = sweep([record("best"), record("without crop", accuracy=0.5)]).markdown()
    assert "| -10.00 | – | 1 |" in lines


def test_facts_survive_json():
    found = sweep(some(), DECLARED)
    facts = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert facts["base"] == "kernel=3"
    assert facts["points"][1]["difference"]["mean"] == pytest.approx(0.02)
    assert facts["points"][2] == {
        "arm": "depth=6",
        "labels": 1000,
        "runs": 0,
        "seeds": [],
        "difference": None,
    }


def test_nothing_at_all_is_a_sweep_without_points():
    assert sweep([]).points == ()
    assert sweep([]).factors == {}
    assert len(sweep([], DECLARED).points) == 4
