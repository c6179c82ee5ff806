"""`deconvviz COMMAND`: one module for each group of commands."""

import os
import sys

import typer

from deconvviz.cli import atlas, diagnose, engine, experiment, start, study, training, trust
from deconvviz.cli.base import app
from deconvviz.errors import DeconvvizError

__all__ = [
    "app",
    "atlas",
    "diagnose",
    "engine",
    "experiment",
    "main",
    "start",
    "study",
    "training",
    "trust",
]


def main() -> None:
    """The console entry: a refusal is one sentence on stderr and exit code 2."""
    try:
        app()
    except DeconvvizError as error:
        typer.echo(f"deconvviz: {error}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        os._exit(0)  # `deconvviz evaluate demo | head`: the reader has had enough
