"""Old names in stored files, and what they are called now: the one place that knows them."""

from collections.abc import Mapping
from typing import Any

__all__ = ["current_atlas", "current_options"]

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
_ATLAS_HEADER = {"block": "batch_size"}


def current_options(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Training options under their present names; what has one already keeps it."""
    renamed = {_OPTIONS.get(name, name): value for name, value in stored.items()}
    for part, names in _PARTS.items():
        if isinstance(inner := renamed.get(part), Mapping):
            renamed[part] = {names.get(name, name): value for name, value in inner.items()}
    return renamed


def current_atlas(stored: Any) -> Any:
    """Metadata of an atlas under its present names; anything else is returned unchanged."""
    if not isinstance(stored, Mapping) or stored.get("schema") != 1:
        return stored
    header = stored.get("header")
    if not isinstance(header, Mapping):
        return stored
    renamed = {_ATLAS_HEADER.get(str(name), str(name)): value for name, value in header.items()}
    return {**stored, "schema": 2, "header": {**renamed, "source": _source(renamed)}}


def _source(header: Mapping[str, Any]) -> str:
    """The name and split of CIFAR-10, which schema 1 did not store."""
    splits = {10_000: "test", 50_000: "train", 60_000: "all"}
    pictures = header.get("pictures")
    if str(header.get("data")).startswith("CIFAR-10") and isinstance(pictures, int):
        return f"cifar10/{splits[pictures]}" if pictures in splits else ""
    return ""
