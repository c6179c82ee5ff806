"""`deconvviz experiment NAME`, `trust`, `diagnose`: commands made from the registry of analyses."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from deconvviz.cli.base import (
    Checkpoint,
    Data,
    DataDir,
    Download,
    InputSize,
    Model,
    Weights,
    a_seed,
    app,
    at_least,
    load_network,
    to_folder,
)
from deconvviz.cli.engine import Layer, Picture, Size, read_pixels
from deconvviz.cli.options import takes
from deconvviz.errors import SettingError
from deconvviz.progress import TerminalBars

if TYPE_CHECKING:
    from deconvviz.analysis import Result
    from deconvviz.analysis.registry import Analysis
    from deconvviz.io.bundle import Bundle
    from deconvviz.io.data import Dataset

Out = Annotated[
    Path,
    to_folder("Folder of the result: NAME.json and NAME.png."),
]
Count = Annotated[int, at_least(0, "Number of pictures, in class proportions; 0: all.")]
Seed = Annotated[int, a_seed("Seed of all random choices.")]
_SPLIT = "Split: train, test or all. If not set: all of photos, test of other data."


def pictures(
    bundle: "Bundle | None",
    data: str,
    data_dir: Path | None,
    count: int,
    seed: int,
    *,
    download: bool = False,
    split: str = "",
) -> "Dataset":
    """`count` pictures, of each class in proportion, at the network's own size if there is one.

    A count of 0, or above what there is, means all. The split is by default "test", but all of the
    photos, since networks are seldom trained on them.
    """
    from deconvviz.io.data import load_dataset, load_for, train_test_split

    if count < 0:
        raise SettingError(f"count must be >= 0, got {count}")
    part = split or ("all" if data == "photos" else "test")
    if bundle is None:
        every = load_dataset(data, part, data_dir=data_dir, download=download)
    else:
        every = load_for(bundle.input_size, data, part, data_dir=data_dir, download=download)
    return every if not 0 < count < len(every) else train_test_split(every, count, seed)[1]


# One reader for each need of an analysis. Its parameters become the command's, but for `bundle`,
# which the first one gives (None for an analysis without a network); what it returns are fields of
# `Inputs`.


def _network(
    model: Model,
    weights: Weights = "default",
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    download: Download = False,
) -> dict[str, Any]:
    return {"bundle": load_network(model, weights, download, checkpoint, input_size)}


def _dataset(
    bundle: Any,
    data: Data = "photos",
    split: Annotated[str, typer.Option(help=_SPLIT)] = "",
    data_dir: DataDir = None,
    count: Count = 1000,
    seed: Seed = 0,
    download: Download = False,
) -> dict[str, Any]:
    found = pictures(bundle, data, data_dir, count, seed, download=download, split=split)
    return {"dataset": found}


def _training(
    bundle: Any,
    data: Data = "cifar10",
    data_dir: DataDir = None,
    count: Annotated[int, at_least(0, "Number of training pictures; 0: all.")] = 5000,
    test: Annotated[int, at_least(0, "Number of test pictures; 0: all.")] = 2000,
    seed: Seed = 0,
    download: Download = False,
) -> dict[str, Any]:
    training, measured = (
        pictures(bundle, data, data_dir, number, seed, download=download, split=split)
        for number, split in ((count, "train"), (test, "test"))
    )
    return {"training": training, "test": measured}


def _picture(bundle: Any, picture: Picture) -> dict[str, Any]:
    return {"image": read_pixels(bundle, picture)}


def _unit(
    bundle: Any,
    picture: Path,
    layer: Layer,
    unit: Annotated[
        int | None,
        at_least(0, "Number of a feature map or class; else the strongest."),
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
    from deconvviz.schema import changed

    readers = [_READERS[need] for need in analysis.needs if need in _READERS]
    parameters: dict[str, inspect.Parameter] = {}
    declared: list[Callable[..., Any]] = [*readers, _results]
    for function in declared:
        for name, one in inspect.signature(function, eval_str=True).parameters.items():
            if name != "bundle":
                default = analysis.defaults.get(name, one.default)
                parameters.setdefault(name, one.replace(default=default))
    if not others:
        del parameters["others"]

    def run(chosen: dict[str, Any], **given: Any) -> None:
        settings = changed(analysis.options, chosen)
        known = dict(given)
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

    chosen = inspect.Parameter("chosen", inspect.Parameter.KEYWORD_ONLY, annotation=dict)
    named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters.values()]
    run.__signature__ = inspect.Signature([*named, chosen])  # type: ignore[attr-defined]
    run.__doc__ = f"{analysis.question} ({analysis.source})"
    holder = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    holder.command(analysis.name)(takes(analysis.options, "chosen")(run))
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
