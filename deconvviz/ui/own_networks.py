"""A network of one's own, opened from the page: by name, from a file, or from a terminal."""

import streamlit as st

from deconvviz.errors import DeconvvizError, UnknownModelError
from deconvviz.io.card import inert
from deconvviz.io.zoo.library import library_names, parameters, stored_weights
from deconvviz.ui import choices
from deconvviz.ui.choices import Choice, downloads_allowed
from deconvviz.ui.fetching import NO_DOWNLOADS, check_layers, download_size, prepare
from deconvviz.ui.networks import opened
from deconvviz.ui.pictures import upload_files
from deconvviz.ui.show import as_sentence

_TRAINED, _UNTRAINED = "trained", "untrained"
_NO_WEIGHTS = "The library has no trained weights for it; it can be opened untrained."


def use_another() -> None:
    """The button that opens the dialog."""
    if st.button("Use another network", icon=":material/add:", width="stretch"):
        _dialog()


@st.dialog("Use another network", width="medium")
def _dialog() -> None:
    ways()


def ways() -> None:
    """What is in the dialog."""
    by_name, own_file, terminal = st.tabs(["By name", "Your file", "From a terminal"])
    with by_name:
        _by_name()
    with own_file:
        _own_file()
    with terminal:
        _terminal()
    if choices.is_next():
        st.rerun()  # the whole page, which closes the dialog


def _by_name() -> None:
    with st.spinner("Reading the libraries' names …"):
        names = library_names()
    current = str(st.session_state.get("model", "")).partition(", ")[0]
    name = st.selectbox(
        "A network of torchvision or timm",
        names,
        index=names.index(current) if current in names else None,
        placeholder=f"Type a part of one of {len(names)} names, such as resnet18",
        key="network-name",
    )
    if not any(one.startswith("timm/") for one in names):
        st.caption("timm's networks are listed where `pip install 'deconvviz[timm]'` was run.")
    if name is None:
        return
    try:
        choices.check_size(name)
        where, has_weights = _weights(name)
    except DeconvvizError as error:
        _say(error)
        return
    kind = st.radio(
        "Weights",
        [_TRAINED, _UNTRAINED],
        captions=[where, "Random: they show what comes from the architecture alone."],
        index=0 if has_weights else 1,
        key=f"network-weights-{name}",
    )
    st.caption(f"{parameters(name) / 1e6:.1f} million parameters.")
    possible = has_weights or kind == _UNTRAINED
    if st.button("Open this network", type="primary", disabled=not possible, key="network-open"):
        label = choices.library_label(name, trained=kind == _TRAINED)
        _open(label, choices.library_choice(label))


def _weights(name: str) -> tuple[str, bool]:
    """Where a network's trained weights come from, and whether they can be had."""
    try:
        stored = stored_weights(name)
    except UnknownModelError:
        return _NO_WEIGHTS, False
    if stored.on_disk:
        return "They are on this server's disk.", True
    if not downloads_allowed():
        return f"They are not on its disk. {NO_DOWNLOADS}", False
    return f"The server downloads {download_size(name)} from the library and keeps them.", True


def _own_file() -> None:
    st.markdown(
        "The `model.safetensors` of a run of `deconvviz train`. It is checked, stays in this "
        "session, and nobody else sees it."
    )
    refused = upload_files("A checkpoint", "network-upload", choices.keep_checkpoint)
    for message in refused:
        st.error(inert(message, code=True), icon=":material/info:")
    if refused:
        st.info(
            "Other weights need code that makes their network: a function of your own. See “From a "
            "terminal”: `deconvviz app package.module:function --checkpoint FILE`.",
            icon=":material/terminal:",
        )
    own = choices.uploaded()
    if choices.is_next() and (label := st.session_state["network-next"]) in own:
        _open(label, own[label])
    for label in choices.uploaded():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"`{label}`")
            st.button(
                "Remove",
                icon=":material/delete:",
                type="tertiary",
                key=f"network-remove-{label}",
                on_click=choices.remove_checkpoint,
                args=(label,),
            )


def _terminal() -> None:
    st.markdown(
        "A network that Python code makes is not taken from the page, because its code would run "
        "on the server. Files above the upload limit, and networks above "
        f"{choices.MAX_PARAMETERS // 10**6} million parameters, are not either, because the "
        "server's memory is shared. On a computer of your own, name them when you start the app; "
        "they are then in the list:"
    )
    st.code(
        "deconvviz app my_package.nets:make\n"
        "deconvviz app my_package.nets:make --checkpoint weights.pt\n"
        "deconvviz app runs/large/model.safetensors\n"
        "deconvviz app torchvision/convnext_large --download",
        language="sh",
        wrap_lines=True,
    )
    st.caption(
        "`make` is a function without arguments that returns a `torch.nn.Module`, or a "
        "`deconvviz.Bundle`, which also has the size of its pictures and names of its classes."
    )


def _open(label: str, choice: Choice) -> None:
    """Open a network and choose it; one that is refused leaves the choice as it was."""
    try:
        if not choice.content:
            prepare(choice)
        check_layers(label, opened(choice).net)
    except DeconvvizError as error:
        if choice.content:
            choices.remove_checkpoint(label)
        choices.open_nothing()
        _say(error)
    else:
        choices.open_next(label)


def _say(error: DeconvvizError) -> None:
    st.error(inert(as_sentence(error), code=True), icon=":material/info:")
