"""`deconvviz atlas`: the strongest activations of every unit over a data set."""

from pathlib import Path
from typing import Annotated

import typer

from deconvviz.cli.base import (
    InputOptions,
    Rule,
    app,
    at_least,
    load_inputs,
    resumable,
    rule_name,
    to_figure,
    to_folder,
    write_figure,
)
from deconvviz.cli.options import takes
from deconvviz.errors import SettingError

atlas = typer.Typer(
    help="Find the strongest activations of every unit over a data set, and draw them.",
    no_args_is_help=True,
)
app.add_typer(atlas, name="atlas")

Source = Annotated[Path, typer.Argument(metavar="ATLAS", help="Folder or file of an atlas.")]


@atlas.command()
@takes(InputOptions(), "inputs")
def build(
    inputs: InputOptions,
    out: Annotated[
        Path | None,
        to_folder(
            "Folder for the atlas; an unfinished one resumes. By default in the cache, where "
            "the app finds it."
        ),
    ] = None,
    k: Annotated[
        int, typer.Option("-k", min=1, help="Number of activations to keep per unit.")
    ] = 9,
    layer: Annotated[
        list[str] | None, typer.Option(help="Layer to include; repeatable. Default: all.")
    ] = None,
    statistics: Annotated[
        bool, typer.Option(help="Collect activation frequency, class means and histograms.")
    ] = True,
) -> None:
    """Build an atlas; the same command resumes an unfinished one.

    `torchrun --nproc-per-node N -m deconvviz atlas build …` divides the work among N processes and
    writes the same file.
    """
    from deconvviz.atlas import FILE, build_atlas
    from deconvviz.atlas.cache import atlas_folder
    from deconvviz.processes import ProcessGroup

    if out is None and (layer or not statistics):
        raise SettingError(
            "the app needs an atlas of all layers with statistics; name a folder for another one "
            "with --out"
        )
    processes = ProcessGroup.from_environment()
    bundle, dataset, device = load_inputs(inputs)
    out = out or atlas_folder(bundle, dataset)
    bundle.model.to(processes.device(device))
    try:
        with resumable() as bars:
            found = build_atlas(
                bundle,
                dataset,
                out,
                k=k,
                layers=layer,
                statistics=statistics,
                processes=processes,
                progress=bars,
            )
    finally:
        processes.close()
    if processes.is_main:
        dead = sum(int(units.dead.sum()) for units in found.units.values())
        typer.echo(found)
        typer.echo(f"{dead} units are dead: never above zero on these pictures")
        typer.echo(out / FILE)


@atlas.command()
@takes(InputOptions(), "inputs")
def show(
    inputs: InputOptions,
    source: Source,
    layer: Annotated[str, typer.Option(help="Layer of the atlas.")],
    unit: Annotated[list[int], at_least(0, "Number of a unit; repeatable.")],
    out: Annotated[Path, to_figure("Output figure: .png, .svg or .pdf.")],
    rule: Rule = "deconvnet",
) -> None:
    """Draw the strongest patches of units beside their projections, as in the paper."""
    from deconvviz.atlas import load_atlas
    from deconvviz.plots.atlas import render_units, unit_figure

    found, name = load_atlas(source), rule_name(rule)
    bundle, dataset, device = load_inputs(inputs)
    bundle.model.to(device)
    sheets = list(render_units(found, bundle, dataset, layer, unit, rule=name))
    write_figure(out, unit_figure(sheets, found, name), {})
    for sheet in sheets:
        peak = f"peak {sheet.top[0].value:.4g}" if len(sheet) else "dead"
        typer.echo(f"{layer}, unit {sheet.unit}: {peak}")
    typer.echo(out)


@atlas.command()
@takes(InputOptions(), "inputs")
def render(
    inputs: InputOptions,
    source: Source,
    out: Annotated[Path, to_folder("Folder for the gallery; an unfinished one resumes.")],
    rule: Rule = "deconvnet",
) -> None:
    """Write a gallery of all units that opens from disk in any browser."""
    from deconvviz.atlas import load_atlas
    from deconvviz.io.files import only_writer
    from deconvviz.plots.gallery import render as draw

    found, name = load_atlas(source), rule_name(rule)
    bundle, dataset, device = load_inputs(inputs)
    bundle.model.to(device)
    with resumable() as bars, only_writer(out):
        page = draw(found, bundle, dataset, out, rule=name, progress=bars)
    typer.echo(page)
