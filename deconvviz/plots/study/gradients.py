"""Gradients by layer and step: heat maps, one for each network that was followed, and words."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from deconvviz.plots.figures import NEUTRAL_INK, captioned
from deconvviz.plots.study.tables import markdown
from deconvviz.study.gradients import EXPLODES, LEARNED, VANISHES, Condition, Gradients
from deconvviz.study.gradients.result import Ratio

_INITS = {"pytorch": "PyTorch's default", "he": "He's"}
_NAMES = {"plain": "plain CNN", "ddnet": "ddnet"}
_CELL = 0.085  # inches of a layer in a figure, and the least height of a panel
_LEAST_HIGH = 0.95


def summary(found: Gradients) -> str:
    """The answer: whether ddnet cures the plain network, who learned, and the ratios."""
    return f"{verdict(found)} {details(found)}"


def markdown_report(results: Sequence[Gradients]) -> str:
    """All results in words and tables, one for each setting."""
    title = "# Do deep deconvolution networks cure vanishing and exploding gradients?"
    command = (
        "Made by `deconvviz study report gradients` from the records of all runs, which "
        "`deconvviz study gradients` makes. Each result holds for its own initial weights, length "
        "of training and pictures."
    )
    found = [
        f"## {heading(one)}\n\n**{verdict(one)}**\n\n"
        f"{markdown(condition_table(one))}\n{method(one)}"
        for one in results
    ]
    return "\n\n".join([title, command, *(found or ["Not run."])]) + "\n"


def verdict(found: Gradients) -> str:
    """The verdict on the claim under one setting, and what it leaves open."""
    plain = [one for one in found.classifiers if one.architecture == "plain"]
    ours = [one for one in found.classifiers if one.architecture == "ddnet"]
    bad = [one for one in plain if found.trouble(one)]
    ill = [one for one in ours if found.trouble(one)]
    freed = [one for one in bad if replace(one, architecture="ddnet") not in ill]
    if not bad:
        does = "cannot be seen to cure vanishing or exploding gradients"
    elif len(freed) == len(bad):
        does = "cures vanishing and exploding gradients"
    elif freed:
        does = "cures only a part of vanishing and exploding gradients"
    else:
        does = "does not cure vanishing or exploding gradients"
    return (
        f"From {_INITS[found.setting.init]} initial weights the deep deconvolution network {does}: "
        f"at the start of training {len(bad)} of {len(plain)} plain networks have them"
        f"{_which(bad)}, and of as many deconvolution networks of the same depths {len(ill)}"
        f"{_which(ill)}. {_learning(found)}"
    )


def _learning(found: Gradients) -> str:
    """Who learned nothing, and what follows from it and what does not."""
    length = _length(found)
    lost = [one for one in found.classifiers if found.learned(one) < len(found.of(one))]
    if not lost:
        return f"Within {length} all of them learned."
    named = "; ".join(
        f"{one.architecture}, {_depth(one)}: {len(found.of(one)) - found.learned(one)} of "
        f"{len(found.of(one))} runs"
        for one in lost
    )
    others = "He's start" if found.setting.init == "pytorch" else "PyTorch's default start"
    return (
        f"Within {length} these did not learn (their cross-entropy stayed at chance, or they "
        f"diverged): {named}. That says nothing of {others}, of other rates or optimisers, of "
        "longer training, or of networks with skip connections."
    )


def condition_table(found: Gradients) -> pd.DataFrame:
    """Every network of one setting: ratios, losses, whether it learned, and both losses' cosines.

    A cosine is the mean ± standard deviation over layers, steps and seeds, and in brackets the
    lowest and the highest one.
    """
    return pd.DataFrame([_table_row(found, condition) for condition in found.conditions])


def _table_row(found: Gradients, condition: Condition) -> dict[str, object]:
    runs, weight = found.of(condition), condition.deconv_weight
    start, end = (found.ratio(condition, end=end) for end in (False, True))
    before, after = found.entropies(condition)
    learned = f"{found.learned(condition)} of {len(runs)}"
    stopped = [run.stopped for run in runs if run.stopped is not None]
    notes = [f"{len(stopped)} stopped at step {min(stopped)}"] if stopped else []
    notes += [gone] if (gone := _diverged(found, condition)) else []
    return {
        "network": condition.architecture,
        "layers": condition.depth,
        "BatchNorm": "yes" if condition.norm else "no",
        "losses": f"both, {weight:g}" if weight else "classes",
        "first/last at the start": _ratio(start),
        "at the end": _ratio(end),
        "cross-entropy": f"{_mean(before):.2f}, then {_mean(after):.2f}",
        "learned": "; ".join([learned, *notes]),
        "cosine": str(found.agreement(condition)),
    }


def _ratio(ratio: Ratio) -> str:
    zero = f", {ratio.zero} zero" if ratio.zero else ""
    return f"{ratio.mean:.2g} ({ratio.low:.2g} to {ratio.high:.2g}{zero})"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def details(found: Gradients) -> str:
    """The ratios of every network, how they were measured, and whether both losses agree."""
    counts = []
    for architecture, name in (("plain", "plain"), ("ddnet", "deconvolution")):
        own = [one for one in found.classifiers if one.architecture == architecture]
        bad = [one for one in own if found.trouble(one, end=True)]
        counts.append(f"{len(bad)} {name} networks{_which(bad)}")
    sentences = [f"When training ends, {' and '.join(counts)} have them."]
    for norm in (False, True):
        rows = [_row(found, one) for one in found.classifiers if one.norm == norm]
        sentences.append(f"With{'' if norm else 'out'} BatchNorm: {'; '.join(rows)}.")
    return " ".join([*sentences, method(found), _agreement(found)]).strip()


def method(found: Gradients) -> str:
    """How the numbers were measured."""
    setting = found.setting
    stopped = f" One that had not after {setting.patience} epochs was stopped."
    cosine = (
        " Cosine: between the gradients of cross-entropy and reconstruction by a layer's weights "
        "(1: same direction, 0: orthogonal, -1: opposite), mean ± standard deviation over layers, "
        "steps and seeds, and in brackets the lowest and the highest. A mean near zero hides "
        "single ones near -1 and 1."
    )
    return (
        "First/last: the norm of the cross-entropy's gradient, by the first layer's weights over "
        "by the last ones' below the head, at the start and at the end: geometric mean (lowest "
        f"to highest) of {_seeds(found)}, {_length(found)} of {_optimiser(found)}, "
        f"{setting.pictures} pictures ({setting.dataset}). Below {VANISHES:g} a gradient counts "
        f"as vanishing, above {EXPLODES:g} as exploding. A run learned if its cross-entropy came "
        f"{LEARNED:g} nats below chance, {setting.chance:.2f}.{stopped * bool(setting.patience)}"
        f"{cosine * any(found.agreement(one).count for one in found.conditions)}"
    )


def _agreement(found: Gradients) -> str:
    """The cosines of the networks that were trained on both losses."""
    both = [one for one in found.conditions if one.deconv_weight]
    known = [(one, found.agreement(one)) for one in both if found.agreement(one).count]
    if not known:
        return ""
    rows = [f"{one.architecture}, {_depth(one)} {cosine}" for one, cosine in known]
    return f"Cosines of those trained on both losses: {'; '.join(rows)}."


def _row(found: Gradients, condition: Condition) -> str:
    """A condition's ratios, and whether it diverged."""
    diverged = f", {gone}" if (gone := _diverged(found, condition)) else ""
    start, end = (found.ratio(condition, end=end) for end in (False, True))
    return (
        f"{condition.architecture} {condition.depth} layers {_ratio(start)}, then {end.mean:.2g}"
        f"{diverged}"
    )


def _length(found: Gradients) -> str:
    setting = found.setting
    count, what = (setting.epochs, "epoch") if setting.epochs else (setting.steps[-1], "step")
    return f"{count} {what}{'s' * (count != 1)}"


def heading(found: Gradients) -> str:
    """The setting of a result, in a line."""
    setting = found.setting
    return (
        f"{_INITS[setting.init]} initial weights, {_length(found)}, {setting.pictures} pictures of "
        f"{setting.dataset}"
    )


def _which(conditions: Sequence[Condition]) -> str:
    """The conditions in brackets; nothing if there are none."""
    return f" ({'; '.join(map(_depth, conditions))})" if conditions else ""


def _depth(condition: Condition) -> str:
    return f"{condition.depth} layers {'with' if condition.norm else 'without'} BatchNorm"


def _seeds(found: Gradients) -> str:
    count = len({run.seed for run in found.traces})
    return f"{count} seed{'s' * (count != 1)}"


def _optimiser(found: Gradients) -> str:
    setting = found.setting
    return (
        f"SGD (learning rate {setting.lr:g}, momentum 0.9, batches of {setting.batch_size}) from "
        f"{_INITS[setting.init]} initial weights"
    )


def _diverged(found: Gradients, condition: Condition) -> str:
    gone = [run.diverged for run in found.of(condition) if run.diverged is not None]
    return f"{len(gone)} diverged, the first at step {min(gone)}" if gone else ""


def norm_maps(found: Gradients, ink: str = NEUTRAL_INK) -> Figure:
    """Gradient norms by layer and step: a row a depth, a column an architecture and norm."""
    tables = {condition: found.log_norms(condition) for condition in found.classifiers}
    values = torch.cat([table.flatten() for table in tables.values()])
    values = values[values.isfinite()]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    titles = {condition: _title(found, condition) for condition in tables}
    caption = (
        "Norm of the cross-entropy's gradient by each layer's weights, from the first layer "
        "(top) to the head, by steps of training: mean over\nseeds of log10, one scale for all "
        "panels. First/last: the norm of the first layer over that of the last below the "
        "head, at the start, then at the end;\nloss: cross-entropy at the same steps. White line: "
        "there ddnet turns back."
    )
    scale = ScalarMappable(Normalize(low, high), "viridis")
    return _panels(found, tables, titles, scale, "log10 of gradient norm", "white", caption, ink)


def cosine_maps(found: Gradients, ink: str = NEUTRAL_INK) -> Figure:
    """Cosines between the gradients of the two losses, by layer and step.

    Shown for the networks trained on both losses; without any, for those that reconstruct anyhow.
    """
    both = [condition for condition in found.conditions if condition.deconv_weight]
    alone = [condition for condition in found.classifiers if condition.architecture == "ddnet"]
    tables = {condition: found.cosines(condition)[:-1] for condition in both or alone}
    titles = {condition: _cosine_title(found, condition) for condition in tables}
    trained = "both losses" if both else "cross-entropy alone"
    caption = (
        "Cosine between the gradients of cross-entropy and reconstruction error by each "
        f"layer's weights, from the first layer (top) on, by steps of\ntraining on {trained}; "
        "mean over seeds. Above: mean ± deviation, lowest and highest of all single ones.\n"
        "Blue: both want the same; red: one undoes what the other does. Dark line: ddnet turns."
    )
    scale = ScalarMappable(Normalize(-1, 1), "RdBu")
    return _panels(found, tables, titles, scale, "cosine", "#333333", caption, ink)


def _panels(
    found: Gradients,
    tables: Mapping[Condition, Tensor],
    titles: Mapping[Condition, str],
    scale: ScalarMappable,
    label: str,
    line: str,
    caption: str,
    ink: str,
) -> Figure:
    """One heat map per condition, on one scale with a label; a line where ddnet turns back.

    What is not known, as after a divergence, is left free.
    """
    setting, depths = found.setting, sorted({condition.depth for condition in tables})
    columns = list(dict.fromkeys((condition.norm, condition.architecture) for condition in tables))
    heights = [max(_LEAST_HIGH, _CELL * (depth + 1)) for depth in depths]
    size = (max(8.6, 1.2 + 2.0 * len(columns)), 1.2 + sum(heights) + 0.5 * len(depths))
    figure = Figure(figsize=size, facecolor="none", layout="constrained")
    grid = figure.subplots(len(depths), len(columns), squeeze=False, height_ratios=heights)
    for condition, table in tables.items():
        row = depths.index(condition.depth)
        column = columns.index((condition.norm, condition.architecture))
        axes = grid[row, column]
        axes.imshow(
            table.numpy(), cmap=scale.cmap, norm=scale.norm, aspect="auto", interpolation="nearest"
        )
        axes.set_xticks(range(len(setting.steps)), [str(step) for step in setting.steps])
        layers = {0: "1", condition.depth - 1: str(condition.depth), condition.depth: "head"}
        ticks = {at: name for at, name in layers.items() if at < len(table)}
        axes.set_yticks(list(ticks), list(ticks.values()))
        axes.tick_params(colors=ink, labelsize=6, length=0, pad=2)
        axes.set_facecolor("none")
        axes.spines[:].set_visible(False)
        if condition.architecture == "ddnet":
            axes.axhline(condition.depth / 2 - 0.5, color=line, linewidth=0.8)
        norm = "BatchNorm" if condition.norm else "no BatchNorm"
        head = f"{_NAMES[condition.architecture]}, {norm}\n" if row == 0 else ""
        axes.set_title(f"{head}{titles[condition]}", loc="left", fontsize=7, color=ink, pad=3)
        if column == 0:
            axes.set_ylabel(f"{condition.depth} layers", fontsize=8, color=ink)
        below = [_failures(found, condition), "step" if row == len(depths) - 1 else ""]
        axes.set_xlabel("\n".join(filter(None, below)), fontsize=7, color=ink)
    bar = figure.colorbar(scale, ax=grid, shrink=0.6, aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=ink, labelsize=7, length=2)
    bar.set_label(label, color=ink, fontsize=7)
    conditions = (
        f"{setting.dataset}, {setting.pictures} pictures; {_optimiser(found)}; "
        f"{setting.width} maps in the first stage; {_seeds(found)}."
    )
    return captioned(figure, f"{caption}\n{conditions}", ink)


def _title(found: Gradients, condition: Condition) -> str:
    start, end = (found.ratio(condition, end=end).mean for end in (False, True))
    losses = [_mean(side) for side in found.entropies(condition)]
    ratios = f"first/last {_rough(start)}, then {_rough(end)}"
    return f"{ratios}\nloss {losses[0]:.2f}, then {losses[1]:.2f}"


def _cosine_title(found: Gradients, condition: Condition) -> str:
    one = found.agreement(condition)
    return f"{one.mean:+.2f} ± {one.deviation:.2f}\n{one.low:+.2f} to {one.high:+.2f}"


def _rough(ratio: float) -> str:
    """One digit below 1, whole numbers above: "3e-08", "0.2", "12"."""
    return f"{ratio:.1g}" if ratio < 1 else f"{ratio:.0f}"


def _failures(found: Gradients, condition: Condition) -> str:
    """The number of runs that diverged or let no gradient through, if any."""
    failures = [text] if (text := _diverged(found, condition)) else []
    if zero := found.ratio(condition).zero:
        failures.append(f"{zero} let no gradient through")
    return f"of {len(found.of(condition))}: {', '.join(failures)}" if failures else ""
