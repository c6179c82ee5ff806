"""The command that a page shows gives the same numbers."""

import shlex

from typer.testing import CliRunner

from deconvviz.analysis.trust import TrustOptions, examine
from deconvviz.cli import app
from deconvviz.io.images import photograph
from deconvviz.ui import commands
from deconvviz.ui.choices import Choice
from deconvviz.ui.networks import input_view, network
from deconvviz.units import Unit


def test_the_command_of_trust_gives_the_same_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "chosen", lambda: Choice("demo"))
    demo, layer = network("demo"), "stage1.relu2"
    pixels = input_view(demo, photograph("cat"), "trained").pixels
    unit = Unit.at_peak(demo.net.record(pixels, [layer]), layer, 11)
    expected = examine(demo.net, pixels, unit.selection, TrustOptions(rule="guided", networks=2))
    options = {"layer": layer, "unit": 11, "rule": "guided", "size": "", "seed": 0, "networks": 2}
    words = shlex.split(commands.command("trust", "cat", options, str(tmp_path)))
    result = CliRunner().invoke(app, words[1:])
    assert not result.exit_code, result.output
    assert (tmp_path / "trust.json").read_text() == expected.to_json()


def test_the_command_opens_the_network_as_it_was_opened_here(monkeypatch):
    def words(choice):
        monkeypatch.setattr(commands, "chosen", lambda: choice)
        return commands.command("experiment filters", "", {"count": 0}, "filters")

    assert words(Choice("torchvision/a", None)) == (
        "deconvviz experiment filters torchvision/a --weights none --count 0 --out filters"
    )
    own = Choice("nets:make", checkpoint="my weights.pt", input_size="1,28,28")
    assert "nets:make --checkpoint 'my weights.pt' --input-size 1,28,28 --c" in words(own)


def test_a_data_set_without_a_split_is_all_of_it():
    assert commands.data_options("photos") == {"data": "photos", "split": "all"}
    assert commands.data_options("cifar10 test") == {"data": "cifar10", "split": "test"}
