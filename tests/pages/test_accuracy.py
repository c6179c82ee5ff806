"""What the records say, a person's own runs, and a run that is made on the page."""

import time
from pathlib import Path

import pytest

import deconvviz
from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.data import draw_shapes
from deconvviz.io.zoo import DEMOS, TWINS, load
from deconvviz.study.gradients.trace import trace_file
from deconvviz.ui import runner
from deconvviz.ui.own_runs import OWN_RUNS
from tests.pages.conftest import all_words, alternatives
from tests.study.samples import keep, record
from tests.ui.test_reports import trace

TWO = {"section": "These two networks"}


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    """A folder of results, empty at first."""
    monkeypatch.setenv("DECONVVIZ_RESULTS", str(tmp_path))
    return tmp_path


@pytest.fixture
def full(results):
    for seed in range(3):
        for place, arm in enumerate(("A", "R-all", "C", "C+R")):
            keep(results, record(arm, 1000, seed, 0.5 + 0.01 * seed + 0.02 * place))
        for name in ("base", "kernel=3", "kernel=5"):
            for study in ("hyperparameters", "recipe"):
                keep(results, record(name, 1000, seed, 0.5 + 0.01 * seed, study=study))
    return results


def test_an_empty_folder_is_not_run_and_tells_the_command(open_page):
    for section in ("The answer", "Curves", "Hyperparameters and recipe"):
        app = open_page("accuracy", section=section)
        assert not app.exception
        assert not app.error
        assert not alternatives(app)
        assert "**Not run.**" in app.info[0].value
    app = open_page("accuracy")
    assert app.header[0].value.startswith("Not known")
    assert "`deconvviz study run helps`" in app.info[0].value
    assert "What may not be concluded" in [header.value for header in app.header]


def test_the_answer_stands_before_its_pairs_and_its_cautions(open_page, full):
    app = open_page("accuracy")
    assert not app.exception
    headers = [header.value for header in app.header]
    assert headers == [
        "No gain was shown: 53.0% of the pictures right with it, 51.0% without",
        "What may not be concluded",
    ]
    assert "changes accuracy by +2.00 points" in all_words(app)
    assert "rests on 3 pairs" in all_words(app)
    assert len(set(alternatives(app))) == 1
    (folded,) = [one for one in app.expander if one.label == "In numbers"]
    shown = [one.value for one in app.caption if one.value.startswith("Not run")]
    assert shown == [one.value for one in folded.caption]  # below what the arms are
    assert "Not run, and left out: 500, 4000" in shown[0]
    labels = [button.label for button in app.get("download_button")]
    assert sorted(labels) == ["All numbers", "PNG"]
    app = open_page("accuracy", **{"open-pairs": "true"})
    assert not app.exception
    rows = app.dataframe[0].value
    assert set(rows["labels"]) == {1000}
    assert rows.set_index(["contrast", "labels"])["difference, points"][
        "R-all − A", 1000
    ] == pytest.approx(2)


def test_the_curves_follow_the_link(open_page, full):
    app = open_page("accuracy", section="Curves", labels="1000", metric="train loss")
    assert not app.exception
    texts = alternatives(app)
    assert "train loss by epoch of every arm at 1000 labels" in texts
    assert len(set(texts)) == 5
    assert "deconvviz study report helps --figures FOLDER" in all_words(app)


def test_hyperparameters_and_recipe_are_drawn_and_gradients_wait(open_page, full):
    app = open_page("accuracy", section="Hyperparameters and recipe")
    assert not app.exception
    assert not app.info
    assert len(set(alternatives(app))) == 1  # the ranking of both studies
    assert not app.dataframe
    opened = {"open-hyperparameters": "true", "open-recipe": "true"}
    app = open_page("accuracy", section="Hyperparameters and recipe", **opened)
    assert len(set(alternatives(app))) == 3  # curves of kernels; differences in both studies
    assert len(app.dataframe) == 2
    assert len(app.header) == 2


def test_gradients_are_shown_once_somebody_has_looked(open_page, results):
    for architecture in ("plain", "ddnet"):
        trace_file(results / "gradients.jsonl").append(trace(0, architecture=architecture))
    opened = {"open-norms-1": "true", "open-cosines-1": "true"}
    app = open_page("accuracy", section="Hyperparameters and recipe", **opened)
    assert not app.exception
    assert app.header[-1].value == "Gradients"
    assert "the deep deconvolution network" in all_words(app)
    assert "He's initial weights, 1 step, 8 pictures of shapes" in all_words(app)
    assert {"Gradient norms", "Cosines"} == {alt.split(" by ")[0] for alt in alternatives(app)}


def test_a_damaged_record_is_one_sentence_and_the_rest_goes_on(open_page, full):
    with (full / "hyperparameters.jsonl").open("a") as file:
        file.write('{"study": "hyperparameters"\n')
    app = open_page("accuracy", section="Hyperparameters and recipe")
    assert not app.exception
    assert len(app.error) == 1
    assert "hyperparameters.jsonl, line 10 is not valid JSON" in app.error[0].value
    assert "Mean differences of test accuracy from the first arm, by size" in alternatives(app)


def test_the_table_has_the_accuracies_of_the_checkpoints(open_page):
    app = open_page("accuracy", **TWO)
    assert not app.exception
    assert not app.error
    table = app.dataframe[0].value
    expected = [100 * load(name).training["test"]["accuracy"] for name in TWINS]
    assert table["run"].tolist() == list(TWINS)
    assert table["test accuracy"].tolist() == pytest.approx(expected)
    words = all_words(app)
    first, second = (load(name).training["test"]["accuracy"] for name in TWINS)
    difference = 100 * abs(second - first)
    assert (f"**{difference:.2f}**" in words) or (difference < 0.005 and "equally" in words)
    assert "trained once, from one seed" in words
    texts = alternatives(app)
    assert len(texts) == 4
    assert [name for name in TWINS if f"Confusion matrix of {name}" in texts] == list(TWINS)


def test_a_run_made_on_the_page_stands_beside_the_demos(open_page, monkeypatch):
    pictures = draw_shapes(120, 16), draw_shapes(30, 16)
    monkeypatch.setattr(runner, "_pictures", lambda _: pictures)
    query = {"train-labels": "60", "train-steps": "100", "train-model": "seed-cnn"}
    app = open_page("accuracy", section="Train now", **query)
    assert not app.exception
    button(app, "Train").click().run()
    until = time.monotonic() + 100
    while not app.success:
        assert time.monotonic() < until
        assert not app.error
        time.sleep(0.2)
        app.run()
    (path,) = runner.kept_runs()
    training = load_checkpoint(path).description.training
    assert f"{training['test']['accuracy']:.1%} of 30 test pictures" in app.success[0].value
    shown = {f"{measure} after 10 parts of the run" for measure in ("Accuracy", "Loss")}
    assert shown <= set(alternatives(app))
    button(app, "Compare with other runs").click().run()
    app = open_page("accuracy", section=OWN_RUNS, run=path.parent.name, beside="demo")
    assert not app.exception
    table = app.dataframe[0].value
    assert table["run"].tolist() == [*DEMOS, path.parent.name]
    assert table["labels"].tolist()[-1] == 60
    options = app.dataframe[1].value.set_index("option")
    assert options.loc["model"].tolist() == ["seed-cnn", "vgg"]


def test_a_refused_checkpoint_is_one_sentence(open_page):
    app = open_page("accuracy", section=OWN_RUNS)
    (uploader,) = app.get("file_uploader")
    uploader.upload("bad.safetensors", b"\x80\x04nothing").run()
    assert not app.exception
    assert "`bad.safetensors` has no plausible safetensors header" in app.warning[0].value
    assert "bad.safetensors" not in app.dataframe[0].value["run"].tolist()
    demo = Path(deconvviz.__file__).parent / "demo" / "demo.safetensors"
    (uploader,) = app.get("file_uploader")
    uploader.upload("mine.safetensors", demo.read_bytes()).run()
    table = app.dataframe[0].value.set_index("run")["test accuracy"]
    assert table["mine.safetensors"] == table["demo"]


def button(app, label):
    return next(one for one in app.button if one.label == label)
