"""Weights that come from elsewhere: what to say where they are missing."""

from pathlib import Path

from deconvviz.errors import CheckpointError

__all__ = ["not_here", "unreadable"]


def not_here(name: str, place: str = "") -> CheckpointError:
    """The error for weights that may not be fetched unasked; `place` says more of them."""
    told = f" ({place})" if place else ""
    return CheckpointError(
        f"the weights of {name}{told} are not on this machine; allow the download (--download, or "
        "download=True), or take random ones (--weights none, or weights=None)"
    )


def unreadable(name: str, error: Exception, file: Path | None = None) -> CheckpointError:
    """The error for weights that could not be fetched, or came damaged."""
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    damaged = f", and delete {file} if it is damaged" if file and file.exists() else ""
    return CheckpointError(
        f"the weights of {name} could not be fetched or read ({reason}); check the network{damaged}"
    )
