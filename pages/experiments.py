"""Experiments: what Zeiler and Fergus asked of their network, and more, on any network."""

import streamlit as st

from deconvviz import ui
from deconvviz.analysis.registry import Analysis
from deconvviz.ui.explore import Network
from deconvviz.units import Unit

PICTURES = 300  # at most


def show_result(saved: ui.SavedResult, name: str) -> None:
    """The summary, the figure and the files."""
    st.markdown(saved.summary)
    st.image(saved.figure, width="stretch", output_format="PNG", alt=f"The figure of {name}")
    with st.container(horizontal=True):
        ui.download(saved.figure, f"{name}.png", "Figure")
        ui.download(saved.numbers, f"{name}.json", "Numbers")


def result(inputs: ui.AnalysisInputs, name: str) -> None:
    """The kept result of an analysis, and the button that runs it."""
    saved = ui.saved_result(inputs, name)
    label = "Run it" if saved is None else "Run it again"
    if st.button(label, key=f"run-{name}", icon=":material/play_arrow:"):
        ui.run_analysis(inputs, name)
        st.rerun()
    if saved is None:
        st.caption("Not run yet on these inputs.")
    else:
        show_result(saved, name)


def choose(network: Network, analysis: Analysis) -> ui.AnalysisInputs | None:
    """The inputs that the analysis needs; None where one is missing, which the page then says."""
    needs, picture, unit, dataset = analysis.needs, None, None, None
    if "snapshots" in needs and not network.bundle.snapshots:
        st.info(
            f"`{network.bundle.name}` has no snapshots of its training; `demo` has them.",
            icon=":material/info:",
        )
        return None
    if "picture" in needs:
        pictures = ui.pick_pictures()
        if not pictures:
            icon = ":material/add_photo_alternate:"
            st.info("Choose a picture above, or add your own.", icon=icon)
            return None
        picture = ui.sight(network, pictures[0], "trained")
    if picture and "unit" in needs:
        layer = ui.pick_layer(network.layers, default=len(network.layers) // 2)
        unit = Unit.at_peak(network.net.record(picture.pixels, [layer]), layer)
        st.caption(f"The strongest unit of {layer} in this picture: {unit.channel}.")
    if "dataset" in needs:
        dataset = ui.some_pictures(network, ui.pick_data(list(ui.known(network))), PICTURES)
    return ui.AnalysisInputs(network, dataset, picture, unit)


title(
    "Experiments",
    "Zeiler and Fergus did not stop at pictures: they tested what the pictures claim. So can you.",
)
network = ui.chosen_network()
runnable = ui.runnable_analyses()
name = ui.pick_study({name: one.title for name, one in runnable.items()})
analysis = runnable[name]
st.header(analysis.title, anchor=False)
st.markdown(f"{analysis.question} ({analysis.source})")
with ui.refusals():
    inputs = choose(network, analysis)
    if inputs is not None:
        result(inputs, name)
st.header("In a terminal", anchor=False)
st.markdown(
    "`deconvviz experiment NAME` runs these and more, with all options: marked parts of your own, "
    "class labels (`depth`), and training runs (`ablation`)."
)
