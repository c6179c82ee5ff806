"""The typed door to torchvision's networks."""

import pickle
import warnings
from difflib import get_close_matches
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from PIL import Image
from torch import nn

from deconvviz.errors import UnknownModelError
from deconvviz.io.bundle import Bundle, weights_digest
from deconvviz.io.preprocess import Preprocess
from deconvviz.io.zoo.weights import not_here, unreadable

__all__ = ["network"]

_PIXELS = 224  # of the pictures of networks whose weights do not say
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and std, all of torchvision's
_NO_PICTURES = ("video", "optical_flow", "quantization")


def network(name: str, weights: str | None, *, download: bool) -> Bundle:
    """One of torchvision's networks, with its own weights and its own way to take a picture.

    A detector is its backbone, which is all of it that is convolutional.

    Args:
        name: As torchvision's `get_model` takes it.
        weights: "default", the name of others of this network, or None for random ones.
        download: Whether they may be fetched where torchvision's cache has none.

    Raises:
        UnknownModelError: torchvision has no such network, or no such weights of it.
        CheckpointError: the weights are not here, or damaged, or could not be fetched.
    """
    builder = _builder(name)
    entry = None if weights is None else _weights(name, weights)
    model: Any = _built(builder, name, entry, download)
    preprocessing = _intake(entry)
    if _package(builder) == "detection":
        preprocessing = _detectors_intake(model.transform)
        model = model.backbone
    meta = entry.meta if entry else {}
    return Bundle(
        f"torchvision/{name}",
        model.eval(),
        preprocessing,
        name,
        () if _package(builder) else tuple(meta.get("categories", ())),
        _facts(entry),
        _card(name, entry),
        sha256=weights_digest(model),
    )


def _builder(name: str) -> Any:
    from torchvision.models import get_model_builder, list_models

    known = [n for n in list_models() if _package(get_model_builder(n)) not in _NO_PICTURES]
    if name not in known:
        near = ", ".join(get_close_matches(name, known, n=3)) or "resnet18, vgg16, densenet121"
        raise UnknownModelError(f"torchvision has no network `{name}` for pictures; near: {near}")
    return get_model_builder(name)


def _package(builder: Any) -> str:
    """What networks of a kind lie in: "detection", "segmentation", ...; "" for classifiers."""
    parts: list[str] = builder.__module__.split(".")
    return parts[2] if len(parts) > 3 else ""


def _weights(name: str, wanted: str) -> Any:
    from torchvision.models import get_model_weights

    kinds = get_model_weights(name)
    if wanted == "default":
        return kinds.DEFAULT
    if wanted not in kinds.__members__:
        raise UnknownModelError(
            f"torchvision/{name} has no weights `{wanted}`; it has {', '.join(kinds.__members__)}"
        )
    return kinds[wanted]


def _built(builder: Any, name: str, entry: Any, download: bool) -> nn.Module:
    options: dict[str, Any] = {"weights": entry}
    if entry is None:
        # Detectors and segmenters would fetch the weights of their backbone unasked; two networks
        # warn that they take a minute for an initialisation that nothing here needs.
        options |= {"weights_backbone": None} if _package(builder) else {}
        options |= {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    elif not download and not _file(entry).is_file():
        size = entry.meta.get("_file_size", 0)
        raise not_here(f"torchvision/{name}", f"{size:.0f} MB, at {_file(entry)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torchvision's own ways, which no person here chose
            model: nn.Module = builder(**options)
    except (OSError, HTTPException, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        if entry is None:
            raise
        raise unreadable(f"torchvision/{name}", error, _file(entry)) from error
    return model


def _file(entry: Any) -> Path:
    """Where torchvision keeps these weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(entry.url).path).name


def _intake(entry: Any) -> Preprocess:
    how = entry.transforms() if entry else None
    shorter = (getattr(how, "resize_size", None) or [_PIXELS])[0]
    side = (getattr(how, "crop_size", None) or [shorter])[0]
    mean, std = (tuple(getattr(how, n, d)) for n, d in zip(("mean", "std"), _IMAGENET, strict=True))
    kind = getattr(getattr(how, "interpolation", None), "value", "bilinear")
    return Preprocess(side, mean, std, shorter, Image.Resampling[kind.upper()])


def _detectors_intake(transform: Any) -> Preprocess:
    """A detector normalises inside itself, before its backbone, and takes pictures of any size.

    One that does not is for squares of one size.
    """
    side, _ = transform.fixed_size or (_PIXELS, _PIXELS)
    return Preprocess(side, tuple(transform.image_mean), tuple(transform.image_std))


def _facts(entry: Any) -> tuple[str, ...]:
    if entry is None:
        return ("random weights, not trained",)
    measured = [
        f"{data}, {measure}: **{value:g}** (torchvision's figure)"
        for data, values in entry.meta.get("_metrics", {}).items()
        for measure, value in list(values.items())[:1]
    ]
    return (f"torchvision's weights `{entry.name}`", *measured)


def _card(name: str, entry: Any) -> str:
    lines = [f"# torchvision/{name}", ""]
    if entry is None:
        return "\n".join([*lines, "torchvision's network with random weights, not trained.", ""])
    meta = entry.meta
    lines += [f"torchvision's network with its weights `{entry}`.", "", "| | |", "|---|---|"]
    lines += [
        f"| {data}, {measure} | {value:g} (torchvision's figure) |"
        for data, values in meta.get("_metrics", {}).items()
        for measure, value in values.items()
    ]
    lines += [
        f"| {what} | {meta[key]} |"
        for what, key in (("Parameters", "num_params"), ("Training recipe", "recipe"))
        if key in meta
    ]
    told = " ".join(str(meta.get("_docs", "")).split())
    return "\n".join([*lines, "", told, ""])
