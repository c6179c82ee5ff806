"""Every list of analyses, in the docs, on the page and of commands, is the registry's."""

import json
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deconvviz.analysis import Result
from deconvviz.analysis.registry import Analysis, analyses, table
from deconvviz.cli import app
from deconvviz.cli.experiment import command_of
from deconvviz.plots.figures import plot
from deconvviz.schema import Positive, options, validated

ROOT = Path(__file__).parents[2]
BY_HAND = {"ablation"}
"""Commands of the group `experiment` that the registry does not make."""


def test_the_table_in_the_docs_is_the_registrys():
    assert table() in (ROOT / "docs/experiments.md").read_text("utf-8")


def test_commands_named_in_prose_exist():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    prose = "".join(page.read_text("utf-8") for page in pages)
    named = set(re.findall(r"deconvviz experiment ([a-z]+)", prose))
    assert named
    assert named <= {*analyses(), *BY_HAND}


def test_the_group_lists_all():
    listed = CliRunner().invoke(app, ["experiment", "--help"]).output
    assert {name for name in {*analyses(), *BY_HAND} if name not in listed} == set()


@pytest.mark.parametrize("name", analyses())
def test_an_analysis_is_complete(name):
    """It has a result of its name, drawn in a module of its name, and options with help."""
    one = analyses()[name]
    assert name in {result.name for result in Result.__subclasses__()}
    plots = import_module(f"deconvviz.plots.{name}")
    assert callable(plots.figure)
    assert callable(plots.summary)
    assert one.question.endswith((".", "?"))
    options = [parameter for parameter in command_of(one).params if parameter.name != "help"]
    assert all(parameter.help for parameter in options)


@validated
class CountOptions:
    """Options of an analysis that counts."""

    times: Positive = 1
    """Factor."""


@dataclass(frozen=True)
class Counted(Result):
    pictures: int
    folder: str
    name = "counted"

    def summary(self):
        return f"{self.pictures} pictures"

    def figure(self, ink=""):  # noqa: ARG002
        return plot(2, 2)[0]


def count_pictures(training, test, folder, options: CountOptions) -> Counted:
    return Counted(options.times * (len(training) + len(test)), str(folder))


def test_a_new_analysis_gets_its_command_also_without_a_network(tmp_path, capsys):
    needs = ("training data", "folder")
    made = Analysis("", "How many?", "", needs, count_pictures)
    words = ["--data", "shapes", "--count", "30", "--test", "12", "--times", "2"]
    command_of(made)([*words, "--out", str(tmp_path)], standalone_mode=False)
    assert "84 pictures" in capsys.readouterr().out
    content = json.loads((tmp_path / "counted.json").read_text())
    assert (content["pictures"], content["folder"]) == (84, str(tmp_path))


def test_no_option_is_without_help():
    for analysis in analyses().values():
        assert all(option.help for option in options(analysis.options)), analysis.name
