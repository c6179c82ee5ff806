"""`deconvviz restore`, `segment`, `generate` and `train-restoration`."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deconvviz.cli.base import a_seed, app, output_file, output_folder, to_folder
from deconvviz.cli.failures import FAILED
from deconvviz.cli.options import declared_command
from deconvviz.errors import SettingError

if TYPE_CHECKING:
    from deconvviz.restoration import RestorationRecipe
    from deconvviz.restoration.files import Bars, FileResult, Pairs

In = Annotated[Path, typer.Argument(metavar="IN", help="Picture, or folder of pictures.")]
Own = Annotated[
    Path | None, typer.Option(help="Network of your own, from train-restoration; else the shipped.")
]


@app.command()
def restore(
    source: In,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Restored picture, or folder.")],
    task: Annotated[str, typer.Option(help="denoise, deblur, inpaint, sr2, sr3 or sr4.")],
    mask: Annotated[
        Path | None,
        typer.Option(help="For inpaint: picture of the same size, white where pixels are missing."),
    ] = None,
    checkpoint: Own = None,
    self_ensemble: Annotated[
        bool,
        typer.Option(
            "--self-ensemble",
            help="Mean over eight rotated and mirrored copies: better, 8 times slower.",
        ),
    ] = False,
) -> None:
    """Restore pictures: remove noise or blur, fill in missing pixels, enlarge by 2, 3 or 4.

    Without --mask, inpaint fills transparent pixels. Grey pictures stay grey; transparency and the
    colour profile are kept, and EXIF orientation is applied. Files that are refused are listed at
    the end, and the exit status is 1.
    """
    from deconvviz.restoration.apply import Restorer
    from deconvviz.restoration.files import restore_files, targets

    if mask and task != "inpaint":
        raise SettingError(f"--mask is for --task inpaint, not for {task}")
    restorer = Restorer.load(task, checkpoint, self_ensemble=self_ensemble)
    pairs = targets(source, out)
    _one_by_one(pairs, lambda bars: restore_files(pairs, restorer, mask, bars), out, "restored")


@app.command()
def segment(
    source: In,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Map of the classes, or folder.")],
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Write the picture under the colours of the classes.")
    ] = False,
    checkpoint: Own = None,
) -> None:
    """Segment street scenes: the class of every pixel, in colours.

    A map is a PNG with a palette: its values are the numbers of the classes. Files that are refused
    are listed at the end, and the exit status is 1.
    """
    from deconvviz.restoration.files import segment_files, targets
    from deconvviz.restoration.segmenter import Segmenter

    segmenter = Segmenter.load(checkpoint)
    pairs = targets(source, out, ".png")
    legend = zip(segmenter.classes, segmenter.colours, strict=True)
    for number, (name, colour) in enumerate(legend):
        typer.echo(f"{number:3}  #{bytes(colour).hex()}  {name}")
    _one_by_one(
        pairs,
        lambda bars: segment_files(pairs, segmenter, overlay=overlay, progress=bars),
        out,
        "segmented",
    )


def _one_by_one(
    pairs: "Pairs", results: "Callable[[Bars], Iterator[FileResult]]", out: Path, done: str
) -> None:
    """Work on files with a bar; list those that are refused, and exit with 1 if there are any."""
    from deconvviz.progress import TerminalBars

    refused: list[FileResult] = []
    with TerminalBars() as bars:
        parts = bars if len(pairs) == 1 else None
        for count, result in enumerate(results(lambda _: parts), 1):
            if len(pairs) > 1:
                bars("pictures", count, len(pairs))
            if result.refusal:
                refused.append(result)
            for notice in result.notices:
                bars.close()
                typer.echo(f"{result.source}: {notice}", err=True)
    typer.echo(f"{len(pairs) - len(refused)} of {len(pairs)} pictures {done}: {out}")
    if refused:
        typer.echo(f"{len(refused)} refused:", err=True)
        for result in refused:
            typer.echo(f"  {result.source}: {result.refusal}", err=True)
        raise typer.Exit(FAILED)


@app.command()
def generate(
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="One sheet, a .png file; or a folder of pictures.")
    ],
    data: Annotated[str, typer.Option(help="Pictures like those of mnist or cifar10.")] = "mnist",
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Number of pictures.")] = 64,
    seed: Annotated[int, a_seed("Seed of the pictures.")] = 0,
    enlarge: Annotated[
        int, typer.Option(min=1, max=16, help="Times that each pixel is repeated.")
    ] = 1,
    checkpoint: Own = None,
) -> None:
    """Generate pictures with a variational auto-encoder: samples of what it was trained on."""
    from deconvviz.io.files import write_atomically
    from deconvviz.io.images import to_png
    from deconvviz.plots.arrays import mosaic
    from deconvviz.restoration.generation import as_pictures, load_generator, samples

    is_sheet = out.endswith(".png")
    path = output_file(out, (".png",)) if is_sheet else output_folder(out)
    pictures = as_pictures(samples(load_generator(data, checkpoint), count, seed))
    pictures = pictures.repeat(enlarge, axis=1).repeat(enlarge, axis=2)
    if is_sheet:
        columns = math.isqrt(count - 1) + 1  # as square as it gets
        write_atomically(path, to_png(mosaic(pictures, columns)))
    else:
        for number, one in enumerate(pictures):
            write_atomically(path / f"{number:04}.png", to_png(one))
    typer.echo(f"{count} pictures generated: {out}")


def _recipe() -> "RestorationRecipe":
    from deconvviz.restoration import RestorationRecipe

    return RestorationRecipe()


@declared_command(app, _recipe, "changes")
def train_restoration(
    out: Annotated[Path, to_folder("The run's folder; an unfinished run resumes.")],
    device: Annotated[str, typer.Option(help="Device: cpu, cuda or mps.")] = "cpu",
    *,
    changes: dict[str, Any],
) -> None:
    """Train a network that restores, segments, detects or generates pictures.

    The same command resumes a run that was stopped. T91, Train400, CamVid, MNIST, CIFAR-10 and
    photos20 are read from the folder that DECONVVIZ_DATA names.
    """
    from deconvviz.restoration import train_restoration as run
    from deconvviz.schema import changed
    from deconvviz.training.device import find_device

    recipe = changed(_recipe(), changes)
    done = run(recipe, out, device=find_device(device))
    figures = ", ".join(f"{name} {value:g}" for name, value in done.held_out.items())
    typer.echo(f"held-out pictures: {figures}")
    typer.echo(f"{done.checkpoint} after {done.epochs} of {recipe.epochs} epochs")
    if done.epochs < recipe.epochs:
        raise typer.Exit(130)  # after Ctrl-C
