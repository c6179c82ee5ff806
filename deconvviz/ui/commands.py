"""The command of a terminal that gives what a page shows."""

import shlex
from collections.abc import Mapping

import streamlit as st

from deconvviz.ui.choices import Choice, chosen


def data_options(data: str) -> Mapping[str, str]:
    """The options that name a data set as `datasets` does, "NAME" or "NAME SPLIT"."""
    name, _, split = data.partition(" ")
    return {"data": name, "split": split or "all"}


def _network_options(choice: Choice) -> Mapping[str, str]:
    """The options that open a network as it was opened here, beside its name."""
    return {
        "weights": "" if choice.weights == "default" else choice.weights or "none",
        "checkpoint": choice.checkpoint,
        "input-size": choice.input_size,
    }


def command(
    name: str,
    picture: str,
    options: Mapping[str, object],
    out: str,
    *,
    choice: Choice | None = None,
    other: str = "",
) -> str:
    """The command that runs an analysis of a network.

    Args:
        name: "trust", "compare", or "experiment NAME".
        picture: Name of the picture; empty for an analysis without one.
        options: Further options; empty ones are left out.
        out: Folder of the result.
        choice: The network; the chosen one by default.
        other: Name of a second network.
    """
    choice = choice or chosen()
    arguments = [*name.split(), *(word for word in (choice.name, other, picture) if word)]
    given = {**_network_options(choice), **options, "out": out}
    for key, value in given.items():
        arguments += [f"--{key.replace('_', '-')}", str(value)] if value != "" else []
    return shlex.join(["deconvviz", *arguments])


def show_command(command: str) -> None:
    """A command to copy."""
    st.caption("The same in a terminal:")
    st.code(command, language="sh", wrap_lines=True)
