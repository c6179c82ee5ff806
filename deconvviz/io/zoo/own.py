"""Networks of a person's own: a function to import, and perhaps a file of weights."""

import importlib
import pickle
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from deconvviz.errors import CheckpointError, SettingError, UnknownModelError
from deconvviz.io.bundle import Bundle, weights_digest

__all__ = ["load_function", "load_weights"]

_NESTED = ("state_dict", "model_state_dict", "model")  # where training scripts put the weights


def load_function(
    name: str, checkpoint: str | Path | None, input_size: tuple[int, int, int] | None
) -> Bundle:
    """Import a function, call it, and make what it gives a bundle.

    Args:
        name: "package.module:function"; it takes no arguments and gives a module, or a `Bundle`.
        checkpoint: Weights to load into it.
        input_size: Channels, height and width of its pictures, if it gives a module.

    Raises:
        UnknownModelError: there is no such module or function.
        SettingError: the function fails, or gives something else.
        CheckpointError: the weights are missing, damaged, unsafe or of another network.
    """
    made = _called(name)
    if isinstance(made, Bundle):
        if input_size is not None:
            raise SettingError(f"`{name}` gives a Bundle, which has an input size; leave it out")
        bundle = made
    else:
        bundle = Bundle.of(made, input_size or (3, 224, 224), name=name)
    if checkpoint is None:
        return bundle
    load_weights(bundle.model, Path(checkpoint).expanduser())
    fields = {**vars(bundle), "sha256": weights_digest(bundle.model)}
    return Bundle(**{**fields, "facts": (*bundle.facts, f"weights from {Path(checkpoint).name}")})


def _called(name: str) -> Any:
    module, _, function = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # as in a notebook; a console script has its own folder there instead
        sys.path.append(here)
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise UnknownModelError(
            f"no module `{module}` for `{name}` ({error}); run from the folder it lies in, or "
            "install it"
        ) from error
    for part in function.split("."):
        if not hasattr(found, part):
            raise UnknownModelError(f"`{module}` has no function `{function}`")
        found = getattr(found, part)
    try:
        made = found()
    except Exception as error:  # whatever a person's own code raises
        raise SettingError(
            f"`{name}` failed: {type(error).__name__}: {error}; it is called without arguments"
        ) from error
    if not isinstance(made, nn.Module | Bundle):
        raise SettingError(
            f"`{name}` gave {type(made).__name__}; it must give a torch.nn.Module or a Bundle"
        )
    return made


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a file of weights into a model, all of them or none.

    Args:
        model: Changed in place.
        path: safetensors, or a `state_dict` that `torch.save` wrote, alone or under "state_dict",
            "model_state_dict" or "model". Code in it is never run.

    Raises:
        CheckpointError: the file is missing, damaged, unsafe, or of another network.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    weights, wanted = _read(path), model.state_dict()
    for what, names in (("lacks", wanted.keys() - weights), ("adds", weights.keys() - wanted)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise CheckpointError(f"{path} is of another network: it {what} `{min(names)}`{more}")
    for name, tensor in weights.items():
        if tensor.shape != wanted[name].shape:
            raise CheckpointError(
                f"{path}: `{name}` is {list(tensor.shape)}, the network needs "
                f"{list(wanted[name].shape)}"
            )
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise CheckpointError(f"{path}: `{name}` holds values that are not finite")
    model.load_state_dict(weights)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unusual pickles, which are refused below or read
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(
            f"{path} holds no weights that can be read without running code; save the network's "
            "state_dict() alone"
        ) from error
    for key in _NESTED:
        if isinstance(stored, Mapping) and isinstance(stored.get(key), Mapping):
            stored = stored[key]
    if not isinstance(stored, Mapping) or not all(isinstance(t, Tensor) for t in stored.values()):
        raise CheckpointError(
            f"{path} holds no weights by name; save the network's state_dict() alone"
        )
    return dict(stored)
