"""`deconvviz COMMAND`: train, evaluate, and the app."""

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deconvviz.errors import DeconvvizError, SelectionError, SettingError

if TYPE_CHECKING:
    from torch import Tensor

    from deconvviz.bundles import Bundle
    from deconvviz.deconv import Projection, Recording, Selection

__all__ = ["app", "main"]

app = typer.Typer(
    help="See what any unit of a convolutional network responds to.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DataDir = Annotated[
    Path | None, typer.Option(help="Where the pictures are; else DECONVVIZ_DATA, else the cache.")
]
# What `load` takes, told from the values of Streamlit's options.
_NETWORK = re.compile(r"\.safetensors$|^(torchvision|timm)/|^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")

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


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="The run's folder; an unfinished run goes on.")],
    model: Annotated[str, typer.Option(help="A network: vgg, fast or seed-cnn.")] = "vgg",
    data: Annotated[str, typer.Option(help="cifar10, folder, photos or shapes.")] = "cifar10",
    data_dir: DataDir = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch CIFAR-10 if needed.")] = False,
    size: Annotated[int | None, typer.Option(help="Side of the pictures of a folder.")] = None,
    epochs: int = 15,
    seed: int = 0,
    batch_size: int = 128,
    peak_rate: Annotated[float, typer.Option(help="Of SGD.")] = 0.125,
    kernel_rate: Annotated[
        float, typer.Option(help="Of Muon, for kernels before BatchNorm; 0: SGD for them too.")
    ] = 0.0,
    deconv_weight: Annotated[
        float, typer.Option(help="Of a deconvolution decoder beside the classifier; 0: none.")
    ] = 0.0,
    hold_out: Annotated[
        int, typer.Option(help="Test on this many pictures held out of the training data.")
    ] = 0,
    snapshots: Annotated[
        str, typer.Option(help="Epochs whose convolutional stages are kept; 0 is the start.")
    ] = "0,1,2,5,10,20,50,100",
    precision: Annotated[str, typer.Option(help="auto, bf16 or float32.")] = "auto",
    half: Annotated[bool, typer.Option("--half", help="Store float16.")] = False,
    device: Device = "auto",
) -> None:
    """Train a network; the same command goes on where a run was left."""
    from deconvviz.data import held_out, load_dataset
    from deconvviz.training import Recipe
    from deconvviz.training import train as run
    from deconvviz.training.device import find_device

    recipe = Recipe(
        model=model,
        epochs=epochs,
        seed=seed,
        batch_size=batch_size,
        peak_rate=peak_rate,
        kernel_rate=kernel_rate,
        deconv_weight=deconv_weight,
        snapshots=_epochs(snapshots),
        precision=precision,
        half=half,
    )
    pictures = partial(load_dataset, data, data_dir=data_dir, size=size, download=download)
    training = pictures("train")
    training, test = held_out(training, hold_out) if hold_out else (training, pictures("test"))
    done = run(recipe, training, test, out, device=find_device(device))
    typer.echo(f"{done.evaluation.accuracy:.2%} of {len(test)} test pictures ({test.title})")
    typer.echo(f"{done.checkpoint} after {done.epochs} of {epochs} epochs")


@app.command()
def evaluate(
    model: Model,
    data: Annotated[str, typer.Option(help="cifar10, folder, photos or shapes.")] = "cifar10",
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
    from deconvviz.data import load_dataset
    from deconvviz.training import evaluate as measure
    from deconvviz.training.device import find_device

    bundle = _load(model, weights, download, checkpoint, input_size)
    intake = bundle.intake
    test = load_dataset(
        data,
        "test",
        data_dir=data_dir,
        size=intake.side,
        channels=intake.channels,
        download=download,
    )
    network = bundle.model.to(find_device(device))
    result = measure(network, test, intake.mean, intake.std)
    for name, accuracy in result.per_class.items():
        typer.echo(f"{name:>12} {accuracy:7.2%}")
    typer.echo(f"{'all':>12} {result.accuracy:7.2%}  of {len(test)} pictures, {test.title}")
    if "test" in bundle.training:
        typer.echo(f"{'its card':>12} {bundle.training['test']['accuracy']:7.2%}")


@app.command()
def layers(
    model: Model,
    weights: Weights = "default",
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    download: Download = False,
) -> None:
    """List a network's layers, and what each of their units sees."""
    from deconvviz.deconv import Deconvnet

    bundle = _load(model, weights, download, checkpoint, input_size)
    net = Deconvnet(bundle.model, bundle.input_size)
    width = max(map(len, net.layers))
    for name, layer in net.layers.items():
        mark = "*" if name in net.default_layers else " "
        typer.echo(f"{mark} {name:{width}}  {layer}")
    typer.echo("* the rectified map after a convolution: what `strongest` and the app look at")


@app.command()
def coverage(
    model: Model,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    weights: Weights = "default",
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    download: Download = False,
) -> None:
    """Say how each operation of a network is undone, or why it cannot be."""
    from deconvviz.deconv import Deconvnet

    bundle = _load(model, weights, download, checkpoint, input_size)
    report = Deconvnet(bundle.model, bundle.input_size).coverage
    typer.echo(report.json() if as_json else report)


@app.command()
def project(
    model: Model,
    picture: Annotated[Path, typer.Argument(help="A picture's file.")],
    layer: Annotated[str, typer.Option(help="One that `deconvviz layers` lists.")],
    out: Annotated[Path, typer.Option(help="The sheet, a .png; or the pixels, .safetensors.")],
    unit: Annotated[int | None, typer.Option(help="One feature map, or a class.")] = None,
    count: Annotated[int, typer.Option("-k", help="So many of the strongest units.")] = 9,
    rule: Annotated[str, typer.Option(help="deconvnet, guided or gradient.")] = "deconvnet",
    size: Annotated[
        int | None, typer.Option(help="Longest side of the whole picture; else as in training.")
    ] = None,
    weights: Weights = "default",
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    download: Download = False,
) -> None:
    """Project a layer's strongest units in a picture back to pixels."""
    from deconvviz.deconv import Deconvnet
    from deconvviz.images import limit_side, open_picture

    if out.suffix not in (".png", ".safetensors"):
        raise SettingError(f"cannot write `{out}`; name a file that ends in .png or .safetensors")
    bundle = _load(model, weights, download, checkpoint, input_size)
    net = Deconvnet(bundle.model, bundle.input_size)
    image = open_picture(picture).image
    if size is None:
        pixels = bundle.preprocess(image)
    else:
        pixels = bundle.preprocess(limit_side(image, size), size=None)
    recording = net.record(pixels[None], [layer])
    if unit is None:
        selection = recording.strongest(layer, count)
    else:
        selection = _at_peak(recording, layer, unit)
    projection = net.project(recording, selection, rule)  # type: ignore[arg-type]  # it checks
    _write(projection, pixels[None], out)
    typer.echo(f"{len(projection)} of {layer}'s {net.layers[layer].channels} units: {out}")


@app.command("app", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def start_app(context: typer.Context, download: Download = False) -> None:
    """Start the app in a browser.

    Name further networks to choose among; other options go to `streamlit run`.
    """
    networks = [argument for argument in context.args if _NETWORK.search(argument)]
    for name in networks:  # here a person sees the download and a refusal, before any browser
        _load(name, "default", download)
    options = [argument for argument in context.args if argument not in networks]
    script = Path(__file__).with_name("app.py")
    command = [sys.executable, "-m", "streamlit", "run", str(script), *options]
    if networks:
        command += ["--", *networks]
    raise typer.Exit(subprocess.call(command))  # noqa: S603  our own interpreter and script


def _load(
    model: str,
    weights: str,
    download: bool,
    checkpoint: Path | None = None,
    input_size: str | None = None,
) -> "Bundle":
    from deconvviz.bundles import load

    return load(
        model,
        weights=None if weights == "none" else weights,
        download=download,
        checkpoint=checkpoint,
        input_size=None if input_size is None else _size(input_size),
    )


def _at_peak(recording: "Recording", layer: str, unit: int) -> "Selection":
    """One unit where it is strongest, active or not."""
    from deconvviz.deconv import Selection

    peaks = recording.peaks(layer)
    units = peaks.value.shape[1]
    if not 0 <= unit < units:
        raise SelectionError(f"no unit {unit} in `{layer}`; it has {units}, counted from 0")
    return Selection(layer, 0, [unit], int(peaks.y[0, unit]), int(peaks.x[0, unit]))


def _write(projection: "Projection", images: "Tensor", out: Path) -> None:
    from safetensors.torch import save

    from deconvviz.figures import figure_png
    from deconvviz.files import write_atomically

    if out.suffix == ".png":
        write_atomically(out, figure_png(projection.plot(images=images)))
    else:
        tensors = {"pixels": projection.pixels.contiguous(), "boxes": projection.boxes}
        write_atomically(out, save(tensors))


def _size(text: str) -> tuple[int, int, int]:
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise SettingError(f"no size: `{text}`; give channels,height,width as in 3,224,224")
    channels, height, width = map(int, parts)
    return channels, height, width


def _epochs(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise SettingError(f"no epochs: `{text}`; give whole numbers with commas, as in 0,1,2,5")
    return tuple(map(int, parts))


def main() -> None:
    """The console entry: a refusal is one sentence on stderr and exit code 2."""
    try:
        app()
    except DeconvvizError as error:
        typer.echo(f"deconvviz: {error}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        os._exit(0)  # `deconvviz evaluate demo | head`: the reader has had enough


if __name__ == "__main__":
    main()
