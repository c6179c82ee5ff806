"""Gradients of plain and deconvolution networks: their numbers, and what follows from these."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from typing_extensions import override

from deconvviz.analysis.result import Result
from deconvviz.io.files import write_atomically
from deconvviz.plots import gradients as heat
from deconvviz.plots.figures import NEUTRAL_INK, figure_png
from deconvviz.study.gradients.traces import PROBE, Arm, Setting, Trace, finite

__all__ = ["EXPLODES", "VANISHES", "Gradients", "Spread"]

VANISHES, EXPLODES = 1e-3, 1e3
"""Of the first layer's gradient over the last one's: it vanishes below, and explodes above."""


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

    def to_dict(self) -> dict[str, Any]:
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
        runs, (before, after) = self.of(arm), self.entropies(arm)
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

    def summary(self) -> str:
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
            f"to highest) of {self.seeds}, {setting.steps[-1]} steps of {self.optimiser}, "
            f"{setting.pictures} pictures ({setting.data}). Below {VANISHES:g} a gradient counts "
            f"as vanishing, above {EXPLODES:g} as exploding."
        )
        return " ".join([*told, self._agreement()]).strip()

    @property
    def seeds(self) -> str:
        """How many there are, in words."""
        count = len({run.seed for run in self.traces})
        return f"{count} seed{'s' * (count != 1)}"

    @property
    def optimiser(self) -> str:
        """How all runs learn, in words."""
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
    def save(self, folder: Path) -> tuple[Path, ...]:
        """As every result, and the cosines' figure as `folder/gradients-cosines.png`."""
        cosines = figure_png(self.cosine_figure())
        write_atomically(folder / f"{self.name}-cosines.png", cosines)
        return super().save(folder)

    @override
    def figure(self, ink: str = NEUTRAL_INK) -> Figure:
        """Gradient norms by layer and step: a row a depth, a column an architecture and norm."""
        return heat.norm_maps(self, ink)

    def cosine_figure(self, ink: str = NEUTRAL_INK) -> Figure:
        """Cosines between the gradients of the two losses, likewise, by layer and step.

        Of the networks trained on both losses; without any, of those that give a picture anyhow.
        """
        return heat.cosine_maps(self, ink)

    def entropies(self, arm: Arm) -> tuple[list[float], list[float]]:
        """The cross-entropies of its runs at the start and when measured last."""
        runs = self.of(arm)
        return (
            [run.moments[0].entropy for run in runs],
            [run.moments[run.last].entropy for run in runs],
        )


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
