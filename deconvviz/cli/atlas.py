"""`deconvviz atlas`: what excites every unit most, over a data set."""

from pathlib import Path
from typing import Annotated

import typer

from deconvviz.cli.base import (
    Bar,
    Checkpoint,
    Data,
    DataDir,
    Device,
    InputSize,
    Weights,
    app,
    load_network,
)

__all__ = ["build"]

atlas = typer.Typer(
    help="What excites every unit most, over a data set.",
    no_args_is_help=True,
)
app.add_typer(atlas, name="atlas")

Model = Annotated[str, typer.Option(help="A network, as for the other commands.")]
Split = Annotated[str, typer.Option(help="train, test or all.")]


@atlas.command()
def build(
    out: Annotated[Path, typer.Option(help="The atlas's folder; an unfinished atlas goes on.")],
    model: Model = "demo",
    data: Data = "photos",
    split: Split = "all",
    data_dir: DataDir = None,
    k: Annotated[int, typer.Option("-k", help="So many of each unit's strongest pictures.")] = 9,
    layer: Annotated[
        list[str] | None, typer.Option(help="Only this one; give it again for another.")
    ] = None,
    statistics: Annotated[
        bool, typer.Option(help="Count, too, how often and for what each unit is active.")
    ] = True,
    weights: Weights = "default",
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch data or weights that are not here.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Sweep a network over a data set; the same command goes on where a sweep was left.

    Under `torchrun --nproc-per-node N -m deconvviz atlas build …` N processes share the work, and
    the file is the same.
    """
    from deconvviz.atlas import FILE, Peers, build_atlas
    from deconvviz.data import load_dataset
    from deconvviz.training.device import find_device

    peers = Peers.found()
    bundle = load_network(model, weights, download, checkpoint, input_size)
    pictures = load_dataset(
        data,
        split,
        data_dir=data_dir,
        size=None if data == "cifar10" else bundle.intake.side,
        channels=bundle.intake.channels,
        download=download,
    )
    bundle.model.to(peers.device(find_device(device)))
    try:
        with Bar("pictures") as bar:
            found = build_atlas(
                bundle,
                pictures,
                out,
                k=k,
                layers=layer,
                statistics=statistics,
                peers=peers,
                progress=bar,
            )
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from the last whole part", err=True)
        raise typer.Exit(130) from None
    finally:
        peers.close()
    if peers.leads:
        dead = sum(int(units.dead.sum()) for units in found.units.values())
        typer.echo(found)
        typer.echo(f"{dead} units are dead: above zero on none of the pictures")
        typer.echo(out / FILE)
