"""`deconvviz render`: a saved projection, made again; `deconvviz report`: one page of a picture."""

import os
import shlex
import sys
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
    to_kinds,
)
from deconvviz.cli.engine import Picture, Size, open_named
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
Page = Annotated[Path, to_kinds("Output: one .html file, complete in itself.", ".html")]
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


@app.command()
@takes(InputOptions(), "inputs", NETWORK)
def report(
    model: Model,
    picture: Picture,
    out: Page,
    inputs: InputOptions,
    units: Annotated[int, at_least(1, "Number of strongest units of each layer, at most 24.")] = 3,
    rule: Rule = "deconvnet",
    size: Size = None,
) -> None:
    """Write one page of what a network sees in a picture: its answer, its units, and why."""
    from deconvviz.analysis.report import ReportOptions
    from deconvviz.analysis.report import report as report_on
    from deconvviz.io.files import write_atomically
    from deconvviz.plots.report import headline, page

    options = ReportOptions(units, rule_name(rule), size)
    opened, bundle = open_named(picture), load_network(replace(inputs, model=model))
    found = report_on(bundle, opened, options)
    words = shlex.join(["deconvviz", *sys.argv[1:]]) if sys.argv[1:2] == ["report"] else ""
    write_atomically(out, page(found, words))
    typer.echo(f"{headline(found)}\n{out}")


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
