"""A run that is killed at any of its file operations goes on to the same files."""

import json
import subprocess
import sys

import pytest

from deconvviz.io.checkpoint import load_checkpoint

SCRIPT = """
import os, sys
from dataclasses import replace
from pathlib import Path
count, last = 0, int(sys.argv[2])

def counted(function):
    def call(*arguments, **named):
        global count
        count += 1
        if count == last:
            os._exit(9)  # as a kill: nothing is tidied up
        return function(*arguments, **named)
    return call

os.replace, os.fsync = counted(os.replace), counted(os.fsync)
import torch
torch.set_num_threads(1)
from deconvviz.io.data import draw_shapes
from deconvviz.training import Recipe, train

recipe = Recipe(model="vgg:4,8", epochs=2, steps_per_epoch=1, batch_size=16, snapshots=(1,),
                precision="float32")
train(recipe, draw_shapes(32, seed=1), draw_shapes(16, seed=2), Path(sys.argv[1]), progress=False)
"""


def run(folder, last):
    words = [sys.executable, "-c", SCRIPT, str(folder), str(last)]
    return subprocess.run(words, check=False, timeout=100).returncode


def content(folder):
    """Configuration, weights, names of all files, and the epochs with lines of metrics."""
    weights = {
        f"{path.stem} {name}": tensor.tolist()
        for path in (folder / "model.safetensors", folder / "snapshots" / "epoch-0001.safetensors")
        for name, tensor in load_checkpoint(path).weights.items()
    }
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    epochs = [json.loads(line)["epoch"] for line in lines]
    return (folder / "config.json").read_text(), names, epochs, weights


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_kill_at_any_file_operation_leaves_a_run_that_goes_on_to_the_same_files(tmp_path):
    assert run(tmp_path / "whole", 0) == 0
    expected = content(tmp_path / "whole")
    assert expected[2] == [1, 2]
    for last in range(1, 100, 6):  # every sixth: each takes two starts of Python
        status = run(tmp_path / str(last), last)
        if status == 0:
            break
        assert status == 9
        assert run(tmp_path / str(last), 0) == 0
        assert content(tmp_path / str(last)) == expected
    assert last > 15
