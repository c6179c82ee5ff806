"""Two pictures in one place with a movable border between them; zoom, by pointer and keyboard."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from deconvviz.ui.components import component
from deconvviz.ui.grid import data_url

_KEY = "compare"
_compare = component("compare", '<div class="compare" role="group"></div>')


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
