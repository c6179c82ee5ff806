"""Running a plan: what is missing is made, what is there is not made again."""

from dataclasses import replace
from statistics import fmean

import pytest
import torch

from deconvviz.analysis.clarity import ClarityOptions, clarity
from deconvviz.deconv import Deconvnet
from deconvviz.errors import DataError, StudyError
from deconvviz.io.data import draw_shapes, stratified_subset
from deconvviz.io.zoo import load
from deconvviz.study import Arm, Plan, read_records, run, run_plan
from deconvviz.study.metrics import CLARITY
from deconvviz.study.plan import RunSpec
from deconvviz.study.record import record_file
from deconvviz.training import Recipe
from tests.study.samples import record

PLAN = Plan(
    name="small",
    question="Does it learn?",
    recipe=Recipe(
        model="plain:4/8:head=mean",
        epochs=2,
        steps_per_epoch=3,
        batch_size=16,
        precision="float32",
        snapshots=(),
    ),
    arms=(
        Arm("A", "classifier"),
        Arm("R-all", "decoder", {"deconv_weight": 0.5, "unlabelled_batch": 16}),
        Arm("wrong", "wrong labels", label_noise=0.5),
    ),
    budgets={24: {}, 48: {"steps_per_epoch": 6}},
    seeds=(0, 1),
)


@pytest.fixture(scope="module")
def data():
    return draw_shapes(96, seed=1), draw_shapes(40, seed=2)


@pytest.fixture
def trained(monkeypatch):
    """The folders of runs that were really trained."""
    real, made = run.train, []

    def train(recipe, known, test, folder, **options):
        made.append(folder.name)
        return real(recipe, known, test, folder, **options)

    monkeypatch.setattr(run, "train", train)
    return made


def test_a_run_leaves_one_small_file_that_says_all(tmp_path, data):
    (one,) = run_plan(PLAN, *data, tmp_path / "small.jsonl", arms=["R-all"], labels=[24], seeds=[1])
    assert [path.name for path in tmp_path.rglob("*")] == ["small.jsonl"]
    assert (tmp_path / "small.jsonl").stat().st_size < 10_000
    assert read_records(tmp_path / "small.jsonl") == (one,)
    assert (one.study, one.arm, one.labels, one.seed) == ("small", "R-all", 24, 1)
    assert one.subset == stratified_subset(data[0], 24, 1).fingerprint
    assert [line["epoch"] for line in one.epochs] == [1, 2]
    assert one.test_accuracy == pytest.approx(one.epochs[-1]["test_accuracy"], abs=0.03)
    assert one.training_parameters > one.parameters
    assert one.training_multiply_adds > one.multiply_adds
    assert one.data["test_pictures"] == 40
    assert one.configuration["recipe"]["seed"] == 1
    assert one.robustness == {}


def test_what_has_a_record_is_not_run_again(tmp_path, data, trained):
    first = run_plan(PLAN, *data, tmp_path / "small.jsonl", arms=["A"], labels=[24])
    assert trained == ["A-24-0", "A-24-1"]
    both = run_plan(PLAN, *data, tmp_path / "small.jsonl", arms=["A"])
    assert trained[2:] == ["A-48-0", "A-48-1"]
    assert both[::2] == first


def test_what_another_arm_has_done_in_the_same_way_is_not_done_again(tmp_path, data, trained):
    plan = replace(PLAN, arms=(PLAN.arms[0], Arm("rate=0.125", "as A has it", {"lr": 0.125})))
    one, other = run_plan(plan, *data, tmp_path / "small.jsonl", labels=[24], seeds=[0])
    assert trained == ["A-24-0"]
    assert other == replace(one, arm="rate=0.125")
    assert len(read_records(tmp_path / "small.jsonl")) == 2


def test_pairs_have_the_same_labels_and_the_same_start(tmp_path, data):
    found = run_plan(PLAN, *data, tmp_path / "small.jsonl", labels=[24], seeds=[0])
    assert len({one.subset for one in found}) == 1
    assert len({one.data["test"] for one in found}) == 1
    assert len({one.parameters for one in found}) == 1


def test_wrong_labels_are_learnt_from_and_right_ones_measured(tmp_path, data, monkeypatch):
    real, learnt = run.train, []

    def train(recipe, known, test, folder, **options):
        learnt.append(known)
        return real(recipe, known, test, folder, **options)

    monkeypatch.setattr(run, "train", train)
    run_plan(PLAN, *data, tmp_path / "small.jsonl", arms=["wrong"], labels=[24], seeds=[0])
    right = stratified_subset(data[0], 24, 0)
    assert int((learnt[0].labels != right.labels).sum()) == 12
    assert torch.equal(learnt[0].images, right.images)


def test_a_plan_that_chooses_never_sees_the_test_pictures(tmp_path, data):
    plan = replace(PLAN, hold_out=30)
    (one,) = run_plan(plan, *data, tmp_path / "small.jsonl", arms=["A"], labels=[24], seeds=[0])
    assert one.data["test_pictures"] == 30
    assert one.data["training_pictures"] == 66
    assert one.data["test"] != data[1].fingerprint


def test_a_run_that_was_stopped_goes_on(tmp_path, data, monkeypatch):
    real = run.train

    def stopped(recipe, known, test, folder, **options):
        def watch(_, done, __):
            if done == 4:
                raise KeyboardInterrupt

        return real(recipe, known, test, folder, **{**options, "callback": watch})

    with monkeypatch.context() as patch:
        patch.setattr(run, "train", stopped)
        with pytest.raises(KeyboardInterrupt):
            run_plan(PLAN, *data, tmp_path / "cut.jsonl", arms=["A"], labels=[24], seeds=[0])
    assert read_records(tmp_path / "cut.jsonl") == ()
    assert (tmp_path / "cut" / "unfinished" / "A-24-0" / "state.pt").is_file()
    wanted = {"arms": ["A"], "labels": [24], "seeds": [0]}
    (taken_up,) = run_plan(PLAN, *data, tmp_path / "cut.jsonl", **wanted)
    (whole,) = run_plan(PLAN, *data, tmp_path / "whole.jsonl", **wanted)
    assert (taken_up.test_accuracy, taken_up.nll) == (whole.test_accuracy, whole.nll)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"recipe": replace(PLAN.recipe, lr=0.5)}, "lr was 0.125, not 0.5"),
        ({"hold_out": 30}, r"held_out was 0, not 30.*dataset fingerprint differs"),
    ],
)
def test_a_record_of_another_plan_is_refused_by_what_differs(tmp_path, data, changes, says):
    wanted = {"arms": ["A"], "labels": [24], "seeds": [0]}
    run_plan(PLAN, *data, tmp_path / "small.jsonl", **wanted)
    with pytest.raises(StudyError, match=f"A, 24 labels, seed 0.* is of another plan .*{says}"):
        run_plan(replace(PLAN, **changes), *data, tmp_path / "small.jsonl", **wanted)


def test_a_budget_larger_than_the_data_is_refused_before_anything_runs(tmp_path, data, trained):
    plan = replace(PLAN, budgets={24: {}, 97: {}})
    with pytest.raises(DataError, match=r"ask for 1 to 96"):
        run_plan(plan, *data, tmp_path / "small.jsonl")
    assert trained == []


def test_an_open_precision_is_refused(tmp_path, data):
    plan = replace(PLAN, recipe=replace(PLAN.recipe, precision="auto"))
    with pytest.raises(StudyError, match="leaves its precision open"):
        run_plan(plan, *data, tmp_path / "small.jsonl")


def test_a_robust_plan_measures_every_corruption_on_some_pictures(tmp_path, data):
    plan = replace(PLAN, robustness=True)
    (one,) = run_plan(plan, *data, tmp_path / "small.jsonl", arms=["A"], labels=[24], seeds=[0])
    assert set(one.robustness) == {"noise", "blur", "brightness", "jpeg"}
    assert all(len(strengths) == 5 for strengths in one.robustness.values())


@pytest.mark.parametrize("study", ["hyperparameters", "levers"])
def test_a_stopped_run_is_found_under_earlier_names(tmp_path, study):
    spec, file = RunSpec(Arm("lr=0.01", ""), 24, 0), record_file(tmp_path / "hyperparameters.jsonl")
    new = tmp_path / "hyperparameters" / "unfinished" / "lr=0.01-24-0"
    assert run._scratch(file, spec) == new
    old = tmp_path / study / "unfinished" / "rate=0.01-24-0"
    old.mkdir(parents=True)
    assert run._scratch(file, spec) == old


def test_clarity_is_measured_at_the_last_two_layers_where_the_plan_asks(tmp_path, data):
    plan = replace(PLAN, clarity=True)
    (one,) = run_plan(plan, *data, tmp_path / "c.jsonl", arms=["A"], labels=[24], seeds=[0])
    assert read_records(tmp_path / "c.jsonl") == (one,)
    checkpoint = tmp_path / "run"
    runs = {"runs": lambda _: checkpoint}
    run_plan(plan, *data, tmp_path / "d.jsonl", arms=["A"], labels=[24], seeds=[0], **runs)
    bundle = load(checkpoint / "model.safetensors")
    layers = Deconvnet(bundle.model, bundle.input_size).default_layers[-2:]
    expected = clarity(bundle, data[1], ClarityOptions(layers=layers)).networks[0].layers
    assert one.clarity == {layer.layer: layer.mean for layer in expected}
    high, _, alike = (metric.of([one]) for metric in CLARITY)
    assert high == [pytest.approx(fmean(layer.mean["high_frequency"] for layer in expected))]
    assert alike == [pytest.approx(fmean(layer.mean["correlation"] for layer in expected))]
    assert [metric.of([record()]) for metric in CLARITY] == [[], [], []]
