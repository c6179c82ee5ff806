"""What the commands share: the application, common options, and how a network is named."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deconvviz.errors import SettingError

if TYPE_CHECKING:
    from deconvviz.io.bundle import Bundle

__all__ = [
    "Checkpoint",
    "Data",
    "DataDir",
    "Device",
    "Download",
    "InputSize",
    "Model",
    "Weights",
    "app",
    "load_network",
]

app = typer.Typer(
    help="See what any unit of a convolutional network responds to.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Data = Annotated[
    str,
    typer.Option(
        help="cifar10, cifar100, mnist, fashion-mnist, photos20, folder, photos or shapes."
    ),
]
DataDir = Annotated[
    Path | None, typer.Option(help="Where the pictures are; else DECONVVIZ_DATA, else the cache.")
]

Model = Annotated[
    str,
    typer.Argument(
        help="demo, demo-deconv, a checkpoint's path, torchvision/NAME, timm/NAME, or "
        "package.module:function."
    ),
]
Weights = Annotated[
    str, typer.Option(help="Of torchvision and timm: default, none (random), or a name.")
]
Download = Annotated[bool, typer.Option("--download", help="Fetch weights that are not here.")]
Checkpoint = Annotated[
    Path | None, typer.Option(help="Weights for the network of package.module:function.")
]
InputSize = Annotated[
    str | None, typer.Option(help="Of package.module:function: channels,height,width.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps; by default the best there is.")]


def load_network(
    model: str,
    weights: str,
    download: bool,
    checkpoint: Path | None = None,
    input_size: str | None = None,
) -> "Bundle":
    """The network that the options name; see `deconvviz.load`."""
    from deconvviz.io.zoo import load

    return load(
        model,
        weights=None if weights == "none" else weights,
        download=download,
        checkpoint=checkpoint,
        input_size=None if input_size is None else _size(input_size),
    )


def _size(text: str) -> tuple[int, int, int]:
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise SettingError(f"no size: `{text}`; give channels,height,width as in 3,224,224")
    channels, height, width = map(int, parts)
    return channels, height, width
