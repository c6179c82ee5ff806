"""`deconvviz app` and `deconvviz datasets`."""

import re
import subprocess
import sys
from pathlib import Path

import typer

from deconvviz.cli.base import Download, app, load_network

# Names that `load` takes, as opposed to the values of Streamlit's options.
_NETWORK = re.compile(r"\.safetensors$|^(torchvision|timm)/|^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")


@app.command("app", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def start_app(context: typer.Context, download: Download = False) -> None:
    """Start the app in a browser.

    Arguments that name networks add them to the app; other options go to `streamlit run`.
    """
    networks = [argument for argument in context.args if _NETWORK.search(argument)]
    for name in networks:  # so that downloads and errors appear here, before any browser
        load_network(name, "default", download)
    options = [argument for argument in context.args if argument not in networks]
    script = Path(__file__).parents[1] / "app.py"
    command = [sys.executable, "-m", "streamlit", "run", str(script), *options]
    if networks:
        command += ["--", *networks]
    raise typer.Exit(subprocess.call(command))  # noqa: S603  our own interpreter and script


@app.command()
def datasets() -> None:
    """List the data sets for --data."""
    from deconvviz.io.data import DATASETS

    width = max(map(len, DATASETS))
    for name, entry in DATASETS.items():
        typer.echo(f"{name:{width}}  {entry.description}")
