"""`deconvviz datasets`."""

import typer

from deconvviz.cli.base import app


@app.command()
def datasets() -> None:
    """List the data sets for --data."""
    from deconvviz.io.data import DATASETS

    width = max(map(len, DATASETS))
    for name, entry in DATASETS.items():
        typer.echo(f"{name:{width}}  {entry.description}")
