"""`deconvviz render`: a saved projection, made again."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deconvviz.cli.base import NETWORK, InputOptions, app, load_network, to_file
from deconvviz.cli.failures import FAILED
from deconvviz.cli.options import takes

if TYPE_CHECKING:
    from deconvviz.analysis.rendering import Rendered
    from deconvviz.io.saved import ProjectionRecord

File = Annotated[Path, typer.Argument(metavar="FILE", help="A Raw tensor of the Workbench.")]
Out = Annotated[
    Path | None,
    to_file("Output: a .png picture, or .safetensors as FILE is.", ".safetensors"),
]
Named = Annotated[
    str | None,
    typer.Option("--model", help="Name or checkpoint of the network; else the one FILE names."),
]


@app.command()
@takes(InputOptions(), "inputs", NETWORK)
def render(
    file: File,
    inputs: InputOptions,
    out: Out = None,
    model: Named = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with status 1 if the bytes differ.")
    ] = False,
) -> None:
    """Project again what a file was made from, and compare the bytes with the file's."""
    import torch

    from deconvviz.analysis.rendering import render as render_again
    from deconvviz.errors import SavedFileError, UnknownModelError
    from deconvviz.io.files import write_atomically
    from deconvviz.io.saved import read_projection

    saved = read_projection(file)
    torch.set_num_threads(min(saved.record.threads, os.cpu_count() or 1))
    try:
        bundle = load_network(replace(inputs, model=model or saved.record.network))
    except UnknownModelError as error:
        if model:
            raise
        name = saved.record.network
        raise SavedFileError(
            f"{file} is of the network `{name}`, which is not found by that name; give its name "
            "or checkpoint with --model"
        ) from error
    rendered = render_again(saved, bundle)
    if out is not None:
        write_atomically(out, _content(rendered, out.suffix))
    typer.echo(_found(saved.record, rendered))
    if check and not rendered.is_same:
        raise typer.Exit(FAILED)


def _content(rendered: "Rendered", ending: str) -> bytes:
    from deconvviz.io.images import to_png
    from deconvviz.plots.look import saved_picture

    if ending == ".png":
        whole = rendered.saved.record.together
        picture = saved_picture(rendered.pixels, whole=whole, share=rendered.share)
        return to_png(picture, rendered.saved.record.about)
    return replace(rendered.saved, pixels=rendered.pixels).to_bytes()


def _found(record: "ProjectionRecord", rendered: "Rendered") -> str:
    """What was made again, and how it compares."""
    what = f"unit {record.unit} of {record.layer} in {record.picture}, {record.rule}"
    if rendered.is_same:
        return f"{what}: the same bytes"
    difference = rendered.difference
    if difference is None:
        return f"{what}: other bytes, of another size"
    by = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return (
        f"{what}: other bytes; the largest difference is {difference:.2g} of the largest pixel "
        f"(the file was made with {by}, {record.threads} threads)"
    )
