"""A session's own pictures: kept under names of their own, and chosen on the page."""

from dataclasses import replace

import streamlit as st

from deconvviz.io.card import inert
from deconvviz.io.images import PHOTOGRAPHS, Picture, limit_side
from deconvviz.ui.memory import UPLOADS
from deconvviz.ui.pickers import LARGEST
from deconvviz.ui.uploads import Uploads

FIRST = "cat"
"""The photograph that is chosen where no other is."""


def own_pictures() -> Uploads[Picture]:
    """The session's own pictures by name, the oldest first."""
    return Uploads.of_session("uploads")


def add_picture(picture: Picture) -> str:
    """Keep a picture in the session, shrunk to the largest size in use; its name there."""
    before = dict(own_pictures())
    name = _free_name(picture, before)
    image = limit_side(picture.image, LARGEST)
    gone = own_pictures().add(name, replace(picture, image=image, name=name))
    for one in gone:
        text = f"{inert(one)} made room for {inert(name)}: a session keeps {UPLOADS} pictures."
        st.session_state.setdefault("made-room", []).append(text)
    return name


def choose_pictures(names: list[str], focus: str = "") -> None:
    """Choose those pictures that are here, each once; `focus` is the main one.

    Where none is here, the latest of the session's own is chosen, else the first photograph.
    """
    known = (*PHOTOGRAPHS, *own_pictures())
    chosen = [name for name in dict.fromkeys(names) if name in known]
    st.session_state["pictures"] = chosen or [*own_pictures()][-1:] or [FIRST]
    if focus in chosen:
        st.session_state["focus"] = focus


def remove_picture(name: str) -> None:
    """Drop a picture, also from those that are chosen."""
    own_pictures().remove(name)
    choose_pictures(st.session_state["pictures"])


def _free_name(picture: Picture, uploads: dict[str, Picture]) -> str:
    """The picture's name, numbered if another picture has it already."""
    name, number = picture.name, 1
    while name in PHOTOGRAPHS or (name in uploads and uploads[name].key != picture.key):
        number += 1
        name = f"{picture.name} ({number})"
    return name
