"""Which networks a session may choose, by label: what the picker shows and a link says.

What the command line names and the demos are offered to all, in this order. A session adds a
library's network by its name, "torchvision/NAME" or "torchvision/NAME, untrained", and checkpoints
that only it has.
"""

import hashlib
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from deconvviz.errors import SettingError, UnknownModelError
from deconvviz.io.checkpoint import read_checkpoint
from deconvviz.io.images import safe_name
from deconvviz.io.zoo import DEMOS, is_function
from deconvviz.io.zoo.library import (
    check_name,
    is_library,
    parameters,
    stored_weights,
)
from deconvviz.ui.memory import NETWORKS, working
from deconvviz.ui.uploads import Uploads

MAX_PARAMETERS = 150_000_000
"""Of a library's network that a session opens: the largest of the classical ones, VGG19, has 144
million. 150 million take 0.6 GB, and as much again for a twin of random weights."""

_NO_DOWNLOADS = "--no-downloads"  # options of `deconvviz app`
_WEIGHTS = "--weights="
_CHECKPOINT = "--checkpoint="
_INPUT_SIZE = "--input-size="
_OPENED = 8  # names of libraries' networks that a session's picker keeps
_TRAINED = {"trained": "default", "untrained": None}


@dataclass(frozen=True)
class Choice:
    """A network to open.

    Attributes:
        name: As `load` takes it; of an uploaded checkpoint the name of its file.
        weights: As `load` takes them.
        checkpoint: Weights file of a function's network, or "".
        input_size: Channels, height, width of it, with commas; "" for its own.
        content: An uploaded checkpoint, which is in the session alone.
        digest: Its SHA-256.
        is_bounded: Whether a session added it by name, so that its size is limited and its weights
            are not downloaded unasked.
    """

    name: str
    weights: str | None = "default"
    checkpoint: str = ""
    input_size: str = ""
    content: bytes = b""
    digest: str = ""
    is_bounded: bool = False

    @property
    def key(self) -> tuple[str | None, ...]:
        """For caches: of an uploaded network its digest alone, so that no name is shared."""
        if self.digest:
            return (self.digest,)
        return (self.name, self.weights, self.checkpoint, self.input_size)

    @property
    def needs_download(self) -> bool:
        """Whether the weights of a network that a session named are not on the disk."""
        return (
            self.is_bounded and self.weights is not None and not stored_weights(self.name).on_disk
        )


def downloads_allowed() -> bool:
    """Whether this server may fetch weights."""
    return _NO_DOWNLOADS not in sys.argv


def offered() -> dict[str, Choice]:
    """What the session may choose, by label: the demos, the command line's, its own."""
    named = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    return {
        **{_label(name): _named(name) for name in named},
        **{name: Choice(name) for name in DEMOS if name not in named},
        **{label: library_choice(label) for label in _opened()},
        **uploaded(),
    }


def chosen() -> Choice:
    """The one that the picker of the network shows."""
    choices = offered()
    return choices.get(st.session_state.get("model", ""), next(iter(choices.values())))


def named_checkpoints() -> dict[str, str]:
    """Label -> path of the checkpoints named on the command line."""
    return {_label(one): one for one in sys.argv[1:] if one.endswith(".safetensors")}


def _label(name: str) -> str:
    """The last two parts of a path, because the checkpoints of all runs have one file name."""
    return str(Path(*Path(name).parts[-2:])) if name.endswith(".safetensors") else name


def _named(name: str) -> Choice:
    """A network with what the command line says of it."""
    if not is_function(name):
        return Choice(name, _weights_of(name))
    return Choice(name, checkpoint=_given(_CHECKPOINT), input_size=_given(_INPUT_SIZE))


def _weights_of(name: str) -> str | None:
    """The weights that the command line gives a library's network."""
    weights = (_given(_WEIGHTS) if is_library(name) else "") or "default"
    return None if weights == "none" else weights


def _given(option: str) -> str:
    """The value of an option of `deconvviz app`, or ""."""
    given = [one.removeprefix(option) for one in sys.argv if one.startswith(option)]
    return given[-1] if given else ""


def library_label(name: str, *, trained: bool) -> str:
    """The label of a library's network; the name alone has the weights of the command line."""
    if _weights_of(name) == ("default" if trained else None):
        return name
    return f"{name}, {'trained' if trained else 'untrained'}"


def library_choice(label: str) -> Choice:
    """The network of a library that a label means.

    Raises:
        UnknownModelError: No library has it.
    """
    name, _, kind = label.partition(", ")
    if not is_library(name) or kind not in ("", *_TRAINED):
        raise UnknownModelError(f"there is no network `{label[:80]}` here; choose one of the list")
    check_name(name)
    weights = _TRAINED[kind] if kind else _weights_of(name)
    return Choice(name, weights, is_bounded=True)


def check_size(name: str) -> None:
    """Raise a `SettingError` if a library's network is too large to be opened from the page."""
    count = parameters(name)
    if count > MAX_PARAMETERS:
        raise SettingError(
            f"`{name}` has {count / 1e6:.0f} million parameters, and from the page at most "
            f"{MAX_PARAMETERS // 10**6} million are opened, because the server's memory is shared; "
            f"on a computer of your own, `deconvviz app {name} --download` opens it"
        )


# --- what a session adds --------------------------------------------------------------------------


def _opened() -> list[str]:
    names: list[str] = st.session_state.get("networks-opened", [])
    return names


def open_next(label: str) -> None:
    """Choose a label at the start of the next run, when the picker may still be set."""
    st.session_state["network-next"] = label


def open_nothing() -> None:
    """Leave the choice as it is."""
    st.session_state.pop("network-next", None)


def is_next() -> bool:
    """Whether a network waits for the next run."""
    return "network-next" in st.session_state


def settle() -> None:
    """Before the picker is shown: choose what was opened, and offer what a link names."""
    if is_next():
        st.session_state["model"] = st.session_state.pop("network-next")
        st.session_state["unit"] = "strongest"
    dropped = _uploads().lost()
    for label in dropped:
        _tell(
            f"`{label}` is here no more: the server keeps the latest uploads of all; add it again"
        )
    label = str(st.session_state.get("model") or st.query_params.get("model", ""))
    if not label or label in dropped or label in offered():
        return
    if label.endswith(".safetensors"):
        _tell(
            f"`{safe_name(label)}` is not in this session: a checkpoint that somebody adds is in "
            "their own session alone, until it ends; add it again"
        )
        return
    try:
        library_choice(label)
    except (UnknownModelError, SettingError) as error:
        _tell(str(error))
    else:
        st.session_state["networks-opened"] = [*_opened(), label][-_OPENED:]


def messages() -> list[str]:
    """What became of networks that were chosen and are not here; each is said once."""
    said: list[str] = st.session_state.pop("network-messages", [])
    return said


def _tell(message: str) -> None:
    st.session_state.setdefault("network-messages", []).append(message)


def uploaded() -> dict[str, Choice]:
    """The session's checkpoints, by label."""
    return dict(_uploads())


def keep_checkpoint(content: bytes, name: str) -> None:
    """Add a checkpoint to the session, and open it next.

    Raises:
        CheckpointError: See `read_checkpoint`.
    """
    with working():  # so that many sessions' files are not read at once
        read_checkpoint(content, name)
    digest = hashlib.sha256(content).hexdigest()
    same = (label for label, one in uploaded().items() if one.digest == digest)
    label = next(same, None) or _free_label(safe_name(name, "a file"), offered())
    _uploads().add(label, Choice(label, content=content, digest=digest))
    open_next(label)


def remove_checkpoint(label: str) -> None:
    """Take a checkpoint out of the session; if it is chosen, the first demo is."""
    _uploads().remove(label)
    if st.session_state.get("model") == label:
        open_next(DEMOS[0])


def _uploads() -> Uploads[Choice]:
    return Uploads.of_session("networks-uploaded", NETWORKS)


def _free_label(name: str, taken: Collection[str]) -> str:
    """A file's name as a label, numbered if another network has it."""
    name = name if name.endswith(".safetensors") else f"{name}.safetensors"
    stem, label, number = name.removesuffix(".safetensors"), name, 1
    while label in taken:
        number += 1
        label = f"{stem} ({number}).safetensors"
    return label
