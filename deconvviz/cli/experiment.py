"""`deconvviz experiment NAME`: the experiments of Zeiler & Fergus (2014), each its numbers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deconvviz.cli.base import app
from deconvviz.errors import SettingError

if TYPE_CHECKING:
    from deconvviz.bundles import Bundle
    from deconvviz.data import Dataset
    from deconvviz.experiments import Result

__all__ = ["Count", "Out", "Seed", "experiments", "pictures", "tell"]

experiments = typer.Typer(no_args_is_help=True)
app.add_typer(experiments, name="experiment")

Out = Annotated[Path, typer.Option(help="Folder of the result: NAME.json and NAME.png.")]
Count = Annotated[int, typer.Option(help="So many pictures at most, of all classes alike.")]
Seed = Annotated[int, typer.Option(help="Which pictures are chosen.")]


@experiments.callback()
def experiment() -> None:
    """Ask what a network has learnt, as Zeiler & Fergus (2014) did."""


def pictures(
    bundle: "Bundle",
    data: str,
    data_dir: Path | None,
    count: int,
    seed: int,
    *,
    download: bool = False,
    split: str | None = None,
) -> "Dataset":
    """Some pictures at the network's own size.

    Args:
        bundle: The network that they are for.
        data: A name of `deconvviz.data.LOADERS`.
        data_dir: Where the pictures of "cifar10" and "folder" are.
        count: So many, of each class in proportion; all where there are fewer.
        seed: Which ones; they stay in the order of the data.
        download: Fetch CIFAR-10 where it is not found.
        split: A part of the data; by default "test", or of the photos, on which networks are seldom
            trained, the larger one.

    Raises:
        DataError: The data or its part are not there.
        SettingError: Fewer than one picture was asked for.
    """
    from deconvviz.data import held_out, load_dataset

    if count < 1:
        raise SettingError(f"{count} pictures show nothing; ask for one or more with --count")
    channels, size, _ = bundle.input_size
    part = split or ("train" if data == "photos" else "test")
    every = load_dataset(
        data, part, data_dir=data_dir, size=size, channels=channels, download=download
    )
    return every if count >= len(every) else held_out(every, count, seed)[1]


def tell(result: "Result", out: Path) -> None:
    """Say what was found, and write it to the folder `out`."""
    paths = result.save(out)
    typer.echo(result.sentence())
    for path in paths:
        typer.echo(path)
