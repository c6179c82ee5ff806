"""`deconvviz train`, `decode` and `evaluate`."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from deconvviz.cli.base import (
    Checkpoint,
    Data,
    DataDir,
    Device,
    InputSize,
    Model,
    Weights,
    app,
    load_network,
)
from deconvviz.errors import SettingError

__all__ = ["decode", "evaluate", "train"]


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="The run's folder; an unfinished run goes on.")],
    model: Annotated[
        str,
        typer.Option(
            help="A network: vgg, fast, zf, seed-cnn, ddnet, deconv-mnist, tutorial-cnn or "
            "plain:WIDTHS."
        ),
    ] = "vgg",
    data: Data = "cifar10",
    data_dir: DataDir = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data if needed.")] = False,
    size: Annotated[int | None, typer.Option(help="Side of the pictures of a folder.")] = None,
    epochs: int = 15,
    seed: int = 0,
    batch_size: int = 128,
    loss: Annotated[str, typer.Option(help="cross-entropy, focal or mse.")] = "cross-entropy",
    optimiser: Annotated[str, typer.Option(help="sgd, muon, adam or adamw.")] = "sgd",
    schedule: Annotated[str, typer.Option(help="one-cycle, cosine, step or constant.")] = (
        "one-cycle"
    ),
    lr: Annotated[float, typer.Option(help="Of SGD or Adam.")] = 0.125,
    muon_lr: Annotated[float, typer.Option(help="Of Muon, for kernels before BatchNorm.")] = 0.025,
    deconv_weight: Annotated[
        float, typer.Option(help="Of a deconvolution decoder beside the classifier; 0: none.")
    ] = 0.0,
    max_kernel_rms: Annotated[
        float, typer.Option(help="Of any kernel; longer ones are shortened, 0: none. Paper: 0.1.")
    ] = 0.0,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any other of the recipe's options, as NAME=VALUE; again for another: mixup=0.2, "
            "augmentation.rotation=15, decoder.switches=yes, weight_decay=0. A wrong name lists "
            "all.",
        ),
    ] = None,
    hold_out: Annotated[
        int, typer.Option(help="Test on this many pictures held out of the training data.")
    ] = 0,
    labels: Annotated[
        int, typer.Option(help="Learn from the labels of so many pictures only; 0: all.")
    ] = 0,
    snapshots: Annotated[
        str, typer.Option(help="Epochs whose convolutional stages are kept; 0 is the start.")
    ] = "0,1,2,5,10,20,50,100",
    precision: Annotated[str, typer.Option(help="auto, bf16 or float32.")] = "auto",
    fp16: Annotated[bool, typer.Option("--fp16", help="Store float16.")] = False,
    device: Device = "auto",
) -> None:
    """Train a network; the same command goes on where a run was left.

    With --labels and --set unlabelled_batch=64, the other pictures are given to a decoder without
    their labels. Under `torchrun --nproc-per-node N -m deconvviz train …` N processes share each
    batch.
    """
    from deconvviz.io.data import DATASETS, load_dataset, stratified_subset, train_test_split
    from deconvviz.processes import ProcessGroup
    from deconvviz.training import Recipe, changed
    from deconvviz.training import train as run
    from deconvviz.training.device import find_device

    recipe = Recipe(
        model=model,
        epochs=epochs,
        seed=seed,
        batch_size=batch_size,
        loss=loss,
        optimiser=optimiser,
        schedule=schedule,
        lr=lr,
        muon_lr=muon_lr,
        deconv_weight=deconv_weight,
        max_kernel_rms=max_kernel_rms,
        snapshots=_epochs(snapshots),
        precision=precision,
        fp16=fp16,
    )
    if data in DATASETS and (augmentation := DATASETS[data].augmentation):
        recipe = replace(recipe, augmentation=augmentation)
    recipe = changed(recipe, _options(option or []))
    pictures = partial(load_dataset, data, data_dir=data_dir, size=size, download=download)
    training = pictures("train")
    training, test = (
        train_test_split(training, hold_out) if hold_out else (training, pictures("test"))
    )
    known = stratified_subset(training, labels, seed) if labels else training
    processes = ProcessGroup.found()
    try:
        done = run(
            recipe,
            known,
            test,
            out,
            unlabelled=training,
            device=find_device(device),
            processes=processes,
        )
    finally:
        processes.close()
    if processes.is_main:
        typer.echo(f"{done.evaluation.accuracy:.2%} of {len(test)} test pictures ({test.title})")
        typer.echo(f"{done.checkpoint} after {done.epochs} of {epochs} epochs")


@app.command()
def decode(
    network: Annotated[Path, typer.Argument(help="A run's model.safetensors.")],
    pictures: Annotated[list[Path], typer.Argument(help="One or more.")],
    out: Annotated[Path, typer.Option(help="The sheet, a file that ends in .png.")],
) -> None:
    """Draw what comes back of pictures through the decoder that a network was trained with."""
    import torch

    from deconvviz.io.files import write_atomically
    from deconvviz.io.images import open_picture
    from deconvviz.plots.figures import figure_png
    from deconvviz.training.reconstruct import load_decoder

    if out.suffix != ".png":
        raise SettingError(f"cannot write `{out}`; name a file that ends in .png")
    found = load_decoder(network)
    opened = [open_picture(picture) for picture in pictures]
    images = torch.stack([found.preprocessing.tensor(one.image) for one in opened])
    write_atomically(out, figure_png(found.figure(images, [path.stem for path in pictures])))
    typer.echo(f"{len(opened)} pictures given back: {out}")


@app.command()
def evaluate(
    model: Model,
    data: Data = "cifar10",
    data_dir: DataDir = None,
    weights: Weights = "default",
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch data or weights that are not here.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Measure a network on the test pictures, each once as it is."""
    from deconvviz.io.data import load_dataset
    from deconvviz.training import evaluate as measure
    from deconvviz.training.device import find_device

    bundle = load_network(model, weights, download, checkpoint, input_size)
    preprocessing = bundle.preprocessing
    test = load_dataset(
        data,
        "test",
        data_dir=data_dir,
        size=preprocessing.size,
        channels=preprocessing.channels,
        download=download,
    )
    network = bundle.model.to(find_device(device))
    result = measure(network, test, preprocessing.mean, preprocessing.std)
    for name, accuracy in result.per_class.items():
        typer.echo(f"{name:>12} {accuracy:7.2%}")
    typer.echo(f"{'all':>12} {result.accuracy:7.2%}  of {len(test)} pictures, {test.title}")
    if "test" in bundle.training:
        typer.echo(f"{'its card':>12} {bundle.training['test']['accuracy']:7.2%}")


def _options(given: list[str]) -> dict[str, str]:
    """NAME=VALUE, by name."""
    wrong = [text for text in given if "=" not in text]
    if wrong:
        raise SettingError(f"no option `{wrong[0]}`; give it as NAME=VALUE")
    parts = [text.partition("=") for text in given]
    return {name.strip(): value.strip() for name, _, value in parts}


def _epochs(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise SettingError(f"no epochs: `{text}`; give whole numbers with commas, as in 0,1,2,5")
    return tuple(map(int, parts))
