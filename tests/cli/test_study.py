"""`deconvviz study`: a plan by its name, run and reported."""

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from deconvviz.cli import app
from deconvviz.errors import DataError, StudyError
from deconvviz.io.data import draw_shapes
from deconvviz.study import PLANS, plan
from tests.study.test_run import PLAN


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(plan, "PLANS", {**PLANS, "small": replace(PLAN, dataset="shapes")})


def invoke(*words):
    result = CliRunner().invoke(app, ["study", *map(str, words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_study_is_run_and_reported(tmp_path, small):
    words = ("small", "--results", tmp_path)
    said = invoke("run", *words, "--arm", "A", "--arm", "R-all", "--labels", 24, "--device", "cpu")
    assert "4 runs in" in said.output
    said = invoke("report", *words, "--figures", tmp_path / "figures")
    assert (tmp_path / "small.md").read_text() in said.output
    assert "R-all" in said.output
    drawn = {path.name for path in (tmp_path / "figures").iterdir()}
    assert drawn == {
        f"small-{name}.png" for name in ("curves", "differences", "ranking", "reconstruction")
    }


def test_wrong_names_are_told_before_any_data_are_read(tmp_path, small, monkeypatch):
    monkeypatch.setattr("deconvviz.io.data.load_dataset", lambda *_, **__: pytest.fail("data read"))
    with pytest.raises(StudyError, match="no study `smal`"):
        invoke("run", "smal")
    with pytest.raises(StudyError, match="has no arm B"):
        invoke("run", "small", "--arm", "B", "--results", tmp_path)


def test_missing_data_are_told_with_how_to_get_them(tmp_path):
    with pytest.raises(DataError, match="--download"):
        invoke("run", "helps", "--data-dir", tmp_path, "--results", tmp_path)


def test_gradients_are_followed_once_and_reported(tmp_path, monkeypatch):
    monkeypatch.setattr("deconvviz.io.data.load_dataset", lambda *_, **__: draw_shapes(24, size=8))
    words = ["gradients", "--results", tmp_path, "--depths", 6, "--seeds", 0, "--width", 2]
    words += ["--deconv-weight", 0, "--device", "cpu", "--init", "he", "--epochs", 2]
    assert "6 layers" in invoke(*words, "--figures", tmp_path / "f").output
    assert {path.name for path in (tmp_path / "f").iterdir()} >= {"gradients.png", "gradients.json"}
    before = (tmp_path / "gradients.jsonl").read_bytes()
    assert len(before.splitlines()) == 4
    invoke(*words)
    assert (tmp_path / "gradients.jsonl").read_bytes() == before
    assert "6 layers" in invoke("report", "gradients", "--results", tmp_path).output
