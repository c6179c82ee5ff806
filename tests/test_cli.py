"""The command line, as a person calls it."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from deconvviz import cli
from deconvviz.cli import app

runner = CliRunner()


def test_trains_and_measures_what_it_trained(tmp_path):
    words = ["--data", "shapes", "--out", str(tmp_path), "--epochs", "1", "--model", "seed-cnn"]
    trained = runner.invoke(app, ["train", *words, "--hold-out", "3000", "--device", "cpu"])
    assert trained.exit_code == 0, trained.output
    assert "of 3000 test pictures (shapes)" in trained.output
    measured = runner.invoke(
        app, ["evaluate", str(tmp_path / "model.safetensors"), "--data", "shapes"]
    )
    assert measured.exit_code == 0, measured.output
    assert "its card" in measured.output
    assert "triangle" in measured.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["evaluate", "nobody"], "no model `nobody`"),
        (["evaluate", "missing.safetensors"], "no checkpoint at missing.safetensors"),
        (["evaluate", "demo", "--data", "mnist"], "no data set `mnist`; there are cifar10"),
        (["train", "--out", "x", "--data", "shapes", "--model", "lenet"], "no model `lenet`"),
        (["train", "--out", "x", "--data", "shapes", "--device", "abacus"], "no device `abacus`"),
        (["train", "--out", "x", "--data", "shapes", "--snapshots", "a"], "no epochs: `a`"),
        (["train", "--out", "x", "--data", "shapes", "--precision", "int4"], "no precision `int4`"),
    ],
)
def test_a_refusal_is_one_sentence_and_exit_code_2(tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["deconvviz", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.startswith("deconvviz: ")
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_python_m_deconvviz_is_the_same_command(tmp_path):
    words = [sys.executable, "-m", "deconvviz", "evaluate", "nobody"]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no model `nobody`" in done.stderr


def test_app_starts_streamlit_on_the_script_and_hands_on_options(monkeypatch):
    calls = []
    monkeypatch.setattr(cli.subprocess, "call", lambda command: calls.append(command) or 0)
    result = runner.invoke(app, ["app", "--server.port", "8600"])
    assert result.exit_code == 0
    assert calls[0][1:4] == ["-m", "streamlit", "run"]
    assert calls[0][4].endswith("app.py")
    assert calls[0][5:] == ["--server.port", "8600"]


def test_help_names_every_command_without_importing_torch():
    code = (
        "import sys; from deconvviz.cli import app; from typer.testing import CliRunner; "
        "out = CliRunner().invoke(app, ['--help']).output; "
        "assert all(c in out for c in ('train', 'evaluate', 'app')); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
