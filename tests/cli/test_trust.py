"""`deconvviz trust`, as a person calls it."""

import json

import pytest
from typer.testing import CliRunner

from deconvviz.cli import app
from deconvviz.errors import SelectionError, SettingError
from deconvviz.io.images import photograph

runner = CliRunner()


@pytest.fixture
def words(tmp_path):
    photograph("cat").image.save(tmp_path / "cat.png")
    return ["trust", "demo", str(tmp_path / "cat.png"), "--layer", "stage2.relu1"]


def test_one_unit_is_examined_and_compared(words, tmp_path):
    out = tmp_path / "results"
    done = runner.invoke(app, [*words, "--size", "64", "--others", "--out", str(out)])
    assert done.exit_code == 0, done.output
    result = json.loads((out / "trust.json").read_text())
    assert result["summary"] in done.output
    assert result["rule"] == "deconvnet"
    others = json.loads((out / "attributions.json").read_text())
    assert others["units"] == result["units"]
    assert (out / "trust.png").is_file()


def test_the_unit_and_the_rule_are_those_asked_for(words, tmp_path):
    more = ["--unit", "22", "--rule", "guided", "--seed", "3", "--out", str(tmp_path)]
    done = runner.invoke(app, [*words, *more])
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "trust.json").read_text())
    assert (result["units"][0]["layer"], result["units"][0]["channel"]) == ("stage2.relu1", 22)
    assert (result["rule"], result["seed"]) == ("guided", 3)
    assert not (tmp_path / "attributions.json").exists()


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        (["--rule", "lrp"], SettingError, "rule must be"),
        (["--unit", "999"], SelectionError, "no unit 999"),
    ],
)
def test_wrong_options_are_refused(words, tmp_path, more, error, says):
    refused = runner.invoke(app, [*words, *more, "--out", str(tmp_path)])
    assert isinstance(refused.exception, error)
    assert says in str(refused.exception)
