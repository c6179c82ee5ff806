"""Networks that restore, segment and generate: which there are, and what they make of a picture."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import streamlit as st
import torch
from PIL import Image
from torch import Tensor

from deconvviz.errors import CheckpointError, PictureError
from deconvviz.io.card import inert
from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.images import Picture, limit_side, open_picture
from deconvviz.networks.generators import VaeNet
from deconvviz.restoration.apply import Restorer
from deconvviz.restoration.degradations import from_image
from deconvviz.restoration.generation import load_generator
from deconvviz.restoration.segmenter import Segmenter
from deconvviz.restoration.shipped import FILES, purpose_of, ships
from deconvviz.restoration.trial import Trial, tried
from deconvviz.ui.choices import named_checkpoints
from deconvviz.ui.memory import NETWORKS, kept, working
from deconvviz.ui.show import as_sentence
from deconvviz.ui.uploads import Uploads

LONGEST = 768
"""Longest side in pixels of a picture on the page; the commands take pictures of any size."""
_LONGEST_MADE = 1536  # of an enlarged picture

TITLES: Mapping[str, str] = {
    "denoise": "Denoise",
    "deblur": "Deblur",
    "inpaint": "Fill in",
    "sr2": "Enlarge ×2",
    "sr3": "Enlarge ×3",
    "sr4": "Enlarge ×4",
    "segment": "Segment",
    "generate-mnist": "Generate digits",
    "generate-cifar10": "Generate photographs",
}
_DEEDS: Mapping[str, str] = {
    "denoise": "remove noise",
    "deblur": "remove blur",
    "inpaint": "fill in missing pixels",
    "sr": "enlarge",
    "segment": "segment",
    "generate": "generate",
}
"""Beginning of a purpose -> what its networks do."""

_OPTIONS: Mapping[str, str] = {
    "denoise": "--task denoise --network half --patch 48 --channels 3",
    "deblur": "--task deblur --network half --patch 48 --channels 3",
    "inpaint": "--task inpaint --network half:dilated=true:alpha=true --patch 48 --channels 3",
    "sr2": "--task sr --network fsrcnn:scale=2",
    "sr3": "--task sr --network fsrcnn:scale=3",
    "sr4": "--task sr --network fsrcnn:scale=4 --patch 24",
    "segment": "--task segment --network segmenter --patch 160 --channels 3",
    "generate-mnist": "--task generate --network vae --loss cross-entropy --patch 28",
    "generate-cifar10": "--task generate --network vae --loss l2 --patch 32 --channels 3 "
    "--pictures cifar10",
}


@dataclass(frozen=True)
class Tool:
    """A network for one purpose: of the package, or a person's own.

    Attributes:
        purpose: A key of `TITLES`.
        path: Checkpoint of a network of one's own.
        modified: When that was written, in ns.
    """

    purpose: str
    path: Path | None = None
    modified: int = 0

    @property
    def key(self) -> str:
        """What tells tools apart, for caches."""
        return f"{self.purpose}:{self.path}:{self.modified}"


@dataclass(frozen=True)
class Mask:
    """An uploaded mask of missing pixels, (H, W) bool."""

    key: str
    missing: Tensor = field(repr=False, compare=False)

    def of_size(self, height: int, width: int) -> Tensor:
        """The mask at a picture's size on the page.

        Raises:
            PictureError: It has other proportions.
        """
        rows, columns = self.missing.shape
        if abs(rows * width - columns * height) > 0.02 * rows * width:
            raise PictureError(
                f"the mask is {columns} x {rows} pixels, and the picture {width} x {height}; "
                "make it as large as the picture"
            )
        image = Image.fromarray(self.missing.byte().numpy() * 255)
        return from_image(image.resize((width, height), Image.Resampling.NEAREST))[0] > 127


def tools() -> dict[str, Tool]:
    """The networks there are, by title: those of the package, then those of the command line.

    A file that is not readable is one warning.
    """
    found = {title: Tool(purpose) for purpose, title in TITLES.items() if ships(purpose)}
    for name in named_checkpoints().values():
        path = Path(name)
        try:
            modified = path.stat().st_mtime_ns if path.is_file() else 0
            purpose = _purpose(path, modified)
        except CheckpointError as error:
            st.warning(inert(as_sentence(error), code=True), icon=":material/info:")
            continue
        if purpose in FILES:
            title = f"{TITLES[purpose]}: {path.parent.name}"
            title = f"{title}, {path.stem}" if title in found else title
            found[title] = Tool(purpose, path, modified)
    return found


def deeds(tools: Iterable[Tool]) -> str:
    """What some networks do, as the end of a sentence; empty without any."""
    purposes = [tool.purpose for tool in tools]
    *most, last = [
        deed for start, deed in _DEEDS.items() if any(one.startswith(start) for one in purposes)
    ] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def untrained() -> dict[str, str]:
    """Titles of what the package has no network for, and the command that trains one."""
    return {
        title: f"deconvviz train-restoration {_OPTIONS[purpose]} --out runs/{purpose}"
        for purpose, title in TITLES.items()
        if not ships(purpose)
    }


@kept()
def _purpose(path: Path, modified: int) -> str:  # noqa: ARG001  a key
    return purpose_of(load_checkpoint(path))


@st.cache_resource(max_entries=NETWORKS, show_spinner="Reading the network …")
def _restorer(purpose: str, path: Path | None, modified: int) -> Restorer:  # noqa: ARG001  a key
    return Restorer.load(purpose, path)


@st.cache_resource(max_entries=NETWORKS, show_spinner="Reading the network …")
def _segmenter(path: Path | None, modified: int) -> Segmenter:  # noqa: ARG001  a key
    return Segmenter.load(path)


@st.cache_resource(max_entries=NETWORKS, show_spinner="Reading the network …")
def _generator(data: str, path: Path | None, modified: int) -> VaeNet:  # noqa: ARG001  a key
    return load_generator(data, path)


def segmenter(tool: Tool) -> Segmenter:
    """The segmenter of a tool."""
    return _segmenter(tool.path, tool.modified)


def generator(tool: Tool) -> VaeNet:
    """The generator of a tool."""
    return _generator(tool.purpose.removeprefix("generate-"), tool.path, tool.modified)


def pixels_of(picture: Picture, longest: int = LONGEST) -> Tensor:
    """A picture at the page's size, (3, H, W) uint8, or (1, H, W) if it is grey."""
    pixels = from_image(limit_side(picture.image, longest))
    return pixels[:1] if bool((pixels == pixels[:1]).all()) else pixels


@kept("Restoring …")
def tried_on(tool: Tool, picture: Picture, amount: float | None, mask: Mask | None) -> Trial:
    """A picture restored, beside a classical method; see `tried`.

    Raises:
        PictureError: The picture or the mask does not fit.
    """
    restorer = _restorer(tool.purpose, tool.path, tool.modified)
    longest = LONGEST
    if amount is None:
        longest = min(LONGEST, _LONGEST_MADE // restorer.enlarges)
    pixels = pixels_of(picture, longest)
    missing = mask.of_size(*pixels.shape[-2:]) if mask else None
    return tried(restorer, pixels, amount=amount, missing=missing)


@kept("Segmenting …")
def segmented(tool: Tool, picture: Picture) -> Tensor:
    """The class of each pixel of a picture at the page's size, (H, W) uint8."""
    return segmenter(tool)(pixels_of(picture))


def masks() -> Uploads[Mask]:
    """The session's masks, by name."""
    return Uploads.of_session("masks")


def keep_mask(content: bytes, name: str) -> None:
    """Add an upload to the session's masks and choose it: white is missing.

    Raises:
        PictureError: It is not a readable picture.
    """
    with working():
        picture = open_picture(content, name)
        grey = from_image(limit_side(picture.image, 2 * LONGEST).convert("L"))[0]
    masks().add(picture.name, Mask(sha256(content).hexdigest(), grey >= 128))
    st.session_state["mask"] = picture.name


def shares(classes: Tensor, count: int) -> Tensor:
    """(count,) shares of the pixels that have each class."""
    return torch.bincount(classes.flatten().long(), minlength=count) / classes.numel()
