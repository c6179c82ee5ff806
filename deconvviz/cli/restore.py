"""`deconvviz restore` and `train-restoration`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deconvviz.cli.base import app, to_folder
from deconvviz.cli.failures import FAILED
from deconvviz.cli.options import declared_command
from deconvviz.errors import SettingError

if TYPE_CHECKING:
    from deconvviz.restoration import RestorationRecipe


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Picture, or folder of pictures.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Restored picture, or folder.")],
    task: Annotated[str, typer.Option(help="denoise, deblur, inpaint, sr2, sr3 or sr4.")],
    mask: Annotated[
        Path | None,
        typer.Option(help="For inpaint: picture of the same size, white where pixels are missing."),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Network of your own, from train-restoration.")
    ] = None,
) -> None:
    """Restore pictures: remove noise or blur, fill in missing pixels, enlarge by 2, 3 or 4.

    Without --mask, inpaint fills transparent pixels. Grey pictures stay grey; transparency and the
    colour profile are kept, and EXIF orientation is applied. Files that are refused are listed at
    the end, and the exit status is 1.
    """
    from deconvviz.progress import TerminalBars
    from deconvviz.restoration.apply import Restorer
    from deconvviz.restoration.files import FileResult, restore_files, targets

    if mask and task != "inpaint":
        raise SettingError(f"--mask is for --task inpaint, not for {task}")
    restorer = Restorer.load(task, checkpoint)
    pairs = targets(source, out)
    refused: list[FileResult] = []
    with TerminalBars() as bars:
        one = bars if len(pairs) == 1 else None
        for done, result in enumerate(restore_files(pairs, restorer, mask, lambda _: one), 1):
            if len(pairs) > 1:
                bars("restoring", done, len(pairs))
            if result.refusal:
                refused.append(result)
            for notice in result.notices:
                bars.close()
                typer.echo(f"{result.source}: {notice}", err=True)
    typer.echo(f"{len(pairs) - len(refused)} of {len(pairs)} pictures restored: {out}")
    if refused:
        typer.echo(f"{len(refused)} refused:", err=True)
        for result in refused:
            typer.echo(f"  {result.source}: {result.refusal}", err=True)
        raise typer.Exit(FAILED)


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
    """Train a network that restores pictures; the same command resumes a run that was stopped.

    T91, Train400 and photos20 are read from the folder that DECONVVIZ_DATA names.
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
