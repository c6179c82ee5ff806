"""`deconvviz study`: paired training runs, their results, and gradients in depth."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from deconvviz.cli.base import (
    RESULTS,
    Data,
    DataDir,
    Device,
    Download,
    Side,
    a_seed,
    app,
    at_least,
    records_folder,
    to_folder,
)
from deconvviz.cli.experiment import experiments
from deconvviz.progress import TerminalBars

studies = typer.Typer(no_args_is_help=True)
app.add_typer(studies, name="study")

Results = Annotated[
    Path,
    typer.Option(
        "--results",
        parser=records_folder,
        metavar="PATH",
        help="Folder of the records, NAME.jsonl; only the default one is made where missing.",
    ),
]
Figures = Annotated[
    Path | None,
    to_folder("Folder for figures; else none are drawn."),
]


@studies.callback()
def study() -> None:
    """Train networks that differ in one option, and compare them in pairs."""


@contextmanager
def _training() -> Iterator[TerminalBars]:
    """Progress bars; Ctrl-C ends the command and says how to resume."""
    try:
        with TerminalBars() as bars:
            yield bars
    except KeyboardInterrupt:
        typer.echo("stopped; the same command resumes from the last whole epoch", err=True)
        raise typer.Exit(130) from None


@studies.command()
def run(
    name: Annotated[str, typer.Argument(help="A declared study, or a plan file NAME.toml.")],
    arm: Annotated[list[str] | None, typer.Option(help="Arm; repeatable. Default: all.")] = None,
    labels: Annotated[list[int] | None, at_least(1, "Budget; repeatable. Default: all.")] = None,
    seed: Annotated[list[int] | None, a_seed("Seed; repeatable. Default: all.")] = None,
    results: Results = RESULTS,
    data_dir: DataDir = None,
    download: Download = False,
    device: Device = "auto",
) -> None:
    """Train the runs that a study lacks; an unfinished one resumes."""
    from deconvviz.io.data import load_dataset
    from deconvviz.study import find_plan, run_plan
    from deconvviz.training.device import find_device

    plan = find_plan(name)
    list(plan.specs(arm, labels, seed))  # a wrong name is refused before data are read
    training, test = (
        load_dataset(plan.dataset, split, data_dir=data_dir, download=download)
        for split in ("train", "test")
    )
    path = results / f"{plan.name}.jsonl"
    with _training() as bars:
        records = run_plan(
            plan,
            training,
            test,
            path,
            arms=arm,
            labels=labels,
            seeds=seed,
            device=find_device(device),
            progress=bars,
        )
    typer.echo(f"{len(records)} runs in {path}")


@studies.command()
def report(
    name: Annotated[str, typer.Argument(help="A study as for `run`, or `gradients`.")],
    results: Results = RESULTS,
    figures: Figures = None,
) -> None:
    """Remake a study's tables, and optionally its figures, from its records."""
    from deconvviz.plots.study import publish

    path = publish(name, results, figures)
    typer.echo(path.read_text("utf-8"))
    typer.echo(path)


@studies.command()
def gradients(
    results: Results = RESULTS,
    depth: Annotated[
        list[int] | None, typer.Option(help="6, 12 or 20; repeatable. Default: all.")
    ] = None,
    seed: Annotated[
        list[int] | None,
        a_seed("Seed; repeatable. Default: 0 to 2."),
    ] = None,
    width: Annotated[
        int, typer.Option(min=1, max=4096, help="Number of maps in the first stage.")
    ] = 8,
    init: Annotated[str, typer.Option(help="Initial weights: pytorch or he.")] = "pytorch",
    lr: Annotated[float, typer.Option(help="Learning rate of SGD.")] = 0.01,
    deconv_weight: Annotated[
        float, typer.Option(help="Weight of the reconstruction error in the runs on both losses.")
    ] = 0.3,
    figures: Figures = None,
    data: Data = "cifar10",
    data_dir: DataDir = None,
    download: Download = False,
    device: Device = "auto",
) -> None:
    """Follow the gradients of deep deconvolution networks, and of plain ones of equal depth.

    Runs that have a record are not repeated.
    """
    from deconvviz.io.data import load_dataset
    from deconvviz.plots.gradients import summary
    from deconvviz.plots.study import save
    from deconvviz.study.gradients import gradients as follow
    from deconvviz.training.device import find_device

    training = load_dataset(data, "train", data_dir=data_dir, download=download)
    with _training() as bars:
        found = follow(
            training,
            results / "gradients.jsonl",
            depths=depth or (6, 12, 20),
            seeds=seed or (0, 1, 2),
            width=width,
            init=init,
            lr=lr,
            deconv_weight=deconv_weight,
            device=find_device(device),
            progress=bars,
        )
    typer.echo(summary(found))
    for path in save(found, figures) if figures else ():
        typer.echo(path)


@experiments.command()
def ablation(
    out: Annotated[
        Path,
        to_folder("Folder of the result and of all runs."),
    ],
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="Declared variant, or a network like plain:32/64+256; repeatable. The first is "
            "the baseline. Default: all declared ones."
        ),
    ] = None,
    data: Data = "cifar10",
    data_dir: DataDir = None,
    size: Side = None,
    count: Annotated[int, at_least(0, "Number of training pictures; 0: all.")] = 0,
    epochs: Annotated[int, typer.Option(help="Number of epochs of each run.")] = 10,
    batch_size: Annotated[int, typer.Option(help="Pictures per step.")] = 128,
    lr: Annotated[float, typer.Option(help="Learning rate of SGD.")] = 0.03,
    seed: Annotated[list[int] | None, a_seed("Seed; repeatable. Default: 0.")] = None,
    precision: Annotated[str, typer.Option(help="Precision: bf16 or float32.")] = "float32",
    download: Download = False,
    device: Device = "auto",
) -> None:
    """Train networks with layers removed or resized (Table 3).

    Runs stay in the folder; the same command resumes them.
    """
    from functools import partial

    from deconvviz.io.data import load_dataset, train_test_split
    from deconvviz.plots.study import save, summary
    from deconvviz.schema import changed
    from deconvviz.study.ablation import RECIPE, VARIANTS
    from deconvviz.study.ablation import ablation as compare
    from deconvviz.training.device import find_device

    read = partial(load_dataset, data, data_dir=data_dir, size=size, download=download)
    training, test = read("train"), read("test")
    if 0 < count < len(training):
        _, training = train_test_split(training, count)
    options = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "precision": precision}
    with _training() as bars:
        found = compare(
            training,
            test,
            out,
            variants={name: VARIANTS.get(name, name) for name in variant or VARIANTS},
            recipe=changed(RECIPE, options),
            seeds=seed or (0,),
            device=find_device(device),
            progress=bars,
        )
    typer.echo(summary(found))
    for path in save(found, out):
        typer.echo(path)
