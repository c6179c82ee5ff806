"""Runs in the background: one at a time, with how far they are, ended when asked to."""

import time
from dataclasses import dataclass, replace
from threading import Event

import pytest

from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.data import draw_shapes
from deconvviz.training import read_metrics
from deconvviz.ui import runner as module
from deconvviz.ui.runner import NETWORKS, Job, Runner, kept_runs, runs_folder, sources

SMALL = Job(network="plain:4/8", labels=60, steps=20)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    """A cache of its own, and fewer pictures than a person would have."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("DECONVVIZ_DATA", raising=False)
    monkeypatch.setattr(module, "_pictures", lambda _: (draw_shapes(120, 16), draw_shapes(30, 16)))


def ended(runner):
    """The status at the end of a run."""
    until = time.monotonic() + 100
    while runner.status.running:
        assert time.monotonic() < until
        time.sleep(0.01)
    return runner.status


@dataclass
class Gate:
    """Holds a run where it takes its pictures, until it is opened."""

    opened: Event

    def __call__(self, _):
        assert self.opened.wait(100)
        return draw_shapes(120, 16), draw_shapes(30, 16)


@pytest.fixture
def gate(monkeypatch):
    gate = Gate(Event())
    monkeypatch.setattr(module, "_pictures", gate)
    yield gate.opened
    gate.opened.set()


@pytest.mark.parametrize("decoder", [False, True])
def test_a_run_leaves_a_checkpoint_of_what_was_asked_for(decoder):
    runner = Runner()
    assert runner.status is None
    assert runner.start(replace(SMALL, network="vgg:4,8,8", decoder=decoder, seed=3))
    status = ended(runner)
    assert not status.failed, status.message
    assert (status.done, status.total) == (20, 20)
    (path,) = kept_runs()
    assert path.parent == status.folder
    training = load_checkpoint(path).description.training
    assert (
        f"{training['test']['accuracy']:.1%} of 30 test pictures right (shapes)" in status.message
    )
    assert training["pictures"] == 60
    assert training["recipe"]["seed"] == 3
    assert bool(training["recipe"]["deconv_weight"]) == decoder
    assert len(read_metrics(status.folder)) == 10
    assert not (status.folder / "state.pt").exists()


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("decoder", [False, True])
def test_every_choice_can_be_trained(network, decoder):
    from deconvviz.models import build
    from deconvviz.training.objective import Objective

    job = Job(network=network, decoder=decoder)
    Objective(build(network), (3, 32, 32), job.recipe)
    assert job.recipe.steps_per_epoch * job.recipe.epochs == job.steps


def test_a_second_run_is_refused_until_the_first_has_ended(gate):
    runner = Runner()
    assert runner.start(SMALL)
    assert not runner.start(replace(SMALL, seed=1))
    assert runner.status.job == SMALL
    gate.set()
    first = ended(runner)
    assert runner.start(replace(SMALL, seed=1))
    second = ended(runner)
    assert second.job.seed == 1
    assert second.folder != first.folder


def test_a_run_that_is_stopped_at_once_leaves_nothing(gate):
    runner = Runner()
    runner.start(SMALL)
    runner.stop()
    assert runner.status.stopping
    gate.set()
    status = ended(runner)
    assert "nothing is kept" in status.message
    assert not status.failed
    assert not status.stopping
    assert not status.folder.exists()


def test_a_run_that_is_stopped_later_keeps_the_parts_that_were_done(monkeypatch):
    runner, replaced = Runner(), Runner._set

    def stop_at_seven(self, **changes):
        replaced(self, **changes)
        if changes.get("done") == 7:
            self.stop()

    monkeypatch.setattr(Runner, "_set", stop_at_seven)
    runner.start(SMALL)
    status = ended(runner)
    assert status.message.startswith("Stopped after 3 of 10 parts: ")
    (path,) = kept_runs()
    assert load_checkpoint(path).description.training["epochs"] == 3


def test_to_stop_what_does_not_run_is_nothing():
    runner = Runner()
    runner.stop()
    assert runner.status is None
    runner.start(SMALL)
    before = ended(runner)
    runner.stop()
    assert runner.status == before


def test_a_loss_that_is_no_number_is_told_in_one_sentence(monkeypatch):
    wild = replace(SMALL.recipe, lr=1e30, schedule="constant", warmup=0.0)
    monkeypatch.setattr(Job, "recipe", wild)
    runner = Runner()
    runner.start(SMALL)
    status = ended(runner)
    assert status.failed
    assert status.message.startswith("The loss or a weight is NaN or inf from step ")
    assert status.message.count(". ") == 0
    assert runner.start(SMALL)  # nothing stays locked
    ended(runner)


def test_what_the_machine_refuses_is_told_and_leaves_nothing_locked(monkeypatch):
    def full(data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_pictures", full)
    runner = Runner()
    runner.start(SMALL)
    status = ended(runner)
    assert status.failed
    assert "No space left on device" in status.message


def test_the_oldest_runs_go_first(monkeypatch):
    monkeypatch.setattr(module, "KEPT", 2)
    runner, folders = Runner(), []
    for seed in range(3):
        runner.start(replace(SMALL, seed=seed))
        folders.append(ended(runner).folder)
    assert [path.parent for path in kept_runs()] == folders[:0:-1]
    assert sorted(runs_folder().iterdir()) == sorted(folders[1:])


def test_cifar10_is_offered_where_it_may_be_found(monkeypatch, tmp_path):
    assert sources() == ("shapes",)
    monkeypatch.setenv("DECONVVIZ_DATA", str(tmp_path))
    assert sources() == ("shapes", "cifar10")
