"""Common parts of networks of torchvision and timm: their bundle, and errors on weights."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from torch import nn

from deconvviz.errors import CheckpointError, UnknownModelError
from deconvviz.io.bundle import Bundle, weights_digest
from deconvviz.io.preprocess import Preprocess


def library_bundle(
    name: str,
    model: nn.Module,
    preprocessing: Preprocess,
    summary: Sequence[str],
    classes: Sequence[str] = (),
    table: Iterable[tuple[str, object]] = (),
    notes: str = "",
) -> Bundle:
    """A bundle of a library's network, with a card.

    Args:
        name: "LIBRARY/NAME".
        model: Network.
        preprocessing: Preprocessing of pictures.
        summary: Phrases on its weights and accuracy; the first says which weights it has.
        classes: Class names in the order of the logits.
        table: Rows of the card.
        notes: Text below the table.
    """
    library, _, rest = name.partition("/")
    lines = [f"# {name}", "", f"{library}'s network, {summary[0]}.", ""]
    if rows := [f"| {key} | {value} |" for key, value in table]:
        lines += ["| | |", "|---|---|", *rows, ""]
    card = "\n".join([*lines, *([notes, ""] if notes else [])])
    return Bundle(
        name,
        model.eval(),
        preprocessing,
        rest.partition(".")[0],
        tuple(classes),
        tuple(summary),
        card,
        sha256=weights_digest(model),
    )


def unknown_network(library: str, name: str, known: Sequence[str]) -> UnknownModelError:
    """The error for a name that the library does not have, with the closest ones."""
    close = ", ".join(get_close_matches(name, known, n=3)) or "resnet18"
    return UnknownModelError(f"{library} has no network `{name}` for pictures; similar: {close}")


def missing_weights(name: str, place: str = "") -> CheckpointError:
    """The error for weights that are not on this machine; `place` says where they belong."""
    where = f" ({place})" if place else ""
    return CheckpointError(
        f"the weights of {name}{where} are not on this machine; allow the download (--download, or "
        "download=True), or take random ones (--weights none, or weights=None)"
    )


def unreadable_weights(name: str, error: Exception, file: Path | None = None) -> CheckpointError:
    """The error for weights that could not be downloaded, or are damaged."""
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    damaged = f", and delete {file} if it is damaged" if file and file.exists() else ""
    return CheckpointError(
        f"cannot download or read the weights of {name} ({reason}); check the network{damaged}"
    )
