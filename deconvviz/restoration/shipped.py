"""The networks in the package, by what they do."""

from collections.abc import Mapping
from pathlib import Path

from deconvviz.errors import CheckpointError, SettingError
from deconvviz.io.checkpoint import Checkpoint, load_checkpoint
from deconvviz.io.zoo.names import demo_folder
from deconvviz.networks import architecture

FILES: Mapping[str, tuple[str, ...]] = {
    "denoise": ("denoise-grey", "denoise-colour"),
    **{name: (name,) for name in ("deblur", "inpaint", "sr2", "sr3", "sr4", "segment")},
    **{name: (name,) for name in ("generate-mnist", "generate-cifar10")},
}
"""What networks do -> their names in the package."""


def shipped(name: str) -> Path:
    """The file of a network in the package."""
    return demo_folder() / f"{name}.safetensors"


def ships(purpose: str) -> bool:
    """Whether the package has all networks for a purpose, a key of `FILES`."""
    return all(shipped(file).is_file() for file in FILES[purpose])


def checkpoints_for(purpose: str, own: Path | None = None) -> list[Path]:
    """The files of the networks for a purpose: those in the package, or one of a person's own.

    Raises:
        CheckpointError: The package has none.
    """
    if own:
        return [own]
    if not ships(purpose):
        raise CheckpointError(
            f"no network for {purpose} comes with this version; train one with `deconvviz "
            "train-restoration` and name it by --checkpoint"
        )
    return [shipped(file) for file in FILES[purpose]]


def load_for(task: str, path: Path) -> Checkpoint:
    """A checkpoint of a network for a task in `TASKS`.

    Raises:
        CheckpointError: It is missing or damaged.
        SettingError: It is of another task.
    """
    checkpoint = load_checkpoint(path)
    if checkpoint.description.task != task:
        other = checkpoint.description.task
        is_what = f"a network for `{other}`" if other else "a classifier"
        raise SettingError(f"{path} is {is_what}, not one for `{task}`")
    return checkpoint


def purpose_of(checkpoint: Checkpoint) -> str:
    """What a network does: a key of `FILES`, a task that has none there, or "" of a classifier."""
    described = checkpoint.description
    if described.task == "sr":
        return f"sr{architecture(described.model).enlarges}"
    if described.task == "generate":
        return "generate-mnist" if described.channels == 1 else "generate-cifar10"
    return described.task
