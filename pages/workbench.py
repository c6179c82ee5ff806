"""Workbench: a picture, and what the units of a network respond to in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import streamlit as st

from deconvviz.deconv.projection import Start
from deconvviz.deconv.rules import Rule
from deconvviz.errors import DeconvvizError
from deconvviz.io.card import inert
from deconvviz.io.images import Picture, to_png
from deconvviz.io.project import ENDING, MAX_PROJECT_BYTES
from deconvviz.plots.arrays import mosaic
from deconvviz.plots.display import display_caption, number
from deconvviz.plots.files import figure_png
from deconvviz.plots.look import FAINT, Look
from deconvviz.ui import clicks, pickers, show
from deconvviz.ui.answers import MEND, answers, spoken, switched_off
from deconvviz.ui.choices import offered
from deconvviz.ui.class_names import class_names, name_classes
from deconvviz.ui.commands import command, show_command
from deconvviz.ui.details import twin_note, twin_row, unit_row
from deconvviz.ui.files import more_files
from deconvviz.ui.labels import label_of, name_unit
from deconvviz.ui.navigation import link
from deconvviz.ui.networks import (
    InputView,
    Network,
    chosen_network,
    classify,
    evenly_spaced,
    input_view,
    pick_layer,
)
from deconvviz.ui.own_pictures import own_pictures
from deconvviz.ui.pictures import pick_pictures, upload_files
from deconvviz.ui.project import open_project, opened, project_file, rerun_opened
from deconvviz.ui.reconstructions import (
    Projector,
    Reconstruction,
    file_name,
    layer_pictures,
    picture_address,
    reconstruct,
    settings,
    tiles,
    to_safetensors,
    units_at,
    units_for,
)
from deconvviz.ui.show import as_sentence, describe_layer
from deconvviz.ui.trust import TrustReport, drawn, known_trust_report, trust_report
from deconvviz.ui.workbench import Choice, Heading, LayerButton, Scene, UnitTile, workbench
from deconvviz.units import Unit

UNITS = 24
LAYERS = 10  # with a button


@dataclass(frozen=True)
class Shown:
    """Which units the tiles show: the strongest, or those named, with values of their own."""

    heading: Heading
    units: tuple[Unit, ...] | None = None
    values: tuple[float, ...] = ()
    place: tuple[float, float] | None = None
    about: Mapping[int, str] = field(default_factory=dict)


def shown_units(network: Network, view: InputView, layer: str) -> Shown:
    """The units of a layer that a link or a click asks for."""
    label, against = asked_classes(network)
    if label and view.size == "trained":
        return raising_units(network, view, layer, label, against)
    if place := parsed_place(pickers.linked("place")):
        units, back = units_at(network, view, layer, place, UNITS), "back to the whole picture"
        text = "Units with the highest activation at the cross"
        heading = Heading(text if units else "No unit is active at the cross", back)
        return Shown(heading, units, place=place)
    return Shown(Heading("Units with the highest activation"))


def asked_classes(network: Network) -> tuple[str, str]:
    """The class that is asked about, and the one against it; empty without."""
    classes = class_names(network)
    label, against = pickers.linked("class"), pickers.linked("against")
    label = label if label in classes else ""
    return label, against if label and against in classes and against != label else ""


def raising_units(network: Network, view: InputView, layer: str, label: str, against: str) -> Shown:
    """The units that raise the score of a class most, or its lead over another."""
    classes, back = class_names(network), "back to the strongest units"
    others = [one for one in classify(network, view, classes) if one != label]
    options = [{"name": "", "label": "any other class"}]
    options += [{"name": one, "label": spoken(one)} for one in others]
    choice = Choice("rather than", tuple(options), against)
    rival = classes.index(against) if against else None
    try:
        found = units_for(network, view, layer, classes.index(label), rival, UNITS)
    except DeconvvizError as error:
        return Shown(Heading(as_sentence(error), back), ())
    what = f"the lead of {spoken(label)} over {spoken(against)}" if against else "the score"
    about = {
        unit.channel: inert(
            f"It adds {number(value, '+.3g')} to {what} by activation × gradient; switched off "
            f"alone, {what} changes by {number(-effect, '+.3g')}."
        )
        for unit, value, effect in zip(found.units, found.contributions, found.effects, strict=True)
    }
    note = (
        "The number below a unit is what it adds: its activation times the gradient of the score, "
        "the class's value before it is turned into a probability."
    )
    if found.agreement is not None:
        note += (
            " Rank correlation with switching each of these units off alone: "
            f"{found.agreement:.2f} (1: the same order; 0: chance)."
        )
    if off := switched_off(network):
        note += " All numbers here are those of the whole network, with every unit on."
    text = f"Units that raise the score of {spoken(label)} most"
    left = clicks.still_on(found.units, off.get(layer, ()))
    more = "next" if len(left) < len(found.units) else "first"
    mend = f"switch the {more} {len(left[:MEND])} off" if left else ""
    heading = Heading(text, back, choice, mend, note)
    return Shown(heading, found.units, found.contributions, None, about)


def parsed_place(text: str) -> tuple[float, float] | None:
    """A place from a link, X,Y in shares of the picture's width and height; None if it is none."""
    try:
        x, y = map(float, text.split(","))
    except ValueError:
        return None
    return (x, y) if 0 <= x <= 1 and 0 <= y <= 1 else None


def layer_buttons(projector: Projector, layer: str) -> list[LayerButton]:
    """Some of the layers, lowest first, the chosen one among them, with small pictures."""
    network = projector.network
    some = evenly_spaced(network.layers, LAYERS)
    names = tuple(name for name in network.layers if name in (*some, layer))
    pictures = layer_pictures(projector, names)
    about = {name: describe_layer(network.net.layers[name]) for name in names}
    return [
        LayerButton(name, pictures[name], f"{name}: {about[name]}", name == layer) for name in names
    ]


def scene(network: Network, view: InputView) -> Scene:
    """The network's input picture."""
    width, height = view.image.size
    notes = "".join(f" {as_sentence(notice)}" for notice in view.picture.notices)
    return Scene(
        picture_address(network, view),
        width,
        height,
        f"{view.picture.name}, with the projections of the units laid over it",
        f"Input of the network: {width} × {height} pixels{whence(view)}.{notes} "
        "Click a place to see its units.",
    )


def whence(view: InputView) -> str:
    """What of a picture became the input, where that is not all of it at its own size."""
    if view.size != "trained":
        return ""
    (wide, high), (width, height) = view.picture.image.size, view.image.size
    parts = []
    if abs(wide * height - high * width) > max(wide, high):  # more than by rounding
        parts.append("the middle of the picture (More, Input size: the whole)")
    if min(wide, high) < min(width, height):
        parts.append(f"enlarged from {wide} × {high}")
    return "".join(f", {part}" for part in parts)


def details(
    projector: Projector,
    one: Reconstruction,
    look: Look,
    share: float,
    about: str,
    *,
    twin: bool,
) -> None:
    """One unit: its window, the three rules side by side, and the whole picture through it."""
    unit, (top, left, bottom, right) = one.unit, one.box
    height, width = projector.network.net.layers[unit.layer].receptive_field
    wide, high = projector.view.image.size
    st.markdown(
        f"**Unit {unit.channel} of {unit.layer}.** Activation {number(one.value)}, in row "
        f"{unit.y}, column {unit.x} of the feature map. Its receptive field has {height} × {width} "
        f"pixels; in the picture those are rows {max(top, 0)} to {min(bottom, high) - 1} and "
        f"columns {max(left, 0)} to {min(right, wide) - 1}. {about}"
    )
    name_unit(projector.network, unit.layer, unit.channel)
    if one.share < FAINT:
        st.caption(
            f"Faint: {one.share:.2%} of the layer's largest activation in this picture, so its "
            "reconstructions are not stretched to full contrast."
        )
    st.html(unit_row(projector, unit, look, share, projector.view.picture.name))
    if twin:
        st.caption(twin_note(projector, unit))
        st.html(twin_row(projector, unit, look))
    with st.container(horizontal=True, vertical_alignment="center"):
        name = file_name(projector, one)
        show.download(lambda: to_png(one.picture, settings(projector, one)), f"{name}.png", "PNG")
        tensor = partial(to_safetensors, projector, one, one.pixels)
        show.download(tensor, f"{name}.safetensors", "Raw tensor")
        more_files(projector, one, share)
        label = f"Where unit {unit.channel} is most active in other pictures"
        link("atlas", label, unit.layer, unit.channel)


def project(network: Network) -> list[str]:
    """Save everything that is chosen, and open it again; sentences on what cannot be opened."""
    st.caption("A project holds your pictures and everything that is chosen here.")
    show.download(project_file(network), f"project{ENDING}", "Save project")
    return upload_files(
        "Open a project", "project", open_project, [ENDING], MAX_PROJECT_BYTES >> 20
    )


def trust(projector: Projector, one: Reconstruction) -> None:
    """Whether the reconstruction is specific to this unit."""
    st.subheader("How far to trust it", anchor=False)
    asked = (projector.network, projector.view, one.unit, projector.rule)
    report, channel, question = known_trust_report(*asked), one.unit.channel, st.empty()
    if report is None:
        with question.container():
            st.markdown(
                f"Is this picture specific to unit {channel}, or would any unit give it? The test "
                "shuffles the unit's weights, puts another unit in its place, and removes "
                "the pixels that the projection marks. Each is compared with chance."
            )
            if not st.button("Run the controls", icon=":material/fact_check:"):
                return
        question.empty()
        report = trust_report(*asked)
    ink = show.ink()
    with st.container(horizontal=True, gap="large"):
        alt = f"Similarity of the reconstruction of unit {channel} to its controls"
        show.fitted(drawn(report, "story", ink), alt, "trust")
        with st.container(width=420):
            st.markdown(f"#### {report.trust.headline()}")
            st.caption(show.legend("trust"))
    with st.expander("The controls' pictures, all numbers, and the command"):
        st.markdown(report.trust.summary())
        alt = f"The controls of unit {channel} side by side"
        st.image(drawn(report, "figure", ink), width="stretch", output_format="PNG", alt=alt)
        trust_files(projector, one, report)
    with st.expander("Other attributions of the same unit"):
        st.markdown(report.others.summary())
        st.caption(show.legend("attributions"))
        alt = f"Attributions of unit {channel} side by side"
        st.image(drawn(report, "others", ink), width="stretch", output_format="PNG", alt=alt)


def trust_files(projector: Projector, one: Reconstruction, report: TrustReport) -> None:
    """The figure, all numbers, and the command that gives them; no other place has a command."""
    found, name = report.trust, f"{file_name(projector, one)}-trust"
    with st.container(horizontal=True, vertical_alignment="center"):
        show.download(lambda: figure_png(found.figure()), f"{name}.png", "Figure")
        show.download(lambda: found.to_json().encode(), f"{name}.json", "Numbers")
        if found.cascade:
            own = found.cascade[0].control
            st.caption(
                f"Seed {found.seed}; the unit's own kernels were shuffled in {len(own.networks)} "
                f"networks, which gave {own.similarity.count} pictures.",
                width="content",
            )
    unit, size = one.unit, projector.view.size
    if [peak.unit for peak in reconstruct(projector, unit.layer, unit.channel)] == [unit]:
        options = {
            "layer": unit.layer,
            "unit": unit.channel,
            "rule": projector.rule,
            "size": "" if size == "trained" else size,
            "seed": found.seed,
        }
        show_command(command("trust", projector.view.picture.name, options, "trust"))


def other_pictures(
    projector: Projector, layer: str, channel: int, others: Sequence[Picture]
) -> None:
    """The same feature map in the other chosen pictures."""
    if not others:
        return
    st.subheader(f"Unit {channel} in the other pictures", anchor=False)
    with st.container(horizontal=True, gap="medium"):
        for picture in others:
            view = input_view(projector.network, picture, projector.view.size)
            found = reconstruct(replace(projector, view=view), layer, channel)
            with st.container(width=300):
                for one in found:
                    pair = mosaic([one.patch, one.picture], columns=2, gap=6, side=140)
                    show.picture(pair, f"Unit {channel} in {picture.name}: patch, reconstruction")
                value = number(found[0].value) if found else "not active"
                st.caption(f"{picture.name}: {value}")


@dataclass(frozen=True)
class Chosen:
    """What the pickers above the picture say."""

    pictures: Sequence[Picture]
    rule: Rule
    size: pickers.InputSize
    layer: str
    unit: Unit | int | None
    share: float
    start: Start
    look: Look
    beside: str


def choices(network: Network) -> Chosen:
    """Show the pickers, and the messages of a project that was opened."""
    above = st.container()
    line = st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall")
    below = st.container()
    with above if own_pictures() else line:  # many names need a line of their own
        pictures = pick_pictures(below=below)
    with line:
        rule = pickers.rule()
        with st.popover("More", icon=":material/tune:"):
            size = pickers.input_size()
            layer = pick_layer(network, "middle")
            unit = pickers.pick_unit(layer, range(network.net.layers[layer].channels))
            share, start, look = pickers.share(), pickers.start(), pickers.look()
            beside = pickers.beside()
        name_classes(network)
        with st.popover(":material/folder_open:", help="Save a project, or open one"):
            refused = project(network)
    show.notes([*((text, True) for text in refused), *opened(network)])
    return Chosen(pictures, rule, size, layer, unit, share, start, look, beside)


def overview(
    projector: Projector,
    chosen: Chosen,
    shown: Shown,
    strongest: Sequence[UnitTile],
    one: Reconstruction | None,
) -> None:
    """The picture with the answer, the layers and the tiles, one of which is chosen."""
    network, layer = projector.network, chosen.layer
    labels = {tile.channel: label_of(network, layer, tile.channel) for tile in strongest}
    workbench(
        scene(network, projector.view),
        answers(network, chosen.pictures[0], asked_classes(network)),
        layer_buttons(projector, layer),
        shown.heading,
        strongest,
        one.unit.channel if one else None,
        one.box if one else None,
        off=switched_off(network).get(layer, ()) if class_names(network) else None,
        labels={channel: text for channel, text in labels.items() if text},
        place=shown.place,
        crisp=chosen.look.crisp,
        link={
            "model": [str(st.session_state.get("model") or next(iter(offered())))],
            "pictures": [picture.name for picture in reversed(chosen.pictures)],
            "layer": [layer],
            "rule": [chosen.rule],
        },
        on_pick={
            "unit": partial(clicks.take_unit, shown.units or ()),
            "layer": clicks.take_layer,
            "place": clicks.take_place,
            "class": clicks.take_class,
            "against": clicks.take_against,
            "whole": lambda _: clicks.take_place(""),
            "off": partial(clicks.take_off, network, layer),
            "mend": lambda _: clicks.take_first(network, layer, shown.units or ()),
            "on": lambda _: pickers.set_linked("off", ""),
        },
    )


def inform(text: str) -> None:
    """A sentence about what is shown, in a box."""
    st.info(text, icon=":material/info:")


@st.fragment
def bench(network: Network) -> None:
    """All of one selection; a choice reruns this part alone."""
    rerun_opened()
    with show.errors():
        chosen = choices(network)
        if not chosen.pictures:
            return
        layer, look = chosen.layer, chosen.look
        view = input_view(network, chosen.pictures[0], chosen.size)
        if view.is_flat:
            inform(
                "This picture has a single colour, so it contains no pattern. Any activation comes "
                "from biases and from the zero padding at the border."
            )
        projector = Projector(network, view, chosen.rule, chosen.start)
        shown = shown_units(network, view, layer)
        unit = shown.units[0] if chosen.unit is None and shown.units else chosen.unit
        found = reconstruct(projector, layer, unit)
        strongest = tiles(projector, layer, shown.units, UNITS, look, shown.values)
        one = next(iter(found or reconstruct(projector, layer)), None)
        overview(projector, chosen, shown, strongest, one)
        if one is None:
            inform(f"No unit of {layer} is active in this picture.")
            return
        if not found:
            inform("The chosen unit is not active in this picture. The strongest one is shown.")
        about, twin = shown.about.get(one.unit.channel, ""), chosen.beside == "random weights"
        details(projector, one, look, chosen.share, about, twin=twin)
        trust(projector, one)
        other_pictures(projector, layer, one.unit.channel, chosen.pictures[1:])
        st.caption(display_caption())


st.title("What does the network see?", anchor=False)
bench(chosen_network())
