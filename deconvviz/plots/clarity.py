"""Clarity of projections, as a figure and in words."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deconvviz.analysis.clarity import Clarity
from deconvviz.plots.figures import COLOURS, NEUTRAL_INK, captioned, legend, quiet

_TITLES = {
    "high_frequency": "power above 1/4 cycle per pixel",
    "colour": "power of colour",
    "correlation": "correlation with the picture",
}


LEGEND = (
    "A dot is the mean over a layer's units, lowest layer left. *Power above 1/4 cycle per pixel* "
    "is detail as fine as noise, *power of colour* is colour noise: of both, less is clearer. "
    "*Correlation with the picture*: 0 is nothing in common, 1 the same."
)


def headline(found: Clarity) -> str:
    """Fine noise in the highest layer, beside the last other network."""
    ours, *others = ((one.network, one.layers[-1].mean["high_frequency"]) for one in found.networks)
    text = f"In the highest layer {ours[1]:.0%} of what its pictures show is as fine as noise"
    return f"{text}; with {others[-1][0]} it is {others[-1][1]:.0%}." if others else f"{text}."


def summary(found: Clarity) -> str:
    """Each network's means in its highest layer, and what they do not say."""
    parts = []
    for one in found.networks:
        top = one.layers[-1]
        mean = top.mean
        parts.append(
            f"{one.network}, {top.layer}: {mean['high_frequency']:.0%} of the power above 1/4 "
            f"cycle per pixel, {mean['colour']:.0%} colour, correlation with the picture "
            f"{mean['correlation']:.2f} ({len(top.channels)} units)"
        )
    return (
        f"Over {found.data}, rule {found.rule}: {'; '.join(parts)}. A clear projection is not "
        "for that more its unit's own: that is what `deconvviz trust` asks."
    )


def figure(found: Clarity, ink: str = NEUTRAL_INK) -> Figure:
    """A panel for each measure: mean over the units of each layer, a line for each network."""
    drawn = Figure(figsize=(10.2, 3.4), facecolor="none", layout="constrained")
    panels = drawn.subplots(1, len(_TITLES))
    for axes, (name, title) in zip(panels, _TITLES.items(), strict=True):
        _panel(axes, found, name, ink)
        axes.set_title(title, loc="left", fontsize=9, color=ink)
    legend(panels[-1], ink, fontsize=7)
    most = max(len(one.channels) for network in found.networks for one in network.layers)
    text = (
        f"Mean over up to {most} units of each layer, each at its strongest of {found.data}; bars: "
        f"standard deviation over units. Rule: {found.rule}."
    )
    return captioned(drawn, text, ink)


def _panel(axes: Axes, found: Clarity, name: str, ink: str) -> None:
    quiet(axes, ink)
    names = list(dict.fromkeys(one.layer for network in found.networks for one in network.layers))
    for number, network in enumerate(found.networks):
        shift = 0.12 * (number - (len(found.networks) - 1) / 2)
        x = [names.index(one.layer) + shift for one in network.layers]
        axes.errorbar(
            x,
            [one.mean[name] for one in network.layers],
            [one.spread[name] for one in network.layers],
            color=COLOURS[number % len(COLOURS)],
            marker="o",
            markersize=4,
            elinewidth=0.8,
            label=network.network,
        )
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
