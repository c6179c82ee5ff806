"""`deconvviz experiment NAME`, `trust`, `diagnose`: commands made from the registry of analyses."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import Field
from typer.core import TyperGroup

from deconvviz.cli.base import (
    DATA,
    NETWORK,
    InputOptions,
    Model,
    app,
    load_network,
    to_folder,
)
from deconvviz.cli.engine import Layer, Picture, read_pixels
from deconvviz.cli.options import deferred, made_command, takes
from deconvviz.progress import TerminalBars
from deconvviz.schema import Count, changed, options, validated

if TYPE_CHECKING:
    from deconvviz.analysis import Result
    from deconvviz.analysis.registry import Analysis
    from deconvviz.io.bundle import Bundle
    from deconvviz.io.data import Dataset

Out = Annotated[Path, to_folder("Folder of the result: NAME.json and NAME.png.")]
Others = Annotated[
    bool, typer.Option("--others", help="Also run the other attributions of this unit.")
]


@validated
class _Inputs(InputOptions):
    """The inputs of an analysis, without those that are arguments."""

    split: str = ""
    """Split: train, test or all. If not set: all of photos, test of other data."""
    count: Count = 1000
    """Number of pictures, or of training pictures, in class proportions; 0: all."""
    test: Count = 2000
    """Number of test pictures; 0: all."""
    unit: Count | None = None
    """Number of a feature map or class; else the strongest."""
    size: Annotated[int, Field(ge=8)] | None = None
    """Longest side in pixels, uncropped; else as in training."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of all random choices."""


_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "network": NETWORK,
    "dataset": (*DATA, "split", "count"),
    "training data": (*DATA, "count", "test"),
    "unit": ("unit", "size"),
}
"""Need of an analysis -> options of its command."""
_ARGUMENTS: Mapping[str, tuple[str, Any]] = {
    "network": ("model", Model),
    "picture": ("picture", Picture),
    "unit": ("layer", Layer),
}
"""Need of an analysis -> what its command must be given."""


def pictures(bundle: "Bundle | None", chosen: InputOptions, count: int, seed: int) -> "Dataset":
    """`count` pictures, of each class in proportion, at the network's own size if there is one.

    A count of 0, or above what there is, means all. The split is by default "test", but all of the
    photos, since networks are seldom trained on them.
    """
    from deconvviz.io.data import at_most, load_dataset, load_for

    load = load_dataset if bundle is None else partial(load_for, bundle.input_size)
    part = chosen.split or ("all" if chosen.data == "photos" else "test")
    every = load(chosen.data, part, data_dir=chosen.data_dir, download=chosen.download)
    return at_most(every, count, seed)


def _read(
    needs: Sequence[str], chosen: _Inputs, arguments: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Fields of `Inputs`, for the needs of an analysis."""
    from deconvviz.deconv import Deconvnet
    from deconvviz.units import Unit

    bundle: Any = None
    yield "seed", chosen.seed
    if "network" in needs:
        bundle = load_network(replace(chosen, model=arguments["model"]))
        yield "bundle", bundle
    if "picture" in needs:
        image = read_pixels(bundle, arguments["picture"], chosen.size)
        yield "image", image
    if "unit" in needs:
        net, layer = Deconvnet(bundle.model, bundle.input_size), arguments["layer"]
        peak = Unit.at_peak(net.record(image[None], [layer]), layer, chosen.unit)
        yield "net", net
        yield "selection", peak.selection
    if "dataset" in needs:
        yield "dataset", pictures(bundle, chosen, chosen.count, chosen.seed)
    if "training data" in needs:
        for name, split, count in (
            ("training", "train", chosen.count),
            ("test", "test", chosen.test),
        ):
            yield name, pictures(bundle, replace(chosen, split=split), count, chosen.seed)


def show(result: "Result", out: Path) -> None:
    """Print a result, and write it to the folder `out`."""
    paths = result.save(out)
    typer.echo(result.summary())
    for path in paths:
        typer.echo(path)


def command_of(analysis: "Analysis", other: str = "", argument: str = "") -> Any:
    """The command that runs an analysis on the inputs that its options name.

    Args:
        analysis: The analysis.
        other: Another analysis of the same needs and options, which `--others` runs as well.
        argument: One of its options that the command must be given, after the network.
    """
    from deconvviz.analysis.inputs import Inputs
    from deconvviz.analysis.registry import analyses
    from deconvviz.io.files import only_writer

    needs = analysis.needs
    parameters = dict(_ARGUMENTS[need] for need in needs if need in _ARGUMENTS)
    declared = {option.name: option for option in options(analysis.options)}
    if argument:
        asked = typer.Argument(help=declared.pop(argument).help)
        (name, kind), *rest = parameters.items()
        parameters = {name: kind, argument: Annotated[str, asked], **dict(rest)}
    taken = ["seed", *(name for need in needs for name in _OPTIONS.get(need, ()))]
    usual = {"data": "cifar10", "count": 5000} if "training data" in needs else {}
    defaults = changed(_Inputs(), {**usual, **analysis.defaults})

    def run(out: Path, chosen: _Inputs, settings: Any, others: bool = False, **given: Any) -> None:
        found = dict(_read(needs, chosen, given))
        if argument:
            settings = changed(settings, {argument: given[argument]})
        with only_writer(out):
            with TerminalBars() as bars:
                inputs = Inputs(**found, folder=out, progress=bars)
                result = analysis.run(inputs, settings)
            show(result, out)
            if others:
                show(analyses()[other].run(inputs, settings), out)

    only = inspect.Parameter.KEYWORD_ONLY
    named = [
        inspect.Parameter(name, only, annotation=kind)
        for name, kind in {**parameters, "out": Out, "chosen": Any, "settings": Any}.items()
    ]
    if other:
        named.append(inspect.Parameter("others", only, annotation=Others, default=False))
    run.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    run.__doc__ = f"{analysis.question} ({analysis.source})"
    command = takes(defaults, "chosen", taken)(takes(analysis.options, "settings", declared)(run))
    return made_command(analysis.name, command)


class _Experiments(TyperGroup):
    """The group of all analyses, imported, and torch with them, when one is invoked."""

    def list_commands(self, ctx: Any) -> list[str]:
        from deconvviz.analysis.registry import analyses

        return sorted({*super().list_commands(ctx), *analyses()})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        from deconvviz.analysis.registry import analyses

        analysis = analyses().get(cmd_name)
        return command_of(analysis) if analysis else super().get_command(ctx, cmd_name)


experiments = typer.Typer(cls=_Experiments, no_args_is_help=True)
app.add_typer(experiments, name="experiment")


@experiments.callback()
def experiment() -> None:
    """Analyse what a network has learnt, as Zeiler & Fergus (2014) did."""


def _registered(name: str, others: str = "", argument: str = "") -> Any:
    from deconvviz.analysis.registry import analyses

    return command_of(analyses()[name], others, argument)


deferred(
    app,
    "trust",
    "Measure how far one unit's projection can be trusted.",
    lambda: _registered("trust", "attributions"),
)
deferred(
    app,
    "diagnose",
    "Write a page of what is wrong with a network.",
    lambda: _registered("diagnosis"),
)
deferred(
    app,
    "why",
    "Name the units behind an answer, and what it is without them.",
    lambda: _registered("why"),
)
deferred(
    app,
    "compare",
    "Show what two networks see in a picture, unit beside the most similar unit.",
    lambda: _registered("compare", argument="other"),
)
deferred(
    app,
    "find",
    "Find units: selective, clear, of a colour or direction, or like an example.",
    lambda: _registered("find"),
)
