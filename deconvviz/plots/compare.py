"""Two networks on one picture, as a figure and in words."""

import textwrap

from matplotlib.figure import Figure

from deconvviz.analysis.compare import Compare, Seen
from deconvviz.plots.display import display, display_caption, percent, spoken
from deconvviz.plots.figures import NEUTRAL_INK, captioned, picture_on


def summary(found: Compare) -> str:
    """Both answers, and how much alike the units are, beside chance."""
    first, second, matches = found.first, found.second, found.matches
    units = int((matches.unit >= 0).sum())
    return (
        f"{_answer(first)}; {_answer(second)}. Of {len(matches.unit)} units of {first.layer}, "
        f"{units} change over {matches.data}; the best match of each in {second.layer} of "
        f"{second.network} correlates with it by {matches.mean:.2f} on average, by "
        f"{matches.mean_chance:.2f} where pictures are paired at random."
    )


def _answer(one: Seen) -> str:
    if not one.answer:
        return f"{one.network} has no names of classes"
    return f"{one.network} says {spoken(one.answer)} ({percent(one.probability)})"


def figure(found: Compare, ink: str = NEUTRAL_INK) -> Figure:
    """The picture, and below each other the first network's units and their matches."""
    shown = len(found.first.channels)
    columns = 1 + max(1, shown)
    drawn = Figure(figsize=(1.5 * columns, 4.0), facecolor="none", layout="constrained")
    cells = drawn.subplots(2, columns, squeeze=False)
    for row, one in zip(cells, (found.first, found.second), strict=True):
        title = f"{one.network}\n" + (
            f"{spoken(one.answer)} {percent(one.probability)}" if one.answer else ""
        )
        picture_on(row[0], found.picture, title, ink, smooth=True)
        for axes in row[1 + shown :]:
            axes.set_axis_off()
        for place, channel in enumerate(one.channels.tolist()):
            (pixels,) = display(one.projections[place : place + 1])
            text = f"unit {channel}"
            if one is found.second:
                source = int(found.first.channels[place])
                alike = found.matches.unit[source] >= 0
                text += f", r {found.matches.correlation[source]:.2f}" if alike else ", no match"
            picture_on(row[1 + place], pixels, text, ink, smooth=True)
    first, second, matches = found.first, found.second, found.matches
    text = (
        f"Above: the strongest units of {first.layer}. Below: the units of {second.network}, "
        f"{second.layer}, whose activations over {matches.data} correlate with theirs most (r; by "
        f"chance {matches.mean_chance:.2f}). Rule: {found.rule}. {display_caption()}"
    )
    return captioned(drawn, textwrap.fill(text, 20 * columns), ink)
