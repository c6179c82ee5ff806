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
    told = json.loads((out / "trust.json").read_text())
    assert told["finding"] in done.output
    assert told["rule"] == "deconvnet"
    others = json.loads((out / "attributions.json").read_text())
    assert others["unit"] == told["unit"]
    assert (out / "trust.png").is_file()


def test_the_unit_and_the_rule_are_those_asked_for(words, tmp_path):
    more = ["--unit", "22", "--rule", "guided", "--seed", "3", "--out", str(tmp_path)]
    done = runner.invoke(app, [*words, *more])
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "trust.json").read_text())
    assert told["unit"].startswith("unit 22 of stage2.relu1")
    assert (told["rule"], told["random_draws_from"]) == ("guided", 3)
    assert not (tmp_path / "attributions.json").exists()


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        (["--rule", "lrp"], SettingError, "no rule `lrp`; there are deconvnet"),
        (["--unit", "999"], SelectionError, "no unit 999"),
    ],
)
def test_what_is_not_there_is_refused(words, tmp_path, more, error, says):
    refused = runner.invoke(app, [*words, *more, "--out", str(tmp_path)])
    assert isinstance(refused.exception, error)
    assert says in str(refused.exception)
