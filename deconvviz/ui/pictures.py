"""Pictures to choose from: the photographs of the package, and a person's uploads.

An upload is checked at once, shrunk to the largest size in use, and kept in its session; the
uploaded bytes are freed.
"""

from collections.abc import Callable, Mapping, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.uploaded_file_manager import UploadedFile

from deconvviz.errors import DeconvvizError
from deconvviz.io.card import inert
from deconvviz.io.images import (
    FORMATS,
    MAX_BYTES,
    PHOTOGRAPHS,
    Picture,
    limit_side,
    open_picture,
    photograph,
    safe_name,
    to_png,
)
from deconvviz.io.project import ENDING
from deconvviz.ui.memory import UPLOADS, kept, working
from deconvviz.ui.own_pictures import (
    FIRST,
    add_picture,
    choose_pictures,
    own_pictures,
    remove_picture,
)
from deconvviz.ui.project import open_project
from deconvviz.ui.show import as_sentence
from deconvviz.ui.uploads import free, refused_uploads

_photograph = kept()(photograph)
_THUMBNAIL = 48  # pixels


def pick_pictures(first: str = FIRST, below: DeltaGenerator | None = None) -> list[Picture]:
    """The chosen pictures, the main one first; none with a hint to choose one.

    `first` is the photograph that is chosen before anybody does; `below` is where messages stand,
    else after the pictures.
    """
    uploads: dict[str, Picture] = dict(own_pictures())
    messages = _not_here(uploads)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        names = st.pills(
            "Pictures",
            [*PHOTOGRAPHS, *uploads],
            selection_mode="multi",
            default=[first],
            key="pictures",
            bind="query-params",
            wrap=True,  # else the last ones are cut off where there are many
        )
        with st.container(width="content", key="own-pictures"):
            label = f"{FORMATS}, up to {MAX_BYTES >> 20} MB; it stays in this session"
            refused = upload_files(label, "upload", _keep)
        with st.popover(":material/photo_camera:", help="Take a picture with the camera"):
            refused += _take_photograph()
        if uploads:
            with st.popover(":material/photo_library:", help="Remove pictures of your own"):
                _list(uploads)
    with below or st.container():
        for room in st.session_state.pop("made-room", ()):
            st.info(room, icon=":material/photo_library:")
        for message in [*messages, *refused, *map(_lost, own_pictures().lost())]:
            st.warning(message, icon=":material/image_not_supported:")
        if not names:
            icon = ":material/add_photo_alternate:"
            st.info("Choose a picture above, or add your own.", icon=icon)
    pictures = [uploads[name] if name in uploads else _photograph(name) for name in names]
    if len(pictures) < 2:
        return pictures
    if st.session_state.get("focus") not in names:
        st.session_state["focus"] = names[-1]
    focus = st.segmented_control(
        "Main picture", names, required=True, key="focus", bind="query-params", wrap=True
    )
    return sorted(pictures, key=lambda picture: picture.name != focus)


def _take_photograph() -> list[str]:
    """The camera, once a person asks for it; it hands over what it takes like an upload."""
    if not st.toggle("Use the camera", key="camera-on"):
        return []

    def take() -> None:
        file = st.session_state["camera"]
        if not isinstance(file, UploadedFile):  # none, or taken before, and freed
            return
        try:
            _keep(file.getvalue(), "photograph.jpg")
        except DeconvvizError as error:
            st.session_state["camera-errors"] = [as_sentence(error)]
        finally:
            free(file)

    st.camera_input("Your picture", key="camera", on_change=take)
    return list(st.session_state.pop("camera-errors", ()))


def upload_files(
    label: str,
    key: str,
    keep: Callable[[bytes, str], None],
    endings: Sequence[str] | None = None,
    max_mb: int | None = None,
) -> list[str]:
    """An uploader that hands over the content and name of each file once, under a key's prefix.

    Args:
        label: What stands above it.
        key: Prefix of its keys in the session.
        keep: Takes the content and the name of a file.
        endings: Endings of files that the browser offers; all if None.
        max_mb: Size of a file in MB; that of a picture if None.

    Returns:
        One sentence for each file of the last upload that `keep` raised a `DeconvvizError` on.
    """

    def take() -> None:
        errors: list[str] = []
        for file in st.session_state[f"{key}-files"]:
            if not isinstance(file, UploadedFile):  # taken before, and freed
                continue
            try:
                keep(file.getvalue(), file.name)
            except DeconvvizError as error:
                errors.append(as_sentence(error))
            finally:
                free(file)
        st.session_state[f"{key}-errors"] = errors + refused_uploads()

    # The same one all along, whose list of files app.css hides: where an empty one took its place,
    # files that were on their way to a busy server were lost.
    st.file_uploader(
        label,
        endings,
        accept_multiple_files=True,
        key=f"{key}-files",
        on_change=take,
        max_upload_size=max_mb,
    )
    return list(st.session_state.pop(f"{key}-errors", ()))


def _keep(content: bytes, name: str) -> None:
    """Add an upload to the session and choose it alone; or open it if it is a project.

    Those that were chosen before are there to be chosen again, so that any number takes one line.
    """
    if name.endswith(ENDING):
        open_project(content, name)
        return
    with working():  # so that many sessions' pictures are not decoded at once
        choose_pictures([add_picture(open_picture(content, name))])


def _not_here(uploads: Mapping[str, Picture]) -> list[str]:
    """A sentence for each picture of a link that is not here, before the link is read."""
    if "pictures" in st.session_state:
        return []
    asked = dict.fromkeys(st.query_params.get_all("pictures"))
    missing = [name for name in asked if name not in uploads and name not in PHOTOGRAPHS]
    instead = "" if len(missing) < len(asked) else f" The {FIRST} is shown instead."
    return [
        f"{inert(safe_name(name))} is not here: a picture of your own stays in the session that it "
        f"was added in, and a link does not carry it. Add it again.{instead}"
        for name in missing[:UPLOADS]
    ]


def _list(uploads: dict[str, Picture]) -> None:
    """The session's own pictures, each with a button that removes it."""
    with st.container(width=300, gap="small"):
        st.caption(f"{len(uploads)} of at most {UPLOADS} pictures of your own")
        for name in reversed(uploads):
            with st.container(horizontal=True, vertical_alignment="center"):
                image = limit_side(uploads[name].image, _THUMBNAIL)
                st.image(to_png(image), width=_THUMBNAIL, output_format="PNG", alt=name)
                st.caption(inert(name), width="stretch")
                st.button(
                    ":material/close:",
                    key=f"remove-{name}",
                    help=f"Remove {inert(name)}",
                    type="tertiary",
                    on_click=remove_picture,
                    args=(name,),
                )


def _lost(name: str) -> str:
    return f"{name} is here no more: the server keeps the latest pictures of all; add it again."
