"""Old names in stored files, and what they are called now: the one place that knows them."""

from collections.abc import Mapping
from typing import Any

__all__ = ["current_options", "current_record", "current_trace"]

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
}
_PARTS = {
    "augmentation": {"crop": "crop_padding"},
    "decoder": {
        "below": "skip_last_stages",
        "hold_targets": "detach_targets",
        "fill": "inpaint",
        "rise": "rampup",
        "fall": "rampdown",
    },
}


def current_options(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Training options under their present names; what has one already keeps it."""
    renamed = {_OPTIONS.get(name, name): value for name, value in stored.items()}
    for part, names in _PARTS.items():
        if isinstance(inner := renamed.get(part), Mapping):
            renamed[part] = {names.get(name, name): value for name, value in inner.items()}
    return renamed


_ARMS = {
    "below": "skip_last_stages",
    "fill": "inpaint",
    "without cooling": "constant lr",
    "without fast shifts": "without fast biases",
}
_FACTORS = {"rate": "lr", "decoder-rate": "decoder-lr"}
_TRACE = {"arm": "condition", "moments": "stats"}
_SETTING = {"data": "dataset", "rate": "lr", "start": "init"}


def current_record(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a study's run under its present names: arm, and options of the recipe."""
    renamed = dict(stored)
    if isinstance(arm := stored.get("arm"), str):
        factor, equals, value = arm.partition("=")
        renamed["arm"] = _ARMS.get(arm, f"{_FACTORS.get(factor, factor)}{equals}{value}")
    configuration = stored.get("configuration")
    if isinstance(configuration, Mapping) and isinstance(configuration.get("recipe"), Mapping):
        recipe = current_options(configuration["recipe"])
        renamed["configuration"] = {**configuration, "recipe": recipe}
    return renamed


def current_trace(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The trace of a network's gradients under its present names."""
    renamed = {_TRACE.get(name, name): value for name, value in stored.items()}
    if isinstance(setting := renamed.get("setting"), Mapping):
        renamed["setting"] = {_SETTING.get(name, name): value for name, value in setting.items()}
    return renamed
