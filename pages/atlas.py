"""Atlas: the strongest activations of each unit of a layer, over the pictures of a data set."""

import streamlit as st

from deconvviz.analysis.find import FindOptions
from deconvviz.atlas import Units
from deconvviz.atlas.cache import PHOTOS
from deconvviz.deconv.rules import Rule
from deconvviz.errors import SelectionError
from deconvviz.io.card import inert, spaced
from deconvviz.io.preprocess import Pixels
from deconvviz.plots.atlas import UnitTiles, grid_of, histogram_figure
from deconvviz.plots.display import display_caption, number, percent
from deconvviz.plots.look import Look
from deconvviz.ui import atlas, pickers, show, useful
from deconvviz.ui.answers import spoken
from deconvviz.ui.atlas import AtlasView
from deconvviz.ui.class_names import class_names
from deconvviz.ui.grid import unit_grid
from deconvviz.ui.navigation import link
from deconvviz.ui.networks import Network, chosen_network
from deconvviz.ui.show import as_sentence

AT_ONCE = 96  # units in the grid
HEIGHT = 820  # pixels of the grid, which scrolls in itself
SIDE = 120  # pixels that a tile of nine is enlarged to
PREFERRED = 5  # classes or photographs
CLASSES = "Classes"
ENOUGH = 500  # pictures; nine of fewer are hardly a choice


def strongest(view: AtlasView, sheet: UnitTiles, rule: Rule, look: Look) -> None:
    """The image patches with the highest activations, beside their projections."""
    patches_and_projections(view, sheet, rule, look, "strongest", "from the strongest")
    values = ", ".join(number(one.value) for one in sheet.top)
    st.markdown(f"Activations, row by row: {values}.")
    places_table(view, sheet, "activation")


def patches_and_projections(
    view: AtlasView, sheet: UnitTiles, rule: Rule, look: Look, kind: str, order: str
) -> None:
    """Image patches of some kind, beside their projections, row by row in some order."""
    unit = f"of unit {sheet.unit} of {sheet.layer}, row by row {order}"
    projections = list(sheet.projections)
    patches: list[Pixels] = look.patches(list(sheet.patches), projections)
    for column, pixels, name, caption in zip(
        st.columns(2, gap="small"),
        (patches, list(look.projections(projections, [1.0] * len(sheet)))),
        (f"{kind} patches", "projections"),
        ("image patches", f"projections, {rule}"),
        strict=True,
    ):
        with column:
            picture = grid_of(pixels, view.atlas.header.k, SIDE, crisp=look.crisp)
            show.picture(picture, f"The {len(sheet)} {name} {unit}", caption)


def places_table(view: AtlasView, sheet: UnitTiles, value: str) -> None:
    """Pictures and places of a unit's patches, with a value of each, below a line that unfolds."""
    top, dataset = sheet.top, view.dataset
    of = "photograph" if view.name == PHOTOS else "class"
    table: dict[str, list[float] | list[int] | list[str]] = {
        value: [one.value for one in top],
        "picture": [one.picture for one in top],
        of: [spoken(dataset.classes[int(dataset.labels[one.picture])]) for one in top],
        "row": [one.y for one in top],
        "column": [one.x for one in top],
    }
    with st.expander("Pictures and positions"):
        st.dataframe(table, hide_index=True)


def most_useful(
    network: Network, view: AtlasView, sheet: UnitTiles, rule: Rule, look: Look
) -> None:
    """For a class that is chosen: the patches where the unit adds most to its score."""
    classes = class_names(network)
    if not classes:
        return
    numbers = {name: label for label, name in enumerate(classes)}
    label = pickers.useful_for({"no class": None, **numbers})
    if label is None:
        return
    try:
        found = useful.useful_pictures(network, view, sheet.layer, sheet.unit, label)
    except SelectionError as error:
        st.info(as_sentence(error), icon=":material/info:")
        return
    name = inert(spoken(classes[label]))
    looked, here = (spaced(len(some)) for some in (useful.looked_through(view), view.dataset))
    over = (
        f"{here} pictures" if looked == here else f"{looked} of the {here} pictures, evenly spaced"
    )
    mean = f"adds {number(found.mean, '+.3g')} to the score of **{name}** on average over {over}"
    count = len(found.order.pictures)
    if not count:
        st.markdown(f"It {mean}, and raises it in none of them.")
        return
    tiles = useful.useful_tiles(network, view, sheet.layer, sheet.unit, label, rule)
    patches_and_projections(view, tiles, rule, look, "most useful", "from the most useful")
    st.markdown(
        f"What it adds, row by row: {', '.join(number(one.value, '+.3g') for one in tiles.top)}. "
        f"It {mean}. Of the {count} in which it adds most, **{found.shared or 'none'}** "
        f"{'is' if found.shared == 1 else 'are'} among the {view.atlas.header.k} of these in which "
        "it is strongest."
    )
    st.caption(
        "Activation × gradient of the score, summed over the feature map: what the score loses "
        "without the unit, to first order. Each patch is where it adds most in that picture."
    )
    places_table(view, tiles, "adds")


def statistics(units: Units, channel: int, pictures: int) -> None:
    """A unit's activations over all pictures, where the atlas has statistics."""
    if units.mean is None or units.activation_frequency is None or units.active is None:
        return
    mean = number(float(units.mean[channel]))
    st.markdown(
        f"Over all {spaced(pictures)} pictures, its mean activation is **{mean}**. It is active in "
        f"**{percent(float(units.activation_frequency[channel]), 1)}** of the pictures and at "
        f"**{percent(float(units.active[channel]), 1)}** of all positions."
    )
    if units.histogram is not None:
        counts = units.histogram[channel].tolist()
        figure = histogram_figure(counts, show.ink())
        show.figure(figure, f"Pictures by the maximum activation of unit {channel}")
        st.caption(
            "Number of pictures by maximum activation, two bars per doubling. The unit is not "
            f"active in {spaced(counts[0])} of {spaced(pictures)}."
        )


def preferences(units: Units, channel: int, classes: tuple[str, ...], noun: str) -> None:
    """The classes, or photographs, with the highest mean activation of a unit."""
    if units.class_mean is None or units.selectivity is None:
        return
    means = units.class_mean[channel].nan_to_num(0)
    highest = float(means.max())
    if highest <= 0:
        return
    st.subheader(f"{noun} with the highest mean activation", anchor=False)
    values, labels = means.topk(min(PREFERRED, len(means)))
    for value, label in zip(values.tolist(), labels.tolist(), strict=True):
        text = f"{spoken(classes[label])}, mean activation {number(value)}"
        st.progress(max(0.0, value / highest), text)
    if noun != CLASSES:
        return
    st.caption(
        f"Class selectivity: {units.selectivity[channel]:.2f}. 0: equally active for all classes; "
        "1: active for one class only (Morcos et al. 2018)."
    )


def details(network: Network, view: AtlasView, layer: str, channel: int, look: Look) -> None:
    """One unit: its strongest activations and its statistics."""
    units, head = view.numbers[layer], view.numbers.header
    st.subheader(f"Unit {channel} of {layer}", anchor=False)
    rule = pickers.rule()
    if bool(units.dead[channel]) or bool(view.atlas[layer].dead[channel]):
        st.info(
            f"Unit {channel} is dead: it is not active anywhere in the "
            f"{spaced(view.atlas.header.pictures)} pictures that are here, so there is nothing to "
            "show.",
            icon=":material/info:",
        )
        return
    sheet = atlas.unit_tiles(network, view, layer, channel, rule)
    strongest(view, sheet, rule, look)
    most_useful(network, view, sheet, rule, look)
    statistics(units, channel, head.pictures)
    noun = "Photographs" if view.of_photographs else CLASSES
    preferences(units, channel, head.classes, noun)
    with st.container(gap="xsmall"):
        st.button(
            f"Units like unit {channel}",
            type="tertiary",
            icon=":material/join_inner:",
            on_click=atlas.take_example,
            args=(channel,),
        )
        if layer in network.layers:
            label = f"Reconstruct unit {channel} of {layer} in pictures of your choice"
            link("workbench", label, layer, channel)


def asked_for(view: AtlasView) -> FindOptions:
    """Pickers of the class, the colour and the direction of the units that are shown."""
    label = ""
    if not view.of_photographs:
        label = pickers.only_class({"any class": "", **{c: c for c in view.numbers.header.classes}})
    colour, direction = pickers.only_colour(), pickers.only_direction()
    st.caption("Colour and lines are those of the projection of a unit's strongest activation.")
    return FindOptions(label=label or None, colour=colour, orientation=direction)


@st.fragment
def layer_units(network: Network, view: AtlasView, layer: str) -> None:
    """The units of a layer, and details of one; a click reruns this part alone."""
    with show.errors():
        units = view.numbers[layer]
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            channel = pickers.pick_channel(units.value[:, 0])
            order = pickers.sort_by(atlas.orders(view))
            with st.popover("Filter", icon=":material/filter_alt:"):
                wanted = asked_for(view)
            fits = atlas.fits(network, view, layer, wanted)
            channels = atlas.ordered(order(network, view, layer, channel), fits)
            part = pickers.part(pickers.parts(max(1, len(channels)), AT_ONCE))
            with st.popover("Display", icon=":material/tune:"):
                look = pickers.look()
        one, all_ = st.columns([2, 3], gap="medium")
        with all_:
            dead = int(units.dead.sum())
            few = "" if len(channels) == len(units) else f"{len(channels)} of "
            st.subheader(f"{few}{len(units)} units of {layer}, {dead or 'none'} dead", anchor=False)
            st.markdown(
                "For each unit: the image patch with its highest activation, the projection, and "
                "the activation."
            )
            if st.session_state.get("sort") == atlas.OWN_KERNELS:
                st.caption(
                    f"Over {FindOptions().networks} networks with shuffled kernels. Other shuffles "
                    "give another order, with a rank correlation of 0.68 to 0.95 in three layers "
                    "of the demo networks: look at the ends of it, not at neighbours."
                )
            with st.container(height=HEIGHT):
                tiles = atlas.tiles(network, view, layer, tuple(channels[part]), look)
                unit_grid(tiles, f"Units of {layer}", channel, crisp=look.crisp)
        with one:
            details(network, view, layer, channel, look)
        st.caption(f"{display_caption()} Grey beyond a picture's edge.")


show.title(
    "Atlas",
    "The strongest activations of each unit over the pictures that are here. What all nine patches "
    "have in common may be what the unit detects, if they were chosen from many pictures.",
)
network = chosen_network()
chosen = pickers.dataset(list(atlas.datasets(network)))
view = atlas.atlas_view(network, chosen)
layers = [one for one in view.atlas.units if one in network.net.projectable]
layers = layers or list(view.atlas.units)
head = view.atlas.header
layer = pickers.layer(layers, default=layers[len(layers) // 2])
st.caption(
    f"{layer}: {show.describe_layer(network.net.layers[layer])}. {spaced(head.pictures)} pictures: "
    f"{head.data}."
)
if view.numbers is not view.atlas:
    real = view.numbers.header
    st.caption(
        f"Order, activations and classes are those over all {spaced(real.pictures)} pictures of "
        f"{real.data}, which are not on this machine; the patches are of {head.data}."
    )
if chosen == PHOTOS or len(view.dataset) < ENOUGH:
    few = f"{spaced(len(view.dataset))} pictures"
    if chosen == PHOTOS:
        few = f"{spaced(len(view.dataset))} tiles of {len(view.dataset.classes)} photographs"
    st.caption(
        f"The patches were chosen from {few} alone. They show what a unit does in these, and say "
        "little of what it detects."
    )
layer_units(network, view, layer)
