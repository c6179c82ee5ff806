"""Networks of your own: a function to import, and a file of weights."""

import importlib
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from deconvviz.errors import SettingError, UnknownModelError
from deconvviz.io.bundle import Bundle, weights_digest
from deconvviz.io.weights import read_weights


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
        if input_size is None:
            bundle = replace(bundle, assumed=("input size", *bundle.assumed))
    if checkpoint is None:
        return bundle
    weights = read_weights(Path(checkpoint).expanduser(), bundle.model.state_dict())
    bundle.model.load_state_dict(weights)
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
