"""The pictures of one unit, as they stand side by side: made once for all sessions."""

from dataclasses import replace

from deconvviz.deconv.rules import RULES
from deconvviz.io.card import spaced
from deconvviz.plots.display import display, number
from deconvviz.plots.look import WHOLE_PERCENTILE, Look
from deconvviz.ui.memory import kept
from deconvviz.ui.networks import random_twin
from deconvviz.ui.reconstructions import Projector, Reconstruction, reconstruct, whole_picture
from deconvviz.ui.show import Captioned, as_row
from deconvviz.units import Unit


@kept()
def unit_row(projector: Projector, unit: Unit, look: Look, share: float, name: str) -> str:
    """A unit's window, the three rules, and the whole picture through it, as HTML.

    Args:
        projector: The network, the picture, and the rule of the whole picture.
        unit: The unit, which is active.
        look: How windows are shown.
        share: Share of the feature map in the whole picture; see `whole_picture`.
        name: The picture's; the same pixels have another one in another session.
    """
    (one,) = reconstruct(projector, unit.layer, unit)
    pictures = [
        _window(one, look),
        *_three_rules(projector, unit),
        _whole(projector, unit, share, name),
    ]
    return as_row(pictures, crisp=look.crisp)


@kept()
def twin_row(projector: Projector, unit: Unit, look: Look) -> str:
    """The same window, and the three rules in the network with random weights, as HTML."""
    (one,) = reconstruct(projector, unit.layer, unit)
    other = replace(projector, network=random_twin(projector.network))
    pictures = [_window(one, look), *_three_rules(other, unit, ", random weights")]
    return as_row(pictures, crisp=look.crisp)


def twin_note(projector: Projector, unit: Unit) -> str:
    """The words above `twin_row`: the unit's activation in both networks."""
    other = replace(projector, network=random_twin(projector.network))
    values = [reconstruct(one, unit.layer, unit)[0].value for one in (other, projector)]
    random, trained = map(number, values)
    return (
        "The same unit at the same place, in the same network with random weights: activation "
        f"{random} (trained: {trained}); each picture at a contrast of its own."
    )


def _window(one: Reconstruction, look: Look) -> Captioned:
    (patch,) = look.patches([one.patch], [one.pixels])
    return Captioned(patch, "The part of the picture in the window", "part of the picture")


def _three_rules(projector: Projector, unit: Unit, note: str = "") -> list[Captioned]:
    """A unit's reconstruction by each rule."""
    found = []
    for rule in RULES:
        (one,) = reconstruct(replace(projector, rule=rule), unit.layer, unit)
        alt = f"Unit {unit.channel} reconstructed by the {rule} rule{note}"
        found.append(Captioned(one.picture, alt, f"{rule}{note}"))
    return found


def _whole(projector: Projector, unit: Unit, share: float, name: str) -> Captioned:
    """Many positions of a unit's feature map, projected together, in their places."""
    pixels, count = whole_picture(projector, unit.layer, unit.channel, share)
    places = "1 position" if count == 1 else f"{spaced(count)} positions"
    return Captioned(
        display(pixels, percentile=WHOLE_PERCENTILE),
        f"{name} through unit {unit.channel}, {projector.rule}",
        f"{projector.rule}, whole picture: {places}, full contrast at percentile "
        f"{WHOLE_PERCENTILE}",
    )
