"""The one typed door to timm, which is an optional extra."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from deconvviz.errors import SettingError, UnknownModelError
from deconvviz.io.bundle import Bundle, weights_digest
from deconvviz.io.preprocess import Preprocess
from deconvviz.io.zoo.weights import not_here, unreadable

__all__ = ["network"]


def network(name: str, weights: str | None, *, download: bool) -> Bundle:
    """One of timm's networks, with its own weights and its own way to take a picture.

    Args:
        name: As `timm.create_model` takes it; `NAME.TAG` names weights too.
        weights: "default" for those that timm takes, another tag, or None for random ones.
        download: Whether they may be fetched where no cache has them.

    Raises:
        SettingError: timm is not installed.
        UnknownModelError: timm has no such network, or no such weights of it.
        CheckpointError: the weights are not here, or could not be fetched.
    """
    timm = _timm()
    full = name if weights in (None, "default") else f"{name.partition('.')[0]}.{weights}"
    plain, _, tag = full.partition(".")
    if not timm.is_model(plain) or (tag and full not in timm.list_pretrained()):
        known = timm.list_pretrained() if timm.is_model(plain) else timm.list_models()
        near = ", ".join(get_close_matches(full, known, n=3)) or "resnet18, convnext_tiny"
        raise UnknownModelError(f"timm has no network `{full}`; near: {near}")
    if weights is not None:
        _check_weights(timm, full, download)
    try:
        model = timm.create_model(full, pretrained=weights is not None)
    except (OSError, RuntimeError, ValueError) as error:
        if weights is None:
            raise
        raise unreadable(f"timm/{full}", error) from error
    config = timm.data.resolve_model_data_config(model)
    tag = str(model.pretrained_cfg.get("tag") or "")
    fact = f"timm's weights `{tag or plain}`" if weights is not None else "random weights"
    card = f"# timm/{full}\n\ntimm's network, {fact}.\n"
    digest = weights_digest(model)
    return Bundle(
        f"timm/{full}", model.eval(), _intake(config), plain, (), (fact,), card, sha256=digest
    )


def _timm() -> Any:
    try:
        import timm
        import timm.data
    except ImportError as error:
        raise SettingError(
            "timm is not installed; `pip install 'deconvviz[timm]'` brings its networks"
        ) from error
    return timm


def _check_weights(timm: Any, name: str, download: bool) -> None:
    """Refuse weights that are nowhere, or not on this machine and may not be fetched."""
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise UnknownModelError(
            f"timm has no weights for `{name}`; take random ones (--weights none, or weights=None)"
        )
    if not download and not _is_here(config):
        raise not_here(f"timm/{name}")


def _is_here(config: Any) -> bool:
    if config.hf_hub_id:
        from huggingface_hub import try_to_load_from_cache

        names = ("model.safetensors", "pytorch_model.bin", config.hf_hub_filename or "")
        found = [try_to_load_from_cache(config.hf_hub_id, n) for n in names if n]
        return any(isinstance(path, str) for path in found)
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(config.url or "none").name
    return file.is_file()


def _intake(config: dict[str, Any]) -> Preprocess:
    """How timm takes a picture for a test, as `timm.data.create_transform` makes it."""
    _, side, _ = config["input_size"]
    shorter = int(side / config.get("crop_pct", 1.0))
    resample = Image.Resampling[config["interpolation"].upper()]
    return Preprocess(side, tuple(config["mean"]), tuple(config["std"]), shorter, resample)
