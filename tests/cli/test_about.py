"""What `doctor` shows is so, and `cite` says what CITATION.cff does."""

import re
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from deconvviz import __version__
from deconvviz.cli import app
from deconvviz.io.data import cache_folder
from deconvviz.io.data.registry import PUBLISHED

ROOT = Path(__file__).parents[2]
runner = CliRunner()


def lines(command):
    done = runner.invoke(app, [command])
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


@pytest.fixture
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("DECONVVIZ_DATA", raising=False)
    return tmp_path


def test_doctor_shows_versions_device_and_the_size_of_each_cache(caches):
    (cache_folder() / "decoded").mkdir(parents=True)
    (cache_folder() / "decoded" / "a.pixels").write_bytes(bytes(3_000_000))
    shown = lines("doctor")
    assert any(line.startswith(f"  deconvviz {__version__}, Python 3") for line in shown)
    assert f"  torch {torch.__version__.partition('+')[0]}" in "\n".join(shown)
    assert (
        f"  {cache_folder()} (decoded pictures, atlases, downloaded sets): 1 files, 3 MB" in shown
    )
    hub = caches / "torch" / "hub"
    assert f"  {hub} (weights from torchvision and timm): 0 files, 0 MB" in shown


def test_doctor_says_where_each_data_set_is_or_how_to_get_it(caches, monkeypatch):
    (caches / "sets" / "mnist" / "MNIST" / "raw").mkdir(parents=True)
    monkeypatch.setenv("DECONVVIZ_DATA", str(caches / "sets"))
    shown = lines("doctor")
    assert f"  mnist: {caches / 'sets' / 'mnist'}" in shown
    missing = [line for line in shown if "was not found" in line]
    assert len(missing) == len(PUBLISHED) - 1
    assert all("--download" in line or "photos20" in line for line in missing)


def test_the_version_is_printed():
    assert lines("--version") == [f"deconvviz {__version__}"]


def test_cite_agrees_with_the_citation_file():
    said, file = "\n".join(lines("cite")), (ROOT / "CITATION.cff").read_text("utf-8")
    for value in re.findall(
        r"^\s*(?:title|doi|year|license|version): \"?([^\"\n]+)", file, re.MULTILINE
    ):
        assert value in said
    assert f"version = {{{__version__}}}" in said
    assert "pages     = {818--833}" in said
