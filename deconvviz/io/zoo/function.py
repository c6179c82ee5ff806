"""Networks of your own: a function to import, and a file of weights."""

import importlib
import pickle
import sys
import textwrap
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from deconvviz.errors import CheckpointError, SettingError, UnknownModelError
from deconvviz.io.bundle import Bundle, weights_digest

# Raised by the readers of damaged or unusual files.
_UNREADABLE = (
    *(SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError),
    *(LookupError, OSError, TypeError, AttributeError),
)
_NESTED = ("state_dict", "model_state_dict", "model")  # where training scripts put the weights


def load_function(
    name: str, checkpoint: str | Path | None, input_size: tuple[int, int, int] | None
) -> Bundle:
    """Import a function, call it, and make its result a bundle; see `load`."""
    made = _call(name)
    if isinstance(made, Bundle):
        if input_size is not None:
            raise SettingError(f"`{name}` returns a Bundle, which has an input size; leave it out")
        bundle = made
    else:
        bundle = Bundle.of(made, input_size or (3, 224, 224), name=name)
    if checkpoint is None:
        return bundle
    load_weights(bundle.model, Path(checkpoint).expanduser())
    summary = (*bundle.summary, f"weights from {Path(checkpoint).name}")
    return replace(bundle, sha256=weights_digest(bundle.model), summary=summary)


def _call(name: str) -> Any:
    module, _, function = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # as in a notebook; a console script has the script's folder there
        sys.path.append(here)
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise UnknownModelError(
            f"cannot import `{module}` for `{name}` ({error}); run from its folder, or install it"
        ) from error
    except (Exception, SystemExit) as error:  # the code may raise anything
        raise SettingError(
            f"`{module}` fails when it is imported: {_one_line(error)}; correct it first"
        ) from error
    for part in function.split("."):
        if not hasattr(found, part):
            raise UnknownModelError(f"`{module}` has no function `{function}`")
        found = getattr(found, part)
    try:
        made = found()
    except (Exception, SystemExit) as error:
        raise SettingError(
            f"`{name}` failed: {_one_line(error)}; it is called without arguments"
        ) from error
    if not isinstance(made, nn.Module | Bundle):
        raise SettingError(
            f"`{name}` returned {type(made).__name__}; it must return a torch.nn.Module or a Bundle"
        )
    return made


def _one_line(error: BaseException) -> str:
    return textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" …")


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a file of weights into a model, in place.

    It is safetensors, or a `state_dict` that `torch.save` wrote, alone or under "state_dict",
    "model_state_dict" or "model". Code in it is never run.

    Raises:
        CheckpointError: The file is missing, damaged, unsafe, or of another network.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    weights = _read(path)
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise CheckpointError(f"{path}: `{name}` holds values that are not finite")
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:  # missing and unexpected keys, and other shapes
        reason = textwrap.shorten(str(error), 300, placeholder=" …")
        raise CheckpointError(f"{path} is of another network: {reason}") from error


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on unusual pickles
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise CheckpointError(
            f"{path} has no weights that can be read without running code; save the "
            "network's state_dict() alone"
        ) from error
    for key in _NESTED:
        if isinstance(stored, Mapping) and isinstance(stored.get(key), Mapping):
            stored = stored[key]
    if not isinstance(stored, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in stored.items()
    ):
        raise CheckpointError(
            f"{path} has no weights by name; save the network's state_dict() alone"
        )
    return dict(stored)
