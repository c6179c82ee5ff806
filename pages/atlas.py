"""Atlas: what excites each unit of a layer most, over a whole data set."""

import streamlit as st

from deconvviz import ui
from deconvviz.atlas import Units
from deconvviz.deconv.rules import Rule
from deconvviz.plots.atlas import UnitSheet, grid_of, histogram_figure
from deconvviz.plots.display import display_caption
from deconvviz.ui.explore import Network

AT_ONCE = 96  # units in the grid
HEIGHT = 900  # pixels of the grid, which scrolls in itself
SIDE = 120  # pixels that a tile of nine is enlarged to
CLASSES = 5


def nines(sheet: UnitSheet, count: int, rule: Rule) -> None:
    """What a unit sees where it is strongest, beside the projections."""
    patches, projections = st.columns(2, gap="small")
    told = f"of unit {sheet.unit} of {sheet.layer}, row by row from the strongest"
    with patches:
        pixels = grid_of(sheet.patches, count, SIDE)
        ui.show(pixels, f"The {len(sheet)} strongest patches {told}", "what it sees")
    with projections:
        pixels = grid_of(sheet.shown, count, SIDE)
        ui.show(pixels, f"The {len(sheet)} projections {told}", f"its projections, {rule}")


def activations(sheet: UnitSheet, survey: ui.AtlasView) -> None:
    """How strong each of the nine is, and of which picture."""
    dataset = survey.dataset
    values = ", ".join(f"{moment.value:.3g}" for moment in sheet.top)
    st.markdown(f"Its activations there, row by row: {values}.")
    with st.expander("Where they are"):
        rows = [
            {
                "activation": moment.value,
                "picture": moment.picture,
                "its class": dataset.classes[int(dataset.labels[moment.picture])],
                "row": moment.y,
                "column": moment.x,
            }
            for moment in sheet.top
        ]
        st.dataframe(rows, hide_index=True)


def statistics(units: Units, unit: int, survey: ui.AtlasView) -> None:
    """How a unit behaves over all pictures, where the atlas has counted that."""
    head = survey.atlas.header
    if units.mean is None or units.activation_frequency is None or units.active is None:
        return
    st.markdown(
        f"Over all {head.pictures} pictures its mean is **{units.mean[unit]:.3g}**; it fires in "
        f"**{units.activation_frequency[unit]:.1%}** of them, and is above zero at "
        f"**{units.active[unit]:.1%}** of all positions."
    )
    if units.histogram is not None:
        counts = units.histogram[unit].tolist()
        figure = histogram_figure(counts, ui.ink())
        ui.show_figure(figure, f"Pictures by the peak of unit {unit} in them")
        st.caption(
            f"Pictures by how strong the unit is in each, two bars an octave; it is silent in "
            f"{counts[0]} of {head.pictures}."
        )


def preferences(units: Units, unit: int, survey: ui.AtlasView) -> None:
    """The classes that a unit answers to most."""
    if units.class_mean is None or units.selectivity is None:
        return
    means = units.class_mean[unit].nan_to_num(0)
    highest = float(means.max())
    if highest <= 0:
        return
    st.subheader("Classes that excite it", anchor=False)
    values, labels = means.topk(min(CLASSES, len(means)))
    for value, label in zip(values.tolist(), labels.tolist(), strict=True):
        name = survey.atlas.header.classes[label]
        st.progress(max(0.0, value / highest), f"{name}, mean activation {value:.3g}")
    st.caption(
        f"Class selectivity {units.selectivity[unit]:.2f}: 0 prefers none, 1 answers to one class "
        "alone (Morcos et al. 2018)."
    )


def closely(network: Network, survey: ui.AtlasView, layer: str, unit: int) -> None:
    """One unit: its nine, and how it behaves."""
    units, head = survey.atlas[layer], survey.atlas.header
    st.subheader(f"Unit {unit} of {layer}", anchor=False)
    rule = ui.pick_rule()
    if bool(units.dead[unit]):
        st.info(
            f"Unit {unit} is dead: it is not above zero anywhere in any of the {head.pictures} "
            "pictures, so there is nothing to show of it.",
            icon=":material/info:",
        )
        return
    sheet = ui.unit_sheet(network, survey, layer, unit, rule)
    nines(sheet, head.k, rule)
    activations(sheet, survey)
    statistics(units, unit, survey)
    preferences(units, unit, survey)
    if layer in network.layers:
        label = f"See unit {unit} of {layer} in pictures of your choice"
        ui.link("reconstruct", label, layer=layer, unit=str(unit))


@st.fragment
def layer_units(network: Network, survey: ui.AtlasView, layer: str) -> None:
    """The units of a layer and one of them closely; a click runs this part alone."""
    with ui.refusals():
        units = survey.atlas[layer]
        with st.container(horizontal=True, gap="medium"):
            picked = ui.pick_unit(len(units))
            numbers = ui.ordered(units, ui.pick_order(ui.ORDERS))
            some = tuple(numbers[ui.pick_part(len(units), AT_ONCE)])
        unit = int(units.value[:, 0].argmax()) if picked is None else picked
        one, all_ = st.columns(2, gap="medium")
        with all_:
            dead = int(units.dead.sum())
            st.subheader(f"{len(units)} units of {layer}, {dead or 'none'} dead", anchor=False)
            st.markdown("Each by what excites it most, the projection, and how strong it is there.")
            with st.container(height=HEIGHT):
                tiles = ui.strongest_tiles(network, survey, layer, some)
                ui.unit_grid(tiles, str(unit), f"Units of {layer}")
        with one:
            closely(network, survey, layer, unit)
        st.caption(f"{display_caption()} Grey beyond a picture's edge.")


ui.title(
    "Atlas",
    "What excites each unit most, over a whole data set, and what it answered to there. Where the "
    "same structure comes back in all nine, a unit can be said to look for it.",
)
network = ui.chosen_network()
survey = ui.survey(network, ui.pick_data(list(ui.known(network))))
head = survey.atlas.header
layer = ui.pick_layer(list(survey.atlas.units), default=len(survey.atlas.units) // 2)
st.caption(
    f"{layer}: {ui.describe_layer(network.net.layers[layer])}. {head.pictures} pictures: "
    f"{head.data}."
)
layer_units(network, survey, layer)
