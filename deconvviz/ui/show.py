"""How pictures and words stand on a page: lossless, not stretched, with a text alternative."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import streamlit as st
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from deconvviz.deconv import Coverage, Layer
from deconvviz.io.bundle import Bundle
from deconvviz.plots.figures import NEUTRAL_INK, figure_png
from deconvviz.ui.runs import summary

__all__ = [
    "WHOLE_PERCENTILE",
    "below_figure",
    "describe_coverage",
    "describe_layer",
    "describe_network",
    "download",
    "downloads",
    "ink",
    "show",
    "show_figure",
    "title",
]

WHOLE_PERCENTILE = 97  # fine lines over a whole picture need more contrast than a window
_INKS = {"light": "#3f4246", "dark": "#d3d0ca"}


def title(name: str, lead: str) -> None:
    """A page's heading and the one sentence under it."""
    st.title(name, anchor=False)
    st.markdown(lead)


def show(pixels: NDArray[np.uint8], alt: str, caption: str | None = None) -> None:
    """A picture at its own size, shrunk where the page is narrower."""
    stream = BytesIO()  # our own PNG, because Streamlit's takes three times as long for a few bytes
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    st.image(stream.getvalue(), caption=caption, output_format="PNG", alt=alt)


def show_figure(figure: Figure, alt: str, name: str = "", caption: str = "") -> None:
    """A matplotlib figure as wide as its column; with a `name`, its file can be taken away."""
    picture = figure_png(figure)
    st.image(picture, width="stretch", output_format="PNG", alt=alt)
    if name:
        below_figure(caption, picture, f"{name}.png")


def below_figure(caption: str, content: bytes | Callable[[], bytes], file: str) -> None:
    """What is said of a figure, and its file to take away."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(caption, width="content")
        download(content, file, "PNG")


def download(content: bytes | Callable[[], bytes], file: str, label: str) -> None:
    """A file to take away: a PNG, or numbers as JSON; it may be made when it is asked for."""
    mime = "image/png" if file.endswith(".png") else "application/json"
    st.download_button(
        label,
        content,
        file,
        mime,
        key=f"download-{file}",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )


def ink() -> str:
    """The colour of lines and letters in figures, for the theme that the person sees."""
    return _INKS.get(str(st.context.theme.type), NEUTRAL_INK)


def describe_layer(layer: Layer) -> str:
    """A layer in a phrase."""
    height, width = layer.receptive_field
    return f"{layer.channels} units, each sees {height} × {width} pixels"


def describe_network(bundle: Bundle) -> None:
    """Which network is loaded and how good it is, with its card where it has one."""
    st.markdown(summary(bundle))
    if not bundle.card:
        return
    with st.expander("Its card"):
        _, _, body = bundle.card.partition("\n")  # without the heading, which stands above
        st.markdown(body)


def describe_coverage(coverage: Coverage) -> None:
    """How each operation of a network is undone; what cannot be stands above it in words."""
    for operation in coverage.unsupported:
        st.warning(
            f"{operation.operation} in {operation.places} cannot be undone: {operation.undone}. "
            "Layers above it can be recorded, but not projected.",
            icon=":material/warning:",
        )
    with st.expander("How each operation is undone"):
        st.dataframe(
            coverage.table(),
            hide_index=True,
            column_order=("operation", "count", "status", "undone"),
            column_config={"undone": st.column_config.TextColumn(width="large")},
        )
        st.caption("*Exact* is as in the paper; an *extension* is what it says nothing of.")


def downloads(name: str, picture: Callable[[], bytes], tensor: Callable[[], bytes]) -> None:
    """A reconstruction to take away; the files are made when they are asked for."""
    with st.container(horizontal=True):
        for label, make, suffix, mime in (
            ("PNG", picture, "png", "image/png"),
            ("Raw tensor", tensor, "safetensors", "application/octet-stream"),
        ):
            st.download_button(
                label,
                make,
                f"{name}.{suffix}",
                mime,
                key=f"download-{name}-{suffix}",
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
            )
