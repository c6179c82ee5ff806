"""Two pictures in one place with a movable border between them; zoom, by pointer and keyboard."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deconvviz.ui.grid import data_url

_HERE = Path(__file__).parent
_KEY = "compare"
_compare = st.components.v2.component(
    "deconvviz_compare",
    html='<div class="compare" role="group"></div>',
    css=(_HERE / "compare.css").read_text(encoding="utf-8"),
    js=(_HERE / "compare.js").read_text(encoding="utf-8"),
)


def compare(
    left: Mapping[str, NDArray[np.uint8]], right: tuple[str, NDArray[np.uint8]], label: str
) -> None:
    """Show pictures of one scene: a person chooses the left one and moves the border.

    A picture of another size is enlarged to that on the right, pixel by pixel. Nothing that a
    person does here goes to the server. One on a page.

    Args:
        left: Name -> (h, w) or (h, w, 3) pixels; the first is shown at first.
        right: Name and pixels of the picture on the right.
        label: Text alternative of the whole.
    """
    name, pixels = right
    data = {
        "label": label,
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "left": [
            {"name": one, "source": data_url(other), "width": other.shape[1]}
            for one, other in left.items()
        ],
        "right": {"name": name, "source": data_url(pixels)},
    }
    _compare(data=data, key=_KEY)
