"""Common parts of the commands: the application, shared options, and loading their values."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deconvviz.errors import SettingError
from deconvviz.schema import changed, options, validated

if TYPE_CHECKING:
    import torch

    from deconvviz.deconv.rules import Rule as RuleName
    from deconvviz.io.bundle import Bundle
    from deconvviz.io.data import Dataset

app = typer.Typer(
    help="Show what any unit of a convolutional network responds to.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@validated
class InputOptions:
    """The network and the data set of a command, as options for `takes`."""

    model: str = "demo"
    """Network: demo, demo-deconv, the path of a checkpoint, torchvision/NAME, timm/NAME, or
    package.module:function."""
    weights: str = "default"
    """Weights of torchvision and timm: default, none (random), or a name."""
    checkpoint: Path | None = None
    """Weights file for package.module:function."""
    input_size: str | None = None
    """Input size for package.module:function: channels,height,width; else 3,224,224."""
    data: str = "photos"
    """Data set; `deconvviz datasets` lists them."""
    split: str = "all"
    """Split of the data set: train, test or all."""
    data_dir: Path | None = None
    """Folder of the data set; else DECONVVIZ_DATA, else the cache."""
    download: bool = False
    """Download missing weights and data."""
    device: str = "auto"
    """Device: cpu, cuda or mps; auto selects the best available."""


_HELP = {option.name: option.help for option in options(InputOptions())}
Model = Annotated[str, typer.Argument(help=_HELP["model"])]
Weights = Annotated[str, typer.Option(help=_HELP["weights"])]
Checkpoint = Annotated[Path | None, typer.Option(help=_HELP["checkpoint"])]
InputSize = Annotated[str | None, typer.Option(help=_HELP["input_size"])]
Data = Annotated[str, typer.Option(help=_HELP["data"])]
DataDir = Annotated[Path | None, typer.Option(help=_HELP["data_dir"])]
Download = Annotated[bool, typer.Option("--download", help=_HELP["download"])]
Device = Annotated[str, typer.Option(help=_HELP["device"])]
Rule = Annotated[str, typer.Option(help="Backward rule: deconvnet, guided or gradient.")]


def load_network(
    model: str,
    weights: str,
    download: bool,
    checkpoint: Path | None = None,
    input_size: str | None = None,
) -> "Bundle":
    """Load the network that the options name; see `deconvviz.load`."""
    from deconvviz.io.zoo import load

    return load(
        model,
        weights=None if weights == "none" else weights,
        download=download,
        checkpoint=checkpoint,
        input_size=None if input_size is None else _size(input_size),
    )


def load_inputs(given: Mapping[str, Any]) -> tuple["Bundle", "Dataset", "torch.device"]:
    """Load the values of `InputOptions`: network, data set in the network's size, and device.

    Args:
        given: Option -> value, as `takes` collects them.
    """
    from deconvviz.io.data import load_for
    from deconvviz.training.device import find_device

    chosen = changed(InputOptions(), given)
    bundle = load_network(
        chosen.model, chosen.weights, chosen.download, chosen.checkpoint, chosen.input_size
    )
    dataset = load_for(
        bundle.input_size,
        chosen.data,
        chosen.split,
        data_dir=chosen.data_dir,
        download=chosen.download,
    )
    return bundle, dataset, find_device(chosen.device)


def rule_name(text: str) -> "RuleName":
    """Check the name of a backward rule."""
    from deconvviz.deconv.rules import RULES

    if text not in RULES:
        raise SettingError(f"no rule `{text}`; there are {', '.join(RULES)}")
    return text


def _size(text: str) -> tuple[int, int, int]:
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise SettingError(f"input size must be channels,height,width as in 3,224,224, got {text}")
    channels, height, width = map(int, parts)
    return channels, height, width
