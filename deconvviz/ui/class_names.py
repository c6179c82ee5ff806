"""Names of classes that a person gives to a network without any; they are in the session alone."""

import json
import re

import streamlit as st

from deconvviz.errors import DeconvvizError, SettingError
from deconvviz.io.bundle import distinct
from deconvviz.io.card import inert
from deconvviz.ui.memory import NETWORKS
from deconvviz.ui.networks import Network, outputs
from deconvviz.ui.pictures import upload_files
from deconvviz.ui.show import as_sentence
from deconvviz.ui.uploads import Uploads

_LONGEST = 100  # characters of a name
_KEY = "class-names"


def class_names(network: Network) -> tuple[str, ...]:
    """A network's own names of its classes, or those that the session gave it; else empty."""
    given: tuple[str, ...] = dict(_given()).get(network.key, ())
    return network.bundle.classes or given


def read_names(text: str, count: int) -> tuple[str, ...]:
    """Names of classes from a text: one a line, or a list in JSON.

    Args:
        text: Anything that a person pasted or that stood in a file.
        count: How many there must be.

    Returns:
        The names, each once; of equal ones the later are numbered.

    Raises:
        SettingError: There are more or fewer, or the JSON is no list of texts.
    """
    text = text.strip().removeprefix("\ufeff")
    found = _json(text) if text.startswith(("[", "{")) else text.splitlines()
    plain = (re.sub(r"[^\S ]", " ", one) for one in found)
    visible = ("".join(filter(str.isprintable, one)) for one in plain)
    names = [" ".join(one.split())[:_LONGEST] for one in visible if one.strip()]
    if len(names) != count:
        raise SettingError(
            f"there are {len(names)} names, and the network has {count} outputs; give one name for "
            "each, in their order"
        )
    return distinct(names)


def _json(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise SettingError('the JSON is no list of names, such as ["cat", "dog"]')
    return found


def name_classes(network: Network) -> None:
    """Where a network has scores of classes without names: the means to give it some."""
    count = 0 if network.bundle.classes or network.bundle.is_untrained else outputs(network)
    if not count:
        return
    with st.popover("Name its classes", icon=":material/label:"):
        st.markdown(
            f"It has **{count}** outputs. Give their names in their order, one a line or as a list "
            "in JSON. They stay in this session."
        )
        above = st.container()  # for errors, which would be below a phone's screen
        st.text_area("Names", key=f"{_KEY}-text", placeholder="cat\ndog\n…", height=160)
        refused = upload_files(
            "Or a text file", f"{_KEY}-file", lambda content, _: _keep(network, content)
        )
        st.button("Use these names", key=f"{_KEY}-use", on_click=_take, args=(network,))
        for message in [*refused, *st.session_state.pop(f"{_KEY}-refused", ())]:
            above.error(inert(message, code=True), icon=":material/info:")
        if class_names(network):
            st.button(
                "Forget them",
                key=f"{_KEY}-forget",
                type="tertiary",
                on_click=_given().remove,
                args=(network.key,),
            )


def _take(network: Network) -> None:
    try:
        _keep(network, st.session_state[f"{_KEY}-text"].encode())
    except DeconvvizError as error:
        st.session_state[f"{_KEY}-refused"] = [as_sentence(error)]


def _keep(network: Network, content: bytes) -> None:
    text = content.decode("utf-8", errors="replace")
    _given().add(network.key, read_names(text, outputs(network)))


def _given() -> Uploads[tuple[str, ...]]:
    return Uploads.of_session(_KEY, NETWORKS)
