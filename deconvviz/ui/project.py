"""Projects on a page: saved with everything that is chosen, and opened again."""

from collections.abc import Callable, Iterator

import streamlit as st

from deconvviz.io.card import inert
from deconvviz.io.images import safe_name
from deconvviz.io.project import ProjectRecord, project_bytes, read_project
from deconvviz.ui import pickers
from deconvviz.ui.choices import offered
from deconvviz.ui.labels import labels_of, restore_labels
from deconvviz.ui.memory import working
from deconvviz.ui.networks import Network
from deconvviz.ui.own_pictures import add_picture, choose_pictures, own_pictures

_NETWORK, _PICTURES, _FOCUS = "model", "pictures", "focus"
_CHOICES = (
    *("rule", "layer", "unit", "input-size", "share", "start"),
    *("contrast", "patch", "enlargement", "beside"),
)
"""Keys of pickers that a project may set; each picker refuses what it does not have."""
_LINKED = ("place", "class", "against", "off")
"""Parameters of the address without a picker; whoever reads them refuses what does not fit."""


def project_file(network: Network) -> Callable[[], bytes]:
    """What makes the content of the project's file, as the page is now."""
    choices: dict[str, tuple[str, ...]] = {}
    for key in (_PICTURES, _FOCUS, *_CHOICES):
        value = st.session_state.get(key)
        if value:
            choices[key] = tuple(map(str, value)) if isinstance(value, list) else (str(value),)
    choices |= {key: (value,) for key in _LINKED if (value := pickers.linked(key))}
    name = st.session_state.get(_NETWORK) or network.bundle.name
    record = ProjectRecord(
        network=str(name), sha256=network.key, choices=choices, labels=dict(labels_of(network))
    )
    pictures = {name: one.image for name, one in own_pictures().items()}
    return lambda: project_bytes(record, pictures)


def open_project(content: bytes, name: str) -> None:
    """Restore everything that a project has; `opened` then says what it lacks here.

    Call it from a callback, before any widget is shown.

    Raises:
        SavedFileError: It is no project that can be read; nothing is changed.
    """
    with working():
        project = read_project(content, name, pickers.LARGEST)
    record, shown = project.record, inert(safe_name(name, "the project"))
    names = {old: add_picture(picture) for old, picture in project.pictures.items()}
    choices = {key: list(values) for key, values in record.choices.items() if values}
    if _PICTURES in choices:
        focus = choices.get(_FOCUS, [""])[0]
        choose_pictures(
            [names.get(one, one) for one in choices[_PICTURES]], names.get(focus, focus)
        )
    for key in _CHOICES:
        if key in choices:
            st.session_state[key] = choices[key][0]
    for key in _LINKED:
        pickers.set_linked(key, choices.get(key, [""])[0])
    st.session_state["project-labels"] = dict(record.labels)
    count = "1 picture" if len(names) == 1 else f"{len(names)} pictures"
    here = record.network in offered()
    if here:
        st.session_state[_NETWORK] = record.network
    st.session_state["opened-project"] = (
        f"{shown} is open, with {count} of your own.",
        inert(record.network) if not here else "",
        record.sha256 if here else "",
    )
    st.session_state["rerun-app"] = True  # the network is chosen outside of the workbench


def rerun_opened() -> None:
    """Run the whole app again once a project is open, since its network is chosen beside the page.

    Call it at the start of a fragment.
    """
    if st.session_state.pop("rerun-app", False):
        st.rerun()


def opened(network: Network) -> Iterator[tuple[str, bool]]:
    """Sentences on the project that was opened last, and whether each warns; once."""
    restore_labels(network, st.session_state.pop("project-labels", {}))
    said, missing, digest = st.session_state.pop("opened-project", ("", "", ""))
    if said:
        yield said, False
    if missing:
        text = "is not here; name it on the command line of `deconvviz app`. The rest is restored."
        yield f"The project's network {missing} {text}", True
    if digest and digest != network.key:
        text = "has other weights here than in the project, so that its pictures may differ."
        yield f"The network {inert(network.bundle.name)} {text}", True
