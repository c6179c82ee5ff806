"""Common parts of the commands: the application, shared options, and loading their values."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deconvviz.errors import SettingError
from deconvviz.progress import TerminalBars
from deconvviz.schema import options, validated

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from deconvviz.deconv.rules import Rule as RuleName
    from deconvviz.io.bundle import Bundle
    from deconvviz.io.data import Dataset

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@validated
class InputOptions:
    """The network and the data set of a command, as options for `takes`."""

    model: str = "demo"
    """Network: demo, demo-photos, the path of a checkpoint, torchvision/NAME, timm/NAME, or
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


NETWORK = ("weights", "checkpoint", "input_size", "download")
"""Options of the network that a command's argument names."""
DATA = ("data", "data_dir", "download")
"""Options of a data set whose splits a command knows."""
ON_CIFAR = InputOptions(data="cifar10")
"""Defaults of commands that train."""

_HELP = {option.name: option.help for option in options(InputOptions())}
Model = Annotated[str, typer.Argument(help=_HELP["model"])]
Side = Annotated[
    int | None, typer.Option(min=8, max=4096, help="Side in pixels; else the data's own.")
]
Rule = Annotated[str, typer.Option(help="Backward rule: deconvnet, guided or gradient.")]


def to_folder(help: str) -> Any:  # noqa: A002  as typer names it
    """An option that names the folder of a result."""
    return typer.Option(parser=output_folder, metavar="PATH", help=help)


def to_file(help: str, *more: str) -> Any:  # noqa: A002
    """An option that names the file of a picture, a .png file, or of another ending."""
    return to_kinds(help, ".png", *more)


def to_figure(help: str, *more: str) -> Any:  # noqa: A002
    """An option that names the file of a figure, as pixels or as vectors, or of another ending."""
    return to_kinds(help, ".png", ".svg", ".pdf", *more)


def to_kinds(help: str, *endings: str) -> Any:  # noqa: A002
    """An option that names a file with one of some endings."""
    return typer.Option(parser=lambda text: output_file(text, endings), metavar="PATH", help=help)


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


def output_file(text: str | Path, endings: Sequence[str]) -> Path:
    """The value of an option that names the file of a result.

    Raises:
        SettingError: It is empty, has another ending, or cannot be written.
    """
    if not str(text).strip():
        raise SettingError("the name of the output is empty; name a file")
    path = Path(text).expanduser()
    if path.suffix not in endings:
        raise SettingError(
            f"cannot write `{path}`; name a file that ends in {' or '.join(endings)}"
        )
    with suppress(FileNotFoundError, NotADirectoryError):
        path.lstat()  # fails if the name is too long
    if os.path.lexists(path) and not path.is_file():
        raise SettingError(f"cannot write {path}: it is not a file; name another one")
    output_folder(path.parent)
    return path


def write_figure(out: Path, figure: "Figure", about: Mapping[str, str]) -> None:
    """Write a figure as the kind of file that its name ends in; see `figure_file`."""
    from deconvviz.io.files import write_atomically
    from deconvviz.plots.files import figure_file

    write_atomically(out, figure_file(figure, out.suffix[1:], about))  # type: ignore[arg-type]


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


@contextmanager
def resumable(advice: str = "the same command resumes") -> Iterator[TerminalBars]:
    """Progress bars; Ctrl-C says how to go on, and exits with code 130."""
    try:
        with TerminalBars() as bars:
            yield bars
    except KeyboardInterrupt:
        typer.echo(f"stopped; {advice}", err=True)
        raise typer.Exit(130) from None


def load_network(chosen: InputOptions) -> "Bundle":
    """Load the chosen network; see `deconvviz.load`."""
    from deconvviz.io.zoo import load

    return load(
        chosen.model,
        weights=None if chosen.weights == "none" else chosen.weights,
        download=chosen.download,
        checkpoint=chosen.checkpoint,
        input_size=None if chosen.input_size is None else _size(chosen.input_size),
    )


def load_split(chosen: InputOptions, split: str, size: int | None = None) -> "Dataset":
    """Load one split of the chosen data set."""
    from deconvviz.io.data import load_dataset

    return load_dataset(
        chosen.data, split, data_dir=chosen.data_dir, size=size, download=chosen.download
    )


def load_inputs(chosen: InputOptions) -> tuple["Bundle", "Dataset", "torch.device"]:
    """Load the chosen network, the data set in its size, and the device."""
    from deconvviz.io.data import load_for
    from deconvviz.training.device import find_device

    bundle = load_network(chosen)
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
