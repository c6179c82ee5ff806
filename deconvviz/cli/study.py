"""`deconvviz study`: paired training runs, what follows from them, and gradients in depth."""

from pathlib import Path
from typing import Annotated

import typer

from deconvviz.cli.base import Data, DataDir, Device, app
from deconvviz.progress import TerminalBars

__all__ = ["gradients", "report", "run", "studies"]

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
    name: Annotated[str, typer.Argument(help="helps, levers, recipe, search or search-longer.")],
    arm: Annotated[list[str] | None, typer.Option(help="Only this one; again for more.")] = None,
    labels: Annotated[list[int] | None, typer.Option(help="Only this budget; again.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Only this seed; again.")] = None,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data if needed.")] = False,
    device: Device = "auto",
) -> None:
    """Train what a study lacks; each finished run is one small file, an unfinished one goes on."""
    from deconvviz.io.data import load_dataset
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
    name: Annotated[str, typer.Argument(help="helps, levers, recipe, search or search-longer.")],
    results: Results = Path("results"),
    figures: Annotated[Path | None, typer.Option(help="Folder for the figures.")] = None,
) -> None:
    """Compute everything anew from the files of all runs: tables, and figures where asked for."""
    from deconvviz.study import find_plan, publish

    path = publish(find_plan(name), results, figures)
    typer.echo(path.read_text("utf-8"))
    typer.echo(path)


@studies.command()
def gradients(
    results: Results = Path("results"),
    depth: Annotated[list[int] | None, typer.Option(help="6, 12 or 20; again for more.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Again for more.")] = None,
    width: Annotated[int, typer.Option(help="Maps of the first stage.")] = 8,
    start: Annotated[str, typer.Option(help="Initial weights: pytorch or he.")] = "pytorch",
    rate: Annotated[float, typer.Option(help="Of SGD, the same for all.")] = 0.01,
    deconv_weight: Annotated[
        float, typer.Option(help="Of the reconstruction error, beside the classification alone.")
    ] = 0.3,
    figures: Annotated[Path | None, typer.Option(help="Folder for the figures.")] = None,
    data: Data = "cifar10",
    data_dir: DataDir = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data if needed.")] = False,
    device: Device = "auto",
) -> None:
    """Follow the gradients of deep deconvolution networks, and of plain ones of equal depth.

    What has a file in the results is not made again.
    """
    from deconvviz.io.data import load_dataset
    from deconvviz.study.gradients import gradients as follow
    from deconvviz.training.device import find_device

    training = load_dataset(data, "train", data_dir=data_dir, download=download)
    with TerminalBars() as bars:
        found = follow(
            training,
            results / "gradients",
            depths=tuple(depth or (6, 12, 20)),
            seeds=tuple(seed or (0, 1, 2)),
            width=width,
            start=start,
            rate=rate,
            deconv_weight=deconv_weight,
            device=find_device(device),
            progress=bars,
        )
    typer.echo(found.summary())
    if figures is not None:
        for path in found.save(figures):
            typer.echo(path)
