"""Networks by name or path."""

import re
from pathlib import Path

from deconvviz.errors import SettingError, UnknownModelError
from deconvviz.io.bundle import Bundle
from deconvviz.io.checkpoint import load_checkpoint

DEMOS = ("demo-photos", "demo", "demo-accurate", "demo-deconv")
"""The networks in the package; the app opens the first."""
TWINS = ("demo-accurate", "demo-deconv")
"""The two of them that differ in the decoder alone."""


def demo_folder() -> Path:
    """The folder of the networks in the package, their cards, snapshots and atlases."""
    return Path(__file__).parents[2] / "demo"


_KINDS = (
    f"{', '.join(DEMOS)}, torchvision/NAME, timm/NAME, paths of checkpoints that end in "
    ".safetensors, and package.module:function for a network of your own"
)
_EPOCH = re.compile(r"epoch-([0-9]{1,9})\.safetensors")
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def is_function(name: str) -> bool:
    """Whether a name is "package.module:function", and no file."""
    return bool(_FUNCTION.fullmatch(name)) and not Path(name).exists()


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
        name: "demo", trained on CIFAR-10 against an adversary, so that its projections are clear;
            "demo-photos", the same for photographs of 20 classes; "demo-accurate", trained on
            CIFAR-10 without an adversary; "demo-deconv", the same with a deconvolution decoder; the
            path of a checkpoint made by `deconvviz train`; "torchvision/NAME" or "timm/NAME"; or
            "package.module:function", a function without arguments that returns a module, or a
            `Bundle` made by `Bundle.of`.
        weights: Weights of torchvision and timm: "default", a name, or None for random ones.
        download: Whether to download missing weights, with a progress bar.
        checkpoint: File of a function's network: a `state_dict`, safetensors or made by
            `torch.save`; code in it is never run.
        input_size: Channels, height, width for a function's network; 3 x 224 x 224 by default.

    Raises:
        UnknownModelError: There is no network of this name.
        CheckpointError: A checkpoint or weights are missing, damaged, unsafe or of another network.
        SettingError: An option does not apply to this kind of name.
    """
    text = str(name)
    by_function = is_function(text)
    if not by_function and (checkpoint is not None or input_size is not None):
        raise SettingError(
            "checkpoint and input_size are for package.module:function alone, and "
            f"`{text}` is not one; leave them out, or write a function that returns the network, "
            "as docs/how-to/model.md shows"
        )
    source, _, rest = text.partition("/")
    if weights != "default" and (by_function or source not in ("torchvision", "timm")):
        raise SettingError(
            f"weights are chosen for torchvision/NAME and timm/NAME alone, and `{text}` is not "
            f"one; leave out {weights or 'none'}"
        )
    if by_function:
        from deconvviz.io.zoo.function import load_function

        return load_function(text, checkpoint, input_size)
    if source == "torchvision":
        from deconvviz.io.zoo.torchvision_models import load_torchvision

        return load_torchvision(rest, weights, download=download)
    if source == "timm":
        from deconvviz.io.zoo.timm_models import load_timm

        return load_timm(rest, weights, download=download)
    if text in DEMOS:
        path = demo_folder() / f"{text}.safetensors"
        epochs = path.parent / f"{text}-epochs"
    else:
        path = Path(text).expanduser()
        epochs = path.parent / "snapshots"
        if not path.exists() and path.suffix != ".safetensors":
            raise UnknownModelError(f"no model `{text}`; there are {_KINDS}")
    numbered = ((_EPOCH.fullmatch(file.name), file) for file in sorted(epochs.glob("epoch-*")))
    snapshots = {int(match[1]): file for match, file in numbered if match}
    return Bundle.from_checkpoint(path.stem, load_checkpoint(path), snapshots)
