"""The command line, as a person calls it."""

import errno
import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from typer.testing import CliRunner

from deconvviz import cli
from deconvviz.atlas import load_atlas
from deconvviz.cli import app
from deconvviz.deconv import Deconvnet
from deconvviz.deconv.table import TABLE
from deconvviz.deconv.table.norm import BatchNorm
from deconvviz.errors import UnknownModelError
from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.data import load_dataset
from deconvviz.io.images import limit_side, open_picture, photograph
from deconvviz.io.zoo import load
from deconvviz.ui import choices, networks

LAYER = "stage2.relu2"

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
    assert "model card" in measured.output
    assert "triangle" in measured.output
    network = tmp_path / "model.safetensors"
    words = ["evaluate", str(network), "--data", "shapes", "--robust", "20"]
    attacked = runner.invoke(app, [*words, "--save"])
    assert "of 20 attacked pictures, radius 0.5" in attacked.output, attacked.output
    l2, linf = load_checkpoint(network).description.training["robust"]
    assert (l2["norm"], linf["radius"], l2["pictures"]) == ("l2", 2 / 255, 20)
    assert f"| Under attack | **{l2['accuracy']:.1%} of 20 pictures**" in (
        network.with_suffix(".md").read_text()
    )
    again = runner.invoke(app, words).output
    assert f"card {l2['accuracy']:.2%}" in again
    assert f"{l2['accuracy']:7.2%}  of 20 attacked" in again  # no seed decides


def test_what_cannot_be_stored_is_refused():
    refused = runner.invoke(app, ["evaluate", "demo", "--save"])
    assert "--save needs the file of a checkpoint" in str(refused.exception)


def test_every_option_has_a_flag_and_reconstructions_of_the_decoder_are_drawn(tmp_path):
    words = ["--data", "shapes", "--out", str(tmp_path), "--epochs", "1", "--model", "vgg:4,8"]
    words += ["--labels", "100", "--deconv-weight", "0.3", "--loss", "focal", "--optimiser", "adam"]
    words += ["--steps-per-epoch", "2", "--unlabelled-batch", "16", "--mixup", "0.2"]
    words += ["--decoder.switches", "--snapshots", "0,1"]
    trained = runner.invoke(app, ["train", *words, "--hold-out", "3000", "--device", "cpu"])
    assert trained.exit_code == 0, trained.output
    recipe = json.loads((tmp_path / "config.json").read_text())["recipe"]
    assert (recipe["loss"], recipe["optimiser"], recipe["mixup"]) == ("focal", "adam", 0.2)
    assert (recipe["steps_per_epoch"], recipe["decoder"]["switches"]) == (2, True)
    again = ["--data", "shapes", "--hold-out", "3000", "--labels", "100", "--device", "cpu"]
    again += ["--config", str(tmp_path / "config.json"), "--mixup", "0", "--out"]
    trained = runner.invoke(app, ["train", *again, str(tmp_path / "again")])
    assert trained.exit_code == 0, trained.output
    changed = json.loads((tmp_path / "again" / "config.json").read_text())["recipe"]
    assert changed == {**recipe, "mixup": 0.0}
    picture, sheet = tmp_path / "cat.png", tmp_path / "sheet.png"
    photograph("cat").image.save(picture)
    drawn = runner.invoke(
        app, ["decode", str(tmp_path / "model.safetensors"), str(picture), "--out", str(sheet)]
    )
    assert drawn.exit_code == 0, drawn.output
    assert open_picture(sheet).image.width > 100


def test_a_full_disk_is_told_in_one_sentence(tmp_path, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("deconvviz.training.loop.write_atomically", full)
    monkeypatch.setattr(
        sys, "argv", ["deconvviz", "train", "--data", "shapes", "--out", str(tmp_path)]
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    assert "the disk is full" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["evaluate", "nobody"], "no model `nobody`"),
        (["layers", "torchvision/resnet0"], "torchvision has no network `resnet0`"),
        (["coverage", "nobody.nets:f"], "cannot import `nobody.nets`"),
        (["coverage", "demo", "--dtype", "float16"], "no dtype `float16`; there are float32"),
        (["layers", "demo", "--input-size", "3,32,32"], "package.module:function"),
        (["layers", "nobody:f", "--input-size", "32"], "channels,height,width"),
        (["project", "demo", "x.png", "--layer", "l", "--out", "x.jpg"], "ends in .png or"),
        (["project", "demo", "x.png", "--layer", "l", "--out", "x.png"], "x.png"),
        (["evaluate", "missing.safetensors"], "no checkpoint at missing.safetensors"),
        (["evaluate", "demo", "--data", "emnist"], "no data set `emnist`; there are cifar10"),
        (["atlas", "build", "--out", "x", "--model", "nobody"], "no model `nobody`"),
        (["atlas", "build", "--out", "x", "-k", "9999"], "k must be"),
        (["atlas", "build", "--out", "x", "--layer", "no"], "no layer `no`"),
        (["train", "--out", "x", "--data", "shapes", "--model", "lenet"], "no model `lenet`"),
        (["train", "--out", "x", "--data", "shapes", "--device", "abacus"], "no device `abacus`"),
        (["train", "--out", "x", "--snapshots", "a"], "snapshots.0 must be a valid integer"),
        (["train", "--out", "x", "--optimiser", "lion"], "optimiser must be 'sgd', 'muon'"),
        (["train", "--out", "x", "--lr", "much"], "lr must be a valid number"),
        (["train", "--out", "x", "--adversary.radius", "-1"], "adversary.radius must be >= 0"),
        (["train", "--out", "x", "--seed", "18446744073709551616"], "seed must be <"),
        (["train", "--out", "x", "--config", "no.json"], "no config at no.json"),
        (
            ["train", "--out", "x", "--data", "shapes", "--labels", "99999"],
            "`shapes` has 4000 pictures",
        ),
        (
            ["decode", "no/model.safetensors", "x.png", "--out", "y.png"],
            "no checkpoint at no/model",
        ),
        (["decode", "no/model.safetensors", "x.png", "--out", "y.gif"], "ends in .png"),
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


def test_layers_are_listed_with_what_their_units_see():
    listed = runner.invoke(app, ["layers", "demo"])
    assert listed.exit_code == 0, listed.output
    lines = listed.output.splitlines()
    net = Deconvnet(load("demo").model)
    assert len(lines) == len(net.layers) + 1
    for line, (name, layer) in zip(lines, net.layers.items(), strict=False):
        assert line.lstrip("* ").startswith(name)
        assert str(layer) in line
        assert line.startswith("*") == (name in net.default_layers)


def test_coverage_is_for_people_or_for_programs():
    words = ["coverage", "torchvision/squeezenet1_1", "--weights", "none"]
    reply = runner.invoke(app, words)
    assert reply.exit_code == 0, reply.output
    assert "26 x conv2d" in reply.output
    read = json.loads(runner.invoke(app, [*words, "--json"]).output)
    assert {"conv2d", "relu", "max_pool2d", "cat"} <= {row["operation"] for row in read}


def test_coverage_compares_with_the_model_and_fails_where_they_differ(monkeypatch):
    reply = runner.invoke(app, ["coverage", "demo"])
    assert "\nChecked: values equal the model's own (largest relative error" in reply.output
    verified = runner.invoke(app, ["coverage", "demo", "--verify", "--dtype", "float64"])
    assert verified.exit_code == 0, verified.output
    assert "; projections of 48 units in 6 layers equal autograd" in verified.output
    read = json.loads(runner.invoke(app, ["coverage", "demo", "--verify", "--json"]).output)
    assert read["operations"][0]["operation"] == "conv2d"
    assert read["verification"]["passed"] is True

    class Wrong(BatchNorm):
        def adjoint(self, *given):
            return [2 * signal for signal in super().adjoint(*given)]

    monkeypatch.setitem(TABLE, torch.ops.aten.batch_norm.default, Wrong())
    wrong = runner.invoke(app, ["coverage", "demo", "--verify"])
    assert wrong.exit_code == 1
    assert "first in batch_norm in `stage1.bn1`" in wrong.output


def test_projections_are_written_as_a_sheet_or_as_pixels(tmp_path):
    photograph("cat").image.save(tmp_path / "cat.png")
    words = ["project", "demo", str(tmp_path / "cat.png"), "--layer", LAYER]
    sheet, file = tmp_path / "sheet.png", tmp_path / "unit.safetensors"
    paper = tmp_path / "sheet.svg"
    assert runner.invoke(app, [*words, "-k", "2", "--out", str(paper)]).exit_code == 0
    text = paper.read_text()
    assert "<dc:title>" in text
    assert f"{LAYER} of demo in cat.png" in text
    assert runner.invoke(app, [*words, "--out", str(tmp_path / "sheet.pdf")]).exit_code == 0
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF")
    done = runner.invoke(app, [*words, "-k", "4", "--out", str(sheet)])
    assert done.exit_code == 0, done.output
    assert f"4 of {LAYER}'s" in done.output
    assert open_picture(sheet).image.width > 300
    unit = ["--unit", "7", "--rule", "guided", "--size", "64", "--out", str(file)]
    done = runner.invoke(app, [*words, *unit])
    assert done.exit_code == 0, done.output
    bundle = load("demo")
    net = Deconvnet(bundle.model)
    image = bundle.preprocess(limit_side(photograph("cat").image, 64), size=None)[None]
    recording = net.record(image, [LAYER])
    every = recording.strongest(LAYER, k=1000)
    ours = net.project(recording, every[every.channel == 7], "guided")
    stored = load_file(file)
    torch.testing.assert_close(stored["pixels"], ours.pixels)
    assert torch.equal(stored["boxes"], ours.boxes)
    assert runner.invoke(app, [*words, "--unit", "999", "--out", str(file)]).exit_code != 0


def test_an_atlas_is_built_and_then_found_finished(tmp_path):
    words = ["atlas", "build", "--data", "shapes", "--split", "test", "-k", "3", "--device", "cpu"]
    words += ["--layer", LAYER, "--no-statistics", "--out", str(tmp_path)]
    for _ in range(2):
        built = runner.invoke(app, words)
        assert built.exit_code == 0, built.output
        assert "the 3 strongest of" in built.output
        assert str(tmp_path / "atlas.safetensors") in built.output
    atlas = load_atlas(tmp_path)
    assert list(atlas.units) == [LAYER]
    atlas.check(load("demo"), load_dataset("shapes", "test"))


def test_a_diagnosis_is_a_page_and_its_numbers(tmp_path):
    words = ["diagnose", "demo", "--out", str(tmp_path)]
    done = runner.invoke(app, words)
    assert done.exit_code == 0, done.output
    assert f"demo, {len(Deconvnet(load('demo').model).default_layers)} layers, on" in done.output
    assert {path.suffix for path in tmp_path.iterdir()} == {".html", ".json", ".png"}


def test_python_m_deconvviz_is_the_same_command(tmp_path):
    words = [sys.executable, "-m", "deconvviz", "evaluate", "nobody"]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no model `nobody`" in done.stderr


def test_app_starts_streamlit_on_the_script_and_hands_on_options(monkeypatch):
    calls = []
    monkeypatch.setattr(os, "execv", lambda _, command: calls.append(command))
    result = runner.invoke(app, ["app", "--server.port", "8600"])
    assert result.exit_code == 0
    assert calls[0][1:4] == ["-m", "streamlit", "run"]
    assert calls[0][4].endswith("app.py")
    assert calls[0][5:] == ["--server.port", "8600"]


def test_app_takes_networks_that_can_be_loaded(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(os, "execv", lambda _, command: calls.append(command))
    (tmp_path / "nets_for_app.py").write_text("from torch.nn import ReLU as net")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    words = ["app", "nets_for_app:net", "--server.port", "8600", "--theme.base=dark"]
    assert runner.invoke(app, words).exit_code == 0
    assert calls[0][5:] == ["--server.port", "8600", "--theme.base=dark", "--", "nets_for_app:net"]
    for name in ("torchvision/resnet0", "resnet18"):
        refused = runner.invoke(app, ["app", "--server.port", "8600", name])
        assert isinstance(refused.exception, UnknownModelError)
    assert "no model `resnet18`" in str(refused.exception)
    assert len(calls) == 1


def test_app_shows_random_networks_by_an_option_that_is_there(monkeypatch):
    calls = []
    monkeypatch.setattr(os, "execv", lambda _, command: calls.append(command))
    words = ["app", "torchvision/squeezenet1_1", "demo", "--weights", "none"]
    assert runner.invoke(app, words).exit_code == 0
    assert calls[0][5:] == ["--", "torchvision/squeezenet1_1", "demo", "--weights=none"]
    monkeypatch.setattr(sys, "argv", ["app.py", "torchvision/squeezenet1_1", "--weights=none"])
    choice = choices.offered()["torchvision/squeezenet1_1"]
    assert "random weights" in networks.opened(choice).bundle.summary[0]
    assert choices.offered()["demo"] == choices.Choice("demo")
    refused = runner.invoke(app, ["app", "demo", "--weights", "none"])
    assert "--weights none is for torchvision/NAME" in str(refused.exception)


def test_app_opens_a_function_first_and_with_trained_weights(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(os, "execv", lambda _, command: calls.append(command))
    (tmp_path / "net_for_weights.py").write_text(
        "from torch import nn\ndef net():\n"
        "    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    trained = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    torch.save(trained.state_dict(), "own.pt")
    words = ["net_for_weights:net", "--checkpoint", "own.pt", "--input-size", "1,20,20"]
    assert runner.invoke(app, ["app", *words]).exit_code == 0
    monkeypatch.setattr(sys, "argv", ["app.py", *calls[0][6:]])
    assert next(iter(choices.offered())) == "net_for_weights:net"
    opened = networks.opened(choices.offered()["net_for_weights:net"]).bundle
    assert opened.input_size == (1, 20, 20)
    assert torch.equal(opened.model[0].weight, trained[0].weight)
    assert choices.offered()["demo"] == choices.Choice("demo")
    refused = runner.invoke(app, ["app", "demo", "--checkpoint", "own.pt"])
    assert "--checkpoint is for one package.module:function" in str(refused.exception)


def test_app_that_downloads_nothing_says_so_to_the_script(monkeypatch):
    calls = []
    monkeypatch.setattr(os, "execv", lambda _, command: calls.append(command))
    for words in (["--no-downloads"], ["demo", "--no-downloads", "--server.port", "8600"]):
        assert runner.invoke(app, ["app", *words]).exit_code == 0
    assert calls[0][5:] == ["--", "--no-downloads"]
    assert calls[1][5:] == ["--server.port", "8600", "--", "demo", "--no-downloads"]
    monkeypatch.setattr(sys, "argv", ["app.py", "--no-downloads"])
    assert not choices.downloads_allowed()
    refused = runner.invoke(app, ["app", "--download", "--no-downloads"])
    assert "exclude each other" in str(refused.exception)


def test_help_names_every_command_without_importing_torch():
    code = (
        "import sys; from deconvviz.cli import app; from typer.testing import CliRunner; "
        "out = CliRunner().invoke(app, ['--help']).output; "
        "names = ('train', 'evaluate', 'layers', 'coverage', 'project', 'app'); "
        "assert all(name in out for name in names); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
