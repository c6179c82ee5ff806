"""`deconvviz layers`, `coverage` and `project`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
    to_figure,
    write_figure,
)
from deconvviz.cli.options import takes
from deconvviz.errors import SettingError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from deconvviz.deconv import Deconvnet, Projection, Verification
    from deconvviz.io.bundle import Bundle
    from deconvviz.io.images import Picture as OpenedPicture

Picture = Annotated[
    Path, typer.Argument(help="Picture file, or cat, rocket, astronaut, coffee or motorcycle.")
]
Layer = Annotated[str, typer.Option(help="Name of a layer; `deconvviz layers` lists them.")]
_OUT = "Output: a figure, .png, .svg or .pdf; or .safetensors pixels."
_SHOWN = 64  # projections of a figure
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
    out: Annotated[Path, to_figure(_OUT, ".safetensors")],
    unit: Annotated[int | None, at_least(0, "Map or class; else the -k strongest.")] = None,
    count: Annotated[int, typer.Option("-k", min=1, help="Number of strongest units.")] = 9,
    rule: Rule = "deconvnet",
    size: Size = None,
) -> None:
    """Project a layer's strongest units in a picture back to pixels."""
    from deconvviz.deconv import Deconvnet
    from deconvviz.io.files import write_atomically
    from deconvviz.units import Unit

    name = rule_name(rule)
    bundle = load_network(replace(inputs, model=model))
    net = Deconvnet(bundle.model, bundle.input_size)
    opened = open_named(picture)
    pixels = _pixels(bundle, opened, size)
    recording = net.record(pixels[None], [layer])
    if unit is None:
        selection = recording.strongest(layer, count)
    else:
        selection = Unit.at_peak(recording, layer, unit).selection
    projection = net.project(recording, selection, name)
    values = recording.values(selection).tolist()
    if out.suffix == ".safetensors":
        write_atomically(out, _tensors(projection, values, bundle, opened, size))
    else:
        _draw(out, projection, pixels[None], values, bundle.name, opened.name)
    typer.echo(f"{len(projection)} of {layer}'s {net.layers[layer].channels} units: {out}")


def read_pixels(bundle: "Bundle", picture: Path, size: int | None = None) -> "Tensor":
    """A picture as a network's input: whole with a longest side of `size`, or as in training."""
    return _pixels(bundle, open_named(picture), size)


def _pixels(bundle: "Bundle", picture: "OpenedPicture", size: int | None) -> "Tensor":
    return bundle.preprocess(_view(bundle, picture, size), _side(size))


def _view(bundle: "Bundle", picture: "OpenedPicture", size: int | None) -> "Image":
    """The picture at the size and crop of the network's input."""
    from deconvviz.io.images import limit_side

    image = picture.image if size is None else limit_side(picture.image, size)
    return bundle.preprocessing.view(image, _side(size))


def _side(size: int | None) -> Literal["trained"] | None:
    return "trained" if size is None else None


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


def _draw(
    out: Path,
    projection: "Projection",
    images: "Tensor",
    values: list[float],
    network: str,
    picture: str,
) -> None:
    from deconvviz.plots.projections import figure

    source = f" of {network} in {picture}"
    drawn = figure(projection, None, images, _SHOWN, values=values, source=source)
    layer = projection.selection.layer
    about = {"Title": f"{layer}{source}", "network": network, "picture": picture, "layer": layer}
    write_figure(out, drawn, {**about, "rule": projection.rule, "start": projection.start})


def _tensors(
    projection: "Projection",
    values: list[float],
    bundle: "Bundle",
    picture: "OpenedPicture",
    size: int | None,
) -> bytes:
    """Pixels and boxes; of one unit also all that `deconvviz render` needs."""
    import numpy as np
    from safetensors.torch import save

    from deconvviz.io.saved import ProjectionRecord, SavedProjection
    from deconvviz.units import Unit

    boxes, pixels = projection.boxes, projection.pixels.contiguous()
    if len(projection) != 1:
        return save({"pixels": pixels, "boxes": boxes})
    (unit,) = Unit.rows(projection.selection)
    record = ProjectionRecord.of(
        bundle,
        picture,
        size,
        layer=unit.layer,
        unit=unit.channel,
        positions=((unit.channel, unit.y, unit.x),),
        count=1,
        together=False,
        share=None,
        activation=values[0],
        box=tuple(boxes[0].tolist()),
        rule=projection.rule,
        start=projection.start,
    )
    view = np.asarray(_view(bundle, picture, size))
    return SavedProjection(record, pixels[0], view).to_bytes(pixels=pixels, boxes=boxes)
