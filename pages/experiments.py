"""Experiments: the analyses of Zeiler and Fergus, and more, on any network."""

import streamlit as st

from deconvviz.analysis.registry import Analysis
from deconvviz.io.card import inert
from deconvviz.ui import pickers, show
from deconvviz.ui.atlas import datasets
from deconvviz.ui.commands import command, data_options, show_command
from deconvviz.ui.experiments import (
    AnalysisInputs,
    SavedResult,
    has_story,
    is_quick,
    run_analysis,
    runnable_analyses,
    saved_result,
    some_pictures,
    telling_photograph,
)
from deconvviz.ui.networks import Network, chosen_network, input_view, pick_layer
from deconvviz.ui.pictures import pick_pictures
from deconvviz.units import Unit

PICTURES = 300  # at most
NARROW, BESIDE = 545, 420  # pixels of a picture, and of what stands beside it


def result(inputs: AnalysisInputs, name: str) -> SavedResult | None:
    """The kept result of an analysis; a quick one is run at once, any other when asked."""
    saved = saved_result(inputs, name, show.theme())
    if saved is None:
        question = st.empty()
        with question.container():
            if not is_quick(inputs.network, name):
                st.caption("Not run yet on these inputs. It takes half a minute or more.")
                if not st.button("Run it", key=f"run-{name}", icon=":material/play_arrow:"):
                    return None
        question.empty()
        run_analysis(inputs, name)
        saved = saved_result(inputs, name, show.theme())
    return saved


def tell(network: Network, analysis: Analysis) -> None:
    """The picture; beside or below it what is seen, how to read it, the choices; then numbers."""
    name, narrow = analysis.name, has_story(analysis.name)
    with st.container(horizontal=narrow, gap="large"):
        picture = st.container(width=NARROW if narrow else "stretch")
        with st.container(width=BESIDE if narrow else "stretch"):
            words = st.empty()  # at once, so that no words of another experiment stay
            inputs = choose(network, analysis)
    numbers = st.empty()
    with picture:
        saved = None if inputs is None else result(inputs, name)
        if inputs is None or saved is None:
            return
        show.fitted(saved.story, f"The result of {name}", f"story-{name}")
    with words.container():
        st.markdown(f"#### {inert(saved.headline, code=True)}")
        st.caption(show.legend(name))
    with numbers.expander("All numbers, and the whole figure"):
        st.markdown(inert(saved.summary, code=True))
        st.image(saved.figure, width="stretch", output_format="PNG", alt=f"The figure of {name}")
        with st.container(horizontal=True):
            show.download(saved.figure, f"{name}.png", "Figure")
            show.download(saved.numbers, f"{name}.json", "Numbers")
        show_command(command_of(inputs, analysis))


def command_of(inputs: AnalysisInputs, analysis: Analysis) -> str:
    """The command that gives the same numbers."""
    name, picture = analysis.name, inputs.picture.picture.name if inputs.picture else ""
    options = {**inputs.options, "seed": 0, **analysis.quick}
    return command(f"experiment {name}", picture, options, name)


def choose(network: Network, analysis: Analysis) -> AnalysisInputs | None:
    """The inputs that the analysis needs; None where one is missing, which the page then says."""
    needs, picture, unit, dataset = analysis.needs, None, None, None
    options: dict[str, object] = {}
    if "snapshots" in needs and not network.bundle.snapshots:
        st.info(
            f"`{network.bundle.name}` has no snapshots of its training; `demo-photos` has them.",
            icon=":material/info:",
        )
        return None
    if "picture" in needs:
        pictures = pick_pictures(telling_photograph(network))
        if not pictures:
            return None
        picture = input_view(network, pictures[0], "trained")
    if picture and "unit" in needs:
        layer = pick_layer(network, "middle")
        unit = Unit.at_peak(network.net.record(picture.pixels, [layer]), layer)
        options["layer"] = layer
        st.caption(f"The strongest unit of {layer} in this picture: {unit.channel}.")
    if "dataset" in needs:
        most = min(PICTURES, analysis.defaults.get("count") or PICTURES)
        data = pickers.dataset(list(datasets(network)))
        dataset = some_pictures(network, data, most)
        options |= {**data_options(data), "count": most}
    return AnalysisInputs(network, dataset, picture, unit, options)


show.title(
    "Experiments",
    "Pictures of what a network sees make claims. Each experiment tests one on the chosen network.",
)
network = chosen_network()
runnable = runnable_analyses()
name = pickers.experiment({one.title: name for name, one in runnable.items()})
analysis = runnable[name]
st.header(analysis.title, anchor=False)
st.markdown(analysis.question)
with show.errors():
    tell(network, analysis)
quick = ", ".join(f"{option} = {value}" for option, value in analysis.quick.items())
paper = "Zeiler & Fergus (2014), " * analysis.source.startswith(("Fig.", "Table", "Section"))
st.caption(
    f"After {paper}{analysis.source}. "
    + (f"A quick look, with {quick}. " if quick else "")
    + "The command of a result stands with its numbers; others of `deconvviz experiment` "
    "take marked parts of your own, class labels (`depth`) and training runs (`ablation`)."
)
