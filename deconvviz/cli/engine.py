"""`deconvviz layers`, `coverage` and `project`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deconvviz.cli.base import (
    NETWORK,
    InputOptions,
    Model,
    Rule,
    app,
    at_least,
    load_network,
    rule_name,
    to_file,
)
from deconvviz.cli.options import takes
from deconvviz.errors import SettingError

if TYPE_CHECKING:
    from torch import Tensor

    from deconvviz.deconv import Deconvnet, Projection, Verification
    from deconvviz.io.bundle import Bundle
    from deconvviz.io.images import Picture as OpenedPicture

Picture = Annotated[
    Path, typer.Argument(help="Picture file, or cat, rocket, astronaut, coffee or motorcycle.")
]
Layer = Annotated[str, typer.Option(help="Name of a layer; `deconvviz layers` lists them.")]
Size = Annotated[int | None, at_least(8, "Longest side in pixels, uncropped; else as in training.")]


@app.command()
@takes(InputOptions(), "inputs", NETWORK)
def layers(model: Model, inputs: InputOptions) -> None:
    """List a network's layers, and the receptive fields of their units."""
    from deconvviz.deconv import Deconvnet

    bundle = load_network(replace(inputs, model=model))
    net = Deconvnet(bundle.model, bundle.input_size)
    width = max(map(len, net.layers))
    for name, layer in net.layers.items():
        mark = "*" if name in net.default_layers else " "
        typer.echo(f"{mark} {name:{width}}  {layer}")
    typer.echo("* the rectified map after a convolution: a default layer")


@app.command()
@takes(InputOptions(), "inputs", NETWORK)
def coverage(
    model: Model,
    inputs: InputOptions,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare projections with autograd; 1 on a difference.")
    ] = False,
    dtype: Annotated[str, typer.Option(help="Of --verify: float32 or float64.")] = "float32",
) -> None:
    """Show how each operation of a network is reversed, or why it is not supported."""
    import torch

    from deconvviz.deconv import Deconvnet
    from deconvviz.deconv.verification import checked_line

    if dtype not in ("float32", "float64"):
        raise SettingError(f"no dtype `{dtype}`; there are float32 and float64")
    bundle = load_network(replace(inputs, model=model))
    net = Deconvnet(bundle.model, bundle.input_size, check=True)
    verification = net.verify(dtype=getattr(torch, dtype)) if verify else None
    if as_json:
        typer.echo(_as_json(net, verification))
    else:
        typer.echo(net.coverage)
        typer.echo(checked_line(net.checked, verification))
        if verification is not None:
            typer.echo(f"\n{verification}")
    if verification is not None and not verification.passed:
        raise typer.Exit(1)


@app.command()
@takes(InputOptions(), "inputs", NETWORK)
def project(
    model: Model,
    inputs: InputOptions,
    picture: Picture,
    layer: Layer,
    out: Annotated[Path, to_file("Output: a .png figure, or .safetensors pixels.", ".safetensors")],
    unit: Annotated[int | None, at_least(0, "Map or class; else the -k strongest.")] = None,
    count: Annotated[int, typer.Option("-k", min=1, help="Number of strongest units.")] = 9,
    rule: Rule = "deconvnet",
    size: Size = None,
) -> None:
    """Project a layer's strongest units in a picture back to pixels."""
    from deconvviz.deconv import Deconvnet
    from deconvviz.units import Unit

    name = rule_name(rule)
    bundle = load_network(replace(inputs, model=model))
    net = Deconvnet(bundle.model, bundle.input_size)
    pixels = read_pixels(bundle, picture, size)
    recording = net.record(pixels[None], [layer])
    if unit is None:
        selection = recording.strongest(layer, count)
    else:
        selection = Unit.at_peak(recording, layer, unit).selection
    projection = net.project(recording, selection, name)
    _write(projection, pixels[None], out)
    typer.echo(f"{len(projection)} of {layer}'s {net.layers[layer].channels} units: {out}")


def read_pixels(bundle: "Bundle", picture: Path, size: int | None = None) -> "Tensor":
    """A picture as a network's input: whole with a longest side of `size`, or as in training."""
    from deconvviz.io.images import limit_side

    image = open_named(picture).image
    if size is None:
        return bundle.preprocess(image)
    return bundle.preprocess(limit_side(image, size), size=None)


def open_named(picture: Path) -> "OpenedPicture":
    """A picture file, or a photograph of the package by its name where there is no such file."""
    from deconvviz.io.images import PHOTOGRAPHS, open_picture, photograph

    name = str(picture)
    if name in PHOTOGRAPHS and not picture.exists():
        return photograph(name)
    return open_picture(picture)


def _as_json(net: "Deconvnet", verification: "Verification | None") -> str:
    """The rows of the coverage; with a verification, both by name."""
    if verification is None:
        return net.coverage.json()
    both = {"operations": net.coverage.table(), "verification": verification.to_dict()}
    return json.dumps(both, indent=1)


def _write(projection: "Projection", images: "Tensor", out: Path) -> None:
    from safetensors.torch import save

    from deconvviz.io.files import write_atomically
    from deconvviz.plots.files import figure_png

    if out.suffix == ".png":
        write_atomically(out, figure_png(projection.plot(images=images)))
    else:
        tensors = {"pixels": projection.pixels.contiguous(), "boxes": projection.boxes}
        write_atomically(out, save(tensors))
