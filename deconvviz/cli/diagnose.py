"""`deconvviz diagnose`: what is wrong with a network, as far as looking at it shows."""

from pathlib import Path
from typing import Annotated

import typer

from deconvviz.cli.base import (
    Checkpoint,
    Data,
    DataDir,
    InputSize,
    Model,
    Weights,
    app,
    load_network,
)
from deconvviz.progress import TerminalBars

__all__ = ["diagnose"]


@app.command()
def diagnose(
    model: Model,
    out: Annotated[Path, typer.Option(help="The folder of the page, its figure and its numbers.")],
    data: Data = "photos",
    split: Annotated[str, typer.Option(help="train, test or all.")] = "test",
    data_dir: DataDir = None,
    atlas: Annotated[
        Path | None, typer.Option(help="Of these pictures, to save the sweep over them.")
    ] = None,
    weights: Weights = "default",
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch data or weights that are not here.")
    ] = False,
) -> None:
    """Write a page of findings: dead and dominating units, aliasing, duplicates, and so on."""
    from deconvviz.analysis.diagnosis import diagnose as look
    from deconvviz.atlas import load_atlas
    from deconvviz.io.data import load_for

    bundle = load_network(model, weights, download, checkpoint, input_size)
    pictures = load_for(bundle.input_size, data, split, data_dir=data_dir, download=download)
    known = None if atlas is None else load_atlas(atlas)
    with TerminalBars() as bars:
        found = look(bundle, pictures, atlas=known, progress=bars)
    found.save(out)
    typer.echo(found.summary())
    typer.echo(out / "diagnosis.html")
