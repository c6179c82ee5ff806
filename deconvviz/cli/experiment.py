"""`deconvviz experiment NAME`: the experiments of Zeiler & Fergus (2014), each its numbers."""

from difflib import get_close_matches
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
from deconvviz.progress import TerminalBars

if TYPE_CHECKING:
    from deconvviz.analysis import Result
    from deconvviz.io.bundle import Bundle
    from deconvviz.io.data import Dataset

__all__ = [
    "Count",
    "Out",
    "Seed",
    "correspondence",
    "depth",
    "evolution",
    "experiments",
    "filters",
    "invariance",
    "occlusion",
    "pictures",
    "tell",
]

_FACES = 5  # as many pictures as in the paper's Table 1

experiments = typer.Typer(no_args_is_help=True)
app.add_typer(experiments, name="experiment")

Out = Annotated[Path, typer.Option(help="Folder of the result: NAME.json and NAME.png.")]
Count = Annotated[int, typer.Option(help="So many pictures at most, of all classes alike.")]
Seed = Annotated[int, typer.Option(help="Which pictures are chosen.")]
Layers = Annotated[
    list[str] | None, typer.Option(help="One that `deconvviz layers` lists; again for another.")
]
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
        data: A name of `deconvviz.io.data.LOADERS`.
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
    from deconvviz.io.data import held_out, load_dataset

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
    typer.echo(result.summary())
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
    from deconvviz.analysis import evolution as run

    bundle = load_network(model, "default", download=False)
    chosen = pictures(bundle, data, data_dir, count, seed, download=download)
    with TerminalBars() as bars:
        found = run(bundle, chosen, layer, units, seed=seed, rule=rule, progress=bars)  # type: ignore[arg-type]  # it checks
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
    from deconvviz.analysis import filters as run

    bundle = load_network(model, weights, download, checkpoint, input_size)
    chosen = pictures(bundle, data, data_dir, count, seed, download=download)
    with TerminalBars() as bars:
        found = run(bundle, chosen, layer, outsized=outsized, alike=alike, progress=bars)
    tell(found, out)


@experiments.command()
def invariance(
    model: Model,
    out: Out,
    layer: Annotated[
        list[str] | None, typer.Option(help="Watch this one; give it again for another.")
    ] = None,
    shifts: Annotated[
        str | None, typer.Option(help="Pixels down, as in -8,-4,0,4,8; else a quarter of the side.")
    ] = None,
    scales: Annotated[str | None, typer.Option(help="Else 1 to 1.8; below 1 shrinks.")] = None,
    angles: Annotated[str | None, typer.Option(help="Degrees; else 0 to 360 by 15.")] = None,
    border: Annotated[
        str, typer.Option(help="What fills the places a picture leaves: reflect, edge or mean.")
    ] = "reflect",
    data: Data = "photos",
    data_dir: DataDir = None,
    count: Count = 20,
    seed: Seed = 0,
    weights: Weights = "default",
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    download: Fetch = False,
) -> None:
    """How far features and the decision go as pictures move, grow and turn (Fig. 5)."""
    from deconvviz.analysis import invariance as run

    strengths = {"shifts": _numbers(shifts), "scales": _numbers(scales), "angles": _numbers(angles)}
    bundle = load_network(model, weights, download, checkpoint, input_size)
    chosen = pictures(bundle, data, data_dir, count, seed, download=download)
    with TerminalBars() as bars:
        found = run(bundle, chosen, layer, **strengths, border=border, progress=bars)  # type: ignore[arg-type]  # it checks
    tell(found, out)


@experiments.command()
def occlusion(
    model: Model,
    picture: Annotated[Path, typer.Argument(help="A picture's file.")],
    out: Out,
    label: Annotated[
        str | None, typer.Option(help="Its true class, by name or number; else the decision.")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Whose strongest map is watched.")] = None,
    side: Annotated[int | None, typer.Option(help="Of the occluder, in pixels.")] = None,
    stride: Annotated[int | None, typer.Option(help="From place to place; divides side.")] = None,
    fill: Annotated[
        float | None, typer.Option(help="Its shade, 0 to 1; else the training mean.")
    ] = None,
    data: Data = "photos",
    data_dir: DataDir = None,
    count: Count = 1000,
    seed: Seed = 0,
    weights: Weights = "default",
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    download: Fetch = False,
) -> None:
    """Cover one part of a picture after the other, and watch map and decision (Fig. 7)."""
    from deconvviz.analysis import occlusion as run
    from deconvviz.io.images import open_picture

    bundle = load_network(model, weights, download, checkpoint, input_size)
    truth = None if label is None else _class(bundle, label)
    image = bundle.preprocess(open_picture(picture).image)
    with TerminalBars() as bars:
        found = run(
            bundle,
            image,
            truth,
            layer=layer,
            side=side,
            stride=stride,
            fill=fill,
            dataset=pictures(bundle, data, data_dir, count, seed, download=download),
            progress=bars,
        )
    tell(found, out)


@experiments.command()
def correspondence(
    model: Model,
    out: Out,
    parts: Annotated[
        str, typer.Option(help="A JSON file of marked pictures; or faces, which are drawn.")
    ] = "faces",
    layer: Layers = None,
    draws: Annotated[int, typer.Option(help="Random masks for each part.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the masks' places, and of faces.")] = 0,
    weights: Weights = "default",
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    download: Fetch = False,
) -> None:
    """Hide the same part in several pictures: do features change alike (Table 1)?

    The file names pictures and, for each part, a rectangle in each of them, in its pixels:
    {"pictures": ["a.png", "b.png"], "parts": {"nose": [[top, left, bottom, right], [...]]}}.
    """
    from deconvviz.analysis import correspondence as run
    from deconvviz.analysis import draw_faces, read_parts

    bundle = load_network(model, weights, download, checkpoint, input_size)
    if parts == "faces":
        marked = draw_faces(_FACES, bundle.preprocessing, seed)
    else:
        marked = read_parts(Path(parts), bundle.preprocessing)
    with TerminalBars() as bars:
        found = run(bundle, marked, layer, draws=draws, seed=seed, progress=bars)
    tell(found, out)


@experiments.command()
def depth(
    model: Model,
    out: Out,
    layer: Layers = None,
    grid: Annotated[int, typer.Option(help="Maps are averaged to so many rows and columns.")] = 2,
    data: Data = "cifar10",
    data_dir: DataDir = None,
    count: Annotated[int, typer.Option(help="Pictures to fit on, of all classes alike.")] = 5000,
    test: Annotated[int, typer.Option(help="Pictures to measure on, likewise.")] = 2000,
    seed: Annotated[int, typer.Option(help="Which pictures are chosen, and held out.")] = 0,
    weights: Weights = "default",
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    download: Fetch = False,
) -> None:
    """Fit a linear classifier on the features of each layer (Table 7)."""
    from deconvviz.analysis import depth as run

    bundle = load_network(model, weights, download, checkpoint, input_size)
    fitted, measured = (
        pictures(bundle, data, data_dir, many, seed, download=download, split=split)
        for many, split in ((count, "train"), (test, "test"))
    )
    with TerminalBars() as bars:
        found = run(bundle, fitted, measured, layer, grid=grid, seed=seed, progress=bars)
    tell(found, out)


def _class(bundle: "Bundle", label: str) -> int:
    """The number of a class that was given by name or number."""
    if label in bundle.classes:
        return bundle.classes.index(label)
    if label.isdecimal():
        return int(label)
    near = get_close_matches(label, bundle.classes, n=3, cutoff=0.4)
    known = ", ".join(near or bundle.classes[:10]) or "only their numbers"
    raise SettingError(f"no class `{label}`; the network knows {known}")


def _numbers(text: str | None) -> list[float] | None:
    """Numbers with commas between them."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise SettingError(f"no numbers: `{text}`; give some with commas, as in 0,1.5,3") from error
