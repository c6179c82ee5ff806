"""Choices that stand in the URL: a link restores them, and what is wrong there is the default.

Streamlit drops a query parameter that is none of a widget's options, so that no page sees it.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import streamlit as st

from deconvviz.deconv.projection import Start
from deconvviz.deconv.rules import RULES, Rule
from deconvviz.io.zoo import DEMOS
from deconvviz.ui.explore import LARGEST, Network
from deconvviz.ui.loaders import network
from deconvviz.ui.runner import LABELS, NETWORKS, STEPS, Job, sources

__all__ = [
    "chosen_network",
    "named_checkpoints",
    "pick_budget",
    "pick_data",
    "pick_epoch",
    "pick_job",
    "pick_layer",
    "pick_metric",
    "pick_model",
    "pick_order",
    "pick_part",
    "pick_rule",
    "pick_run",
    "pick_section",
    "pick_share",
    "pick_size",
    "pick_start",
    "pick_study",
    "pick_unit",
]

STRONGEST = "strongest"
_SHARES = {"1 %": 0.01, "3 %": 0.03, "10 %": 0.1, "30 %": 0.3, "all": 1.0}
_SIZES = (256, 384, 512, 768, LARGEST)
_PILLS = 20  # more layers than these are a list
_VIEWS = ("large", "as the classifier does")


def _models() -> dict[str, str]:
    """Shown name -> what `load` takes: the demos, then what was named when the app was started."""
    given = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    return {name: name for name in DEMOS} | {_shown(name): name for name in given}


def _shown(name: str) -> str:
    """A path by its last two parts, as all runs call their checkpoint alike."""
    return str(Path(*Path(name).parts[-2:])) if name.endswith(".safetensors") else name


def named_checkpoints() -> dict[str, str]:
    """Shown name -> path of the checkpoints that were named when the app was started."""
    return {shown: name for shown, name in _models().items() if name.endswith(".safetensors")}


def pick_model() -> None:
    """The network that all pages look at."""
    st.selectbox("Network", list(_models()), key="model", bind="query-params")


def chosen_network() -> Network:
    """The network of `pick_model`.

    Raises:
        DeconvvizError: its checkpoint cannot be used.
    """
    names = _models()
    return network(names.get(st.session_state.get("model", ""), DEMOS[0]))


def pick_layer(layers: Sequence[str], default: int = 0) -> str:
    """One of a network's layers; choosing another forgets the unit."""
    first = min(default, len(layers) - 1)
    if len(layers) > _PILLS:
        return st.selectbox(
            "Layer",
            layers,
            index=first,
            key="layer",
            bind="query-params",
            on_change=_forget_unit,
            width=340,
        )
    return st.pills(
        "Layer",
        layers,
        default=layers[first],
        required=True,
        key="layer",
        bind="query-params",
        on_change=_forget_unit,
    )


def _forget_unit() -> None:
    st.session_state["unit"] = STRONGEST


def pick_size() -> int | Literal["trained"]:
    """How a picture is given to the network: large, with its longest side; or as in training."""
    with st.container(horizontal=True, vertical_alignment="bottom", width="content"):
        view = st.segmented_control(
            "Seen",
            _VIEWS,
            default=_VIEWS[0],
            required=True,
            key="view",
            bind="query-params",
            help="Convolutions take pictures of any size; the classifier wants the size it was "
            "trained at.",
        )
        if view != _VIEWS[0]:
            return "trained"
        return st.segmented_control(
            "Longest side, pixels",
            _SIZES,
            default=512,
            required=True,
            key="size",
            bind="query-params",
            help=f"At most {LARGEST}; larger pictures are shrunk, smaller ones stay as they are.",
        )


def pick_rule() -> Rule:
    """How a signal comes back through a rectifier."""
    return st.segmented_control(
        "Rule",
        RULES,
        default=RULES[0],
        required=True,
        key="rule",
        bind="query-params",
        help="How a signal s comes back through a ReLU whose input was a: deconvnet keeps s where "
        "s > 0 (Zeiler & Fergus 2014); gradient where a > 0; guided where both are.",
    )


def pick_start() -> Start:
    """What a projection starts from."""
    options: tuple[Start, ...] = ("activation", "one")
    return st.segmented_control(
        "Start from",
        options,
        default=options[0],
        required=True,
        key="start",
        bind="query-params",
        help="The unit's own activation, as in the paper, or one. For a single unit only the "
        "scale differs; among many positions, their weights.",
    )


def pick_share() -> float:
    """How much of a feature map starts together."""
    label = st.segmented_control(
        "Positions",
        list(_SHARES),
        default="10 %",
        required=True,
        key="positions",
        bind="query-params",
        help="How many of the unit's strongest positions start together in the whole picture, as "
        "a share of its feature map.",
    )
    return _SHARES[label]


def pick_unit(channels: int) -> int | None:
    """One unit of the layer, or None for the strongest in the picture."""
    options = [STRONGEST, *map(str, range(channels))]
    if st.session_state.get("unit", STRONGEST) not in options:
        st.session_state["unit"] = STRONGEST
    label = st.selectbox("Unit", options, key="unit", bind="query-params", width=140)
    return None if label == STRONGEST else int(label)


def pick_data(names: Sequence[str]) -> str:
    """The pictures that units are shown in; no question where there is no choice."""
    if len(names) == 1:
        return names[0]
    return st.segmented_control(
        "Pictures", names, default=names[0], required=True, key="data", bind="query-params"
    )


def pick_study(titles: Mapping[str, str]) -> str:
    """One of the experiments, by name -> title."""
    names = {title: name for name, title in titles.items()}
    title = st.pills(
        "Experiment",
        list(names),
        default=next(iter(names)),
        required=True,
        key="experiment",
        bind="query-params",
    )
    return names[title]


def pick_epoch(epochs: Sequence[int]) -> int:
    """One of the epochs that were kept; at first the last."""
    return st.select_slider(
        "After epoch", epochs, value=epochs[-1], key="epoch", bind="query-params"
    )


def pick_order(orders: Sequence[str]) -> str:
    """How the units of a layer are ordered."""
    return st.selectbox("Order", orders, key="order", bind="query-params", width=240)


def pick_part(count: int, most: int) -> slice:
    """Some of `count` things, `most` at once; no question where that is all."""
    if count <= most:
        return slice(count)
    parts = [f"{first + 1} to {min(first + most, count)}" for first in range(0, count, most)]
    if st.session_state.get("part", parts[0]) not in parts:
        st.session_state["part"] = parts[0]
    part = st.selectbox("Shown", parts, key="part", bind="query-params", width=140)
    first = parts.index(part) * most
    return slice(first, first + most)


def pick_section(sections: Sequence[str]) -> str:
    """A part of a page that is too much for one."""
    return st.pills(
        "Show", sections, default=sections[0], required=True, key="section", bind="query-params"
    )


def pick_budget(budgets: Sequence[int], default: int) -> int:
    """One of the label budgets."""
    first = default if default in budgets else budgets[0]
    return st.segmented_control(
        "Labels", budgets, default=first, required=True, key="labels", bind="query-params"
    )


def pick_metric(metrics: Sequence[str]) -> str:
    """What a curve over the epochs is of."""
    return st.selectbox(
        "By epoch",
        metrics,
        key="metric",
        bind="query-params",
        format_func=lambda name: name.replace("_", " "),
        width=240,
    )


def pick_run(label: str, key: str, names: Sequence[str], default: int) -> str:
    """One of the runs in a table."""
    if st.session_state.get(key) not in (None, *names):
        del st.session_state[key]  # it was of a run that is no longer kept
    first = min(default, len(names) - 1)
    return st.selectbox(label, names, index=first, key=key, bind="query-params", width=360)


def pick_job() -> Job:
    """A small run, to be trained now."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        data = st.segmented_control(
            "Pictures",
            sources(),
            default="shapes",
            required=True,
            key="train-data",
            bind="query-params",
            help="Drawn shapes are always there; CIFAR-10 where it is found.",
        )
        name = st.selectbox("Network", NETWORKS, key="train-model", bind="query-params", width=170)
        labels = st.segmented_control(
            "Labels", LABELS, default=300, required=True, key="train-labels", bind="query-params"
        )
        steps = st.segmented_control(
            "Steps", STEPS, default=300, required=True, key="train-steps", bind="query-params"
        )
        seed = st.selectbox("Seed", range(10), key="train-seed", bind="query-params", width=90)
        decoder = st.toggle("With a decoder", key="train-decoder", bind="query-params")
    return Job(name, data, decoder, labels, steps, seed)
