"""The workbench's component: a picture with projections over it, the layers, and tiles of units."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from deconvviz.ui.components import component
from deconvviz.ui.grid import data_url

_KEY = "workbench"
_MAX_SIDE = 256  # pixels of a projection in a tile; over the picture it is enlarged again
PICKS = ("unit", "layer", "place", "class", "against", "whole", "off", "mend", "on")
"""What a person can choose: a unit, a layer, a place, a class and one against it, the whole picture
again, a unit to switch off or on, the first units to switch off, all units on."""
_component = component("workbench", '<div class="bench"></div>')
_shelf = component("shelf")


@dataclass(frozen=True)
class Scene:
    """The picture: its address, size in pixels, text alternative, and a line below it."""

    src: str
    width: int
    height: int
    alt: str
    about: str


@dataclass(frozen=True)
class Answer:
    """A class in the network's answer.

    Attributes:
        share: Its probability from 0 to 1.
        probability: The same for people.
        before: That of the whole network; empty where no unit is switched off.
        title: What a click does.
    """

    name: str
    label: str
    share: float
    probability: str
    before: str
    title: str
    chosen: bool


@dataclass(frozen=True)
class Answers:
    """What the network says of the picture: words, classes, words, and a way back."""

    lead: str
    classes: tuple[Answer, ...] = ()
    rest: str = ""
    back: str = ""


@dataclass(frozen=True)
class Choice:
    """A list of names, each with a label, one of them chosen."""

    label: str
    options: tuple[Mapping[str, str], ...]
    chosen: str


@dataclass(frozen=True)
class Heading:
    """What the tiles are.

    Attributes:
        back: Label of the button that returns to the whole picture; empty without one.
        against: The class that the chosen one is compared with.
        mend: Label of the button that switches the first units off; empty without one.
        note: A line below.
    """

    text: str
    back: str = ""
    against: Choice | None = None
    mend: str = ""
    note: str = ""


@dataclass(frozen=True)
class LayerButton:
    """One layer, with the address of a small picture; `title` describes it."""

    name: str
    picture: str
    title: str
    chosen: bool


@dataclass(frozen=True)
class UnitTile:
    """One unit.

    Attributes:
        box: Its window in the picture: top, left, bottom, right, in pixels.
        centre: Row and column of the middle of its receptive field.
        projection: Address of its projection as a picture.
        patch: Address of the window as a picture; empty: it is cut out of the scene.
        caption: Text after the unit's number.
        title: Explanation under the mouse.
        alt: Text alternative of the projection.
    """

    channel: int
    box: tuple[int, int, int, int]
    centre: tuple[float, float]
    projection: str
    patch: str
    caption: str
    title: str
    alt: str


def address(pixels: NDArray[np.uint8], side: int = _MAX_SIDE) -> str:
    """An (h, w, 3) picture as a data URL of a PNG file, reduced to at most `side`."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    return data_url(np.asarray(image))


def workbench(
    scene: Scene,
    answers: Answers,
    layers: Sequence[LayerButton],
    heading: Heading,
    tiles: Sequence[UnitTile],
    chosen: int | None,
    box: tuple[int, int, int, int] | None,
    *,
    off: Sequence[int] | None = None,
    labels: Mapping[int, str] | None = None,
    place: tuple[float, float] | None = None,
    crisp: bool = False,
    link: Mapping[str, Sequence[str]],
    on_pick: Mapping[str, Callable[[str], None]],
) -> None:
    """Show the component.

    Args:
        scene: The picture.
        answers: The network's answer.
        layers: Buttons of the layers.
        heading: What the tiles are.
        tiles: The units, the first with the highest value.
        chosen: Channel of the unit that is chosen.
        box: Its window in the picture.
        off: Units of the layer that are switched off; None where none can be.
        labels: Unit -> the label that the person gave it.
        place: The chosen place, in shares of the picture's width and height.
        crisp: Whether each pixel is shown as a square.
        link: Query parameter -> values, of what a copied link names even where it is the default.
        on_pick: What to call with a person's choice: see `PICKS`.
    """
    around, inside = dict[str, str](), dict[str, str]()
    data: dict[str, Any] = {
        "picture": _shelved(scene, around, "src"),
        "answer": asdict(answers),
        "layers": [_shelved(one, around, "picture") for one in layers],
        "heading": asdict(heading),
        "tiles": [_shelved(one, inside, "projection", "patch") for one in tiles],
        "chosen": chosen,
        "box": box,
        "off": off,
        "labels": labels or {},
        "place": place,
        "crisp": crisp,
        "link": link,
    }

    def picked(name: str) -> Callable[[], None]:
        return lambda: on_pick[name](str(st.session_state[_KEY][name]))

    with st.container(gap=None):  # the shelves are not seen
        for name, pictures in (("around", around), ("inside", inside)):
            _shelf(data={"shelf": name, "pictures": pictures}, key=f"shelf-{name}")
        _component(data=data, key=_KEY, **{f"on_{name}_change": picked(name) for name in PICKS})


def _shelved(one: Any, shelf: dict[str, str], *names: str) -> dict[str, Any]:
    """A part as a mapping, with its pictures on a shelf and their names in their place."""
    fields = asdict(one)
    for name in names:
        if source := fields[name]:
            fields[name] = hashlib.sha256(source.encode()).hexdigest()[:16]
            shelf[fields[name]] = source
    return fields
