"""`deconvviz experiment NAME`: the experiments of Zeiler & Fergus (2014), each its numbers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deconvviz.cli.base import (
    Checkpoint,
    Data,
    DataDir,
    InputSize,
    Model,
    Weights,
    app,
    load_network,
)
from deconvviz.errors import SettingError

if TYPE_CHECKING:
    from deconvviz.bundles import Bundle
    from deconvviz.data import Dataset
    from deconvviz.experiments import Result

__all__ = ["Count", "Out", "Seed", "evolution", "experiments", "filters", "pictures", "tell"]

experiments = typer.Typer(no_args_is_help=True)
app.add_typer(experiments, name="experiment")

Out = Annotated[Path, typer.Option(help="Folder of the result: NAME.json and NAME.png.")]
Count = Annotated[int, typer.Option(help="So many pictures at most, of all classes alike.")]
Seed = Annotated[int, typer.Option(help="Which pictures are chosen.")]
Fetch = Annotated[bool, typer.Option("--download", help="Fetch data or weights that are not here.")]


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
        split: A part of the data; by default "test", but all of the photos, since networks are
            seldom trained on them.

    Raises:
        DataError: The data or its part are not there.
        SettingError: Fewer than one picture was asked for.
    """
    from deconvviz.data import held_out, load_dataset

    if count < 1:
        raise SettingError(f"{count} pictures show nothing; ask for one or more with --count")
    channels, size, _ = bundle.input_size
    part = split or ("all" if data == "photos" else "test")
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


@experiments.command()
def evolution(
    model: Model,
    out: Out,
    layer: Annotated[
        list[str] | None, typer.Option(help="Only this one; give it again for another.")
    ] = None,
    units: Annotated[int, typer.Option(help="So many units of each layer in pictures.")] = 5,
    rule: Annotated[str, typer.Option(help="deconvnet, guided or gradient.")] = "deconvnet",
    data: Data = "photos",
    data_dir: DataDir = None,
    count: Count = 500,
    seed: Annotated[int, typer.Option(help="Which pictures and units are chosen.")] = 0,
    download: Annotated[bool, typer.Option("--download", help="Fetch data not here.")] = False,
) -> None:
    """What excites units most, snapshot by snapshot of a training run (Fig. 4)."""
    from deconvviz.experiments import evolution as run

    bundle = load_network(model, "default", download=False)
    chosen = pictures(bundle, data, data_dir, count, seed, download=download)
    found = run(bundle, chosen, layer, units, seed=seed, rule=rule, progress=True)  # type: ignore[arg-type]  # it checks
    tell(found, out)


@experiments.command()
def filters(
    model: Model,
    out: Out,
    layer: Annotated[str | None, typer.Option(help="Another default layer than the first.")] = None,
    outsized: Annotated[
        float, typer.Option(help="So many times the median RMS makes a kernel dominant.")
    ] = 3.0,
    alike: Annotated[float, typer.Option(help="Such a |cosine| makes two duplicates.")] = 0.95,
    data: Data = "photos",
    data_dir: DataDir = None,
    count: Count = 1000,
    seed: Seed = 0,
    weights: Weights = "default",
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    download: Fetch = False,
) -> None:
    """First-layer kernels on one scale: dominant, dead, aliased, duplicate (Fig. 6)."""
    from deconvviz.experiments import filters as run

    bundle = load_network(model, weights, download, checkpoint, input_size)
    chosen = pictures(bundle, data, data_dir, count, seed, download=download)
    tell(run(bundle, chosen, layer, outsized=outsized, alike=alike, progress=True), out)
