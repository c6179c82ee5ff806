"""The commands that the registry makes, as a person calls them."""

import json
import sys

import pytest
from typer.testing import CliRunner

from deconvviz import cli
from deconvviz.cli import app
from deconvviz.cli.base import InputOptions
from deconvviz.cli.experiment import pictures
from deconvviz.io.data import load_dataset
from deconvviz.io.images import photograph
from deconvviz.io.zoo import load

runner = CliRunner()


def invoke(*words):
    done = runner.invoke(app, ["experiment", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.output


def written(folder, name):
    assert (folder / f"{name}.png").stat().st_size > 1000
    return json.loads((folder / f"{name}.json").read_text())


def test_occlusion_of_a_file(tmp_path):
    photograph("cat").image.save(tmp_path / "cat.png")
    said = invoke(
        "occlusion", "demo", tmp_path / "cat.png", "--label", "cat", "--side", 16, "--stride", 16,
        "--fill", 0, "--count", 20, "--out", tmp_path / "out",
    )  # fmt: skip
    numbers = written(tmp_path / "out", "occlusion")
    assert numbers["summary"] in said
    assert (numbers["truth"], numbers["tops"]) == (3, [0, 16])
    assert numbers["data"] == "photographs of scikit-image"


def test_correspondence_of_drawn_faces_and_of_a_file_of_marks(tmp_path):
    said = invoke("correspondence", "demo", "--random-masks", 3, "--out", tmp_path)
    numbers = written(tmp_path, "correspondence")
    assert numbers["summary"] in said
    assert len(numbers["boxes"]["nose"]) == 5
    for name in ("cat", "coffee"):
        photograph(name).image.save(tmp_path / f"{name}.png")
    marks = {"pictures": ["cat.png", "coffee.png"], "parts": {"middle": [[90, 150, 200, 290]] * 2}}
    (tmp_path / "marks.json").write_text(json.dumps(marks))
    words = ("--parts", tmp_path / "marks.json", "--layers", "stage1.relu1", "--random-masks", 3)
    invoke("correspondence", "demo", *words, "--out", tmp_path)
    numbers = written(tmp_path, "correspondence")
    assert (list(numbers["boxes"]), numbers["layers"]) == (["middle"], ["stage1.relu1"])


def test_why_names_units_and_switches_off_those_that_are_asked_for(tmp_path):
    photograph("cat").image.save(tmp_path / "cat.png")
    words = ["why", "demo", str(tmp_path / "cat.png"), "--out", str(tmp_path / "out")]
    done = runner.invoke(app, [*words, "--against", "dog", "--off", "3,5"])
    assert done.exit_code == 0, done.output
    numbers = written(tmp_path / "out", "why")
    assert numbers["off"] == [3, 5]
    assert numbers["classes"][numbers["against"]] == "dog"
    assert numbers["summary"] in done.output


def test_compare_takes_both_networks_as_arguments(tmp_path):
    photograph("cat").image.save(tmp_path / "cat.png")
    words = ["demo", "random", str(tmp_path / "cat.png"), "--out", str(tmp_path / "out")]
    done = runner.invoke(app, ["compare", *words, "--count", "8", "--units", "2"])
    assert done.exit_code == 0, done.output
    numbers = written(tmp_path / "out", "compare")
    assert numbers["second"]["network"] == "demo, random weights"
    assert len(numbers["first"]["channels"]) == 2
    assert runner.invoke(app, ["compare", *words, "--other", "demo"]).exit_code == 2


def test_ablation_of_chosen_variants_and_seeds(tmp_path):
    words = ["--data", "shapes", "--count", 60, "--batch-size", 30, "--epochs", 1]
    words += ["--seed", 0, "--seed", 1, "--device", "cpu", "--out", tmp_path]
    said = invoke("ablation", "--variant", "plain:4/4/4", "--variant", "plain:4//4", *words)
    numbers = json.loads((tmp_path / "ablation.json").read_text())
    assert numbers["summary"] in said
    assert list(numbers["arms"]) == ["plain:4/4/4", "plain:4//4"]
    assert [(point["labels"], point["seeds"]) for point in numbers["points"]] == [(60, [0, 1])] * 2


@pytest.mark.parametrize(("fit_on", "counts"), [("test", (15, 15)), ("training", (60, 30))])
def test_depth_of_chosen_layers(tmp_path, fit_on, counts):
    words = [] if fit_on == "test" else ["--fit-on", fit_on]  # what is not trained on is usual
    words += ["--data", "shapes", "--count", 60, "--test", 30, "--grid", 1]
    words += ["--layers", "stage1.relu1", "--layers", "stage2.relu1", "--out", tmp_path]
    said = invoke("depth", "demo", *words)
    numbers = written(tmp_path, "depth")
    assert numbers["summary"] in said
    assert [row["features"] for row in numbers["rows"]] == [32, 64]
    assert numbers["fit_on"] == fit_on
    assert (numbers["training"], numbers["test"]) == counts


@pytest.mark.parametrize(
    ("name", "model", "words", "says"),
    [
        ("filters", "demo", [], "32 kernels of stage1.conv1"),
        ("evolution", "demo-photos", ["--layers", "stage1.relu", "--units", 2], "from 5 to 8"),
        (
            "invariance",
            "demo",
            ["--layers", "head", "--angles", "0,45", "--shifts=-3"],
            "(-3 to -3) head",
        ),
    ],
)
def test_filters_evolution_and_invariance_on_a_few_pictures(tmp_path, name, model, words, says):
    few = ("--data", "shapes", "--count", 12, "--out", tmp_path)
    said = invoke(name, model, *words, *few)
    finding = written(tmp_path, name)["summary"]
    assert finding in said
    assert says in finding


def test_pictures_are_a_share_of_every_class_or_all_there_are():
    demo = load("demo")
    every = load_dataset("photos", "all", progress=False)
    some = pictures(demo, InputOptions(split=""), 100, seed=1)
    counts, totals = (one.labels.bincount(minlength=5) for one in (some, every))
    assert len(some) == 100
    assert float((counts / 100 - totals / len(every)).abs().max()) < 0.02
    for count in (0, 10**6):
        assert len(pictures(demo, InputOptions(split=""), count, seed=1)) == len(every)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["occlusion", "demo", "cat.png", "--label", "cow"], "no class `cow`"),
        (["occlusion", "demo", "cat.png", "--label", "12"], "no class 12"),
        (["occlusion", "demo", "dog.png"], "dog.png"),
        (["occlusion", "demo", "cat.png", "--side", "9", "--stride", "2"], "got 2"),
        (["correspondence", "demo", "--parts", "no.json"], "no.json"),
        (["correspondence", "demo", "--layers", "conv9"], "no layer `conv9`"),
        (["ablation", "--data", "shapes", "--variant", "lenet"], "no model `lenet`"),
        (["depth", "demo", "--data", "shapes", "--grid", "0"], "grid must be >= 1, got 0"),
        (["filters", "demo", "--data", "emnist"], "no data set `emnist`"),
        (["evolution", "demo"], "no snapshots"),
        (["invariance", "demo", "--scales", "1,x"], "scales.1"),
        (["invariance", "demo", "--border", "wrap"], "border must be"),
    ],
)
def test_a_refusal_is_one_sentence_and_exit_code_2(tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    photograph("cat").image.resize((64, 64)).save("cat.png")
    monkeypatch.setattr(sys, "argv", ["deconvviz", "experiment", *words, "--out", "x"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert says in said
    assert said.startswith("deconvviz: ")
    assert [path.name for path in tmp_path.iterdir()] == ["cat.png"]
