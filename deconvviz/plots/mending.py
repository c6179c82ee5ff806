"""How many wrong answers mend without some units, as a figure and in words."""

from matplotlib.figure import Figure

from deconvviz.analysis.mending import CHOICES, Mending
from deconvviz.plots.figures import COLOURS, NEUTRAL_INK, captioned, legend, quiet

_TITLES = dict(
    zip(
        CHOICES,
        ("that contribute most to the mistake", "that are most active", "at random"),
        strict=True,
    )
)


def summary(found: Mending) -> str:
    """For each layer, how many answers mend by each choice of units."""
    count = len(found.pictures)
    parts = []
    for one in found.layers:
        most = len(next(iter(one.share.values())))
        numbers = ", ".join(
            f"{round(share[-1] * count)} without units {_TITLES[name]}"
            for name, share in one.share.items()
        )
        share = one.broken_share[CHOICES[0]][-1]
        parts.append(
            f"{one.layer}, at most {most} units: {numbers}. Of {len(found.right)} right answers, "
            f"{round(share * len(found.right))} become wrong by the first of these rules"
        )
    return (
        f"{found.network} gets {count} of {found.tried} pictures wrong ({found.data}). Of these, "
        f"right when units are switched off: {'; '.join(parts)}."
    )


def figure(found: Mending, ink: str = NEUTRAL_INK) -> Figure:
    """A panel for each layer: the share of answers mended by at most 1, 2, ... units."""
    drawn = Figure(
        figsize=(0.6 + 3.4 * len(found.layers), 3.2), facecolor="none", layout="constrained"
    )
    panels = drawn.subplots(1, len(found.layers), squeeze=False, sharey=True)[0]
    for axes, one in zip(panels, found.layers, strict=True):
        quiet(axes, ink)
        for number, (name, share) in enumerate(one.share.items()):
            steps = range(1, len(share) + 1)
            axes.plot(steps, share, marker="o", color=COLOURS[number], label=_TITLES[name])
        axes.set_xticks(range(1, len(share) + 1))
        axes.set_ylim(0, 1)
        axes.set_title(one.layer, loc="left", fontsize=9, color=ink, parse_math=False)
        axes.set_xlabel("units switched off, at most", color=ink, fontsize=8)
    panels[0].set_ylabel("share of wrong answers that mend", color=ink, fontsize=8)
    legend(panels[0], ink, fontsize=7, loc="upper left")
    return captioned(drawn, f"{found.network}: {len(found.pictures)} wrong answers.", ink)
