"""Readers of checkpoints and weights, given files that are wrong by meaning."""

import io
import json
import struct
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from torch import nn

from deconvviz.io.checkpoint import load_checkpoint, save_checkpoint
from deconvviz.io.weights import read_weights
from deconvviz.io.zoo.names import demo_folder
from deconvviz.training.run_folder import read_state
from deconvviz.ui.runs import read_upload
from tests.mutations import File, nested, safetensors, zips
from tests.readers.reading import examples, folder, one_sentence_or_valid, stored

pytestmark = pytest.mark.timeout(3000)


def small_checkpoint():
    """The demo's description and record over a network of few numbers."""
    described = load_checkpoint(demo_folder() / "demo.safetensors").description
    described = replace(described, model="vgg:2,2")
    with folder() as place:
        save_checkpoint(place / "small", described.build(), described)
        return (place / "small").read_bytes()


CHECKPOINT = small_checkpoint()
(KEY,) = json.loads(CHECKPOINT[8 : 8 + struct.unpack("<Q", CHECKPOINT[:8])[0]])["__metadata__"]


@examples(25)
@given(safetensors(CHECKPOINT, KEY))
def test_checkpoints(content):
    with stored(content, "model.safetensors") as path, one_sentence_or_valid():
        load_checkpoint(path).network()


@examples(10)
@given(safetensors(CHECKPOINT, KEY))
def test_uploaded_checkpoints(content):
    with one_sentence_or_valid():
        run = read_upload(content, "my run.safetensors")
        assert run.row["run"]
        assert 0 <= run.accuracy <= 1


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())


WEIGHTS = network().state_dict()
SAVED = io.BytesIO()
torch.save(WEIGHTS, SAVED)


@examples(25)
@given(st.one_of(safetensors(save(WEIGHTS), None), zips(SAVED.getvalue())))
def test_weights(content):
    with stored(content, "w") as path, one_sentence_or_valid():
        found = read_weights(path, WEIGHTS)
        network().load_state_dict(found)
        assert all(torch.isfinite(one).all() for one in found.values())


ODD = (
    None,
    3,
    "a",
    [1, [2]],
    {"a": 1},
    torch.zeros(0),
    torch.zeros(2, 2, 2),
    torch.full((4,), float("nan")),
    torch.zeros(4, dtype=torch.int64),
    torch.zeros(4, dtype=torch.complex64),
    torch.zeros(1).expand(4),
    nested(50),
    10**30,
    float("nan"),
)


@st.composite
def states(draw, state):
    """A pickled dict in which values are of another kind, or missing, or more."""
    state = dict(state)
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from([*state, "x", "", 3]))
        if draw(st.booleans()):
            state[name] = draw(st.sampled_from(ODD))
        else:
            state.pop(name, None)
    stream = io.BytesIO()
    torch.save(draw(st.sampled_from((state, state, state, [state], list(state), None))), stream)
    return File(stream.getvalue())


@examples(20)
@given(states(WEIGHTS))
def test_weights_of_other_kinds(content):
    with stored(content, "w.pt") as path, one_sentence_or_valid():
        network().load_state_dict(read_weights(path, WEIGHTS))


STATE = {
    "epoch": 1,
    "seconds": 1.0,
    "objective": WEIGHTS,
    "optimisers": [{"state": {}, "param_groups": []}],
    "ema": {},
}


@examples(20)
@given(st.one_of(states(STATE), zips(SAVED.getvalue()), st.binary(max_size=100)))
def test_states_of_runs(content):
    with stored(content, "state.pt") as path, one_sentence_or_valid():
        read_state(path.parent, torch.device("cpu"))
