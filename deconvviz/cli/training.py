"""`deconvviz train`, `decode` and `evaluate`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deconvviz.cli.base import (
    DATA,
    NETWORK,
    ON_CIFAR,
    InputOptions,
    Model,
    Side,
    app,
    at_least,
    load_network,
    load_split,
    to_figure,
    to_folder,
    write_figure,
)
from deconvviz.cli.options import declared_command, takes
from deconvviz.errors import SettingError

if TYPE_CHECKING:
    from deconvviz.training import Recipe


def _recipe() -> "Recipe":
    from deconvviz.training import Recipe

    return Recipe()


@declared_command(app, _recipe, "changes")
@takes(ON_CIFAR, "inputs", (*DATA, "device"))
def train(
    out: Annotated[Path, to_folder("The run's folder; an unfinished run resumes.")],
    size: Side = None,
    hold_out: Annotated[
        int, at_least(0, "Number of training pictures to hold out and test on; 0: none.")
    ] = 0,
    labels: Annotated[
        int, at_least(0, "Number of labelled pictures, the rest unlabelled; 0: all.")
    ] = 0,
    config: Annotated[
        Path | None, typer.Option(help="config.json of another run, whose recipe is the default.")
    ] = None,
    *,
    inputs: InputOptions,
    changes: dict[str, Any],
) -> None:
    """Train a network; the same command resumes a run that was stopped.

    Under `torchrun --nproc-per-node N -m deconvviz train ...` N processes share each batch.
    """
    from deconvviz.io.data import DATASETS, stratified_subset, train_test_split
    from deconvviz.processes import ProcessGroup
    from deconvviz.schema import changed
    from deconvviz.training import train as run
    from deconvviz.training.device import find_device
    from deconvviz.training.run_folder import read_config

    recipe = read_config(config).recipe if config else _recipe()
    entry = DATASETS.get(inputs.data)
    if not config and entry and (augmentation := entry.augmentation):
        recipe = changed(recipe, {"augmentation": augmentation})
    recipe = changed(recipe, changes)
    where = find_device(inputs.device)
    training = load_split(inputs, "train", size)
    training, test = (
        train_test_split(training, hold_out)
        if hold_out
        else (training, load_split(inputs, "test", size))
    )
    known = stratified_subset(training, labels, recipe.seed) if labels else training
    processes = ProcessGroup.from_environment()
    try:
        done = run(recipe, known, test, out, unlabelled=training, device=where, processes=processes)
    finally:
        processes.close()
    if processes.is_main:
        typer.echo(f"{done.evaluation.accuracy:.2%} of {len(test)} test pictures ({test.title})")
        typer.echo(f"{done.checkpoint} after {done.epochs} of {recipe.epochs} epochs")
    if done.epochs < recipe.epochs:
        raise typer.Exit(130)  # after Ctrl-C


@app.command()
def decode(
    network: Annotated[Path, typer.Argument(help="model.safetensors of a run with a decoder.")],
    pictures: Annotated[list[Path], typer.Argument(help="Picture files.")],
    out: Annotated[Path, to_figure("Output figure: .png, .svg or .pdf.")],
) -> None:
    """Reconstruct pictures with the decoder that a network was trained with."""
    import torch

    from deconvviz.io.images import open_picture
    from deconvviz.plots.decoder import decoder_figure
    from deconvviz.training.decode import load_decoder

    decoded = load_decoder(network)
    tensor = decoded.preprocessing.tensor
    images = torch.stack([tensor(open_picture(picture).image) for picture in pictures])
    sheet = decoder_figure(decoded, images, [path.stem for path in pictures])
    write_figure(out, sheet, {})
    typer.echo(f"{len(images)} reconstructions: {out}")


@app.command()
@takes(InputOptions(), "inputs", (*NETWORK, "data_dir", "device"))
def evaluate(
    model: Model,
    data: Annotated[
        str | None, typer.Option(help="Data set; by default the one it was trained on, or cifar10.")
    ] = None,
    robust: Annotated[
        int, at_least(0, "Number of pictures to attack as well, for robust accuracy.")
    ] = 0,
    save: Annotated[
        bool, typer.Option("--save", help="Store the results in the checkpoint and its card.")
    ] = False,
    *,
    inputs: InputOptions,
) -> None:
    """Measure a network's accuracy on the test pictures, without augmentation.

    The attack is projected gradient descent, 20 steps from the picture itself: L2 radius 0.5 and
    L-infinity radius 2/255, of pixels in [0, 1].
    """
    from deconvviz.io.card import card
    from deconvviz.io.checkpoint import amend_checkpoint
    from deconvviz.io.data import load_dataset
    from deconvviz.io.data.registry import name_of
    from deconvviz.io.files import write_atomically
    from deconvviz.progress import TerminalBars
    from deconvviz.training import evaluate as measure
    from deconvviz.training.adversary import ATTACKS, robust_accuracy
    from deconvviz.training.device import find_device
    from deconvviz.training.evaluate import test_record

    path = Path(model)
    if save and path.suffix != ".safetensors":
        raise SettingError(f"--save needs the file of a checkpoint, not `{model}`")
    bundle = load_network(replace(inputs, model=model))
    preprocessing = bundle.preprocessing
    trained_on = bundle.training.get("test", {}).get("title", "")
    test = load_dataset(
        data or name_of(trained_on) or "cifar10",
        "test",
        data_dir=inputs.data_dir,
        size=preprocessing.size,
        channels=preprocessing.channels,
        download=inputs.download,
    )
    network = bundle.model.to(find_device(inputs.device))
    result = measure(network, test, preprocessing.mean, preprocessing.std)
    for name, accuracy in result.per_class.items():
        typer.echo(f"{name:>12} {accuracy:7.2%}")
    typer.echo(f"{'all':>12} {result.accuracy:7.2%}  of {len(test)} pictures, {test.title}")
    if "test" in bundle.training:
        typer.echo(f"{'model card':>12} {bundle.training['test']['accuracy']:7.2%}")
    stored = {one["norm"]: one["accuracy"] for one in bundle.training.get("robust", ())}
    found = []
    for attack in ATTACKS if robust > 0 else ():
        with TerminalBars() as bars:
            one = robust_accuracy(
                network,
                test,
                preprocessing.mean,
                preprocessing.std,
                attack,
                count=robust,
                progress=bars,
            )
        found.append(one)
        on_card = f", card {stored[attack.norm]:.2%}" if attack.norm in stored else ""
        typer.echo(
            f"{attack.norm:>12} {one['accuracy']:7.2%}  of {one['pictures']} attacked pictures, "
            f"radius {attack.radius:.4g}{on_card}"
        )
    if save:
        measured = test_record(test, result)
        more = {"robust": found} if found else {}
        description = amend_checkpoint(path, test=measured, **more)
        write_atomically(path.with_suffix(".md"), card(description, path.stem))
