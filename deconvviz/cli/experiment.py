"""`deconvviz experiment NAME`, `trust`, `diagnose`: commands made from the registry of analyses."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from deconvviz.cli.base import (
    DATA,
    NETWORK,
    InputOptions,
    Model,
    a_seed,
    app,
    at_least,
    load_network,
    to_folder,
)
from deconvviz.cli.engine import Layer, Picture, Size, read_pixels
from deconvviz.cli.options import takes
from deconvviz.progress import TerminalBars
from deconvviz.schema import validated

if TYPE_CHECKING:
    from deconvviz.analysis import Result
    from deconvviz.analysis.registry import Analysis
    from deconvviz.io.bundle import Bundle
    from deconvviz.io.data import Dataset

Out = Annotated[Path, to_folder("Folder of the result: NAME.json and NAME.png.")]
Count = Annotated[int, at_least(0, "Number of pictures, in class proportions; 0: all.")]
Seed = Annotated[int, a_seed("Seed of all random choices.")]


@validated
class _Inputs(InputOptions):
    """The inputs of an analysis."""

    split: str = ""
    """Split: train, test or all. If not set: all of photos, test of other data."""


def pictures(
    bundle: "Bundle | None", chosen: InputOptions, count: int, seed: int, split: str = ""
) -> "Dataset":
    """`count` pictures, of each class in proportion, at the network's own size if there is one.

    A count of 0, or above what there is, means all. The split is by default "test", but all of the
    photos, since networks are seldom trained on them.
    """
    from deconvviz.io.data import load_dataset, load_for, train_test_split

    load = load_dataset if bundle is None else partial(load_for, bundle.input_size)
    part = split or chosen.split or ("all" if chosen.data == "photos" else "test")
    every = load(chosen.data, part, data_dir=chosen.data_dir, download=chosen.download)
    return every if not 0 < count < len(every) else train_test_split(every, count, seed)[1]


# One reader for each need of an analysis. Its parameters become the command's, but for `bundle`,
# which the first one gives (None for an analysis without a network), and `chosen`, the declared
# inputs; what it returns are fields of `Inputs`.


def _network(chosen: InputOptions, model: Model) -> dict[str, Any]:
    return {"bundle": load_network(replace(chosen, model=model))}


def _dataset(
    bundle: Any, chosen: InputOptions, count: Count = 1000, seed: Seed = 0
) -> dict[str, Any]:
    return {"dataset": pictures(bundle, chosen, count, seed)}


def _training(
    bundle: Any,
    chosen: InputOptions,
    count: Annotated[int, at_least(0, "Number of training pictures; 0: all.")] = 5000,
    test: Annotated[int, at_least(0, "Number of test pictures; 0: all.")] = 2000,
    seed: Seed = 0,
) -> dict[str, Any]:
    return {
        "training": pictures(bundle, chosen, count, seed, "train"),
        "test": pictures(bundle, chosen, test, seed, "test"),
    }


def _picture(bundle: Any, picture: Picture) -> dict[str, Any]:
    return {"image": read_pixels(bundle, picture)}


def _unit(
    bundle: Any,
    picture: Path,
    layer: Layer,
    unit: Annotated[
        int | None, at_least(0, "Number of a feature map or class; else the strongest.")
    ] = None,
    size: Size = None,
) -> dict[str, Any]:
    from deconvviz.deconv import Deconvnet
    from deconvviz.units import Unit

    net = Deconvnet(bundle.model, bundle.input_size)
    image = read_pixels(bundle, picture, size)
    peak = Unit.at_peak(net.record(image[None], [layer]), layer, unit)
    return {"net": net, "image": image, "selection": peak.selection}


_READERS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "network": _network,
    "picture": _picture,
    "dataset": _dataset,
    "training data": _training,
    "unit": _unit,
}
_DECLARED = {"network": NETWORK, "dataset": (*DATA, "split"), "training data": DATA}
"""Need -> the options of `_Inputs` that it takes."""


def show(result: "Result", out: Path) -> None:
    """Print a result, and write it to the folder `out`."""
    paths = result.save(out)
    typer.echo(result.summary())
    for path in paths:
        typer.echo(path)


def command_of(analysis: "Analysis", others: str = "") -> Any:
    """The command that runs an analysis on the inputs that its options name.

    `others` names another analysis of the same needs and options, which `--others` runs as well.
    """
    from deconvviz.analysis.inputs import Inputs
    from deconvviz.analysis.registry import analyses
    from deconvviz.io.files import only_writer

    readers = [_READERS[need] for need in analysis.needs if need in _READERS]
    taken = {name for need in analysis.needs for name in _DECLARED.get(need, ())}
    data = "cifar10" if "training data" in analysis.needs else "photos"
    declared_inputs = _Inputs(data=data, split=analysis.defaults.get("split", ""))
    parameters: dict[str, inspect.Parameter] = {}
    declared: list[Callable[..., Any]] = [*readers, _results]
    for function in declared:
        for name, one in inspect.signature(function, eval_str=True).parameters.items():
            if name not in ("bundle", "chosen"):
                default = analysis.defaults.get(name, one.default)
                parameters.setdefault(name, one.replace(default=default))
    if not others:
        del parameters["others"]

    def run(settings: Any, chosen: InputOptions, **given: Any) -> None:
        known = {"chosen": chosen, **given}
        for reader in readers:
            names = inspect.signature(reader).parameters
            known |= reader(**{name: known.get(name) for name in names})
        found = {one.name: known[one.name] for one in fields(Inputs) if one.name in known}
        out = known["out"]
        with only_writer(out):
            with TerminalBars() as bars:
                inputs = Inputs(**found, folder=out, progress=bars)
                result = analysis.run(inputs, settings)
            show(result, out)
            if known.get("others"):
                show(analyses()[others].run(inputs, settings), out)

    only = inspect.Parameter.KEYWORD_ONLY
    named = [one.replace(kind=only) for one in parameters.values()]
    named += [inspect.Parameter(name, only) for name in ("settings", "chosen")]
    run.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    run.__doc__ = f"{analysis.question} ({analysis.source})"
    holder = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    wrapped = takes(declared_inputs, "chosen", taken)(takes(analysis.options, "settings")(run))
    holder.command(analysis.name)(wrapped)
    return typer.main.get_command(holder)


def _results(
    out: Out,
    seed: Seed = 0,
    others: Annotated[
        bool, typer.Option("--others", help="Also run the other attributions of this unit.")
    ] = False,
) -> None:
    """Declares the options that every command has."""


class _Experiments(TyperGroup):
    """The group of all analyses, imported, and torch with them, when one is invoked."""

    def list_commands(self, ctx: Any) -> list[str]:
        from deconvviz.analysis.registry import analyses

        return sorted({*super().list_commands(ctx), *analyses()})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        from deconvviz.analysis.registry import analyses

        analysis = analyses().get(cmd_name)
        return command_of(analysis) if analysis else super().get_command(ctx, cmd_name)


class _Analysis(TyperCommand):
    """A command beside the group, made from its analysis when invoked."""

    def get_params(self, ctx: Any) -> list[Any]:
        from deconvviz.analysis.registry import analyses

        name, others = _COMMANDS[self.name or ""]
        made = command_of(analyses()[name], others)
        self.params, self.callback, self.help = made.params, made.callback, made.help
        return super().get_params(ctx)


_COMMANDS = {"trust": ("trust", "attributions"), "diagnose": ("diagnosis", "")}
"""Command -> its analysis, and the one that `--others` runs."""

experiments = typer.Typer(cls=_Experiments, no_args_is_help=True)
app.add_typer(experiments, name="experiment")


@experiments.callback()
def experiment() -> None:
    """Analyse what a network has learnt, as Zeiler & Fergus (2014) did."""


@app.command("trust", cls=_Analysis)
def _trust() -> None:
    """Measure how far one unit's projection can be trusted."""


@app.command("diagnose", cls=_Analysis)
def _diagnose() -> None:
    """Write a page of what is wrong with a network."""
