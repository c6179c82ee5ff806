"""Earlier names in stored files and their present ones: the only place that knows them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

# Earlier name -> present name, or the names in what is stored there.
_OPTIONS = {
    "steps": "steps_per_epoch",
    "peak_rate": "lr",
    "kernel_rate": "muon_lr",
    "shift_rate": "bn_bias_lr_scale",
    "decoder_rate": "decoder_lr_scale",
    "consistency_rise": "consistency_rampup",
    "teacher_decay": "ema_decay",
    "averaged": "ema",
    "largest_rms": "max_kernel_rms",
    "distil_from": "teachers",
    "distil_share": "distillation_weight",
    "half": "fp16",
    "init_from": "init",
    "augmentation": {"crop": "crop_padding"},
    "decoder": {
        "below": "skip_last_stages",
        "hold_targets": "detach_targets",
        "fill": "inpaint",
        "rise": "rampup",
        "fall": "rampdown",
    },
}
_RUN = {"ensemble": "teacher_sha256", "recipe": _OPTIONS}
_STATE = {
    "parts": "objective",
    "teacher": "ema",
    "optimisers": {"param_groups": {"peak": "max_lr"}},
}
_TRACE = {
    "arm": "condition",
    "moments": "stats",
    "setting": {"data": "dataset", "rate": "lr", "start": "init"},
}
_ARMS = {
    "below": "skip_last_stages",
    "fill": "inpaint",
    "without cooling": "constant lr",
    "without fast shifts": "without fast biases",
}
_STUDIES = {"levers": "hyperparameters"}
_FACTORS = {"rate": "lr", "decoder-rate": "decoder-lr"}


def _renamed(stored: Any, names: Mapping[str, Any]) -> Any:
    """Mappings, alone or in a list, under present names; the schema refuses anything else."""
    if isinstance(stored, list):
        return [_renamed(one, names) for one in stored]
    if not isinstance(stored, Mapping):
        return stored
    present: dict[str, Any] = {}
    for name, value in stored.items():
        known = names.get(name, name)
        if isinstance(known, str):
            present[known] = value
        else:
            present[name] = _renamed(value, known)
    return present


current_options = partial(_renamed, names=_OPTIONS)
"""Translate training options, a `Recipe` in JSON."""

current_run = partial(_renamed, names=_RUN)
"""Translate a run's `config.json`, a checkpoint's training record, a study's configuration."""

current_state = partial(_renamed, names=_STATE)
"""Translate a run's `state.pt`, as torch reads it."""

current_trace = partial(_renamed, names=_TRACE)
"""Translate the trace of a network's gradients."""


def current_atlas(stored: Any) -> Any:
    """Metadata of an atlas under its present names; anything else is returned unchanged."""
    if not isinstance(stored, Mapping) or stored.get("schema") != 1:
        return stored
    header = stored.get("header")
    if not isinstance(header, Mapping):
        return stored
    renamed = _renamed(header, {"block": "batch_size"})
    # schema 1 did not store the source: it is known for the whole splits of CIFAR-10
    splits = {"10000": "test", "50000": "train", "60000": "all"}
    split = splits.get(str(header.get("pictures")))
    known = split and str(header.get("data")).startswith("CIFAR-10")
    renamed["source"] = f"cifar10/{split}" if known else ""
    return {**stored, "schema": 2, "header": renamed}


def current_record(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a study's run under its present names: arm, and options of the recipe."""
    renamed = dict(stored)
    if isinstance(study := stored.get("study"), str):
        renamed["study"] = _STUDIES.get(study, study)
    if isinstance(arm := stored.get("arm"), str):
        renamed["arm"] = _arm(arm, _ARMS, _FACTORS)
    if "configuration" in stored:
        renamed["configuration"] = current_run(stored["configuration"])
    return renamed


def earlier_arm(arm: str) -> str:
    """The name that an arm of a study had before, for the folder of a run that was stopped."""
    return _arm(arm, _inverse(_ARMS), _inverse(_FACTORS))


def earlier_study(name: str) -> str:
    """The name that a study had before, for its file of records."""
    return _inverse(_STUDIES).get(name, name)


def _inverse(names: Mapping[str, str]) -> dict[str, str]:
    return {present: earlier for earlier, present in names.items()}


def _arm(arm: str, arms: Mapping[str, str], factors: Mapping[str, str]) -> str:
    factor, equals, value = arm.partition("=")
    return arms.get(arm, f"{factors.get(factor, factor)}{equals}{value}")
