"""Choices that stand in the URL: a link restores them, and an invalid value becomes the default.

A new picker is one `Picker`, here or beside its only use; a page calls it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import parse_qs

import streamlit as st
from streamlit.errors import StreamlitAPIException
from streamlit.runtime.scriptrunner import get_script_run_ctx
from torch import Tensor

from deconvviz.analysis.find import COLOURS, Colour
from deconvviz.deconv.projection import Start
from deconvviz.deconv.rules import RULES, Rule
from deconvviz.errors import SelectionError
from deconvviz.io.card import inert
from deconvviz.plots.look import Look
from deconvviz.units import Unit

LARGEST = 1024
"""Maximum side of an input picture, in pixels."""

_LAST = "last-"  # before the key of a choice that stays, in the session
_SHOWN = 60  # letters of an option that is not here
_STRONGEST = "strongest"
_MAX_BUTTONS = 20  # more options than these are a list

Value = TypeVar("Value")


@dataclass(frozen=True)
class Picker(Generic[Value]):
    """One choice, bound to the query parameter of its name. Call it where it should stand.

    Attributes:
        key: Name of the query parameter, and of the label in the session.
        options: Label -> value, or values that are their own labels; may be given with the call.
        default: Label of the default; the first option if empty.
        help: Explanation behind a question mark.
        width: Width of a list in pixels.
        needs_choice: Whether to show nothing where there is only one option.
        on_change: Called when a person chooses another option.
        stays: Whether the choice is kept while a person is on a page without this picker.
        warns: Whether a notice says that an option of the link is not here.
    """

    key: str
    label: str
    options: Mapping[str, Value] | Sequence[Value] = ()
    default: str = ""
    help: str | None = None
    widget: Literal["segments", "pills", "list", "slider"] = "segments"
    width: int | Literal["stretch"] = "stretch"
    needs_choice: bool = False
    on_change: Callable[[], None] | None = None
    stays: bool = False
    warns: bool = True

    def __call__(
        self, options: Mapping[str, Value] | Sequence[Value] = (), default: str = ""
    ) -> Value:
        """Show the widget and return the chosen value; arguments replace what was declared."""
        given = options or self.options
        values = given if isinstance(given, Mapping) else {str(value): value for value in given}
        labels = list(values)
        first = next((name for name in (default, self.default) if name in values), labels[0])
        if self.warns and self.key not in st.session_state:
            _say_missing(self.key, labels, first)
        if self.needs_choice and len(labels) == 1:
            return values[labels[0]]
        if st.session_state.get(self.key) not in (None, *labels):
            del st.session_state[self.key]
        if self.stays and self.key not in st.session_state and self.key not in st.query_params:
            self._take_last(labels, first)
        label = self._show(labels, first)
        if self.stays:
            st.session_state[_LAST + self.key] = label
        return values[label]

    def _take_last(self, labels: Sequence[str], first: str) -> None:
        last = st.session_state.get(_LAST + self.key)
        if last not in labels:
            return
        st.session_state[self.key] = last
        if last != first:
            with suppress(StreamlitAPIException):  # a widget of this page has the parameter already
                st.query_params[self.key] = str(last)

    def _show(self, labels: Sequence[str], first: str) -> str:
        common: dict[str, Any] = {
            "key": self.key,
            "bind": "query-params",
            "help": self.help,
            "on_change": self.on_change,
        }
        if self.widget == "slider":
            return str(st.select_slider(self.label, labels, value=first, **common))
        if self.widget == "list" or len(labels) > _MAX_BUTTONS:
            place = labels.index(first)
            return str(st.selectbox(self.label, labels, index=place, width=self.width, **common))
        buttons = st.pills if self.widget == "pills" else st.segmented_control
        return str(buttons(self.label, labels, default=first, required=True, **common))


def _say_missing(key: str, labels: Sequence[str], shown: str) -> None:
    """A notice where a link names an option that is not here; once for each."""
    value, said = linked(key), st.session_state.setdefault("said-missing", set())
    if not value or value in labels or (key, value) in said:
        return
    said.add((key, value))
    named = f"{key}={value:.{_SHOWN}}".replace("`", "'")
    text = inert(f"`{named}` of the link is not here; {shown} is shown.", code=True)
    st.toast(text, icon=":material/link_off:", duration="infinite")


InputSize = int | Literal["trained"]
"""Maximum side of the input in pixels, or the size of the training pictures."""

_INPUT_SIZES: Mapping[str, InputSize] = {
    "as trained": "trained",
    **{str(side): side for side in (256, 384, 512, 768, LARGEST)},
}


def forget_unit() -> None:
    """Go back to the strongest unit."""
    st.session_state["unit"] = _STRONGEST


def forget_selection() -> None:
    """For another network: the strongest unit of the whole picture, with all units on."""
    forget_unit()
    for key in ("class", "against", "place", "off", "like"):
        set_linked(key, "")


layer = Picker[str]("layer", "Layer", widget="pills", width=340, on_change=forget_unit, stays=True)
input_size = Picker[InputSize](
    "input-size",
    "Input size",
    _INPUT_SIZES,
    help="As trained: the middle of the picture at the size of the training pictures, from which "
    "the network gives its answer. Or the whole picture, its longest side in pixels; smaller ones "
    "are not enlarged.",
)
rule = Picker[Rule](
    "rule",
    "Rule",
    RULES,
    help="How a signal s passes back through a ReLU with input a: deconvnet keeps s where s > 0 "
    "(Zeiler & Fergus 2014), gradient where a > 0, guided where both are.",
    stays=True,
)
start = Picker[Start](
    "start",
    "Start value",
    ("activation", "one"),
    help="Value at which the projection starts: the unit's activation, as in the paper, or 1. One "
    "unit alone changes only in scale; several positions together change in their weights.",
)
share = Picker[float](
    "share",
    "Share of positions",
    {"1 %": 0.01, "3 %": 0.03, "10 %": 0.1, "30 %": 0.3, "all": 1.0},
    default="10 %",
    help="Share of the feature map that is projected together in the whole picture: the positions "
    "with the highest activations.",
)
_contrast = Picker[Literal["each", "shared"]](
    "contrast",
    "Contrast",
    ("each", "shared"),
    help="Full contrast for each projection by itself, or one scale for the whole grid.",
)
_patch = Picker[Literal["whole", "through"]](
    "patch",
    "Part of the picture",
    {"whole": "whole", "where the projection is": "through"},
    help="The whole window, or what lies under the projection, smoothed; grey elsewhere.",
)
_enlargement = Picker[bool]("enlargement", "Enlargement", {"smooth": False, "pixels": True})
beside = Picker[str](
    "beside",
    "Compare with",
    ("nothing", "random weights"),
    help="The same unit at the same place in the same network before training. What looks alike in "
    "both does not come from what the network has learned.",
)
compared_with = Picker[Any]("with", "Compare with", widget="list", width=280)
dataset = Picker[str]("dataset", "Dataset", needs_choice=True)
experiment = Picker[str]("experiment", "Experiment", widget="pills")
epoch = Picker[int]("epoch", "Epoch", widget="slider")
only_class = Picker[str]("only-class", "Most active for", widget="list", width=240)
only_colour = Picker[Colour]("only-colour", "Colour", {one or "any": one for one in ("", *COLOURS)})
only_direction = Picker[float | None](
    "only-direction", "Lines", {"any": None, "—": 0.0, "╱": 45.0, "|": 90.0, "╲": 135.0}
)
useful_for = Picker[int | None](
    "useful-for",
    "Most useful for",
    widget="list",
    width=240,
    help="The pictures in which the unit adds most to the score of a class, beside those in which "
    "it is strongest. A unit may be strongest where it does not count for the answer.",
    stays=True,
)
sort_by = Picker[Any]("sort", "Sort by", widget="list", width=240)
part = Picker[slice]("part", "Range", widget="list", width=140, needs_choice=True)
_units = Picker[range](
    "units", "Units", widget="list", width=140, needs_choice=True, on_change=forget_unit
)
section = Picker[str]("section", "Section", widget="pills")
budget = Picker[int]("labels", "Labels")
metric = Picker[str]("metric", "Metric", widget="list", width=240)
_unit = Picker[Unit | int | None]("unit", "Unit", widget="list", width=140, stays=True)


def look() -> Look:
    """How windows are shown."""
    return Look(_contrast(), _patch(), _enlargement())


def linked(key: str) -> str:
    """A value of the URL that has no widget; empty without one."""
    return str(st.query_params.get(key, ""))


def set_linked(key: str, value: str) -> None:
    """Set such a value; an empty one leaves the URL."""
    if value:
        st.query_params[key] = value
    else:
        st.query_params.pop(key, None)


def parts(count: int, size: int) -> dict[str, slice]:
    """Options for `part`: `count` things, `size` at a time."""
    return {
        f"{first + 1} to {min(first + size, count)}": slice(first, first + size)
        for first in range(0, count, size)
    }


def pick_unit(layer: str, channels: range) -> Unit | int | None:
    """A unit of the layer: at the position that a link gives, or a channel, or None: strongest."""
    options: dict[str, Unit | int | None] = {_STRONGEST: None}
    options |= {str(channel): channel for channel in channels}
    at_place = str(st.session_state.get("unit") or st.query_params.get("unit", ""))
    try:
        unit = Unit.parse(f"{layer}/{at_place}")
    except SelectionError:
        return _unit(options)
    if unit.layer == layer and unit.channel in channels:
        options[at_place] = unit
    return _unit(options)


def pick_channel(activations: Tensor, channels: range | None = None) -> int:
    """One of the channels of a layer, by default the one with the highest activation.

    Args:
        activations: (C,) activation of each channel.
        channels: Those that are offered; by default all.
    """
    offered = channels or range(len(activations))
    unit = pick_unit("", offered)
    if unit is None:
        return offered[int(activations[offered.start : offered.stop].argmax())]
    return unit.channel if isinstance(unit, Unit) else unit


def pick_units(channels: int, size: int) -> range:
    """Up to `size` neighbouring channels of `channels`, by default those around a link's unit."""
    ranges = [range(first, min(first + size, channels)) for first in range(0, channels, size)]
    options = {f"{one[0]} to {one[-1]}": one for one in ranges}
    chosen = str(st.session_state.get("unit") or linked("unit"))
    around = (name for name, one in options.items() if chosen.isdecimal() and int(chosen) in one)
    return _units(options, next(around, ""))


def carry_choices(page: str) -> None:
    """On another page than before, let each picker that stays begin with its last choice.

    A link to the page counts more. Streamlit keeps what a link chose for the widget of the page
    before, and drops those parts of a link whose name a widget there had.
    """
    context = get_script_run_ctx()
    if context and st.session_state.get("page", page) != page:
        asked = parse_qs(context.query_string)
        for last in [key for key in map(str, st.session_state) if key.startswith(_LAST)]:
            key = last.removeprefix(_LAST)
            st.session_state.pop(key, None)
            if key in asked:
                st.session_state[last] = asked[key][-1]  # that of the page before stands first
    st.session_state["page"] = page


_OLD_LINKS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "positions": ("share", {}),
    "size": ("input-size", {}),
    "view": ("input-size", {"as the classifier does": "as trained", "large": ""}),
    "data": ("dataset", {}),
    "order": (
        "sort",
        {
            "preference for one class": "class selectivity",
            "fires most often": "most often active",
            "fires least often": "least often active",
        },
    ),
}
"""Old query parameter -> its name today, and old values -> today's; empty: the default."""


def translate_old_link() -> None:
    """Give a link of an older version the parameters of today, before any widget reads them."""
    for old, (key, values) in _OLD_LINKS.items():
        if old in st.query_params:
            value = st.query_params.pop(old)
            if value := values.get(value, value):
                st.session_state[key] = st.query_params[key] = value
