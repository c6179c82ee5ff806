"""`deconvviz atlas`: what excites every unit most, over a data set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deconvviz.cli.base import (
    Checkpoint,
    Data,
    DataDir,
    Device,
    InputSize,
    Weights,
    app,
    load_network,
)
from deconvviz.errors import SettingError
from deconvviz.progress import TerminalBars

if TYPE_CHECKING:
    from deconvviz.deconv.rules import Rule as RuleName
    from deconvviz.io.bundle import Bundle
    from deconvviz.io.data import Dataset

__all__ = ["build", "render", "show"]

atlas = typer.Typer(
    help="What excites every unit most, over a data set.",
    no_args_is_help=True,
)
app.add_typer(atlas, name="atlas")

Model = Annotated[str, typer.Option(help="A network, as for the other commands.")]
Split = Annotated[str, typer.Option(help="train, test or all.")]
Fetch = Annotated[bool, typer.Option("--download", help="Fetch data or weights that are not here.")]
File = Annotated[Path, typer.Argument(metavar="ATLAS", help="An atlas's folder, or its file.")]
Rule = Annotated[str, typer.Option(help="deconvnet, guided or gradient.")]


@atlas.command()
def build(
    out: Annotated[
        Path | None,
        typer.Option(
            help="The atlas's folder; an unfinished atlas goes on. By default one in the cache, "
            "where the app finds it."
        ),
    ] = None,
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
    download: Fetch = False,
    device: Device = "auto",
) -> None:
    """Sweep a network over a data set; the same command goes on where a sweep was left.

    Under `torchrun --nproc-per-node N -m deconvviz atlas build …` N processes share the work, and
    the file is the same.
    """
    from deconvviz.atlas import FILE, build_atlas
    from deconvviz.atlas.cache import atlas_folder
    from deconvviz.processes import ProcessGroup
    from deconvviz.training.device import find_device

    if out is None and (layer or not statistics):
        raise SettingError(
            "an atlas of some layers, or without statistics, is none that the app can use; name a "
            "folder for it with --out"
        )
    processes = ProcessGroup.from_environment()
    bundle = load_network(model, weights, download, checkpoint, input_size)
    pictures = _pictures(bundle, data, split, data_dir, download)
    out = out or atlas_folder(bundle, pictures)
    bundle.model.to(processes.device(find_device(device)))
    try:
        with TerminalBars() as bars:
            found = build_atlas(
                bundle,
                pictures,
                out,
                k=k,
                layers=layer,
                statistics=statistics,
                processes=processes,
                progress=bars,
            )
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from the last whole part", err=True)
        raise typer.Exit(130) from None
    finally:
        processes.close()
    if processes.is_main:
        dead = sum(int(units.dead.sum()) for units in found.units.values())
        typer.echo(found)
        typer.echo(f"{dead} units are dead: above zero on none of the pictures")
        typer.echo(out / FILE)


@atlas.command()
def show(
    source: File,
    layer: Annotated[str, typer.Option(help="One of the atlas's layers.")],
    unit: Annotated[list[int], typer.Option(help="A unit; give it again for another.")],
    out: Annotated[Path, typer.Option(help="The figure, a .png.")],
    rule: Rule = "deconvnet",
    model: Model = "demo",
    data: Data = "photos",
    split: Split = "all",
    data_dir: DataDir = None,
    weights: Weights = "default",
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    download: Fetch = False,
    device: Device = "auto",
) -> None:
    """Draw units' strongest pictures beside their projections, as in the paper."""
    from deconvviz.atlas import load_atlas
    from deconvviz.io.files import write_atomically
    from deconvviz.plots.atlas import draw_units, unit_figure
    from deconvviz.plots.figures import figure_png
    from deconvviz.training.device import find_device

    if out.suffix != ".png":
        raise SettingError(f"cannot write `{out}`; name a file that ends in .png")
    found = load_atlas(source)
    bundle = load_network(model, weights, download, checkpoint, input_size)
    pictures = _pictures(bundle, data, split, data_dir, download)
    bundle.model.to(find_device(device))
    sheets = list(draw_units(found, bundle, pictures, layer, unit, rule=_rule(rule)))
    write_atomically(out, figure_png(unit_figure(sheets, found, _rule(rule))))
    for sheet in sheets:
        told = f"at most {sheet.moments[0].value:.4g}" if len(sheet) else "dead"
        typer.echo(f"{layer}, unit {sheet.unit}: {told}")
    typer.echo(out)


@atlas.command()
def render(
    source: File,
    out: Annotated[Path, typer.Option(help="The gallery's folder; an unfinished one goes on.")],
    rule: Rule = "deconvnet",
    model: Model = "demo",
    data: Data = "photos",
    split: Split = "all",
    data_dir: DataDir = None,
    weights: Weights = "default",
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    download: Fetch = False,
    device: Device = "auto",
) -> None:
    """Make a gallery of all units that opens from disk in any browser."""
    from deconvviz.atlas import load_atlas
    from deconvviz.plots.gallery import render as draw
    from deconvviz.training.device import find_device

    found = load_atlas(source)
    bundle = load_network(model, weights, download, checkpoint, input_size)
    pictures = _pictures(bundle, data, split, data_dir, download)
    bundle.model.to(find_device(device))
    try:
        with TerminalBars() as bars:
            page = draw(found, bundle, pictures, out, rule=_rule(rule), progress=bars)
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    typer.echo(page)


def _pictures(
    bundle: "Bundle", data: str, split: str, data_dir: Path | None, download: bool
) -> "Dataset":
    """The pictures that the options name, at the network's own size where they have none."""
    from deconvviz.io.data import PUBLISHED, load_dataset

    return load_dataset(
        data,
        split,
        data_dir=data_dir,
        size=None if data in PUBLISHED else bundle.preprocessing.side,
        channels=bundle.preprocessing.channels,
        download=download,
    )


def _rule(name: str) -> "RuleName":
    from deconvviz.deconv.rules import RULES

    for rule in RULES:
        if rule == name:
            return rule
    raise SettingError(f"no rule `{name}`; there are {', '.join(RULES)}")
