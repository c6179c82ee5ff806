"""Made-up runs whose answer is known."""

import math
from itertools import product

from deconvviz.study.gradients import Arm, Gradients, Moment, Setting, Trace

SETTING = Setting("made up", "", 0, (0.5,), (0.5,), 2, "pytorch", 0.1, 4, (0, 10))


def made(arm, start, end=None, seed=0, cosine=math.nan, diverged=None):
    """A run whose gradients fall evenly from 1 at the last layer to `start` or `end` at the first.

    The head's gradient is huge, which must not count.
    """

    def moment(ratio):
        norms = [ratio ** (1 - i / (arm.depth - 1)) for i in range(arm.depth)]
        row = (1.0,) * (arm.depth + 1)
        return Moment(2.0, math.nan, (*norms, 1e9), row, (*(cosine,) * arm.depth, math.nan))

    moments = {0: moment(start)}
    if diverged is None:
        moments[10] = moment(start if end is None else end)
    names = (*(f"layer{i}" for i in range(arm.depth)), "head")
    return Trace(arm, seed, names, moments, diverged, SETTING, {}, "a CPU")


def result(plain, ours):
    """Of depth 6 and 12 without BatchNorm with these ratios, and healthy ones with it."""
    traces = [
        made(Arm(name, depth, norm), 1.0 if norm else ratio)
        for norm, (name, ratios) in product((False, True), (("plain", plain), ("ddnet", ours)))
        for depth, ratio in zip((6, 12), ratios, strict=True)
    ]
    return Gradients(tuple(traces))
