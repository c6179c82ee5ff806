"""`deconvviz COMMAND`: a module for each group of commands."""

import errno
import os
import sys

import typer

from deconvviz.cli import atlas, engine, experiment, start, study, training
from deconvviz.cli.base import app
from deconvviz.errors import DeconvvizError

__all__ = [
    "app",
    "atlas",
    "engine",
    "experiment",
    "main",
    "start",
    "study",
    "training",
]


def main() -> None:
    """Console entry point: a `DeconvvizError` is one sentence on stderr and exit code 2."""
    try:
        app()
    except DeconvvizError as error:
        typer.echo(f"deconvviz: {error}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        os._exit(0)  # `deconvviz evaluate demo | head`: the reader has closed
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        typer.echo("deconvviz: the disk is full; free some space and repeat the command", err=True)
        sys.exit(2)
