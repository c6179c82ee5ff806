"""`deconvviz study run` and `report`: paired training runs, and what follows from them."""

from pathlib import Path
from typing import Annotated

import typer

from deconvviz.cli.base import DataDir, Device, app

__all__ = ["report", "run", "studies"]

studies = typer.Typer(no_args_is_help=True)
app.add_typer(studies, name="study")

Results = Annotated[
    Path, typer.Option("--results", help="Folder of all studies; each has one of its own in it.")
]


@studies.callback()
def study() -> None:
    """Ask whether deconvolution raises accuracy, by runs that differ in one thing."""


@studies.command()
def run(
    name: Annotated[str, typer.Argument(help="helps, levers or recipe.")],
    arm: Annotated[list[str] | None, typer.Option(help="Only this one; again for more.")] = None,
    labels: Annotated[list[int] | None, typer.Option(help="Only this budget; again.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Only this seed; again.")] = None,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data if needed.")] = False,
    device: Device = "auto",
) -> None:
    """Train what a study lacks; each finished run is one small file, an unfinished one goes on."""
    from deconvviz.data import load_dataset
    from deconvviz.study import find_plan, run_study
    from deconvviz.training.device import find_device

    plan = find_plan(name)
    list(plan.cells(arm, labels, seed))  # a wrong name is told before data are read
    training, test = (
        load_dataset(plan.data, split, data_dir=data_dir, download=download)
        for split in ("train", "test")
    )
    try:
        records = run_study(
            plan,
            training,
            test,
            results / name,
            arms=arm,
            labels=labels,
            seeds=seed,
            device=find_device(device),
            progress=True,
        )
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from the last whole epoch", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{len(records)} runs in {results / name}")


@studies.command()
def report(
    name: Annotated[str, typer.Argument(help="helps, levers or recipe.")],
    results: Results = Path("results"),
    figures: Annotated[Path | None, typer.Option(help="Folder for the figures.")] = None,
) -> None:
    """Compute everything anew from the files of all runs: tables, and figures where asked for."""
    from deconvviz.study import find_plan, publish

    path = publish(find_plan(name), results, figures)
    typer.echo(path.read_text("utf-8"))
    typer.echo(path)
