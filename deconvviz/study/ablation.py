"""Ablation: the same training for networks with layers removed or resized (Table 3)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from deconvviz.errors import SettingError
from deconvviz.io.data import Dataset
from deconvviz.progress import Progress
from deconvviz.study.plan import Arm, RunSpec, find_plan
from deconvviz.study.report import Report, analyse
from deconvviz.study.run import run_plan
from deconvviz.training import Recipe

_PLAN = find_plan("ablation")
RECIPE = _PLAN.recipe
"""Default recipe of all variants."""
SEEDS = _PLAN.seeds
"""Seeds of the declared plan: one run of each variant would say little."""
VARIANTS: Mapping[str, str] = {arm.name: arm.changes["model"] for arm in _PLAN.arms}
"""Variant -> the network that the trainer builds; the first is the base of all comparisons."""


def ablation(
    training: Dataset,
    test: Dataset,
    folder: Path,
    *,
    variants: Mapping[str, str] = VARIANTS,
    recipe: Recipe = RECIPE,
    seeds: Sequence[int] = SEEDS,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> Report:
    """Train networks that differ in their layers alone on all pictures, and compare them.

    All have the same data, recipe and seeds, so that order and augmentation are the same; the last
    epoch counts. Zeiler & Fergus (2014), section 5.1 and Table 3, arXiv:1311.2901, at the size of
    small pictures. The declared plan `ablation`, with data and variants of your own.

    Records of finished runs are in `folder/ablation.jsonl`, beside the folders of the runs. A run
    that has a record is not trained again, and one that was interrupted resumes.

    Args:
        training: Training pictures.
        test: Test pictures.
        folder: Folder of records and runs; made where missing.
        variants: Name -> network, see `models.build`; the first is the baseline.
        recipe: Recipe of all variants; its `model` and `seed` are set here, and its precision must
            not be "auto", which may differ from one network to the next.
        seeds: Seeds; every variant is trained once with each.
        device: Device to train on.
        progress: Called with the finished and the total work.

    Raises:
        SettingError: No variants or seeds, or a seed twice.
        UnknownModelError: A variant names no network.
        StudyError: The recipe leaves its precision open, or `folder` has a run of another recipe
            or of other data.
        KeyboardInterrupt: After Ctrl-C, once the current run is kept.
    """
    if len(set(seeds)) < len(seeds):
        raise SettingError(f"seeds must be different, got {', '.join(map(str, seeds))}")
    arms = tuple(Arm(name, model, {"model": model}) for name, model in variants.items())
    plan = replace(_PLAN, recipe=recipe, arms=arms, budgets={len(training): {}}, seeds=tuple(seeds))

    def run_folder(spec: RunSpec) -> Path:
        name = re.sub(r"[^a-z0-9]+", "-", spec.arm.name.lower()).strip("-")
        return folder / f"{name}-{spec.seed}"

    path = folder / f"{plan.name}.jsonl"
    return analyse(
        plan,
        run_plan(plan, training, test, path, runs=run_folder, device=device, progress=progress),
    )
