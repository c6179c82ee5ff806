"""What is published follows from the records alone."""

from dataclasses import replace

import pytest

from deconvviz.study import Report, Sweep, draw, find_plan, judge, publish
from tests.study.samples import record


@pytest.fixture
def results(tmp_path):
    for seed in range(3):
        record("A", 1000, seed, 0.6 + seed / 100).write(tmp_path / "helps")
        record("R-all", 1000, seed, 0.62 + seed / 100).write(tmp_path / "helps")
    return tmp_path


def test_a_question_gets_verdicts_and_anything_else_a_sweep(results):
    plan = find_plan("helps")
    assert isinstance(judge(plan, results / "helps"), Report)
    other = replace(plan, robust=False)
    found = judge(other, results / "helps")
    assert isinstance(found, Sweep)
    assert found.base == "A"


def test_it_is_computed_anew_from_the_files(results):
    plan = find_plan("helps")
    first = publish(plan, results).read_text()
    assert "deconvviz study run helps" in first
    assert "+2.0" in first or "+2.00" in first
    (results / "helps" / "R-all-1000-0.json").unlink()
    assert publish(plan, results).read_text() != first
    assert publish(plan, results / "nowhere").read_text().count("not run") > 10


def test_every_figure_is_drawn_for_everything_and_for_nothing(results, tmp_path):
    plan = find_plan("helps")
    publish(plan, results, tmp_path / "figures")
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert names == {f"helps-{name}" for name in draw(judge(plan, results / "nowhere"))}
    assert all(path.stat().st_size > 1000 for path in (tmp_path / "figures").iterdir())
