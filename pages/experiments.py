"""Experiments: what Zeiler and Fergus asked of their network, asked of this one."""

import streamlit as st

from deconvviz import ui
from deconvviz.ui.explore import InputView, Network

PICTURES = 300  # at most


def result(found: ui.Found, name: str) -> None:
    """What was found: in words, drawn, and to take away."""
    st.markdown(found.sentence)
    st.image(found.picture, width="stretch", output_format="PNG", alt=f"The figure of {name}")
    with st.container(horizontal=True):
        for label, content, suffix, mime in (
            ("Figure", found.picture, "png", "image/png"),
            ("Numbers", found.numbers, "json", "application/json"),
        ):
            st.download_button(
                label,
                content,
                f"{name}.{suffix}",
                mime,
                key=f"download-{name}-{suffix}",
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
            )


def study(material: ui.Inputs, name: str) -> None:
    """What was kept of an experiment, or the button that runs it."""
    found = ui.kept(material, name)
    label = "Run it" if found is None else "Run it again"
    if st.button(label, key=f"run-{name}", icon=":material/play_arrow:"):
        ui.run_study(material, name)
        st.rerun()
    if found is None:
        count = len(material.pictures)
        st.caption(f"Not run yet on this network and these {count} pictures.")
    else:
        result(found, name)


def one_picture(network: Network) -> InputView | None:
    """The picture that an experiment looks at closely."""
    pictures = ui.pick_pictures()
    return ui.sight(network, pictures[0], "trained") if pictures else None


ui.title(
    "Experiments",
    "Zeiler and Fergus did not stop at pictures: they tested what the pictures claim. So can you.",
)
network = ui.chosen_network()
name = ui.pick_study({name: one.title for name, one in ui.STUDIES.items()})
chosen = ui.STUDIES[name]
st.header(chosen.title, anchor=False)
st.markdown(chosen.asks)
sight = one_picture(network) if chosen.looks_closely else None
pictures = ui.some_pictures(network, ui.pick_data(list(ui.known(network))), PICTURES)
if chosen.looks_closely and sight is None:
    st.info("Choose a picture above, or add your own.", icon=":material/add_photo_alternate:")
else:
    study(ui.Inputs(network, pictures, sight), name)
st.header("In a terminal", anchor=False)
st.markdown(
    "What takes parts that you mark, class labels or training runs is a command: `deconvviz "
    "experiment correspondence --parts FILE.json`, `depth` or `ablation`. `deconvviz diagnose` "
    "writes one page of what is wrong with a network."
)
