"""The trainer: it learns, it can be killed, and it says what it did."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch

from deconvviz.errors import CheckpointError, DataError, DivergedError, SettingError
from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.data import draw_shapes
from deconvviz.models import build
from deconvviz.processes import ProcessGroup
from deconvviz.training import DecoderConfig, Recipe, evaluate, read_metrics, train
from deconvviz.training.adversary import Adversary
from deconvviz.training.decode import load_decoder
from deconvviz.training.trainer import Trainer

RECIPE = Recipe(
    model="plain:8/16", epochs=3, batch_size=32, lr=0.03, precision="float32", snapshots=(0, 2)
)


@pytest.fixture(scope="module")
def shapes():
    return draw_shapes(256, seed=1), draw_shapes(64, seed=2)


def run(folder, shapes, recipe=RECIPE):
    return train(recipe, *shapes, folder, progress=False)


def killed_in_epoch(epoch, error, monkeypatch, after=3):
    """Let the next run die in the middle of `epoch`."""
    real = Trainer.step

    def step(self, *args):
        if self.now == epoch and self.count == after:
            raise error
        self.count += 1
        return real(self, *args)

    real_epoch = Trainer.train_epoch

    def run_epoch(self, now, *args):
        self.now, self.count = now, 0
        return real_epoch(self, now, *args)

    monkeypatch.setattr(Trainer, "step", step)
    monkeypatch.setattr(Trainer, "train_epoch", run_epoch)


def whole_and_taken_up(folder, learn, monkeypatch, after=3):
    """The checkpoint of a whole run, and that of one killed in its second epoch and taken up."""
    whole = load_checkpoint(learn(folder / "whole").checkpoint)
    with monkeypatch.context() as patch:
        killed_in_epoch(2, RuntimeError("killed"), patch, after)
        with pytest.raises(RuntimeError, match="killed"):
            learn(folder / "cut")
    return whole, load_checkpoint(learn(folder / "cut").checkpoint)


def assert_same_weights(one, other):
    for name, tensor in one.weights.items():
        assert torch.equal(other.weights[name], tensor), name


def test_it_learns_what_chance_cannot(teachers, shapes):
    record = load_checkpoint(teachers[0]).description.training
    assert record["test"]["accuracy"] > 2 / len(shapes[0].classes)
    metrics = read_metrics(Path(teachers[0]).parent)
    assert metrics[-1]["train_loss"] < metrics[0]["train_loss"]


def test_a_run_leaves_a_checkpoint_that_measures_as_its_record_says(tmp_path, shapes):
    done = run(tmp_path, shapes, replace(RECIPE, fp16=True))
    loaded = load_checkpoint(done.checkpoint)
    d = loaded.description
    again = evaluate(loaded.network(), shapes[1], d.mean, d.std)
    assert again.accuracy == d.training["test"]["accuracy"] == done.evaluation.accuracy
    assert again.confusion.tolist() == d.training["test"]["confusion"]
    assert d.data == {"title": shapes[0].title, "fingerprint": shapes[0].fingerprint}
    assert [line["epoch"] for line in d.training["metrics"]] == [1, 2, 3]
    assert f"{again.accuracy:.2%}" in done.checkpoint.with_suffix(".md").read_text()


def test_snapshots_are_the_stages_at_their_epochs(tmp_path, shapes):
    run(tmp_path, shapes)
    names = sorted(p.name for p in (tmp_path / "snapshots").iterdir())
    assert names == ["epoch-0000.safetensors", "epoch-0002.safetensors"]
    first, later = (load_checkpoint(tmp_path / "snapshots" / n) for n in names)
    assert first.description.stages_only
    assert first.weights.keys() == later.weights.keys()
    assert not any(name.startswith("head") for name in first.weights)
    kernels = [one.weights["stage1.conv1.weight"] for one in (first, later)]
    assert not torch.equal(*kernels)


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE,
        replace(RECIPE, model="vgg:8,16,16", deconv_weight=0.3),
        replace(RECIPE, model="fast:8,16,16", optimiser="muon", muon_lr=0.03),
        replace(RECIPE, adversary=Adversary(0.5, steps=2, random_start=True, delay=0.4)),
    ],
)
def test_a_killed_run_goes_on_to_bit_equal_weights(tmp_path, shapes, monkeypatch, recipe):
    def learn(folder):
        return run(folder, shapes, recipe)

    assert_same_weights(*whole_and_taken_up(tmp_path, learn, monkeypatch))
    assert [line["epoch"] for line in read_metrics(tmp_path / "cut")] == [1, 2, 3]


def test_ctrl_c_leaves_a_checkpoint_of_the_last_whole_epoch(tmp_path, shapes, monkeypatch):
    with monkeypatch.context() as patch:
        killed_in_epoch(3, KeyboardInterrupt(), patch)
        done = run(tmp_path, shapes)
    assert done.epochs == 2
    snapshot = load_checkpoint(tmp_path / "snapshots" / "epoch-0002.safetensors").weights
    stopped = load_checkpoint(done.checkpoint)
    assert all(torch.equal(stopped.weights[name], snapshot[name]) for name in snapshot)
    assert stopped.description.training["epochs"] == 2
    assert run(tmp_path, shapes).epochs == 3


def test_the_callback_is_called_after_every_step_and_may_stop_the_run(tmp_path, shapes):
    calls = []

    def callback(title, done, total):
        calls.append((title, done, total))
        if done == 13:
            raise KeyboardInterrupt

    done = train(RECIPE, *shapes, tmp_path, progress=False, callback=callback)
    assert calls == [("training", step, 24) for step in range(1, 14)]
    assert done.epochs == 1
    assert done.checkpoint.is_file()


def test_a_run_seeds_nobody_elses_random_numbers(tmp_path, shapes):
    def drawn_after(seed):
        torch.manual_seed(seed)
        run(tmp_path / str(seed), shapes, replace(RECIPE, epochs=1))
        return torch.rand(4)

    assert not torch.equal(drawn_after(1), drawn_after(2))
    weights = [load_checkpoint(tmp_path / f"{n}" / "model.safetensors").weights for n in (1, 2)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_line_of_metrics_that_the_state_does_not_know_is_dropped(tmp_path, shapes):
    run(tmp_path, shapes, replace(RECIPE, epochs=1))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"epoch": 2}) + '\n{"epoch": 3, "tr')
    run(tmp_path, shapes, replace(RECIPE, epochs=1))
    assert [line["epoch"] for line in read_metrics(tmp_path)] == [1]


def test_a_folder_of_another_recipe_or_other_data_is_refused(tmp_path, shapes):
    run(tmp_path, shapes, replace(RECIPE, epochs=1))
    with pytest.raises(CheckpointError, match="another recipe"):
        run(tmp_path, shapes, replace(RECIPE, epochs=1, seed=1))
    with pytest.raises(CheckpointError, match="another recipe"):
        run(tmp_path, (draw_shapes(256, seed=3), shapes[1]), replace(RECIPE, epochs=1))


def test_a_run_from_before_a_setting_was_there_goes_on_as_with_its_default(tmp_path, shapes):
    run(tmp_path, shapes, replace(RECIPE, epochs=1))
    config = tmp_path / "config.json"
    old = json.loads(config.read_text())
    del old["recipe"]["max_kernel_rms"]
    config.write_text(json.dumps(old))
    with pytest.raises(CheckpointError, match="another recipe"):
        run(tmp_path, shapes, replace(RECIPE, epochs=1, max_kernel_rms=0.1))
    assert run(tmp_path, shapes, replace(RECIPE, epochs=1)).epochs == 1


@pytest.mark.parametrize("deconv_weight", [0.0, 0.3])
def test_no_kernel_grows_beyond_the_radius_and_without_one_some_do(tmp_path, shapes, deconv_weight):
    def longest(radius):
        wanted = replace(RECIPE, epochs=1, max_kernel_rms=radius, deconv_weight=deconv_weight)
        weights = load_checkpoint(run(tmp_path / f"{radius}", shapes, wanted).checkpoint).weights
        kernels = [tensor for tensor in weights.values() if tensor.dim() == 4]
        return max(float(kernel.pow(2).mean((1, 2, 3)).sqrt().max()) for kernel in kernels)

    assert longest(0.0) > 0.11
    assert 0.09 < longest(0.1) <= 0.1 + 1e-6


def test_clipped_gradients_bound_the_first_step(tmp_path, shapes):
    def moved(limit):  # without BatchNorm, whose statistics move too
        without = replace(RECIPE, model="seed-cnn")
        clipped = replace(without, epochs=1, steps_per_epoch=1, max_grad_norm=limit, momentum=0.0)
        plain = replace(clipped, weight_decay=0.0, schedule="constant", warmup=0.0, snapshots=(0,))
        done = run(tmp_path / f"{limit}", shapes, plain)
        before = load_checkpoint(done.folder / "snapshots" / "epoch-0000.safetensors").weights
        after = load_checkpoint(done.checkpoint).weights
        return sum(float((after[k] - before[k]).square().sum()) for k in before) ** 0.5

    assert moved(0.1) <= 1.001 * 0.1 * RECIPE.lr < moved(0.0)


def test_fewer_pictures_than_a_batch_are_refused(tmp_path, shapes):
    with pytest.raises(DataError, match="fewer than one batch"):
        run(tmp_path, shapes, replace(RECIPE, batch_size=512))


def test_a_loss_that_is_no_number_stops_with_step_and_rate_and_keeps_the_epoch_before(
    tmp_path, shapes
):
    wild = replace(RECIPE, epochs=3, lr=1e6, warmup=0.0, schedule="constant")
    with pytest.raises(DivergedError, match=r"from step \d+ \(epoch 1\) .* rate of 1e\+06"):
        run(tmp_path, shapes, wild)
    kept = load_checkpoint(tmp_path / "model.safetensors")
    assert kept.description.training["epochs"] == 0
    assert all(tensor.isfinite().all() for tensor in kept.weights.values())


def test_the_step_that_is_named_is_the_first_whose_loss_is_no_number(tmp_path, shapes, monkeypatch):
    real, steps = Trainer.step, count(1)

    def step(self, batch):
        return real(self, batch) * (float("nan") if next(steps) >= 11 else 1.0)

    monkeypatch.setattr(Trainer, "step", step)
    rate = RECIPE.lr_scale(11 / 24) * RECIPE.lr
    with pytest.raises(DivergedError, match=rf"from step 11 \(epoch 2\) .* rate of {rate:.3g};"):
        run(tmp_path, shapes)
    assert load_checkpoint(tmp_path / "model.safetensors").description.training["epochs"] == 1


def test_a_last_step_that_spoils_a_statistic_counts_as_diverged(tmp_path, shapes, monkeypatch):
    """Its own loss is still a number; the next epoch's would not be."""
    real, steps = Trainer.step, count(1)

    def step(self, batch):
        values = real(self, batch)
        if next(steps) == 2 * self.steps:
            self.model.stage1.bn1.running_var.fill_(float("inf"))
        return values

    monkeypatch.setattr(Trainer, "step", step)
    with pytest.raises(DivergedError, match=r"from step 16 \(epoch 2\)"):
        run(tmp_path, shapes)
    kept = load_checkpoint(tmp_path / "model.safetensors")
    assert kept.description.training["epochs"] == 1


def test_the_default_learning_rate_is_the_networks_and_is_recorded(tmp_path, shapes):
    """At the rate of the others ddnet diverges in its first epoch."""
    recipe = Recipe(model="ddnet", epochs=4, batch_size=32, precision="float32", snapshots=())
    run(tmp_path, shapes, recipe)
    losses = [line["train_loss"] for line in read_metrics(tmp_path)]
    assert losses[-1] < math.log(6) < losses[0]
    assert json.loads((tmp_path / "config.json").read_text())["recipe"]["lr"] == 0.0125
    assert Recipe(model="vgg").peak_lr == Recipe(model="ddnet", lr=0.125).peak_lr == 0.125
    assert Recipe(model="ddnet", optimiser="adam").peak_lr == 0.001


def test_an_epoch_of_so_many_steps_goes_round_and_round_a_few_pictures(tmp_path, shapes):
    few = shapes[0].subset(range(20)), shapes[1]
    done = run(tmp_path, few, replace(RECIPE, steps_per_epoch=4, epochs=2))
    assert done.epochs == 2
    assert len(read_metrics(tmp_path)) == 2


SEMI = replace(
    RECIPE,
    model="vgg:8,16,16",
    epochs=2,
    steps_per_epoch=3,
    unlabelled_batch=16,
    noise=0.1,
    deconv_weight=0.3,
    decoder=DecoderConfig(stages=(0.1,), rampup=0.5, rampdown=0.5, switches=True),
    consistency_weight=1.0,
)


def test_a_killed_run_with_decoder_and_teacher_goes_on_to_bit_equal_weights(
    tmp_path, shapes, monkeypatch
):
    few, more, test = shapes[0].subset(range(64)), shapes[0], shapes[1]

    def learn(folder):
        return train(SEMI, few, test, folder, unlabelled=more, progress=False)

    assert_same_weights(*whole_and_taken_up(tmp_path, learn, monkeypatch, after=1))
    assert {"reconstruction_error", "consistency"} <= read_metrics(tmp_path / "cut")[0].keys()


def test_a_run_starts_from_the_weights_and_the_decoder_of_another(tmp_path, shapes):
    decoded = replace(RECIPE, epochs=1, deconv_weight=0.3, fp16=False)
    first = run(tmp_path / "first", shapes, decoded)
    second = run(tmp_path / "second", shapes, replace(decoded, lr=0.0, init=str(first.checkpoint)))
    before, after = (load_checkpoint(one.checkpoint) for one in (first, second))
    for name, weight in before.weights.items():
        if "running" not in name and "num_batches" not in name:
            assert torch.equal(after.weights[name], weight), name
    decoders = [load_decoder(one.checkpoint).regulariser for one in (first, second)]
    kernels = [dict(decoder.named_parameters()) for decoder in decoders]
    assert all(torch.equal(kernels[0][name], kernels[1][name]) for name in kernels[0])
    assert after.description.training["init_sha256"] == before.sha256
    assert before.sha256[:12] in (tmp_path / "second" / "model.md").read_text()
    first.checkpoint.write_bytes(second.checkpoint.read_bytes())
    with pytest.raises(CheckpointError, match="start from differs"):
        run(tmp_path / "second", shapes, replace(decoded, lr=0.0, init=str(first.checkpoint)))
    with pytest.raises(SettingError, match="same architecture"):
        run(tmp_path / "third", shapes, replace(decoded, init="demo"))


WISE = replace(RECIPE, epochs=8, model="vgg:16,32,32", lr=0.1, snapshots=())


@pytest.fixture(scope="module")
def teachers(tmp_path_factory, shapes):
    """Two networks to distil; the first is trained well."""
    folder = tmp_path_factory.mktemp("teachers")
    run(folder / "wise", shapes, WISE)
    run(folder / "young", shapes, replace(RECIPE, epochs=1, seed=2))
    return tuple(str(folder / name / "model.safetensors") for name in ("wise", "young"))


def test_a_killed_run_with_teachers_goes_on_to_bit_equal_weights(
    tmp_path, shapes, teachers, monkeypatch
):
    recipe = replace(RECIPE, teachers=teachers, label_smoothing=0.0, mixup=0.2)

    def learn(folder):
        return run(folder, shapes, recipe)

    whole, taken_up = whole_and_taken_up(tmp_path, learn, monkeypatch)
    assert_same_weights(whole, taken_up)
    digests = [load_checkpoint(name).sha256 for name in teachers]
    assert whole.description.training["teacher_sha256"] == tuple(digests)
    assert digests[1][:12] in (tmp_path / "whole" / "model.md").read_text()


def test_soft_labels_are_learnt_and_not_the_labels_alone(tmp_path, shapes, teachers):
    """With random labels, the student learns what the teacher knows."""
    order = torch.randperm(256, generator=torch.Generator().manual_seed(1))
    blind = replace(shapes[0], labels=shapes[0].labels[order])
    recipe = replace(
        WISE, seed=1, teachers=teachers[:1], distillation_weight=0.9, label_smoothing=0.0
    )
    taught = run(tmp_path / "taught", (blind, shapes[1]), recipe)
    alone = run(tmp_path / "alone", (blind, shapes[1]), replace(WISE, seed=1))
    assert taught.evaluation.accuracy > alone.evaluation.accuracy + 0.15


def test_changed_teachers_are_refused(tmp_path, shapes, teachers):
    teacher = tmp_path / "teacher.safetensors"
    teacher.write_bytes(Path(teachers[0]).read_bytes())
    recipe = replace(RECIPE, epochs=1, teachers=(str(teacher),))
    run(tmp_path / "x", shapes, recipe)
    teacher.write_bytes(Path(teachers[1]).read_bytes())
    with pytest.raises(CheckpointError, match="teacher checkpoints differ"):
        run(tmp_path / "x", shapes, recipe)


def test_with_ema_the_moving_average_is_stored(tmp_path, shapes, monkeypatch):
    real, weights = Trainer.step, []

    def step(self, batch):
        terms = real(self, batch)
        weights.append(self.model.state_dict()["head.logits.bias"].clone())
        return terms

    monkeypatch.setattr(Trainer, "step", step)
    recipe = replace(RECIPE, epochs=1, ema=True, ema_decay=0.5)
    stored = load_checkpoint(run(tmp_path, shapes, recipe).checkpoint)
    torch.manual_seed(recipe.seed)
    mean = build(recipe.model, classes=len(shapes[0].classes)).head.logits.bias.detach()
    for one in weights:
        mean = (mean + one) / 2
    assert torch.allclose(stored.weights["head.logits.bias"], mean, atol=1e-6)


def test_pictures_without_labels_that_are_wanted_and_not_given_are_refused(tmp_path, shapes):
    with pytest.raises(DataError, match="unlabelled_batch"):
        run(tmp_path, shapes, replace(RECIPE, unlabelled_batch=16))


def test_another_recipe_is_refused_by_what_differs(tmp_path, shapes):
    run(tmp_path, shapes, replace(RECIPE, epochs=1))
    with pytest.raises(CheckpointError, match=r"\(lr was 0.03, not 0.02\)"):
        run(tmp_path, shapes, replace(RECIPE, epochs=1, lr=0.02))


@pytest.mark.parametrize(("side", "channels"), [(32, 3), (224, 3), (28, 1)])
def test_networks_train_at_the_sizes_they_are_for(tmp_path, side, channels):
    """`ddnet` at those of its description, small and resized; `deconv-mnist` on grey ones."""
    data = [draw_shapes(8, size=side, channels=channels, seed=seed) for seed in (1, 2)]
    model = "ddnet" if channels == 3 else "deconv-mnist"
    recipe = replace(RECIPE, model=model, epochs=2, steps_per_epoch=2, batch_size=4, lr=0.003)
    done = run(tmp_path, data, replace(recipe, deconv_weight=0.1))
    assert load_checkpoint(done.checkpoint).description.input_size == (channels, side, side)
    assert all(line["reconstruction_error"] > 0 for line in read_metrics(tmp_path))


@pytest.mark.parametrize(("loss", "optimiser"), [("focal", "adam"), ("mse", "adamw")])
def test_every_loss_falls_and_every_optimiser_lets_it(tmp_path, shapes, loss, optimiser):
    recipe = replace(RECIPE, loss=loss, optimiser=optimiser, lr=1e-3, mixup=0.2)
    run(tmp_path, shapes, replace(recipe, schedule="cosine"))
    losses = [line["train_loss"] for line in read_metrics(tmp_path)]
    assert losses[-1] < losses[0]


def test_processes_that_cannot_share_a_batch_evenly_are_refused(tmp_path, shapes):
    with pytest.raises(SettingError, match="batch_size"):
        train(RECIPE, *shapes, tmp_path, processes=ProcessGroup(0, 3), progress=False)


SHARED = """
import sys
from pathlib import Path
from torch import distributed
from deconvviz.io.data import draw_shapes
from deconvviz.processes import ProcessGroup
from deconvviz.training import Recipe, train

recipe = Recipe(
    model="seed-cnn", epochs=2, batch_size=32, lr=0.03, precision="float32", snapshots=()
)
folder, rank = Path(sys.argv[1]), int(sys.argv[2])
meeting = f"file://{folder.with_suffix('.meeting')}"
distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
processes = ProcessGroup.from_environment()
data = draw_shapes(256, seed=1), draw_shapes(64, seed=2)
done = train(recipe, *data, folder, processes=processes, progress=False)
assert 0 <= done.evaluation.accuracy <= 1
processes.close()
"""


def test_two_processes_have_the_loss_curve_of_one(tmp_path, shapes):
    """Without BatchNorm, whose statistics are of each process's part, they learn the same."""
    alone = replace(RECIPE, model="seed-cnn", epochs=2, snapshots=())
    run(tmp_path / "one", shapes, alone)
    script = tmp_path / "shared.py"
    script.write_text(SHARED)
    # They meet in a file, so that no port taken meanwhile fails them; an atlas's test has torchrun.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2"}
    words = [sys.executable, str(script), str(tmp_path / "two")]
    together = [
        subprocess.Popen([*words, rank], env=environment, stderr=subprocess.PIPE, text=True)
        for rank in "01"
    ]
    try:
        reply = [process.communicate(timeout=200)[1] for process in together]
    finally:
        for process in together:
            process.kill()
    assert [process.returncode for process in together] == [0, 0], "\n".join(reply)

    def curve(metrics, name):
        return [line[name] for line in metrics]

    one, two = read_metrics(tmp_path / "one"), read_metrics(tmp_path / "two")
    assert [line["epoch"] for line in two] == [1, 2]
    for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
        assert curve(two, name) == pytest.approx(curve(one, name), rel=2e-3, abs=2e-3)
