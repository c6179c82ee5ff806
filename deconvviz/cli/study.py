"""`deconvviz study`: paired training runs, their results, and gradients in depth."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deconvviz.cli.base import (
    DATA,
    ON_CIFAR,
    RESULTS,
    InputOptions,
    Side,
    a_seed,
    app,
    at_least,
    load_split,
    records_folder,
    resumable,
    to_folder,
)
from deconvviz.cli.experiment import experiments
from deconvviz.cli.options import declared_command, takes
from deconvviz.schema import changed

if TYPE_CHECKING:
    from deconvviz.study.gradients import GradientOptions
    from deconvviz.training import Recipe

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
Figures = Annotated[Path | None, to_folder("Folder for figures; else none are drawn.")]
_RESUMES = "the same command resumes from the last whole epoch"


@studies.callback()
def study() -> None:
    """Train networks that differ in one option, and compare them in pairs."""


@studies.command()
@takes(ON_CIFAR, "inputs", ("data_dir", "download", "device"))
def run(
    name: Annotated[str, typer.Argument(help="A declared study, or a plan file NAME.toml.")],
    arm: Annotated[list[str] | None, typer.Option(help="Arm; repeatable. Default: all.")] = None,
    labels: Annotated[list[int] | None, at_least(1, "Budget; repeatable. Default: all.")] = None,
    seed: Annotated[list[int] | None, a_seed("Seed; repeatable. Default: all.")] = None,
    results: Results = RESULTS,
    *,
    inputs: InputOptions,
) -> None:
    """Train the runs that a study lacks; an unfinished one resumes."""
    from deconvviz.study import find_plan, run_plan
    from deconvviz.training.device import find_device

    plan = find_plan(name)
    list(plan.specs(arm, labels, seed))  # a wrong name is refused before data are read
    inputs = replace(inputs, data=plan.dataset)
    training, test = (load_split(inputs, split) for split in ("train", "test"))
    path = results / f"{plan.name}.jsonl"
    with resumable(_RESUMES) as bars:
        records = run_plan(
            plan,
            training,
            test,
            path,
            arms=arm,
            labels=labels,
            seeds=seed,
            device=find_device(inputs.device),
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


def _gradient_options() -> "GradientOptions":
    from deconvviz.study.gradients import GradientOptions

    return GradientOptions()


@declared_command(studies, _gradient_options, "changes")
@takes(ON_CIFAR, "inputs", (*DATA, "device"))
def gradients(
    results: Results = RESULTS,
    figures: Figures = None,
    *,
    inputs: InputOptions,
    changes: dict[str, Any],
) -> None:
    """Follow the gradients of deep deconvolution networks, and of plain ones of equal depth.

    Runs that have a record are not repeated.
    """
    from deconvviz.plots.study import save
    from deconvviz.plots.study.gradients import summary
    from deconvviz.study.gradients import gradients as follow
    from deconvviz.training.device import find_device

    options = changed(_gradient_options(), changes)
    training, device = load_split(inputs, "train"), find_device(inputs.device)
    path = results / "gradients.jsonl"
    with resumable(_RESUMES) as bars:
        made = follow(training, path, options, device=device, progress=bars)
    for found in made:
        typer.echo(summary(found))
        # a folder for each, if there are several
        folder = figures / found.setting.init if figures and len(made) > 1 else figures
        for written in save(found, folder) if folder else ():
            typer.echo(written)


def _ablation_recipe() -> "Recipe":
    from deconvviz.study.ablation import RECIPE

    return RECIPE


@declared_command(
    experiments, _ablation_recipe, "changes", ("epochs", "batch_size", "lr", "precision")
)
@takes(ON_CIFAR, "inputs", (*DATA, "device"))
def ablation(
    out: Annotated[Path, to_folder("Folder of the result and of all runs.")],
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="Declared variant, or a network like plain:32/64+256; repeatable. The first is "
            "the baseline. Default: all declared ones."
        ),
    ] = None,
    size: Side = None,
    count: Annotated[int, at_least(0, "Number of training pictures; 0: all.")] = 0,
    seed: Annotated[list[int] | None, a_seed("Seed; repeatable. Default: 0, 1, 2.")] = None,
    *,
    inputs: InputOptions,
    changes: dict[str, Any],
) -> None:
    """Train networks with layers removed or resized (Table 3).

    Runs stay in the folder; the same command resumes them.
    """
    from deconvviz.io.data import train_test_split
    from deconvviz.plots.study import save, summary
    from deconvviz.study.ablation import RECIPE, SEEDS, VARIANTS
    from deconvviz.study.ablation import ablation as compare
    from deconvviz.training.device import find_device

    training, test = (load_split(inputs, split, size) for split in ("train", "test"))
    if 0 < count < len(training):
        _, training = train_test_split(training, count)
    with resumable(_RESUMES) as bars:
        found = compare(
            training,
            test,
            out,
            variants={name: VARIANTS.get(name, name) for name in variant or VARIANTS},
            recipe=changed(RECIPE, changes),
            seeds=seed or SEEDS,
            device=find_device(inputs.device),
            progress=bars,
        )
    typer.echo(summary(found))
    for path in save(found, out):
        typer.echo(path)
