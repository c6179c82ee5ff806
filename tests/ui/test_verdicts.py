"""What the records say on a page: where they lie, and that words and tables follow from them."""

import os
from dataclasses import replace

import pytest

from deconvviz.errors import StudyError
from deconvviz.study import report
from deconvviz.study.gradients.traces import Arm, Moment, Setting, Trace
from deconvviz.study.report import INCONCLUSIVE, NOT_RUN
from deconvviz.ui.verdicts import (
    answer,
    cautions,
    cell_rows,
    difference_rows,
    gradients,
    helps,
    metrics,
    numbers,
    point_rows,
    results_folder,
    swept,
)
from tests.study.samples import record


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("DECONVVIZ_RESULTS", str(tmp_path))
    return tmp_path


def pairs(arm, base, gains, labels=1000):
    """Runs of two arms, the one above the other by `gains`, a seed each."""
    for seed, gain in enumerate(gains):
        yield record(base, labels, seed, 0.5 + 0.01 * seed)
        yield record(arm, labels, seed, 0.5 + 0.01 * seed + gain)


def test_the_results_lie_where_they_are_named_else_inside_else_beside(tmp_path, monkeypatch):
    package = tmp_path / "deconvviz"
    package.mkdir()
    assert results_folder(package) == tmp_path
    monkeypatch.delenv("DECONVVIZ_RESULTS")
    assert results_folder(package) == tmp_path / "results"
    (package / "_results").mkdir()
    assert results_folder(package) == package / "_results"


def test_without_records_nothing_is_said_to_be_known():
    found = helps()
    assert found.runs == 0
    short, rest = answer(found.found)
    assert short.startswith("Not known")
    assert rest.startswith("At 1000 labels")
    assert not any("pairs of runs" in caution for caution in cautions(found.found))
    assert {row["verdict"] for row in difference_rows(found.found)} == {NOT_RUN}
    assert swept("levers").runs == 0
    assert gradients() == []


def test_a_new_record_is_seen_and_a_damaged_one_refused(results):
    for one in pairs("R-all", "A", [0.02, 0.03]):
        one.write(results / "helps")
    assert helps().runs == 4
    record("R-all", seed=2).write(results / "helps")
    assert helps().runs == 5
    (results / "helps" / "A-1000-9.json").write_text("{")
    with pytest.raises(StudyError, match=r"A-1000-9\.json is no record"):
        helps()


def test_the_short_answer_and_the_rest_are_the_whole_sentence():
    found = report(tuple(pairs("R-all", "A", [0.02, 0.03])))
    short, rest = answer(found)
    assert f"{short}, at{rest[2:]}" == found.summary()


def test_the_table_has_every_pair_in_points():
    rows = difference_rows(report(tuple(pairs("R-all", "A", [0.02, 0.03]))))
    (row,) = [r for r in rows if (r["contrast"], r["labels"]) == ("R-all − A", 1000)]
    assert row["pairs"] == [2, 3]
    assert row["mean"] == pytest.approx(2.5)
    assert row["from"] < 2.5 < row["to"]
    assert row["p"] == pytest.approx(0.5)
    assert row["verdict"] == INCONCLUSIVE
    (other,) = [r for r in rows if (r["contrast"], r["labels"]) == ("R-lab − A", 1000)]
    assert (other["pairs"], other["mean"], other["p"]) == ([], None, None)


def test_one_pair_has_a_mean_and_no_interval():
    rows = difference_rows(report(tuple(pairs("R-all", "A", [0.02]))))
    (row,) = [row for row in rows if row["pairs"]]
    assert (row["from"], row["to"], row["p"], row["p, adjusted"]) == (None,) * 4


def test_the_cautions_are_of_these_records():
    runs = tuple(
        replace(one, configuration={"recipe": {"model": "vgg:8,8,8"}}, data={"title": "CIFAR"})
        for one in pairs("R-all", "A", [0.02, 0.03, 0.04])
    )
    told = " ".join(cautions(report(runs)))
    assert "rests on 3 pairs" in told
    assert "`vgg:8,8,8`, 0.31 M parameters; data: CIFAR." in told
    assert "JPEG" not in told
    copies = tuple(replace(one, data={"title": "CIFAR-10, JPEG copy"}) for one in runs)
    assert "lower than on the original pixels" in " ".join(cautions(report(copies)))


def test_cells_and_metrics_are_those_of_the_runs():
    found = report(tuple(pairs("R-all", "A", [0.02, 0.03])))
    rows = {row["arm"]: row for row in cell_rows(found)}
    assert rows["R-all"]["1000 labels"] == "53.00 ± 1.41 (2)"
    assert rows["N"]["1000 labels"] == "not run"
    assert metrics(found.at(1000)) == ["test_accuracy", "train_loss"]
    assert metrics(found.at(500)) == []


def test_a_sweep_tells_its_declared_points_and_what_was_run(results):
    for seed in range(2):
        record("anything", 1000, seed, 0.5, study="levers").write(results / "levers")
    found = swept("levers")
    assert found.runs == 2
    rows = {(row["arm"], row["labels"]): row for row in point_rows(found.found)}
    assert rows["anything", 1000]["test accuracy, %"] == "50.00 (2)"
    assert "not run" in {row["test accuracy, %"] for row in rows.values()}


def test_all_numbers_can_be_taken_away():
    assert b'"answer"' in numbers(helps())


def trace(seed, pictures=8, architecture="plain"):
    setting = Setting("shapes", "0", pictures, (0.5,), (0.2,), 4, "he", 0.01, 4, (0, 1))
    moment = Moment(1.0, 0.5, (1.0,) * 7, (1.0,) * 7, (0.1,) * 7)
    layers = tuple(map(str, range(7)))
    moments = {0: moment, 1: moment}
    return Trace(
        Arm(architecture, 6, True), seed, layers, moments, None, setting, {}, "a processor"
    )


def test_gradients_are_told_of_each_folder_of_runs(results):
    for seed in range(2):
        trace(seed).write(results / "gradients" / "he")
    (results / "gradients" / "he" / "gradients.json").write_text("{}")  # a summary
    (found,) = gradients()
    assert found.runs == 2
    assert [one.seed for one in found.found.traces] == [0, 1]
    trace(3, pictures=9).write(results / "gradients" / "he")
    with pytest.raises(StudyError, match="different settings"):
        gradients()


def test_a_record_that_is_written_anew_is_read_anew(results):
    path = record("A", accuracy=0.5).write(results / "helps")
    assert helps().found.cell("A", 1000).records[0].test_accuracy == 0.5
    record("A", accuracy=0.7).write(results / "helps")
    os.utime(path, (1, 1))
    assert helps().found.cell("A", 1000).records[0].test_accuracy == 0.7
