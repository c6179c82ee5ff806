"""Trust over many units, as a figure and in words."""

from matplotlib.figure import Figure

from deconvviz.analysis.trust.verdicts import LayerVerdicts, Verdicts
from deconvviz.plots.figures import COLOURS, NEUTRAL_INK, captioned, legend, quiet

_MEASURES = {
    "own": "kept, own kernels shuffled",
    "all": "kept, all kernels shuffled",
    "insertion": "insertion, above random orders",
    "deletion": "deletion, below random orders",
}
_OUTCOMES = {
    "unit": "strongly",
    "partly_unit": "partly",
    "layers_below": "little",
    "image": "not at all",
    "between": "not settled",
    "inconclusive": "not measurable",
}


LEGEND = (
    "A dot is the mean over a layer's units. *Kept*: how much of a unit's picture is left when its "
    "own, or all, weights are shuffled; 0 is chance, 1 the same picture, and low is good. "
    "*Insertion* and *deletion*: how much sooner the activation comes back, or goes, by the pixels "
    "that the picture marks than by random ones."
)


def headline(found: Verdicts) -> str:
    """How often a picture of the highest layer depends strongly on its unit's own weights."""
    parts = [
        f"{one.layers[-1].rates.get('unit', 0.0):.0%} of {one.network}"
        for one in found.networks
        if len(one.layers[-1].channels)
    ]
    if not parts:
        return "No unit of the highest layer is active."
    return (
        "In the highest layer the picture depends strongly on its unit's own weights for "
        f"{', '.join(parts)}."
    )


def summary(found: Verdicts) -> str:
    """Means and outcomes of each network's highest layer."""
    parts = []
    for network in found.networks:
        top = network.layers[-1]
        if not len(top.channels):
            parts.append(f"{network.network}, {top.layer}: no active unit")
            continue
        mean, error = top.mean, top.standard_error
        parts.append(
            f"{network.network}, {top.layer} ({len(top.channels)} units): with a unit's own "
            f"kernels shuffled {mean['own']:.2f} ± {error['own']:.2f} of its picture is kept, with "
            f"all {mean['all']:.2f} ± {error['all']:.2f}; inserting the marked pixels beats random "
            f"orders by {mean['insertion']:.2f} ± {error['insertion']:.2f}; {_rates(top)}"
        )
    return f"Over {found.data}, {found.shuffled} shuffled networks: {'. '.join(parts)}."


def _rates(layer: LayerVerdicts) -> str:
    shares = (f"{_OUTCOMES[name]} {share:.0%}" for name, share in layer.rates.items())
    return f"the picture depends on its unit {', '.join(shares)}"


def figure(found: Verdicts, ink: str = NEUTRAL_INK) -> Figure:
    """A panel for each measure: mean over the units of each layer and its 95 % interval."""
    drawn = Figure(figsize=(10.2, 3.2), facecolor="none", layout="constrained")
    panels = drawn.subplots(1, len(_MEASURES))
    names = list(dict.fromkeys(one.layer for n in found.networks for one in n.layers))
    for axes, (name, title) in zip(panels, _MEASURES.items(), strict=True):
        quiet(axes, ink)
        axes.set_title(title, loc="left", fontsize=8, color=ink)
        for number, network in enumerate(found.networks):
            shift = 0.12 * (number - (len(found.networks) - 1) / 2)
            layers = [one for one in network.layers if len(one.channels)]
            axes.errorbar(
                [names.index(one.layer) + shift for one in layers],
                [one.mean[name] for one in layers],
                [1.96 * one.standard_error[name] for one in layers],
                color=COLOURS[number % len(COLOURS)],
                marker="o",
                markersize=4,
                linestyle="none",
                label=network.network,
            )
        axes.axhline(0, color=ink, linewidth=0.6)
        axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_xlim(-0.5, len(names) - 0.5)
    legend(panels[-1], ink, fontsize=7)
    most = max(len(one.channels) for n in found.networks for one in n.layers)
    text = (
        f"Up to {most} units of each layer, each at its strongest of {found.data}; bars: 95% of "
        f"the mean over units; {found.shuffled} shuffled networks. Rule: {found.rule}. Kept: 0 as "
        "by chance, 1 the same picture."
    )
    return captioned(drawn, text, ink)
