"""Figures as files.

A page imports this before it has anything to draw, so matplotlib is imported when there is: it
takes half a second.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Ending = Literal["png", "svg", "pdf"]
"""Kinds of files of a figure."""


def figure_png(figure: "Figure", dpi: int = 200) -> bytes:
    """A figure as the content of a PNG file."""
    _on_canvas(figure)
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=dpi)
    return stream.getvalue()


def figure_file(
    figure: "Figure", ending: Ending, about: Mapping[str, str], dpi: int = 200
) -> bytes:
    """A figure as the content of a PNG, SVG or PDF file, without the time it was made.

    `about` it are texts; `Title` has a place of its own in each kind, and in SVG and PDF the
    others stand together in its description.
    """
    _on_canvas(figure)
    title, rest = about.get("Title", ""), [f"{k}: {v}" for k, v in about.items() if k != "Title"]
    metadata: Mapping[str, Any] = {
        "png": about,
        "svg": {"Title": title, "Description": "; ".join(rest), "Date": None},
        "pdf": {"Title": title, "Subject": "; ".join(rest), "CreationDate": None},
    }[ending]
    stream = BytesIO()
    figure.savefig(stream, format=ending, dpi=dpi, metadata=metadata)
    return stream.getvalue()


def _on_canvas(figure: "Figure") -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
