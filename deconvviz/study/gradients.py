"""Gradients: whether the deep deconvolution network keeps them from vanishing or exploding."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor
from typing_extensions import override

from deconvviz.data import Dataset
from deconvviz.errors import DataError, SettingError, StudyError
from deconvviz.experiments.result import Result
from deconvviz.figures import NEUTRAL_INK, figure_png
from deconvviz.files import write_atomically
from deconvviz.progress import Progress
from deconvviz.study.traces import FORMS, PROBE, STARTS, Arm, Setting, Trace, finite, follow

__all__ = ["EXPLODES", "STEPS", "VANISHES", "Gradients", "Spread", "gradients"]

VANISHES, EXPLODES = 1e-3, 1e3
"""Of the first layer's gradient over the last one's: it vanishes below, and explodes above."""

STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 200)
"""Updates after which gradients are measured, where nothing else is asked for."""

_NAMES = {"plain": "plain CNN", "ddnet": "ddnet"}
_CELL = 0.085  # inches of a layer in a figure, and the least height of a panel
_LEAST_HIGH = 0.95


@dataclass(frozen=True)
class Spread:
    """A ratio over seeds.

    Attributes:
        mean: The geometric mean of those above zero; NaN without any.
        low: The lowest of all.
        high: The highest.
        dead: In how many runs it is zero: no gradient comes through at all.
    """

    mean: float
    low: float
    high: float
    dead: int

    def __str__(self) -> str:
        dead = f", {self.dead} dead" if self.dead else ""
        return f"{self.mean:.2g} ({self.low:.2g} to {self.high:.2g}{dead})"


@dataclass(frozen=True)
class _Scale:
    """How a figure's numbers become colours, and the colour of lines on these."""

    low: float
    high: float
    colours: str
    label: str
    line: str


@dataclass(frozen=True)
class Gradients(Result):
    """The gradients of plain and deconvolution networks of equal depth, while they train.

    Attributes:
        traces: Of every arm and seed, all of one setting.
    """

    traces: tuple[Trace, ...]
    name = "gradients"

    @property
    def setting(self) -> Setting:
        """What all runs share."""
        return self.traces[0].setting

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Each once, in the order of the runs."""
        return tuple(dict.fromkeys(trace.arm for trace in self.traces))

    @property
    def classifiers(self) -> tuple[Arm, ...]:
        """The arms that were trained on cross-entropy alone, of which the claim is."""
        return tuple(arm for arm in self.arms if not arm.deconv_weight)

    def of(self, arm: Arm) -> tuple[Trace, ...]:
        """The runs of an arm, one a seed."""
        return tuple(trace for trace in self.traces if trace.arm == arm)

    def spread(self, arm: Arm, *, end: bool = False) -> Spread:
        """The first layer's gradient over the last's, at the start or when it was measured last."""
        ratios = [run.ratio(run.last if end else 0) for run in self.of(arm)]
        logs = [math.log10(ratio) for ratio in ratios if ratio]
        mean = 10 ** (sum(logs) / len(logs)) if logs else math.nan
        return Spread(mean, min(ratios), max(ratios), len(ratios) - len(logs))

    def trouble(self, arm: Arm, *, end: bool = False) -> str:
        """Which of "vanishing" and "exploding" its mean ratio is; empty where it is neither.

        An arm most of whose runs are dead vanishes.
        """
        found = self.spread(arm, end=end)
        if found.mean < VANISHES or 2 * found.dead > len(self.of(arm)):
            return "vanishing"
        return "exploding" if found.mean > EXPLODES else ""

    def log_norms(self, arm: Arm) -> Tensor:
        """(L, S) float64: log10 of gradient norms by layer and step, the mean over seeds.

        A norm of zero has no logarithm and is left out; NaN where nothing is left.
        """
        return _mean([_log(run.table("gradients")) for run in self.of(arm)])

    def log_shares(self, arm: Arm) -> Tensor:
        """(L, S) likewise of gradient norms divided by the weights' norms."""
        return _mean([_log(run.table("gradients") / run.table("weights")) for run in self.of(arm)])

    def cosines(self, arm: Arm) -> Tensor:
        """(L, S) float64: the mean over seeds of the cosines; NaN where there is none."""
        return _mean([run.table("cosines") for run in self.of(arm)])

    def facts(self) -> dict[str, Any]:
        """Every arm's ratios, losses, norms and cosines, and what they were measured on."""
        told = {
            **asdict(self.setting),
            "probe": min(PROBE, self.setting.pictures),
            "vanishes below": VANISHES,
            "explodes above": EXPLODES,
            "versions": self.traces[0].versions,
            "devices": sorted({run.device for run in self.traces}),
            "arms": [self._facts(arm) for arm in self.arms],
        }
        return dict(finite(told))

    def _facts(self, arm: Arm) -> dict[str, Any]:
        runs, (before, after) = self.of(arm), self._entropies(arm)
        return {
            **asdict(arm),
            "seeds": [run.seed for run in runs],
            "diverged at step": [run.diverged for run in runs],
            "layers": runs[0].layers,
            "first over last at the start": asdict(self.spread(arm)),
            "first over last at the end": asdict(self.spread(arm, end=True)),
            "cross-entropy at the start": before,
            "cross-entropy at the end": after,
            "log10 of gradient norms": self.log_norms(arm).tolist(),
            "log10 of gradient norms over weights' norms": self.log_shares(arm).tolist(),
            "cosines": self.cosines(arm).tolist(),
        }

    def sentence(self) -> str:
        """Whether ddnet cures what the plain network has, what BatchNorm does, and the ratios."""
        return f"{self.verdict()} {self.details()}"

    def details(self) -> str:
        """The ratios of every network, how they were measured, and whether both losses agree."""
        setting = self.setting
        told = [self._end()]
        for norm in (False, True):
            rows = [self._row(arm) for arm in self.classifiers if arm.norm == norm]
            told.append(f"With{'' if norm else 'out'} BatchNorm: {'; '.join(rows)}.")
        told.append(
            "These are norms of the cross-entropy's gradient, by the first layer's weights over "
            "by the last ones' below the head, at the start and at the end: geometric mean (lowest "
            f"to highest) of {self._seeds()}, {setting.steps[-1]} steps of {self._optimiser()}, "
            f"{setting.pictures} pictures ({setting.data}). Below {VANISHES:g} a gradient counts "
            f"as vanishing, above {EXPLODES:g} as exploding."
        )
        return " ".join([*told, self._agreement()]).strip()

    def _seeds(self) -> str:
        count = len({run.seed for run in self.traces})
        return f"{count} seed{'s' * (count != 1)}"

    def _optimiser(self) -> str:
        setting, start = self.setting, {"pytorch": "PyTorch's", "he": "He's"}[self.setting.start]
        return (
            f"SGD (rate {setting.rate:g}, momentum 0.9, batches of {setting.batch_size}) from "
            f"{start} initial weights"
        )

    def verdict(self) -> str:
        """What follows for the claim, from the networks as training begins."""
        plain = [arm for arm in self.classifiers if arm.architecture == "plain"]
        ours = [arm for arm in self.classifiers if arm.architecture == "ddnet"]
        bad = [arm for arm in plain if self.trouble(arm)]
        ill = [arm for arm in ours if self.trouble(arm)]
        freed = [arm for arm in bad if replace(arm, architecture="ddnet") not in ill]
        if not bad:
            does = "cannot be seen to cure vanishing or exploding gradients"
        elif len(freed) == len(bad):
            does = "cures vanishing and exploding gradients"
        elif freed:
            does = "cures only a part of vanishing and exploding gradients"
        else:
            does = "does not cure vanishing or exploding gradients"
        return (
            f"The deep deconvolution network {does}: at the start of training {len(bad)} of "
            f"{len(plain)} plain networks have them{_which(bad)}, and of as many deconvolution "
            f"networks of the same depths {len(ill)}{_which(ill)}."
        )

    def _end(self) -> str:
        """The same count when training ended."""
        told = []
        for architecture, name in (("plain", "plain"), ("ddnet", "deconvolution")):
            arms = [arm for arm in self.classifiers if arm.architecture == architecture]
            bad = [arm for arm in arms if self.trouble(arm, end=True)]
            told.append(f"{len(bad)} {name} networks{_which(bad)}")
        return f"When training ends, {' and '.join(told)} have them."

    def _row(self, arm: Arm) -> str:
        """An arm's ratios, and whether it diverged."""
        gone = [run.diverged for run in self.of(arm) if run.diverged is not None]
        diverged = f", {len(gone)} diverged, the first at step {min(gone)}" if gone else ""
        end = self.spread(arm, end=True).mean
        return f"{arm.architecture} {arm.depth} layers {self.spread(arm)}, then {end:.2g}{diverged}"

    def _agreement(self) -> str:
        """The cosines of the two losses, where networks were trained on both."""
        arms = [arm for arm in self.arms if arm.deconv_weight]
        means = [float(self.cosines(arm).nanmean()) for arm in arms]
        known = sorted(
            (mean, _told(arm)) for mean, arm in zip(means, arms, strict=True) if mean == mean
        )
        if not known:
            return ""
        (low, lowest), (high, highest) = known[0], known[-1]
        return (
            "Trained on both losses, the cosine between the gradients of cross-entropy and "
            "reconstruction (1: they want the same, 0: neither minds the other), mean over layers "
            f"and steps, lies between {low:+.2f} ({lowest}) and {high:+.2f} ({highest})."
        )

    @override
    def save(self, folder: Path) -> tuple[Path, Path]:
        """As every result, and the cosines' figure as `folder/gradients-cosines.png`."""
        cosines = figure_png(self.cosine_figure())
        write_atomically(folder / f"{self.name}-cosines.png", cosines)
        return super().save(folder)

    @override
    def figure(self, ink: str = NEUTRAL_INK) -> Figure:
        """Gradient norms by layer and step: a row a depth, a column an architecture and norm."""
        tables = {arm: self.log_norms(arm) for arm in self.classifiers}
        values = torch.cat([table.flatten() for table in tables.values()])
        values = values[values.isfinite()]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        titles = {arm: self._title(arm) for arm in tables}
        caption = (
            "Norm of the cross-entropy's gradient by each layer's weights, from the first layer "
            "(top) to the head, by steps of training: mean over\nseeds of log10, one scale for all "
            "panels. First/last: the norm of the first layer over that of the last below the "
            "head, at the start, then at the end;\nloss: cross-entropy, likewise. White line: "
            "there ddnet turns back."
        )
        scale = _Scale(low, high, "viridis", "log10 of gradient norm", "white")
        return self._panels(tables, titles, scale, caption, ink)

    def _title(self, arm: Arm) -> str:
        start, end = (self.spread(arm, end=end).mean for end in (False, True))
        before, after = self._entropies(arm)
        losses = [sum(side) / len(side) for side in (before, after)]
        told = f"first/last {start:.1g}, then {end:.1g}"
        return f"{told}\nloss {losses[0]:.2f}, then {losses[1]:.2f}"

    def _entropies(self, arm: Arm) -> tuple[list[float], list[float]]:
        """The cross-entropies of its runs at the start and when measured last."""
        runs = self.of(arm)
        return (
            [run.moments[0].entropy for run in runs],
            [run.moments[run.last].entropy for run in runs],
        )

    def cosine_figure(self, ink: str = NEUTRAL_INK) -> Figure:
        """Cosines between the gradients of the two losses, likewise, by layer and step.

        Of the networks trained on both losses; without any, of those that give a picture anyhow.
        """
        both = [arm for arm in self.arms if arm.deconv_weight]
        alone = [arm for arm in self.classifiers if arm.architecture == "ddnet"]
        tables = {arm: self.cosines(arm)[:-1] for arm in both or alone}
        titles = {arm: f"mean {table.nanmean():+.2f}" for arm, table in tables.items()}
        trained = "both losses" if both else "cross-entropy alone"
        caption = (
            "Cosine between the gradients of cross-entropy and reconstruction error by each "
            f"layer's weights, from the first layer (top) on, by steps of\ntraining on {trained}; "
            "mean over seeds. Blue: both want the same; red: one undoes what the other does. "
            "Dark line: ddnet turns."
        )
        scale = _Scale(-1.0, 1.0, "RdBu", "cosine", "#333333")
        return self._panels(tables, titles, scale, caption, ink)

    def _panels(
        self,
        tables: Mapping[Arm, Tensor],
        titles: Mapping[Arm, str],
        scale: _Scale,
        caption: str,
        ink: str,
    ) -> Figure:
        """One heat map an arm, on one scale."""
        depths = sorted({arm.depth for arm in tables})
        columns = list(dict.fromkeys((arm.norm, arm.architecture) for arm in tables))
        heights = [max(_LEAST_HIGH, _CELL * (depth + 1)) for depth in depths]
        size = (max(8.6, 1.2 + 2.0 * len(columns)), 1.2 + sum(heights) + 0.5 * len(depths))
        figure = Figure(figsize=size, facecolor="none", layout="constrained")
        grid = figure.subplots(len(depths), len(columns), squeeze=False, height_ratios=heights)
        for arm, table in tables.items():
            row, column = depths.index(arm.depth), columns.index((arm.norm, arm.architecture))
            axes = grid[row, column]
            self._heat(axes, arm, table, scale, ink)
            head = f"{_name(arm)}\n" if row == 0 else ""
            axes.set_title(f"{head}{titles[arm]}", loc="left", fontsize=7, color=ink, pad=3)
            if column == 0:
                axes.set_ylabel(f"{arm.depth} layers", fontsize=8, color=ink)
            below = [self._failures(arm), "step" if row == len(depths) - 1 else ""]
            axes.set_xlabel("\n".join(filter(None, below)), fontsize=7, color=ink)
        colours = ScalarMappable(Normalize(scale.low, scale.high), scale.colours)
        bar = figure.colorbar(colours, ax=grid, shrink=0.6, aspect=30, pad=0.02)
        bar.outline.set_visible(False)
        bar.ax.tick_params(colors=ink, labelsize=7, length=2)
        bar.set_label(scale.label, color=ink, fontsize=7)
        setting = self.setting
        conditions = (
            f"{setting.data}, {setting.pictures} pictures; {self._optimiser()}; "
            f"{setting.width} maps in the first stage; {self._seeds()}."
        )
        text = f"{caption}\n{conditions}"
        figure.supxlabel(text, fontsize=7, color=ink, x=0.01, ha="left")
        return figure

    def _heat(self, axes: Axes, arm: Arm, table: Tensor, scale: _Scale, ink: str) -> None:
        """One arm's table; what is not known, as after a divergence, is left free."""
        axes.imshow(
            table.numpy(),
            cmap=scale.colours,
            vmin=scale.low,
            vmax=scale.high,
            aspect="auto",
            interpolation="nearest",
        )
        steps = self.setting.steps
        axes.set_xticks(range(len(steps)), [str(step) for step in steps])
        rows = [0, arm.depth - 1, *([arm.depth] if len(table) > arm.depth else [])]
        axes.set_yticks(rows, [str(row + 1) if row < arm.depth else "head" for row in rows])
        axes.tick_params(colors=ink, labelsize=6, length=0, pad=2)
        axes.set_facecolor("none")
        for spine in axes.spines.values():
            spine.set_visible(False)
        if arm.architecture == "ddnet":
            axes.axhline(arm.depth / 2 - 0.5, color=scale.line, linewidth=0.8)

    def _failures(self, arm: Arm) -> str:
        """How many runs diverged or are dead, where there are any."""
        runs = self.of(arm)
        gone = [run.diverged for run in runs if run.diverged is not None]
        told = [f"{len(gone)} diverged, the first at step {min(gone)}"] if gone else []
        if dead := self.spread(arm).dead:
            told.append(f"{dead} let no gradient through")
        return f"of {len(runs)}: {', '.join(told)}" if told else ""


def _mean(tables: Sequence[Tensor]) -> Tensor:
    """Over runs, of what is there."""
    return torch.stack(list(tables)).nanmean(0)


def _log(table: Tensor) -> Tensor:
    return table.where(table > 0, torch.nan).log10()


def _which(arms: Sequence[Arm]) -> str:
    """The arms in brackets; nothing where there are none."""
    return f" ({'; '.join(_depth(arm) for arm in arms)})" if arms else ""


def _depth(arm: Arm) -> str:
    return f"{arm.depth} layers {'with' if arm.norm else 'without'} BatchNorm"


def _told(arm: Arm) -> str:
    return f"{arm.architecture}, {_depth(arm)}"


def _name(arm: Arm) -> str:
    return f"{_NAMES[arm.architecture]}, {'BatchNorm' if arm.norm else 'no BatchNorm'}"


def gradients(
    training: Dataset,
    folder: Path,
    *,
    depths: Sequence[int] = (6, 12, 20),
    seeds: Sequence[int] = (0, 1, 2),
    steps: Sequence[int] = STEPS,
    deconv_weight: float = 0.3,
    width: int = 8,
    start: str = "pytorch",
    rate: float = 0.01,
    batch_size: int = 64,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> Gradients:
    """Train plain and deconvolution networks of equal depth, and follow their gradients.

    Each depth is trained as `ddnet` and as a plain CNN without transposed convolutions, as many
    layers of each width; with and without BatchNorm; on the cross-entropy alone, and on that with
    the reconstruction error, for which the plain CNN gets a decoder. All have the same batches, and
    SGD, because Adam's steps, which are of one length whatever the gradient, would hide what is to
    be seen. Gradients are measured on 256 pictures, always the
    same, with BatchNorm in training mode. Each run is a small file in `folder`; a run that is there
    already is not made again.

    Args:
        training: The pictures.
        folder: Of the runs; made where missing.
        depths: Layers with weights between picture and head; 6, 12 or 20, which must halve the
            side 3, 3 and 5 times.
        seeds: Of initial weights and batches.
        steps: Updates after which gradients are measured; the last one ends a run. 0 is always
            measured.
        deconv_weight: Of the reconstruction error in the runs on both losses; 0 leaves these out.
        width: Maps of the first stage; the widest has four times as many.
        start: The initial weights: "pytorch" for its own, which lose five sixths of a rectified
            signal's power in each layer, or "he" for those that keep it.
        rate: Of SGD with momentum 0.9, the same for all.
        batch_size: Pictures in a step.
        device: Where to train.
        progress: Told how many updates of all are done.

    Raises:
        DataError: The pictures are too few, all alike, or of a side that cannot be halved so often.
        SettingError: No such depth, seed, step, weight, width, start, rate or batch can be.
        StudyError: A run in `folder` is damaged, or of another setting.
    """
    mean, std = training.channel_statistics()
    setting = Setting(
        data=training.title,
        fingerprint=training.fingerprint,
        pictures=len(training),
        mean=mean,
        std=std,
        width=width,
        start=start,
        rate=rate,
        batch_size=batch_size,
        steps=tuple(sorted({0, *steps})),
    )
    _check(training, setting, depths, seeds, deconv_weight)
    weights = (0.0, deconv_weight) if deconv_weight else (0.0,)
    arms = [
        Arm(architecture, depth, norm, weight)
        for weight, norm, architecture, depth in product(
            weights, (False, True), ("plain", "ddnet"), sorted(set(depths))
        )
    ]
    runs = [(arm, seed) for arm in arms for seed in dict.fromkeys(seeds)]
    pictures, last = training.to(device), setting.steps[-1]
    traces = []
    for done, (arm, seed) in enumerate(runs):
        tell = _telling(progress, done * last, len(runs) * last)
        path = folder / arm.file_name(seed)
        if not path.is_file():
            follow(arm, seed, pictures, setting, tell).write(folder)
        found = Trace.read(path)  # what is told is what the files say, to the same digits
        _check_same(path, found.setting, setting)
        tell(last)
        traces.append(found)
    return Gradients(tuple(traces))


def _telling(progress: Progress | None, before: int, total: int) -> Callable[[int], None]:
    """Tells of one run's updates as a part of all."""

    def tell(done: int) -> None:
        if progress:
            progress("gradients", before + done, total)

    return tell


def _check(
    training: Dataset,
    setting: Setting,
    depths: Sequence[int],
    seeds: Sequence[int],
    deconv_weight: float,
) -> None:
    unknown = [depth for depth in depths if depth not in FORMS]
    if unknown or not depths:
        asked = f"depth {unknown[0]}" if unknown else "depth"
        raise SettingError(f"no {asked}; there are {', '.join(map(str, FORMS))}")
    if setting.start not in STARTS:
        raise SettingError(f"no start `{setting.start}`; there are {', '.join(STARTS)}")
    if not seeds or min(seeds) < 0:
        raise SettingError(f"seeds {list(seeds)} cannot be; give one or more, from 0 up")
    if setting.steps[0] < 0 or setting.steps[-1] < 1:
        raise SettingError(f"steps {list(setting.steps)} cannot be; give one or more, from 1 up")
    if not 0 <= deconv_weight < math.inf or not 0 < setting.rate < math.inf:
        raise SettingError(
            f"deconv_weight {deconv_weight} and rate {setting.rate} cannot be; the weight is 0 or "
            "more, the rate above 0"
        )
    if setting.width < 1 or setting.batch_size < 2:
        raise SettingError(
            f"width {setting.width} and batch_size {setting.batch_size} cannot be; the width is 1 "
            "or more, a batch has 2 pictures or more"
        )
    height, side = training.images.shape[2:]
    halved = 2 ** max(len(FORMS[depth][0]) for depth in depths)
    if height != side or side % halved:
        raise DataError(
            f"pictures of {side}x{height} pixels cannot be halved by all networks of "
            f"{', '.join(map(str, depths))} layers; give squares of a multiple of {halved}"
        )
    if len(training) < 2 or min(setting.std) == 0:
        raise DataError(
            f"{len(training)} pictures, or a channel that is the same everywhere, teach nothing; "
            "give pictures that differ"
        )


def _check_same(path: Path, found: Setting, wanted: Setting) -> None:
    there, asked = asdict(found), asdict(wanted)
    other = [name for name in asked if there[name] != asked[name]]
    if other:
        name = other[0]
        raise StudyError(
            f"{path} is of a run with {name} {there[name]}, not {asked[name]}; give the same "
            "options to go on, or another folder"
        )
