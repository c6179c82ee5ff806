"""Experiments: the analyses of Zeiler and Fergus, and more, on any network."""

import streamlit as st

from deconvviz.analysis.registry import Analysis
from deconvviz.ui import pickers, show
from deconvviz.ui.atlas import datasets
from deconvviz.ui.experiments import (
    AnalysisInputs,
    run_analysis,
    runnable_analyses,
    saved_result,
    some_pictures,
)
from deconvviz.ui.networks import Network, chosen_network, input_view, pick_layer
from deconvviz.ui.pictures import pick_pictures
from deconvviz.units import Unit

PICTURES = 300  # at most


def result(inputs: AnalysisInputs, name: str) -> None:
    """The kept result of an analysis, and the button that runs it."""
    saved = saved_result(inputs, name)
    label = "Run it" if saved is None else "Run it again"
    if st.button(label, key=f"run-{name}", icon=":material/play_arrow:"):
        run_analysis(inputs, name)
        st.rerun()
    if saved is None:
        st.caption("Not run yet on these inputs.")
        return
    st.markdown(saved.summary)
    st.image(saved.figure, width="stretch", output_format="PNG", alt=f"The figure of {name}")
    with st.container(horizontal=True):
        show.download(saved.figure, f"{name}.png", "Figure")
        show.download(saved.numbers, f"{name}.json", "Numbers")


def choose(network: Network, analysis: Analysis) -> AnalysisInputs | None:
    """The inputs that the analysis needs; None where one is missing, which the page then says."""
    needs, picture, unit, dataset = analysis.needs, None, None, None
    if "snapshots" in needs and not network.bundle.snapshots:
        st.info(
            f"`{network.bundle.name}` has no snapshots of its training; `demo-photos` has them.",
            icon=":material/info:",
        )
        return None
    if "picture" in needs:
        pictures = pick_pictures()
        if not pictures:
            return None
        picture = input_view(network, pictures[0], "trained")
    if picture and "unit" in needs:
        layer = pick_layer(network, "middle")
        unit = Unit.at_peak(network.net.record(picture.pixels, [layer]), layer)
        st.caption(f"The strongest unit of {layer} in this picture: {unit.channel}.")
    if "dataset" in needs:
        dataset = some_pictures(network, pickers.dataset(list(datasets(network))), PICTURES)
    return AnalysisInputs(network, dataset, picture, unit)


show.title(
    "Experiments",
    "Zeiler and Fergus did not stop at pictures: they tested what the pictures claim. So can you.",
)
network = chosen_network()
runnable = runnable_analyses()
name = pickers.experiment({one.title: name for name, one in runnable.items()})
analysis = runnable[name]
st.header(analysis.title, anchor=False)
st.markdown(f"{analysis.question} ({analysis.source})")
with show.errors():
    inputs = choose(network, analysis)
    if inputs is not None:
        result(inputs, name)
st.header("In a terminal", anchor=False)
st.markdown(
    "`deconvviz experiment NAME` runs these and more, with all options: marked parts of your own, "
    "class labels (`depth`), and training runs (`ablation`)."
)
