"""Scripts for a machine with a GPU, tried without one."""

import json
import runpy
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from deconvviz.io.data import load_dataset

ROOT = Path(__file__).parents[1]


def test_a_pack_is_within_its_limit_and_can_be_read(tmp_path):
    pack = runpy.run_path(str(ROOT / "benchmarks" / "pack.py"))["pack"]
    pack("shapes", tmp_path, 4.5e6)
    archive = tmp_path / "shapes" / "shapes.tar"
    assert archive.stat().st_size < 4.6e6
    note = json.loads((tmp_path / "shapes" / "note.json").read_text())
    assert note["training_pictures_taken"] != "1 of 1"
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    options = {"data_dir": tmp_path / "shapes", "progress": False}
    read = load_dataset("folder", "train", **options)
    assert len(read) == note["pictures"]["train"]
    assert set(read.classes) == set(load_dataset("shapes").classes)


@pytest.mark.slow
def test_every_part_runs_with_next_to_no_work(tmp_path):
    done = subprocess.run([ROOT / "benchmarks" / "on_gpu.sh", tmp_path, "--tiny"], check=False)
    assert done.returncode == 0
    found = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert set(found) == {"tests", "engine", "fast", "demo-photos"}
    assert len(found["fast"]["epochs"]) == 1
    assert (tmp_path / "demo-photos.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs a Chromium on this machine")
def test_two_people_use_the_app_at_once(tmp_path):
    words = [sys.executable, ROOT / "benchmarks" / "soak.py", "--people", "2", "--minutes", "0.5"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=tmp_path)
    found, _ = json.JSONDecoder().raw_decode(done.stdout)
    assert (found["errors"], found["crossings"]) == ([], [])
    assert found["done"]["colours compared"] >= 2
    assert found["uploads"] >= 2
