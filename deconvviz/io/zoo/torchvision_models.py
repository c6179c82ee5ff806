"""torchvision's networks."""

import pickle
import warnings
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from PIL import Image
from torch import nn

from deconvviz.errors import UnknownModelError
from deconvviz.io.bundle import UNTRAINED, Bundle
from deconvviz.io.preprocess import Preprocess
from deconvviz.io.zoo.weights import (
    library_bundle,
    missing_weights,
    unknown_network,
    unreadable_weights,
)

_SIZE = 224  # of the pictures of networks whose weights do not say
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and std of all of torchvision's
_NOT_PICTURES = ("video", "optical_flow", "quantization")


def load_torchvision(name: str, weights: str | None, *, download: bool) -> Bundle:
    """Load one of torchvision's networks, with its weights and preprocessing; see `load`.

    A detector is its backbone, which is all of it that is convolutional.
    """
    builder = _builder(name)
    entry = None if weights is None else _weights(name, weights)
    model: Any = _build(builder, name, entry, download)
    preprocessing = _preprocess(entry)
    kind = _kind(builder)
    if kind == "detection":  # it normalises inside, before its backbone, at one size or at any
        transform = model.transform
        side, _ = transform.fixed_size or (_SIZE, _SIZE)
        preprocessing = Preprocess(side, tuple(transform.image_mean), tuple(transform.image_std))
        model = model.backbone
    full = f"torchvision/{name}"
    if entry is None:
        return library_bundle(full, model, preprocessing, [UNTRAINED])
    summary, table = [f"weights `{entry.name}`"], []
    for data, metrics in entry.meta.get("_metrics", {}).items():
        for place, (metric, value) in enumerate(metrics.items()):
            table.append((f"{data}, {metric}", f"{value:g} (torchvision's figure)"))
            if place == 0:
                summary.append(f"{data}, {metric}: **{value:g}** (torchvision's figure)")
    labels = {"num_params": "Parameters", "recipe": "Training recipe"}
    table += [(labels[key], entry.meta[key]) for key in labels if key in entry.meta]
    return library_bundle(
        full,
        model,
        preprocessing,
        summary,
        () if kind else entry.meta.get("categories", ()),
        table,
        " ".join(str(entry.meta.get("_docs", "")).split()),
    )


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights: its address, its place on the disk, and what torchvision says of it."""

    url: str
    path: Path
    megabytes: float
    parameters: int


def network_names() -> list[str]:
    """All networks for pictures."""
    from torchvision.models import get_model_builder, list_models

    return [n for n in list_models() if _kind(get_model_builder(n)) not in _NOT_PICTURES]


def weights_file(name: str) -> WeightsFile:
    """The file of a network's default weights, whether or not it is there.

    Raises:
        UnknownModelError: There is no such network.
    """
    _builder(name)
    return _file(_weights(name, "default"))


def _file(entry: Any) -> WeightsFile:
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(entry.url).path).name
    size, count = (entry.meta.get(key, 0) for key in ("_file_size", "num_params"))
    return WeightsFile(entry.url, path, float(size), int(count))


def _builder(name: str) -> Any:
    from torchvision.models import get_model_builder

    known = network_names()
    if name not in known:
        raise unknown_network("torchvision", name, known)
    return get_model_builder(name)


def _kind(builder: Any) -> str:
    """The subpackage of a network: "detection", "segmentation", ...; "" for classifiers."""
    parts: list[str] = builder.__module__.split(".")
    return parts[2] if len(parts) > 3 else ""


def _weights(name: str, wanted: str) -> Any:
    from torchvision.models import get_model_weights

    known = get_model_weights(name)
    if wanted == "default":
        return known.DEFAULT
    if wanted not in known.__members__:
        raise UnknownModelError(
            f"torchvision/{name} has no weights `{wanted}`; it has {', '.join(known.__members__)}"
        )
    return known[wanted]


def _build(builder: Any, name: str, entry: Any, download: bool) -> nn.Module:
    options: dict[str, Any] = {"weights": entry}
    file = _file(entry) if entry else None
    if entry is None:
        # Detectors and segmenters would download their backbone's weights by default; two networks
        # warn that they take a minute for an initialisation that nothing here needs.
        options |= {"weights_backbone": None} if _kind(builder) else {}
        options |= {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    elif file and not download and not file.path.is_file():
        raise missing_weights(f"torchvision/{name}", f"{file.megabytes:.0f} MB, at {file.path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on torchvision's internals
            model: nn.Module = builder(**options)
    except (OSError, HTTPException, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        if file is None:
            raise
        raise unreadable_weights(f"torchvision/{name}", error, file.path) from error
    return model


def _preprocess(entry: Any) -> Preprocess:
    transforms = entry.transforms() if entry else None
    resize = (getattr(transforms, "resize_size", None) or [_SIZE])[0]
    size = (getattr(transforms, "crop_size", None) or [resize])[0]
    mean, std = (
        tuple(getattr(transforms, name, default))
        for name, default in zip(("mean", "std"), _IMAGENET, strict=True)
    )
    kind = getattr(getattr(transforms, "interpolation", None), "value", "bilinear")
    return Preprocess(size, mean, std, resize, Image.Resampling[kind.upper()])
