"""A name or a path -> a network that is ready to be looked at."""

import re
from pathlib import Path

from deconvviz.errors import SettingError, UnknownModelError
from deconvviz.io.bundle import Bundle
from deconvviz.io.checkpoint import load_checkpoint

__all__ = ["DEMOS", "load"]

DEMOS = ("demo", "demo-deconv")
"""The networks that come with the package."""

_KINDS = (
    f"{', '.join(DEMOS)}, torchvision/NAME, timm/NAME, paths of checkpoints that end in "
    ".safetensors, and package.module:function, which makes a network of your own"
)
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def load(
    name: str | Path,
    *,
    weights: str | None = "default",
    download: bool = False,
    checkpoint: str | Path | None = None,
    input_size: tuple[int, int, int] | None = None,
) -> Bundle:
    """Load a network.

    Args:
        name: "demo", trained on CIFAR-10; "demo-deconv", its twin trained with a deconvolution
            decoder; the path of a checkpoint made by `deconvviz train`; "torchvision/NAME" or
            "timm/NAME"; or "package.module:function", which is imported and called without
            arguments and gives a module, or a `Bundle`, made by `Bundle.of`.
        weights: Of torchvision and timm: "default", the name of others, or None for random ones.
        download: Whether weights that are not on this machine may be fetched, with a progress bar.
        checkpoint: Of a function's network: a file of its `state_dict`, safetensors or made by
            `torch.save`; code in it is never run.
        input_size: Of a function's network: channels, height, width; 3 x 224 x 224 by default.

    Raises:
        UnknownModelError: no network has this name.
        CheckpointError: a checkpoint or weights are missing, damaged, unsafe or of another network.
        SettingError: an option does not go with this kind of name.
    """
    text = str(name)
    is_function = bool(_FUNCTION.fullmatch(text)) and not Path(text).exists()
    if not is_function and (checkpoint is not None or input_size is not None):
        raise SettingError(
            f"`{text}` is no package.module:function, so a checkpoint or an input size for it "
            "means nothing; leave it out"
        )
    if is_function:
        from deconvviz.io.zoo.own import load_function

        return load_function(text, checkpoint, input_size)
    source, _, rest = text.partition("/")
    if source == "torchvision":
        from deconvviz.io.zoo._torchvision import network

        return network(rest, weights, download=download)
    if source == "timm":
        from deconvviz.io.zoo._timm import network

        return network(rest, weights, download=download)
    return _from_file(text)


def _from_file(name: str) -> Bundle:
    if name in DEMOS:
        folder = Path(__file__).parents[2] / "demo"
        checkpoint = load_checkpoint(folder / f"{name}.safetensors")
        return Bundle.from_checkpoint(name, checkpoint, _snapshots(folder / f"{name}-epochs"))
    path = Path(name).expanduser()
    if not path.exists() and path.suffix != ".safetensors":
        raise UnknownModelError(f"no model `{name}`; there are {_KINDS}")
    return Bundle.from_checkpoint(
        path.stem, load_checkpoint(path), _snapshots(path.parent / "snapshots")
    )


def _snapshots(folder: Path) -> dict[int, Path]:
    paths = sorted(folder.glob("epoch-*.safetensors"))
    return {int(path.stem.removeprefix("epoch-")): path for path in paths}
