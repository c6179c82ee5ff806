"""Studies on a page: where the records are, and that words and tables follow from them."""

import os
from dataclasses import replace

import pytest

from deconvviz.errors import StudyError
from deconvviz.plots.study import answer, cautions, effect_table, metric_table, sweep_table
from deconvviz.study import find_plan, read_records
from deconvviz.study.gradients import Condition, GradientStats, Setting, Trace
from deconvviz.study.gradients.trace import trace_file
from deconvviz.study.metrics import ACCURACY
from deconvviz.study.report import INCONCLUSIVE, NOT_RUN
from deconvviz.ui.navigation import shipped_folder
from deconvviz.ui.reports import gradients, metrics, numbers, study
from tests.study.samples import helps, keep, record


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("DECONVVIZ_RESULTS", str(tmp_path))
    return tmp_path


def pairs(arm, base, gains, labels=1000):
    """Runs of two arms, the one above the other by `gains`, a seed each."""
    for seed, gain in enumerate(gains):
        yield record(base, labels, seed, 0.5 + 0.01 * seed)
        yield record(arm, labels, seed, 0.5 + 0.01 * seed + gain)


def test_the_results_lie_where_they_are_named_else_with_the_package(results, monkeypatch):
    keep(results, record())
    assert len(study("helps").result.records) == 1
    monkeypatch.delenv("DECONVVIZ_RESULTS")
    shipped = read_records(shipped_folder("results") / "helps.jsonl")
    assert len(study("helps").result.records) == len(shipped) > 1


def test_without_records_nothing_is_said_to_be_known():
    view = study("helps")
    assert len(view.result.records) == 0
    short, rest = answer(view.result)
    assert short.startswith("Not known")
    assert rest.startswith("At 1000 labels")
    assert not any("pairs of runs" in caution for caution in cautions(view.result))
    assert set(effect_table(view.result)["verdict"]) == {NOT_RUN}
    assert len(study("hyperparameters").result.records) == 0
    assert gradients() == []


def test_a_new_record_is_seen_and_a_damaged_one_refused(results):
    keep(results, *pairs("R-all", "A", [0.02, 0.03]))
    assert len(study("helps").result.records) == 4
    keep(results, record("R-all", seed=2))
    assert len(study("helps").result.records) == 5
    with (results / "helps.jsonl").open("a") as file:
        file.write("{\n")
    with pytest.raises(StudyError, match=r"helps\.jsonl, line 6"):
        study("helps")


def test_a_file_that_is_written_anew_is_read_anew(results):
    keep(results, record("A", accuracy=0.5))
    path = results / "helps.jsonl"
    assert study("helps").result.runs("A", 1000)[0].test_accuracy == 0.5
    path.write_text(path.read_text().replace('"test_accuracy":0.5', '"test_accuracy":0.7'))
    os.utime(path, (1, 1))
    assert study("helps").result.runs("A", 1000)[0].test_accuracy == 0.7


def test_the_table_has_every_contrast_in_points():
    table = effect_table(helps(tuple(pairs("R-all", "A", [0.02, 0.03]))))
    rows = table.set_index(["contrast", "labels"])
    row = rows.loc["R-all − A", 1000]
    assert row["pairs"] == 2
    assert row["difference, points"] == pytest.approx(2.5)
    assert row["95 % from"] < 2.5 < row["to"]
    assert row["p"] == pytest.approx(0.5)
    assert row["verdict"] == INCONCLUSIVE
    other = rows.loc["R-lab − A", 1000]
    assert other["pairs"] == 0
    assert other[["difference, points", "95 % from", "to", "p", "p, adjusted"]].isna().all()


def test_one_pair_has_a_mean_and_no_interval():
    table = effect_table(helps(tuple(pairs("R-all", "A", [0.02]))))
    ((_, row),) = table[table["pairs"] > 0].iterrows()
    assert row["difference, points"] == pytest.approx(2)
    assert row[["95 % from", "to", "p", "p, adjusted"]].isna().all()


def test_the_cautions_are_about_these_records():
    runs = tuple(
        replace(one, configuration={"recipe": {"model": "vgg:8,8,8"}}, data={"title": "CIFAR"})
        for one in pairs("R-all", "A", [0.02, 0.03, 0.04])
    )
    text = " ".join(cautions(helps(runs)))
    assert "rests on 3 pairs" in text
    decide = "reconstruction beside cross-entropy and reconstruction beside consistency"
    assert f"Only {decide} with 1000 labels" in text
    assert "R-all" not in text
    assert "`vgg:8,8,8`, 0.31 M parameters; data: CIFAR." in text
    assert "JPEG" not in text
    copies = tuple(replace(one, data={"title": "CIFAR-10, JPEG copy"}) for one in runs)
    assert "lower than on the original pixels" in " ".join(cautions(helps(copies)))


def test_cells_and_metrics_are_those_of_the_runs():
    report = helps(tuple(pairs("R-all", "A", [0.02, 0.03])))
    cells = metric_table(report, ACCURACY).set_index("arm")["1000 labels"]
    assert cells["R-all"] == "53.00 ± 1.41 (2)"
    assert cells["N"] == "not run"
    assert metrics(report, 1000) == ["test_accuracy", "train_loss"]
    assert metrics(report, 500) == []


def test_a_sweep_has_its_declared_points_and_what_was_run(results):
    keep(
        results,
        *(record("anything", 1000, seed, 0.5, study="hyperparameters") for seed in range(2)),
    )
    view = study("hyperparameters")
    assert len(view.result.records) == 2
    cells = sweep_table(view.result).set_index(["arm", "labels"])["test accuracy, %"]
    assert cells["anything", 1000] == "50.00 (2)"
    assert set(cells.drop(("anything", 1000))) == {"not run"}
    assert len(cells) == len(find_plan("hyperparameters").points) + 1


def test_all_numbers_can_be_downloaded():
    assert b'"effects"' in numbers(study("helps"))


def trace(seed, pictures=8, architecture="plain"):
    setting = Setting("shapes", "0", pictures, (0.5,), (0.2,), 4, "he", 0.01, 4, (0, 1))
    stats = GradientStats(1.0, 0.5, (1.0,) * 7, (1.0,) * 7, (0.1,) * 7)
    condition, layers = Condition(architecture, 6, True), tuple(map(str, range(7)))
    return Trace(condition, seed, layers, {0: stats, 1: stats}, None, setting, {}, "a processor")


def test_gradients_are_one_result_a_setting(results):
    file = trace_file(results / "gradients.jsonl")
    for seed in range(2):
        file.append(trace(seed))
    (view,) = gradients()
    assert len(view.result.traces) == 2
    assert [one.seed for one in view.result.traces] == [0, 1]
    file.append(trace(3, pictures=9))
    assert [len(view.result.traces) for view in gradients()] == [2, 1]
