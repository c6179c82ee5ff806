"""timm's networks; timm is an optional extra."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from deconvviz.errors import SettingError, UnknownModelError
from deconvviz.io.bundle import UNTRAINED, Bundle
from deconvviz.io.preprocess import Preprocess
from deconvviz.io.zoo.weights import (
    library_bundle,
    missing_weights,
    unknown_network,
    unreadable_weights,
)


def load_timm(name: str, weights: str | None, *, download: bool) -> Bundle:
    """Load one of timm's networks, with its weights and preprocessing; see `load`.

    Args:
        name: Name for `timm.create_model`; `NAME.TAG` names weights too.
        weights: "default", another tag, or None for random weights.
        download: Whether to download weights that no cache has.
    """
    timm = _import_timm()
    full = name if weights in (None, "default") else f"{name.partition('.')[0]}.{weights}"
    plain, _, tag = full.partition(".")
    if not timm.is_model(plain):
        raise unknown_network("timm", full, timm.list_models())
    if tag and full not in timm.list_pretrained():
        raise unknown_network("timm", full, timm.list_pretrained())
    source = {} if weights is None else _source(timm, full, download)
    try:
        model = timm.create_model(full, pretrained=weights is not None, **source)
    except (OSError, RuntimeError, ValueError) as error:
        if weights is None:
            raise
        raise unreadable_weights(f"timm/{full}", error) from error
    tag = str(model.pretrained_cfg.get("tag") or "") or plain
    phrase = f"weights `{tag}`" if weights is not None else UNTRAINED
    preprocessing = _preprocess(timm.data.resolve_model_data_config(model))
    return library_bundle(f"timm/{full}", model, preprocessing, [phrase])


def _import_timm() -> Any:
    try:
        import timm
        import timm.data
    except ImportError as error:
        raise SettingError("timm is not installed; `pip install 'deconvviz[timm]'`") from error
    return timm


def network_names() -> list[str]:
    """All networks."""
    names: list[str] = _import_timm().list_models()
    return names


def weight_names() -> list[str]:
    """All networks with the names of their weights, as NAME.TAG."""
    names: list[str] = _import_timm().list_pretrained()
    return names


def cached_file(name: str) -> Path | None:
    """The file of a network's weights on the disk; None if they were not downloaded.

    Raises:
        UnknownModelError: timm has no weights for this name.
    """
    config = _config(_import_timm(), name)
    if config.hf_hub_id:
        from huggingface_hub import try_to_load_from_cache

        names = (config.hf_hub_filename, "model.safetensors", "pytorch_model.bin")
        found = [try_to_load_from_cache(config.hf_hub_id, n) for n in names if n]
        return next((Path(path) for path in found if isinstance(path, str)), None)
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(config.url or "none").name
    return file if file.is_file() else None


def _config(timm: Any, name: str) -> Any:
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise UnknownModelError(
            f"timm has no weights for `{name}`; take random ones (--weights none, or weights=None)"
        )
    return config


def _source(timm: Any, name: str, download: bool) -> dict[str, Any]:
    """Arguments with which the file on the disk is read; else its server is asked about it."""
    file = cached_file(name)
    if file is None:
        if not download:
            raise missing_weights(f"timm/{name}")
        return {}
    overlay = {"file": str(file), "custom_load": _config(timm, name).custom_load}
    return {"pretrained_cfg_overlay": overlay}


def _preprocess(config: dict[str, Any]) -> Preprocess:
    """The evaluation transform of `timm.data.create_transform`."""
    _, size, _ = config["input_size"]
    resize = int(size / config.get("crop_pct", 1.0))
    interpolation = Image.Resampling[config["interpolation"].upper()]
    return Preprocess(size, tuple(config["mean"]), tuple(config["std"]), resize, interpolation)
