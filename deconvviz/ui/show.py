"""Text, pictures, files and errors on a page."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from io import BytesIO
from mimetypes import guess_type
from typing import TYPE_CHECKING, Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from deconvviz.deconv import Coverage, Layer, SelfCheck, Verification
from deconvviz.deconv.verification import checked_line
from deconvviz.errors import DeconvvizError
from deconvviz.io.bundle import Bundle
from deconvviz.io.card import inert
from deconvviz.plots.files import figure_png
from deconvviz.ui.grid import data_url
from deconvviz.ui.runs import preprocessing, summary
from deconvviz.views import view

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 200  # of figures: twice as fine as a page shows them, for screens that are
ON_SCREEN = 104  # pixels of a page for an inch of a figure
_TELEPHONE = 560  # pixels: a figure that is wider cannot be shrunk to a telephone and read
Theme = Literal["light", "dark"]
INKS: Mapping[Theme, str] = {"light": "#3f4246", "dark": "#d3d0ca"}
"""Colours of lines and letters in figures, by theme."""

Content = bytes | Callable[[], bytes]
"""A file's bytes, or a function that makes them on download."""


def title(name: str, lead: str) -> None:
    """A page's heading, and the sentence under it."""
    st.title(name, anchor=False)
    st.markdown(lead)


def picture(
    pixels: NDArray[np.uint8],
    alt: str,
    caption: str | None = None,
    width: Literal["content", "stretch"] = "content",
) -> None:
    """A picture at its own size, shrunk where the page is narrower, or as wide as its column."""
    stream = BytesIO()  # our own PNG, because Streamlit's takes three times as long for a few bytes
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    st.image(stream.getvalue(), caption=caption, width=width, output_format="PNG", alt=alt)


@dataclass(frozen=True)
class Captioned:
    """A picture in a row: uint8 (h, w, 3), its text alternative, and words below it."""

    pixels: NDArray[np.uint8]
    alt: str
    caption: str


def row(pictures: Sequence[Captioned], *, crisp: bool = False) -> None:
    """Pictures side by side, inside the page itself, enlarged by the browser.

    They are on the screen with the words around them; each of `picture` is one more request.
    `crisp` shows each pixel as a square.
    """
    st.html(as_row(pictures, crisp=crisp))


def as_row(pictures: Sequence[Captioned], *, crisp: bool = False) -> str:
    """The HTML of `row`."""
    figures = (
        f'<figure><img src="{data_url(one.pixels)}" alt="{escape(one.alt)}">'
        f"<figcaption>{escape(one.caption)}</figcaption></figure>"
        for one in pictures
    )
    kind = "deconvviz-row deconvviz-crisp" if crisp else "deconvviz-row"
    return f'<div class="{kind}">{"".join(figures)}</div>'


def figure(drawing: "Figure", alt: str, name: str = "", caption: str = "") -> None:
    """A matplotlib figure as wide as its column; with a `name`, it can be downloaded."""
    png = figure_png(drawing)
    st.image(png, width="stretch", output_format="PNG", alt=alt)
    if name:
        below_figure(caption, png, f"{name}.png")


def fitted(png: bytes, alt: str, key: str) -> None:
    """A figure so large that its letters are as large as in others, up to the page's width.

    A wide one is scrolled on a telephone, where it could not be read otherwise.
    """
    width = round(int.from_bytes(png[16:20], "big") / DPI * ON_SCREEN)  # a PNG begins with its size
    wide = width > _TELEPHONE
    with st.container(key=f"{'slide' if wide else 'fit'}-{key}", width=width):
        st.image(png, width=width, output_format="PNG", alt=alt)


def legend(name: str) -> str:
    """How to read the picture of an analysis, its words explained, in Markdown."""
    return str(view(f"{name}.LEGEND", ""))


def below_figure(caption: str, content: Content, file: str) -> None:
    """A figure's caption and download."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(caption, width="content")
        download(content, file, "PNG")


@st.fragment
def folded(label: str, key: str, content: Callable[[], None]) -> None:
    """Details below a line that unfolds; they are made only then, and the rest is not run again.

    The URL remembers what is unfolded.
    """
    with st.expander(label, key=f"open-{key}", on_change="rerun", bind="query-params") as part:
        if part.open:
            with errors():
                content()


def download(content: Content, file: str, label: str) -> None:
    """A button that downloads a file."""
    st.download_button(
        label,
        content,
        file,
        guess_type(file)[0] or "application/octet-stream",
        key=f"download-{file}",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )


def theme() -> Theme:
    """The theme that the person sees."""
    return "dark" if st.context.theme.type == "dark" else "light"


def ink() -> str:
    """The colour of lines and letters in figures, for the theme that the person sees."""
    return INKS[theme()]


def describe_layer(layer: Layer) -> str:
    """A layer in a phrase."""
    height, width = layer.receptive_field
    return f"{layer.channels} units, receptive field {height} × {width} pixels"


def network(bundle: Bundle) -> None:
    """Show the loaded network, its accuracy and its input, with its card where it has one."""
    st.markdown(summary(bundle))
    st.caption(preprocessing(bundle))
    if not bundle.card:
        return
    with st.expander("Model card"):
        _, _, body = bundle.card.partition("\n")  # without the heading, which stands above
        st.markdown(body)


def coverage(coverage: Coverage) -> None:
    """Show the reversal of each operation of a network, with a warning for each unsupported one."""
    for operation in coverage.unsupported:
        st.warning(
            f"{operation.operation} in {operation.places} is not supported: {operation.undone}. "
            "Layers above it can be recorded, but not projected.",
            icon=":material/warning:",
        )
    with st.expander("How each operation is reversed"):
        st.dataframe(
            coverage.table(),
            hide_index=True,
            column_order=("operation", "count", "status", "undone"),
            column_config={"undone": st.column_config.TextColumn("reversed by", width="large")},
        )
        st.caption("*Exact*: as in the paper. *Extension*: the paper does not cover it.")


def proof(checked: SelfCheck | None, verification: Verification) -> None:
    """One line on the comparison with the model itself, as a warning if they differ."""
    line = checked_line(checked, verification)
    if verification.failed:
        st.warning(line, icon=":material/warning:")
    else:
        st.caption(line)


def notes(texts: Sequence[tuple[str, bool]]) -> None:
    """Sentences of Markdown in boxes, some of which warn."""
    for text, warns in texts:
        if warns:
            st.warning(text, icon=":material/warning:")
        else:
            st.info(text, icon=":material/info:")


@contextmanager
def errors() -> Iterator[None]:
    """Show a `DeconvvizError` as one sentence; the session continues.

    Any other exception is a bug: Streamlit logs it and, as configured, shows no details.
    """
    try:
        yield
    except DeconvvizError as error:
        st.error(inert(as_sentence(error), code=True), icon=":material/info:")


def as_sentence(error: DeconvvizError | str) -> str:
    """An error's message with a capital first and a full stop last."""
    text = str(error).strip()
    first = text.partition(" ")[0]
    if first.isalpha():  # else it is a file's name, which stays as it is
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
