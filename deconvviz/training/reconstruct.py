"""What a regulariser's decoder gives back of pictures, kept beside the network it trained."""

from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from deconvviz.errors import CheckpointError, SettingError
from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.files import write_atomically
from deconvviz.io.preprocess import Preprocess
from deconvviz.models import StagedCNN
from deconvviz.plots.figures import NEUTRAL_INK, contact_sheet
from deconvviz.training.encoding import chains, encode
from deconvviz.training.recipe import Recipe, changed
from deconvviz.training.regulariser import Regulariser

__all__ = ["DecodedNetwork", "load_decoder", "save_decoder"]

_LARGEST = 2**30  # bytes


@dataclass(frozen=True, eq=False)
class DecodedNetwork:
    """A trained network with the decoder that was trained beside it.

    Attributes:
        network: In evaluation form.
        regulariser: Likewise.
        preprocessing: What the network wants of a picture.
        weight: That the reconstruction error had in training.
    """

    network: StagedCNN
    regulariser: Regulariser
    preprocessing: Preprocess
    weight: float

    @torch.inference_mode()
    def give_back(self, images: Tensor) -> Tensor:
        """(N, C, H, W) normalised pictures, from their features, in the same units."""
        switches = self.regulariser.design.switches
        encoding = encode(chains(self.network), images, switches=switches)
        return self.regulariser.back(encoding)[0]

    def figure(self, images: Tensor, titles: list[str], ink: str = NEUTRAL_INK) -> Figure:
        """Normalised pictures (N, C, H, W), and what comes back of each, side by side."""
        back = self.give_back(images)
        design = self.regulariser.design
        errors = (back - images).abs().flatten(1).mean(1)
        pairs = zip(self.preprocessing.pixels(images), self.preprocessing.pixels(back), strict=True)
        told = [f"{title}, error {float(e):.2f}" for title, e in zip(titles, errors, strict=True)]
        kernels = "the encoder's kernels" if design.tied else "kernels of its own"
        switches = "with" if design.switches else "without"
        caption = (
            f"Left of each, what the network is given; right, what its decoder ({kernels}, "
            f"{switches} switches, weight {self.weight:g} in training) makes of the features. "
            "Error: mean absolute difference of normalised values."
        )
        return contact_sheet([list(pair) for pair in pairs], told, caption, 3, ink)


def save_decoder(path: Path, regulariser: Regulariser) -> None:
    """Write the decoder's numbers to `path`, at once or not at all."""
    weights = {k: t.detach().cpu().contiguous() for k, t in regulariser.state_dict().items()}
    write_atomically(path, save(weights))


def load_decoder(path: Path) -> DecodedNetwork:
    """The network of a run, `FOLDER/model.safetensors`, with `FOLDER/decoder.safetensors`.

    Raises:
        CheckpointError: One of them is missing or damaged, or the network had no decoder.
    """
    checkpoint = load_checkpoint(path)
    described = checkpoint.description
    recorded = described.training.get("recipe", {})
    weight = float(recorded.get("deconv_weight", 0))
    if not weight:
        raise CheckpointError(
            f"{path} was trained without a decoder; train with --deconv-weight to have one"
        )
    file = path.with_name("decoder.safetensors")
    if not file.is_file() or file.stat().st_size > _LARGEST:
        raise CheckpointError(
            f"no decoder at {file}; `deconvviz train` leaves it beside its network, so keep both "
            "files together"
        )
    network = checkpoint.network().eval()
    assert isinstance(network, StagedCNN)  # one of stages alone has no recipe with a decoder
    try:
        parts = {f"decoder.{k}": _plain(v) for k, v in recorded.get("decoder", {}).items()}
        design = changed(Recipe(), parts).decoder
        regulariser = Regulariser(network, described.input_size, design).eval()
        regulariser.load_state_dict(load(file.read_bytes()))
    except (SafetensorError, RuntimeError, SettingError, TypeError) as error:
        first = str(error).strip().splitlines()[0]
        raise CheckpointError(f"{file} is not the decoder of {path}: {first}") from None
    preprocessing = Preprocess(described.size, described.mean, described.std)
    return DecodedNetwork(network, regulariser, preprocessing, weight)


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
