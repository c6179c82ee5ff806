"""Made-up runs whose answer is known."""

from itertools import product

from deconvviz.study.gradients import Condition, Gradients, GradientStats, Setting, Trace

SETTING = Setting("made up", "", 0, (0.5,), (0.5,), 2, "pytorch", 0.1, 4, (0, 10))


def made(condition, start, end=None, seed=0, cosine=None, diverged=None):
    """A run whose gradients fall evenly from 1 at the last layer to `start` or `end` at the first.

    The head's gradient is huge, which must not count.
    """

    def stats(ratio):
        norms = [ratio ** (1 - i / (condition.depth - 1)) for i in range(condition.depth)]
        row = (1.0,) * (condition.depth + 1)
        return GradientStats(2.0, None, (*norms, 1e9), row, (*(cosine,) * condition.depth, None))

    found = {0: stats(start)}
    if diverged is None:
        found[10] = stats(start if end is None else end)
    names = (*(f"layer{i}" for i in range(condition.depth)), "head")
    return Trace(condition, seed, names, found, diverged, SETTING, {}, "a CPU")


def result(plain, ours):
    """Of depth 6 and 12 without BatchNorm with these ratios, and healthy ones with it."""
    traces = [
        made(Condition(name, depth, norm), 1.0 if norm else ratio)
        for norm, (name, ratios) in product((False, True), (("plain", plain), ("ddnet", ours)))
        for depth, ratio in zip((6, 12), ratios, strict=True)
    ]
    return Gradients(tuple(traces))
