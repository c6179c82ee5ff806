"""Common parts of the commands: the application, shared options, and loading their values."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
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
Side = Annotated[
    int | None, typer.Option(min=8, max=4096, help="Side in pixels; else the data's own.")
]
Rule = Annotated[str, typer.Option(help="Backward rule: deconvnet, guided or gradient.")]


def to_folder(help: str) -> Any:  # noqa: A002  as typer names it
    """An option that names the folder of a result."""
    return typer.Option(parser=output_folder, metavar="PATH", help=help)


def to_file(help: str) -> Any:  # noqa: A002
    """An option that names the file of a result."""
    return typer.Option(parser=output_file, metavar="PATH", help=help)


def at_least(least: int, help: str) -> Any:  # noqa: A002
    """An option of a whole number."""
    return typer.Option(min=least, help=help)


def a_seed(help: str) -> Any:  # noqa: A002
    """An option of a seed."""
    return typer.Option(min=0, max=2**32 - 1, help=help)


def output_folder(text: str | Path) -> Path:
    """The value of an option that names the folder of a result; it may be missing.

    Raises:
        SettingError: It is empty, or nothing can be written there.
    """
    if not str(text).strip():
        raise SettingError("the name of the output is empty; name a folder")
    folder = Path(text).expanduser()
    there = next((one for one in (folder, *folder.parents) if os.path.lexists(one)), Path())
    if not there.is_dir():
        raise SettingError(f"cannot write to {folder}: {there} is not a folder; name another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise SettingError(
            f"cannot write to {folder}: you have no permission to write in {there}, or its disk is "
            "read-only; name another folder"
        )
    return folder


def output_file(text: str | Path) -> Path:
    """The value of an option that names the file of a result.

    Raises:
        SettingError: It is empty, or cannot be written.
    """
    if not str(text).strip():
        raise SettingError("the name of the output is empty; name a file")
    path = Path(text).expanduser()
    with suppress(FileNotFoundError, NotADirectoryError):
        path.lstat()  # fails if the name is too long
    if os.path.lexists(path) and not path.is_file():
        raise SettingError(f"cannot write {path}: it is not a file; name another one")
    output_folder(path.parent)
    return path


def records_folder(text: str | Path) -> Path:
    """The value of an option that names the folder of the records of studies.

    Raises:
        SettingError: There is no such folder, and it is not the default one.
    """
    folder = output_folder(text)
    if not folder.is_dir() and folder != RESULTS:
        raise SettingError(f"no folder {folder}; check its name, or make it first")
    return folder


RESULTS = Path("results")
"""The folder of the records of studies, unless --results names another one."""


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
    if len(parts) != 3 or not all(re.fullmatch(r"\s*[0-9]{1,9}\s*", part) for part in parts):
        raise SettingError(f"input size must be channels,height,width as in 3,224,224, got {text}")
    channels, height, width = map(int, parts)
    return channels, height, width
