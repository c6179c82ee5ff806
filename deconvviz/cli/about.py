"""`deconvviz --version`, `doctor` and `cite`: what is installed, and how to cite it."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from deconvviz.cli.base import app
from deconvviz.version import __version__

_LIBRARIES = ("torch", "torchvision", "streamlit", "numpy", "pillow", "matplotlib", "captum")
_OPTIONAL = {"timm": "more networks: pip install 'deconvviz[timm]'"}
_BIBTEX = """\
@software{{deconvviz,
  title   = {{deconvviz: what any unit of a convolutional network responds to}},
  author  = {{{{The deconvviz developers}}}},
  version = {{{version}}},
  year    = {{2026}},
  license = {{MIT}},
}}

@inproceedings{{zeiler2014visualizing,
  title     = {{Visualizing and Understanding Convolutional Networks}},
  author    = {{Zeiler, Matthew D. and Fergus, Rob}},
  booktitle = {{Computer Vision -- ECCV 2014}},
  pages     = {{818--833}},
  year      = {{2014}},
  doi       = {{10.1007/978-3-319-10590-1_53}},
  note      = {{arXiv:1311.2901}},
}}"""


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"deconvviz {__version__}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Show what any unit of a convolutional network responds to."""


@app.command()
def cite() -> None:
    """Print BibTeX entries of deconvviz and of the paper whose method it implements."""
    typer.echo(_BIBTEX.format(version=__version__))


@app.command()
def doctor() -> None:
    """Show versions, device, data sets and caches, and what is missing and how to get it."""
    for title, lines in (
        ("Versions", _versions()),
        ("Device", _device()),
        ("Data sets", _data()),
        ("Caches, which may be removed at any time", _caches()),
    ):
        typer.echo(f"{title}:")
        for line in lines:
            typer.echo(f"  {line}")


def _versions() -> Iterator[str]:
    import platform

    yield f"deconvviz {__version__}, Python {platform.python_version()}, {platform.platform()}"
    for name in _LIBRARIES:
        yield f"{name} {version(name)}"
    for name, purpose in _OPTIONAL.items():
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} is not installed; {purpose}"


def _device() -> Iterator[str]:
    import torch

    from deconvviz.training.device import device_name, find_device, native_precision

    device = find_device("auto")
    yield f"{device_name(device)}; training takes {native_precision(device)} there"
    if device.type != "cuda":
        built = torch.version.cuda
        yield "no NVIDIA GPU is used: " + (
            f"PyTorch for CUDA {built} finds none"
            if built
            else "this PyTorch is built without CUDA"
        )


def _data() -> Iterator[str]:
    from deconvviz.errors import DataError
    from deconvviz.io.data.registry import PUBLISHED

    for one in PUBLISHED:
        try:
            yield f"{one.name}: {one.find()}"
        except DataError as error:
            yield f"{one.name}: {error}"


def _caches() -> Iterator[str]:
    import torch

    from deconvviz.io.data import cache_folder

    yield _size_of(cache_folder(), "decoded pictures, atlases, downloaded sets")
    yield _size_of(Path(torch.hub.get_dir()), "weights from torchvision and timm")


def _size_of(folder: Path, content: str) -> str:
    files = [file for file in folder.rglob("*") if file.is_file()] if folder.is_dir() else []
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    return f"{folder} ({content}): {len(files)} files, {megabytes:.0f} MB"
