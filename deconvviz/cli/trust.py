"""`deconvviz trust`."""

from pathlib import Path
from typing import Annotated

import typer

from deconvviz.cli.base import (
    Checkpoint,
    Download,
    InputSize,
    Model,
    Weights,
    app,
    load_network,
)
from deconvviz.cli.engine import at_peak, read_pixels
from deconvviz.cli.experiment import tell
from deconvviz.errors import SettingError
from deconvviz.progress import TerminalBars

__all__ = ["trust"]


@app.command()
def trust(
    model: Model,
    picture: Annotated[Path, typer.Argument(help="A picture's file.")],
    layer: Annotated[str, typer.Option(help="One that `deconvviz layers` lists.")],
    out: Annotated[Path, typer.Option(help="Folder of the results: .json and .png.")],
    unit: Annotated[
        int | None, typer.Option(help="One feature map, or a class; by default the strongest.")
    ] = None,
    rule: Annotated[str, typer.Option(help="deconvnet, guided or gradient.")] = "deconvnet",
    size: Annotated[
        int | None, typer.Option(help="Longest side of the whole picture; else as in training.")
    ] = None,
    others: Annotated[
        bool, typer.Option("--others", help="Other attributions of the same unit as well.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of all random draws.")] = 0,
    weights: Weights = "default",
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    download: Download = False,
) -> None:
    """Say how far one unit's projection in a picture can be trusted."""
    from deconvviz.analysis.trust import compare, examine
    from deconvviz.deconv import Deconvnet
    from deconvviz.deconv.rules import RULES, Rule

    if rule not in RULES:
        raise SettingError(f"no rule `{rule}`; there are {', '.join(RULES)}")
    bundle = load_network(model, weights, download, checkpoint, input_size)
    net = Deconvnet(bundle.model, bundle.input_size)
    pixels = read_pixels(bundle, picture, size)
    recording = net.record(pixels[None], [layer])
    if unit is None:
        unit = int(recording.peaks(layer).value[0].argmax())
    selection = at_peak(recording, layer, unit)
    how: Rule = rule
    with TerminalBars() as bars:
        found = examine(net, pixels, selection, how, draws=seed, progress=bars)
    tell(found, out)
    if others:
        tell(compare(net, pixels, selection, how, draws=seed), out)
