"""`deconvviz COMMAND`: a module for each group of commands."""

from deconvviz.cli import about, atlas, engine, experiment, restore, saved, start, study, training
from deconvviz.cli.base import app
from deconvviz.cli.failures import guarded

__all__ = [
    "about",
    "app",
    "atlas",
    "engine",
    "experiment",
    "main",
    "restore",
    "saved",
    "start",
    "study",
    "training",
]


def main() -> None:
    """Console entry point: a failure is one sentence on stderr, and an exit status."""
    guarded(app)
