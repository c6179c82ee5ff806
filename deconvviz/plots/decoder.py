"""Pictures beside a trained decoder's reconstructions from their features."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

from deconvviz.plots.figures import NEUTRAL_INK, contact_sheet
from deconvviz.training.decode import DecodedNetwork


def decoder_figure(
    decoded: DecodedNetwork, images: Tensor, titles: Sequence[str], ink: str = NEUTRAL_INK
) -> Figure:
    """Normalised pictures (N, C, H, W), each beside its reconstruction, with its error."""
    outputs = decoded.reconstruct(images)
    pixels = decoded.preprocessing.pixels
    pairs = [list(pair) for pair in zip(pixels(images), pixels(outputs), strict=True)]
    errors = (outputs - images).abs().flatten(1).mean(1)
    labels = [f"{title}, error {float(e):.2f}" for title, e in zip(titles, errors, strict=True)]
    kernels = "the encoder's kernels" if decoded.regulariser.config.tied else "kernels of its own"
    switches = "with" if decoded.regulariser.config.switches else "without"
    caption = (
        f"Left: the network's input. Right: the reconstruction from its features by a decoder with "
        f"{kernels}, {switches} switches, weight {decoded.weight:g} in training. Error: mean "
        "absolute difference of normalised values."
    )
    return contact_sheet(pairs, labels, caption, 3, ink)
