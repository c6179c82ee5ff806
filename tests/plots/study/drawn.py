"""Runs to draw, and what is seen of them."""

import numpy as np
from matplotlib.collections import PathCollection

from tests.study.samples import record


def arm(name, labels=1000, shift=0.0, seeds=4, **changes):
    return [
        record(
            name, labels, s, 0.6 + s / 100 + shift * (1 + s / 10), subset=f"{labels} {s}", **changes
        )
        for s in range(seeds)
    ]


def dots(axes):
    """The runs that a plot shows, as (n, 2)."""
    found = [c.get_offsets() for c in axes.collections if isinstance(c, PathCollection)]
    return np.concatenate([np.zeros((0, 2)), *map(np.asarray, found)])


def words(figure):
    """All that is written on it."""
    own = [text.get_text() for axes in figure.axes for text in axes.texts]
    ticks = [t.get_text() for axes in figure.axes for t in axes.get_xticklabels()]
    titles = [legend.get_title().get_text() for legend in figure.legends]
    return [*own, *ticks, *titles, figure.get_supxlabel()]
