"""Earlier names in stored files and their present ones: the only place that knows them."""

from collections.abc import Mapping
from typing import Any

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
_STATE = {"parts": "objective", "teacher": "ema"}
_GROUP = {"peak": "max_lr"}
_ATLAS_HEADER = {"block": "batch_size"}
_ARMS = {
    "below": "skip_last_stages",
    "fill": "inpaint",
    "without cooling": "constant lr",
    "without fast shifts": "without fast biases",
}
_STUDIES = {"levers": "hyperparameters"}
_FACTORS = {"rate": "lr", "decoder-rate": "decoder-lr"}
_TRACE = {"arm": "condition", "moments": "stats"}
_SETTING = {"data": "dataset", "rate": "lr", "start": "init"}


def _renamed(stored: Any, names: Mapping[str, str]) -> Any:
    """A mapping under present names; anything else is left for the schema to refuse."""
    if not isinstance(stored, Mapping):
        return stored
    return {names.get(name, name): value for name, value in stored.items()}


def current_options(stored: Any) -> Any:
    """Training options, a `Recipe` in JSON."""
    options = _renamed(stored, _OPTIONS)
    if isinstance(options, Mapping):
        parts = {part: _renamed(options[part], _PARTS[part]) for part in _PARTS if part in options}
        return {**options, **parts}
    return options


def current_run(stored: Any) -> Any:
    """A run's `config.json`, the training record of a checkpoint, a study's configuration."""
    run = _renamed(stored, {"ensemble": "teacher_sha256"})
    if isinstance(run, Mapping) and "recipe" in run:
        return {**run, "recipe": current_options(run["recipe"])}
    return run


def current_state(stored: Any) -> Any:
    """A run's `state.pt`, as torch reads it."""
    state = _renamed(stored, _STATE)
    if not isinstance(state, Mapping) or not isinstance(state.get("optimisers"), list):
        return state
    optimisers = [
        {**one, "param_groups": [_renamed(group, _GROUP) for group in one["param_groups"]]}
        if isinstance(one, Mapping) and isinstance(one.get("param_groups"), list)
        else one
        for one in state["optimisers"]
    ]
    return {**state, "optimisers": optimisers}


def current_atlas(stored: Any) -> Any:
    """Metadata of an atlas under its present names; anything else is returned unchanged."""
    if not isinstance(stored, Mapping) or stored.get("schema") != 1:
        return stored
    header = stored.get("header")
    if not isinstance(header, Mapping):
        return stored
    renamed = _renamed(header, _ATLAS_HEADER)
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
        factor, equals, value = arm.partition("=")
        renamed["arm"] = _ARMS.get(arm, f"{_FACTORS.get(factor, factor)}{equals}{value}")
    if "configuration" in stored:
        renamed["configuration"] = current_run(stored["configuration"])
    return renamed


def earlier_arm(arm: str) -> str:
    """The name that an arm of a study had before, for the folder of a run that was stopped."""
    names = {present: earlier for earlier, present in _ARMS.items()}
    factors = {present: earlier for earlier, present in _FACTORS.items()}
    factor, equals, value = arm.partition("=")
    return names.get(arm, f"{factors.get(factor, factor)}{equals}{value}")


def earlier_study(name: str) -> str:
    """The name that a study had before, for its file of records."""
    return {present: earlier for earlier, present in _STUDIES.items()}.get(name, name)


def current_trace(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The trace of a network's gradients under its present names."""
    trace: dict[str, Any] = _renamed(stored, _TRACE)
    if "setting" in trace:
        trace["setting"] = _renamed(trace["setting"], _SETTING)
    return trace
