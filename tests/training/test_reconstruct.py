"""The decoder that a run leaves: it gives back what it gave back in training."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from deconvviz.errors import CheckpointError
from deconvviz.io.data import draw_shapes
from deconvviz.training import DecoderConfig, Recipe, train
from deconvviz.training.reconstruct import load_decoder
from deconvviz.training.trainer import _Loop

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


def test_it_gives_back_what_the_trained_decoder_did(run, data, monkeypatch):
    seen = {}
    real = _Loop.publish

    def publish(self, epoch):
        self.parts.eval()
        images = self.normalised(data[1].images)
        with torch.no_grad():
            given, _ = self.parts._encodings(images, None)
            seen.update(images=images, back=self.parts.regulariser.back(given)[0])
        return real(self, epoch)

    monkeypatch.setattr(_Loop, "publish", publish)
    train(RECIPE, *data, run.parent, progress=False)
    found = load_decoder(run)
    assert torch.allclose(found.give_back(seen["images"]), seen["back"], atol=1e-5)
    assert found.weight == 0.7
    assert found.regulariser.design == RECIPE.decoder


def test_the_sheet_names_each_picture_and_its_error(run, data):
    found = load_decoder(run)
    images = found.preprocessing.normalised(data[1].images[:2])
    figure = found.figure(images, ["first", "second"])
    errors = (found.give_back(images) - images).abs().flatten(1).mean(1)
    told = " ".join(text.get_text() for text in figure.findobj(lambda o: hasattr(o, "get_text")))
    told = " ".join(told.split())
    assert "with switches, weight 0.7" in told
    for name, error in zip(("first", "second"), errors, strict=True):
        assert f"{name}, error {error:.2f}" in told


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
    with pytest.raises(CheckpointError, match=r"no decoder at .*keep both files together"):
        load_decoder(run)


def test_a_network_without_a_decoder_says_so(tmp_path, data):
    done = train(replace(RECIPE, deconv_weight=0.0), *data, tmp_path, progress=False)
    assert not (tmp_path / "decoder.safetensors").exists()
    with pytest.raises(CheckpointError, match="was trained without a decoder"):
        load_decoder(done.checkpoint)
