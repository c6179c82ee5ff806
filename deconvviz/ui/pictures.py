"""Which pictures: the photographs that come along, and a person's own.

An upload is read at once, checked, shrunk to the largest size that is ever used, and kept in its
session, a few of them; the uploaded bytes are let go.
"""

from dataclasses import replace

import streamlit as st

from deconvviz.errors import PictureError
from deconvviz.io.images import (
    MAX_BYTES,
    PHOTOGRAPHS,
    Picture,
    limit_side,
    open_picture,
    photograph,
)
from deconvviz.ui.explore import LARGEST
from deconvviz.ui.refusals import sentence

__all__ = ["pick_pictures"]

MAX_UPLOADS = 8  # a session keeps; 3 MB each at most

_photograph = st.cache_resource(max_entries=len(PHOTOGRAPHS), show_spinner=False)(photograph)


def pick_pictures() -> list[Picture]:
    """The chosen pictures, the one to look at first; none if the person has unchosen all."""
    uploads: dict[str, Picture] = st.session_state.setdefault("uploads", {})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = st.pills(
            "Pictures",
            [*PHOTOGRAPHS, *uploads],
            selection_mode="multi",
            default=["cat"],
            key="pictures",
            bind="query-params",
        )
        with st.popover("Add your own", icon=":material/add_photo_alternate:"):
            _uploader()
    for message in st.session_state.pop("refused", ()):
        st.warning(message, icon=":material/image_not_supported:")
    pictures = [uploads[name] if name in uploads else _photograph(name) for name in names]
    return _in_focus_first(pictures)


def _in_focus_first(pictures: list[Picture]) -> list[Picture]:
    if len(pictures) < 2:
        return pictures
    names = [picture.name for picture in pictures]
    if st.session_state.get("focus") not in names:
        st.session_state["focus"] = names[-1]
    focus = st.segmented_control("Look at", names, required=True, key="focus", bind="query-params")
    return sorted(pictures, key=lambda picture: picture.name != focus)


def _uploader() -> None:
    turn = st.session_state.setdefault("upload_turn", 0)
    st.file_uploader(
        f"Pictures of up to {MAX_BYTES >> 20} MB each; they stay in this session",
        accept_multiple_files=True,
        key=f"upload-{turn}",
        on_change=_take,
        args=(f"upload-{turn}",),
    )


def _take(key: str) -> None:
    """Keep what can be read of an upload, and the sentences on what cannot."""
    refused: list[str] = []
    for file in st.session_state[key]:
        try:
            _keep(open_picture(file, file.name))
        except PictureError as error:
            refused.append(sentence(error))
    st.session_state["refused"] = refused
    st.session_state["upload_turn"] += 1  # a new, empty uploader; the old one's bytes are freed


def _keep(picture: Picture) -> None:
    uploads: dict[str, Picture] = st.session_state["uploads"]
    name = _free_name(picture, uploads)
    uploads[name] = replace(picture, image=limit_side(picture.image, LARGEST), name=name)
    dropped = list(uploads)[:-MAX_UPLOADS]
    for old in dropped:
        del uploads[old]
    shown = [chosen for chosen in st.session_state["pictures"] if chosen not in (*dropped, name)]
    st.session_state["pictures"] = [*shown, name]
    st.session_state["focus"] = name


def _free_name(picture: Picture, uploads: dict[str, Picture]) -> str:
    """The picture's name, numbered if another picture has it already."""
    name, number = picture.name, 1
    while name in PHOTOGRAPHS or (name in uploads and uploads[name].key != picture.key):
        number += 1
        name = f"{picture.name} ({number})"
    return name
