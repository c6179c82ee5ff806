"""The network's answer on a page: its classes, and what it is without some units."""

from collections.abc import Mapping

from deconvviz.errors import DeconvvizError
from deconvviz.io.images import Picture
from deconvviz.plots.display import number, percent
from deconvviz.plots.display import spoken as spoken
from deconvviz.ui import pickers
from deconvviz.ui.class_names import class_names
from deconvviz.ui.networks import Network, by_probability, classify, input_view, outputs
from deconvviz.ui.reconstructions import probabilities_without
from deconvviz.ui.workbench import Answer, Answers

MEND = 3
"""Units that one click switches off."""
_SHOWN = 4  # classes
_DECIMALS = 2  # of a probability in percent, at most
_EXACT = ".5g"  # of a probability under the mouse
_DIGITS = 6  # of a unit in a link


def answers(network: Network, picture: Picture, wanted: tuple[str, ...]) -> Answers:
    """The most probable classes for a picture as the network was trained to see pictures.

    Without the units that are switched off, if there are any.

    Args:
        network: The network.
        picture: The picture.
        wanted: Classes that are shown in any case, the chosen one first; empty names are none.
    """
    classes = class_names(network)
    if not classes:
        return Answers(why_no_answer(network))
    view = input_view(network, picture, "trained")
    before = classify(network, view, classes)
    off, trouble = dict(switched_off(network)), ""
    after = before
    if off:
        try:
            found = probabilities_without(network, view, tuple(off.items()))
            after = by_probability(classes, found)
        except DeconvvizError as error:
            off, trouble = {}, f"With all units on, since {error}:"
    names = list(dict.fromkeys([*list(after)[:_SHOWN], *([next(iter(before))] if off else [])]))
    names += [name for name in wanted if name in after and name not in names]
    rows = tuple(
        Answer(
            name,
            spoken(name),
            after[name],
            *probabilities_in_words(after[name], before[name] if off else None),
            _under_mouse(name, after[name], before[name] if off else None, name == wanted[0]),
            name == wanted[0],
        )
        for name in names
    )
    if not off:
        rest = f"of {len(classes)} classes that it knows"
        return Answers(trouble or "The network says:", rows, rest)
    count = sum(map(len, off.values()))
    units = "1 unit" if count == 1 else f"{count} units"
    rest = f"of {len(classes)} classes; crossed out: with all units"
    return Answers(f"Without {units} the network says:", rows, rest, "switch all units on")


def probabilities_in_words(after: float, before: float | None) -> tuple[str, str]:
    """A probability, and that of the whole network, which is empty for None.

    They have so many digits that they differ where the numbers do, but at most two.
    """
    if before is None:
        return percent(after), ""
    most = _DECIMALS if after != before else 0
    pairs = [(percent(after, digits), percent(before, digits)) for digits in range(most + 1)]
    return next((pair for pair in pairs if pair[0] != pair[1]), pairs[-1])


def _under_mouse(name: str, after: float, before: float | None, chosen: bool) -> str:
    """The probabilities of a class with more digits, and what a click does."""
    exact = f"Probability: {number(after, _EXACT)}"
    exact += "" if before is None else f"; with all units: {number(before, _EXACT)}"
    if chosen:
        return f"Back to the units with the highest activation. {exact}"
    return f"Show the units that raise the score of {spoken(name)} most. {exact}"


def why_no_answer(network: Network) -> str:
    """Why a network without names of classes says nothing."""
    if network.bundle.is_untrained:
        return "Never trained and without names of classes, this network has no answer."
    if count := outputs(network):
        return (
            f"This network comes without names of classes for its {count} outputs, so its answer "
            "has no words. Give them with “Name its classes”."
        )
    return "This network does not choose among classes, so it has no answer."


def switched_off(network: Network) -> Mapping[str, tuple[int, ...]]:
    """Layer -> units that the link switches off, LAYER:UNIT.UNIT and more after semicolons.

    What the network does not have, and what is written otherwise, is left out.
    """
    found: dict[str, tuple[int, ...]] = {}
    for part in pickers.linked("off").split(";"):
        layer, _, numbers = part.rpartition(":")
        known = network.net.layers.get(layer)
        if known is None:
            continue
        plain = (one for one in numbers.split(".") if one.isascii() and one.isdecimal())
        units = {int(one) for one in plain if len(one) <= _DIGITS}
        kept = tuple(sorted(unit for unit in units if unit < known.channels))
        if kept:
            found[layer] = kept
    return found


def switch(network: Network, layer: str, units: tuple[int, ...]) -> None:
    """Switch exactly these units of a layer off."""
    off = {**switched_off(network), layer: tuple(sorted(units))}
    parts = [f"{name}:{'.'.join(map(str, some))}" for name, some in off.items() if some]
    pickers.set_linked("off", ";".join(parts))
