"""The stored decoder: its reconstructions are those of training."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from deconvviz.errors import CheckpointError
from deconvviz.io.data import draw_shapes, normalise
from deconvviz.plots.decoder import decoder_figure
from deconvviz.training import DecoderConfig, Recipe, train
from deconvviz.training.decode import load_decoder
from deconvviz.training.trainer import Trainer

RECIPE = Recipe(
    model="vgg:4,8",
    epochs=1,
    batch_size=16,
    precision="float32",
    snapshots=(),
    deconv_weight=0.7,
    decoder=DecoderConfig(switches=True, stages=(0.5,)),
)


@pytest.fixture(scope="module")
def data():
    return draw_shapes(32, seed=1), draw_shapes(16, seed=2)


@pytest.fixture
def run(tmp_path, data):
    return train(RECIPE, *data, tmp_path, progress=False).checkpoint


def test_its_reconstructions_are_those_of_training(run, data, monkeypatch):
    seen = {}
    real = Trainer.publish

    def publish(self, epoch):
        self.objective.eval()
        images = normalise(data[1].images, self.mean, self.std)
        with torch.no_grad():
            encoded, _ = self.objective._encode(images, None)
            outputs = self.objective.regulariser.reconstruct(encoded)
        seen.update(images=images, outputs=outputs[0])
        return real(self, epoch)

    monkeypatch.setattr(Trainer, "publish", publish)
    train(RECIPE, *data, run.parent, progress=False)
    decoded = load_decoder(run)
    assert torch.allclose(decoded.reconstruct(seen["images"]), seen["outputs"], atol=1e-5)
    assert decoded.weight == 0.7
    assert decoded.regulariser.config == RECIPE.decoder


def test_the_sheet_names_each_picture_and_its_error(run, data):
    decoded = load_decoder(run)
    images = decoded.preprocessing.normalised(data[1].images[:2])
    figure = decoder_figure(decoded, images, ["first", "second"])
    errors = (decoded.reconstruct(images) - images).abs().flatten(1).mean(1)
    texts = " ".join(text.get_text() for text in figure.findobj(lambda o: hasattr(o, "get_text")))
    texts = " ".join(texts.split())
    assert "with switches, weight 0.7" in texts
    for name, error in zip(("first", "second"), errors, strict=True):
        assert f"{name}, error {error:.2f}" in texts


def test_what_is_missing_or_of_another_network_is_refused(run, data, tmp_path):
    file = run.with_name("decoder.safetensors")
    weights = load_file(file)
    name = next(key for key in weights if key.endswith(".weight"))
    save_file({key: weights[key] for key in weights if key != name}, file)
    with pytest.raises(CheckpointError, match="is not the decoder of"):
        load_decoder(run)
    file.write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="is not the decoder of"):
        load_decoder(run)
    file.unlink()
    with pytest.raises(CheckpointError, match="no decoder at"):
        load_decoder(run)


def test_a_network_without_a_decoder_says_so(tmp_path, data):
    done = train(replace(RECIPE, deconv_weight=0.0), *data, tmp_path, progress=False)
    assert not (tmp_path / "decoder.safetensors").exists()
    with pytest.raises(CheckpointError, match="without a decoder"):
        load_decoder(done.checkpoint)
