"""Every list of analyses, in the docs, on the page and of commands, is the registry's."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deconvviz.analysis import Result
from deconvviz.analysis.registry import analyses, table
from deconvviz.cli import app
from deconvviz.cli.experiment import command_of

ROOT = Path(__file__).parents[2]
BY_HAND = {"ablation"}
"""Commands of the group `experiment` that the registry does not make."""


def test_the_table_in_the_docs_is_the_registrys():
    assert table() in (ROOT / "docs/experiments.md").read_text("utf-8")


@pytest.mark.parametrize("file", ["README.md", "docs/experiments.md"])
def test_commands_named_in_prose_exist(file):
    prose = (ROOT / file).read_text("utf-8")
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
