"""Experiments: what Zeiler and Fergus asked of their network, asked of this one."""

import streamlit as st

from deconvviz.ui import pickers, studies
from deconvviz.ui.atlas import datasets
from deconvviz.ui.networks import InputView, Network, chosen_network, input_view
from deconvviz.ui.pictures import pick_pictures
from deconvviz.ui.show import title

PICTURES = 300  # at most


def result(found: studies.Found, name: str) -> None:
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


def study(material: studies.Inputs, name: str) -> None:
    """What was kept of an experiment, or the button that runs it."""
    found = studies.kept(material, name)
    label = "Run it" if found is None else "Run it again"
    if st.button(label, key=f"run-{name}", icon=":material/play_arrow:"):
        studies.run_study(material, name)
        st.rerun()
    if found is None:
        count = len(material.pictures)
        st.caption(f"Not run yet on this network and these {count} pictures.")
    else:
        result(found, name)


def one_picture(network: Network) -> InputView | None:
    """The picture that an experiment looks at closely."""
    pictures = pick_pictures()
    return input_view(network, pictures[0], "trained") if pictures else None


title(
    "Experiments",
    "Zeiler and Fergus did not stop at pictures: they tested what the pictures claim. So can you.",
)
network = chosen_network()
name = pickers.experiment({one.title: name for name, one in studies.STUDIES.items()})
chosen = studies.STUDIES[name]
st.header(chosen.title, anchor=False)
st.markdown(chosen.asks)
sight = one_picture(network) if chosen.looks_closely else None
pictures = studies.some_pictures(network, pickers.dataset(list(datasets(network))), PICTURES)
if chosen.looks_closely and sight is None:
    st.info("Choose a picture above, or add your own.", icon=":material/add_photo_alternate:")
else:
    study(studies.Inputs(network, pictures, sight), name)
st.header("In a terminal", anchor=False)
st.markdown(
    "What takes parts that you mark, class labels or training runs is a command: `deconvviz "
    "experiment correspondence --parts FILE.json`, `depth` or `ablation`. `deconvviz diagnose` "
    "writes one page of what is wrong with a network."
)
