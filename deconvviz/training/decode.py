"""The decoder that a network was trained with, stored beside it."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from deconvviz.errors import CheckpointError, SettingError
from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.files import write_atomically
from deconvviz.io.preprocess import Preprocess
from deconvviz.io.weights import read_weights
from deconvviz.models import StagedCNN
from deconvviz.schema import read
from deconvviz.training.encoder import encode
from deconvviz.training.recipe import Recipe
from deconvviz.training.regulariser import Regulariser

_MAX_BYTES = 2**30


@dataclass(frozen=True, eq=False)
class DecodedNetwork:
    """A trained network with the decoder that was trained beside it, both in evaluation mode.

    Attributes:
        network: The classifier.
        regulariser: The decoder.
        preprocessing: Preprocessing from picture to network input.
        weight: Weight of the reconstruction error in training.
    """

    network: StagedCNN
    regulariser: Regulariser
    preprocessing: Preprocess
    weight: float

    @torch.inference_mode()
    def reconstruct(self, images: Tensor) -> Tensor:
        """Normalised pictures (N, C, H, W) reconstructed from their features, in the same units."""
        encoded = encode(self.network.stages, images, switches=self.regulariser.config.switches)
        return self.regulariser.reconstruct(encoded)[0]


def save_decoder(path: Path, regulariser: Regulariser) -> None:
    """Write the decoder's weights to `path`, whole or not at all."""
    weights = {k: t.detach().cpu().contiguous() for k, t in regulariser.state_dict().items()}
    write_atomically(path, save(weights))


def load_decoder(path: Path) -> DecodedNetwork:
    """The network of a run, `FOLDER/model.safetensors`, with `FOLDER/decoder.safetensors`.

    Raises:
        CheckpointError: One of them is missing or damaged, or the network had no decoder.
    """
    checkpoint = load_checkpoint(path)
    described = checkpoint.description
    stored = described.training.get("recipe", {})
    if not stored.get("deconv_weight"):
        raise CheckpointError(
            f"{path} was trained without a decoder; train with --deconv-weight to have one"
        )
    file = path.with_name("decoder.safetensors")
    if not file.is_file() or file.stat().st_size > _MAX_BYTES:
        raise CheckpointError(
            f"no decoder at {file}; `deconvviz train` writes it beside its network, so keep both "
            "files together"
        )
    recipe = read(Recipe, stored, f"the recipe of {path}", CheckpointError)
    network = checkpoint.network().eval()
    if not isinstance(network, StagedCNN):
        raise CheckpointError(
            f"{path} is a snapshot without head; give the run's model.safetensors"
        )
    try:
        regulariser = Regulariser(network, described.input_size, recipe.decoder).eval()
        regulariser.load_state_dict(read_weights(file, regulariser.state_dict()))
    except (CheckpointError, RuntimeError, SettingError) as error:
        first = str(error).strip().splitlines()[0]
        raise CheckpointError(f"{file} is not the decoder of {path}: {first}") from None
    preprocessing = Preprocess(described.size, described.mean, described.std)
    return DecodedNetwork(network, regulariser, preprocessing, recipe.deconv_weight)
