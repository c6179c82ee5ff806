"""`deconvviz app` and `deconvviz datasets`."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from deconvviz.cli.base import NETWORK, InputOptions, app, load_network
from deconvviz.cli.options import takes
from deconvviz.errors import SettingError


@app.command("app", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@takes(InputOptions(), "inputs", only=NETWORK)
def start_app(
    context: typer.Context,
    inputs: InputOptions,
    no_downloads: Annotated[
        bool,
        typer.Option("--no-downloads", help="Fetch nothing from the network; for hosting."),
    ] = False,
) -> None:
    """Start the app in a browser.

    Arguments that name networks add them to the app, which opens the first of them; other options
    go to `streamlit run`.
    """
    from deconvviz.io.zoo import is_function

    if no_downloads and inputs.download:
        raise SettingError("--download and --no-downloads exclude each other; leave one out")
    weights, (networks, options) = inputs.weights, _divided(context.args)
    libraries = [name for name in networks if name.startswith(("torchvision/", "timm/"))]
    if weights != "default" and not libraries:
        raise SettingError(f"--weights {weights} is for torchvision/NAME and timm/NAME; name one")
    functions = [name for name in networks if is_function(name)]
    if inputs.checkpoint and len(functions) != 1:
        raise SettingError("--checkpoint is for one package.module:function; name it")
    if inputs.input_size and not functions:
        raise SettingError("--input-size is for package.module:function; name one")
    for name in networks:  # so that downloads and errors appear here, before any browser
        own = replace(inputs, model=name, weights=weights if name in libraries else "default")
        if name not in functions:
            own = replace(own, checkpoint=None, input_size=None)
        load_network(own)
    script = Path(__file__).parents[1] / "app.py"
    command = [sys.executable, "-m", "streamlit", "run", str(script), *options]
    ours = [*networks, *([f"--weights={weights}"] * (weights != "default"))]
    ours += [f"--checkpoint={inputs.checkpoint}"] * bool(inputs.checkpoint)
    ours += [f"--input-size={inputs.input_size}"] * bool(inputs.input_size)
    ours += ["--no-downloads"] * no_downloads
    command += ["--", *ours] if ours else []
    if os.name == "nt":  # where a process cannot become another
        raise typer.Exit(subprocess.call(command))  # noqa: S603  our own interpreter and script
    sys.stdout.flush()
    # The server takes the place of this process and its memory, and gets its signals.
    os.execv(command[0], command)  # noqa: S606


def _divided(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Networks, and options of Streamlit with their values."""
    networks: list[str] = []
    options: list[str] = []
    for place, argument in enumerate(arguments):
        before = arguments[place - 1] if place else ""
        is_value = before.startswith("-") and "=" not in before
        (options if argument.startswith("-") or is_value else networks).append(argument)
    return networks, options


@app.command()
def datasets() -> None:
    """List the data sets for --data."""
    from deconvviz.io.data import DATASETS

    width = max(map(len, DATASETS))
    for name, entry in DATASETS.items():
        typer.echo(f"{name:{width}}  {entry.description}")
