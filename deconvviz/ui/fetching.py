"""Before a library's network is opened: its size, what can be projected, and its weights."""

import streamlit as st

from deconvviz.deconv import Deconvnet
from deconvviz.errors import SettingError, UnsupportedOperationError
from deconvviz.io.card import inert
from deconvviz.io.zoo.library import fetch, parameters, stored_weights, without_values
from deconvviz.ui.choices import Choice, check_size, downloads_allowed
from deconvviz.ui.memory import alone

NO_DOWNLOADS = "This server downloads nothing (it was started with `--no-downloads`)."


def prepare(choice: Choice) -> None:
    """Check a library's network before it is made, and download its weights if they are not here.

    Raises:
        SettingError: It is too large, or this server downloads nothing.
        UnsupportedOperationError: See `check_layers`.
        CheckpointError: Its weights cannot be downloaded.
    """
    check_size(choice.name)
    if choice.needs_download:
        with st.spinner("Looking at its layers, before anything is downloaded …"):
            _check_before(choice.name)
        _download(choice.name)


def offer_download(choice: Choice) -> None:
    """Where weights are not here, say so with a button that downloads them; and end the page."""
    if not choice.needs_download:
        return
    name, size = f"`{inert(choice.name)}`", download_size(choice.name)
    sentence = f"The trained weights of {name} ({size}) are not on this server's disk."
    icon = ":material/download:"
    if not downloads_allowed():
        st.info(f"{sentence} {NO_DOWNLOADS} “Use another network” opens it untrained.", icon=icon)
        st.stop()
    st.info(f"{sentence} A link alone does not download them.", icon=icon)
    if not st.button(f"Download {size} and open it", type="primary"):
        st.stop()
    prepare(choice)
    st.rerun()


def download_size(name: str) -> str:
    """How large the weights of a library's network are, in words."""
    if known := stored_weights(name).megabytes:
        return f"{known:.0f} MB"
    return f"about {4 * parameters(name) / 1e6:.0f} MB"  # float32


def check_layers(name: str, net: Deconvnet) -> None:
    """Raise an `UnsupportedOperationError` if no rectified convolution can be projected."""
    if net.projectable.isdisjoint(net.default_layers):
        first = next(iter(net.coverage.unsupported), None)
        why = f" ({first.operation} is not supported: {first.undone})" if first else ""
        raise UnsupportedOperationError(
            f"`{name}` has no rectified convolution that can be projected{why}; choose a "
            "convolutional network"
        )


def _check_before(name: str) -> None:
    """`check_layers` without the weights, where the network can be made without."""
    try:
        bundle = without_values(name)
    except SettingError:
        return
    check_layers(name, Deconvnet(bundle.model, bundle.input_size))


def _download(name: str) -> None:
    """Download weights with a progress bar; sessions that want the same wait for one download."""
    if not downloads_allowed():
        raise SettingError(NO_DOWNLOADS)
    text = f"Downloading the weights of {name} ({download_size(name)})"
    element = st.empty()

    def progress(_: str, done: int, total: int, /) -> None:
        element.progress(done / total, f"{text}: {done / 1e6:.0f} of {total / 1e6:.0f} MB …")

    try:
        with element, st.spinner(f"{text} …"), alone(("download", name)):
            if not stored_weights(name).on_disk:
                fetch(name, progress)
    finally:
        element.empty()
