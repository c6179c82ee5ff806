"""Pictures of a variational auto-encoder on a page, with what its latent and its units do."""

import streamlit as st
import torch
from torch import Tensor

from deconvviz.io.images import to_png
from deconvviz.networks.generators import VaeNet
from deconvviz.plots.arrays import enlarge, mosaic
from deconvviz.plots.display import PERCENTILE, display
from deconvviz.restoration import generation
from deconvviz.ui import show
from deconvviz.ui.memory import kept
from deconvviz.ui.pickers import Picker
from deconvviz.ui.restoring import Tool, generator

_what = Picker[str]("show", "Show", ("samples", "interpolation", "one dimension"), widget="pills")
_SEEDS = range(100)
_seed = Picker[int]("seed", "Seed", _SEEDS, widget="slider")
_other = Picker[int]("seed-2", "Second seed", _SEEDS, "1", widget="slider")
_number = Picker[int]("number", "Dimension", widget="slider")
_unit = Picker[int]("decoder-unit", "Unit", widget="slider")


@kept("Generating …")
def drawn(tool: Tool, what: str, seed: int, other: int) -> Tensor:
    """Pictures (N, C, H, W) in [0, 1].

    Args:
        tool: The generator.
        what: One that `generate` offers.
        seed: Seed of the samples, or of the first.
        other: Seed of the last one of an interpolation, or the dimension that varies.
    """
    model = generator(tool)
    if what == "samples":
        return generation.samples(model, 64, seed)
    latent = generation.draw_latents(model, 1, seed)[0]
    if what == "interpolation":
        return generation.between(model, latent, generation.draw_latents(model, 1, other)[0])
    return generation.along(model, latent, other, torch.linspace(-3, 3, 8))


def generate(tool: Tool) -> None:
    """Pictures of a variational auto-encoder."""
    model = generator(tool)
    left, right = st.columns([2, 1], gap="medium")
    with right:
        what, seed, other = _what(), _seed(), 0
        alt = f"64 samples, seed {seed}"
        words = (
            "Decoded from 64 latents, drawn from the normal distribution that fits those of "
            "training pictures."
        )
        if what == "interpolation":
            other = _other()
            alt = f"From the sample of seed {seed} to that of seed {other}"
            words = "From one sample to another, evenly between their latents."
        elif what == "one dimension":
            other = _number(range(model.latent))
            alt = f"A sample as dimension {other} of its latent goes from -3 to 3"
            words = f"{alt}."
    made = drawn(tool, what, seed, other)
    columns, side = (8, 84) if len(made) > 8 else (4, 168)
    sheet = mosaic(generation.as_pictures(made), columns, gap=4, side=side, crisp=True)
    with left:
        show.picture(sheet, alt)
    with right:
        st.caption(words)
        show.download(lambda: to_png(sheet), f"{tool.purpose}-{seed}.png", "PNG")
    decoder_unit(model)


def decoder_unit(model: VaeNet) -> None:
    """What one unit of the decoder's lowest maps draws."""
    channels, height, width = model.maps
    st.subheader("One unit of the decoder", anchor=False)
    st.markdown(
        "One activation in the decoder's lowest maps, alone. What it draws is its kernels, carried "
        "up by the transposed convolutions, as a deconvnet carries a unit down to the pixels."
    )
    left, right = st.columns([2, 1], gap="medium")
    with right:
        channel = _unit(range(channels))
        st.caption(
            "At the middle of its map. Pixels before the sigmoid, symmetric about grey (zero); "
            f"full contrast at percentile {PERCENTILE}."
        )
    drawn = generation.from_feature(model, channel, height // 2, width // 2, 10.0)
    with left:
        alt = f"What unit {channel} of the decoder draws"
        show.picture(enlarge(display(drawn), 320, crisp=True), alt)
