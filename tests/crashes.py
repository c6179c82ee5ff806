"""Kill a writer at each of its file operations, let it run again, and compare every file.

`python -m tests.crashes NAME FOLDER EVERY`: prints how many kills there were, or what differs. Each
attempt is a fork of one process that has loaded everything, so that hundreds are possible. Python's
audit events are the operations: opening for writing, renaming, removing, making and removing
folders; fsync is counted beside them. At a kill, a file that was written to and not yet synced may
have any part of its new content, so each such kill is tried with all and with half of it.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

Work = Callable[[Path], None]

_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")
_KILLED, _UNSYNCED, _FAILED = 9, 10, 11
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def shapes(count: int, seed: int):
    from deconvviz.io.data import draw_shapes

    return draw_shapes(count, seed=seed)


def small_bundle():
    from deconvviz.io.bundle import Bundle

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3, stride=2), nn.ReLU())
    return Bundle.of(model, (3, 32, 32))


def training() -> Work:
    from deconvviz.training import Recipe, train

    recipe = Recipe(
        model="vgg:4,8",
        epochs=2,
        steps_per_epoch=1,
        batch_size=16,
        snapshots=(1,),
        precision="float32",
    )
    data = shapes(32, 1), shapes(16, 2)
    return lambda folder: train(recipe, *data, folder, progress=False)


def atlas() -> Work:
    from deconvviz.atlas import build, build_atlas
    from deconvviz.deconv import Deconvnet

    build._MAX_BATCH_SIZE, build._BATCHES_PER_SEGMENT = 16, 1  # three segments
    bundle, data = small_bundle(), shapes(48, 1)
    net = Deconvnet(bundle.model, bundle.input_size)
    return lambda folder: build_atlas(bundle, data, folder, net=net, k=3)


def gallery() -> Work:
    from deconvviz.atlas import build_atlas
    from deconvviz.deconv import Deconvnet
    from deconvviz.io.files import only_writer
    from deconvviz.plots.gallery import render

    bundle, data = small_bundle(), shapes(48, 1)
    net = Deconvnet(bundle.model, bundle.input_size)
    found = build_atlas(bundle, data, net=net, k=3)

    def work(folder: Path) -> None:
        with only_writer(folder):  # as the command does
            render(found, bundle, data, folder, net=net)

    return work


def diagnosis() -> Work:
    from deconvviz.analysis.diagnosis import diagnose
    from deconvviz.io.files import only_writer

    found = diagnose(small_bundle(), shapes(48, 1))

    def work(folder: Path) -> None:
        with only_writer(folder):  # as the command does
            found.save(folder)

    return work


def study_plan():
    from deconvviz.study import Arm, Plan
    from deconvviz.training import Recipe

    recipe = Recipe(
        model="plain:4/8:head=mean",
        epochs=1,
        steps_per_epoch=1,
        batch_size=16,
        precision="float32",
        snapshots=(),
    )
    arms = (Arm("A", "classifier"), Arm("wrong", "wrong labels", label_noise=0.5))
    return Plan("small", "?", recipe, arms, budgets={24: {}}, seeds=(0,))


def study() -> Work:
    from deconvviz.study import run_plan

    plan, data = study_plan(), (shapes(48, 1), shapes(16, 2))
    return lambda folder: run_plan(plan, *data, folder / "small.jsonl")


def gradients() -> Work:
    from deconvviz.study.gradients import GradientOptions
    from deconvviz.study.gradients import gradients as collect

    data = shapes(32, 1)
    options = GradientOptions((6,), (0,), deconv_weight=0.0, steps=(1,), width=2, batch_size=16)
    return lambda folder: collect(data, folder / "gradients.jsonl", options)


def report() -> Work:
    from deconvviz.plots.study.publish import publish

    results = Path(__file__).parents[1] / "results"

    def work(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "search-longer.jsonl").exists():
            shutil.copy(results / "search-longer.jsonl", folder / "copy")
            (folder / "copy").replace(folder / "search-longer.jsonl")
        publish("search-longer", folder, folder)

    return work


def careless() -> Work:
    """Not a writer of ours: it shows that the harness finds what it looks for."""

    def work(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "numbers").exists():
            (folder / "numbers").write_text("1 2 3 4\n")
        (folder / "done").write_text("yes")

    return work


WORKS: dict[str, Callable[[], Work]] = {
    one.__name__: one for one in (training, atlas, gallery, diagnosis, study, gradients, report)
}


class Killer:
    """Ends this process before its n-th file operation in a folder."""

    def __init__(self, folder: Path, last: int, *, torn: bool) -> None:
        self.folder, self.last, self.torn = str(folder), last, torn
        self.count = 0
        self.unsynced: dict[str, int] = {}  # file -> its size when it was opened
        self.sync = os.fsync
        os.fsync = self.fsync
        sys.addaudithook(self.hook)

    def hook(self, event: str, details: tuple) -> None:
        if event not in _EVENTS or not str(details[0]).startswith(self.folder):
            return
        path = str(details[0])
        if event == "open" and not details[2] & _WRITES:
            return
        self.step()
        if event == "open":
            self.unsynced[path] = size(path)
        elif event == "os.remove":
            self.unsynced.pop(path, None)

    def fsync(self, file: int) -> None:
        self.step()
        self.sync(file)
        self.unsynced.pop(str(Path(f"/proc/self/fd/{file}").readlink()), None)

    def step(self) -> None:
        self.count += 1
        if self.count != self.last:
            return
        self.last = -1  # what follows is not the work's own
        grown = {
            path: (before, size(path))
            for path, before in self.unsynced.items()
            if size(path) > before
        }
        if self.torn:
            for path, (before, after) in grown.items():
                os.truncate(path, (before + after) // 2)
        os._exit(_UNSYNCED if grown else _KILLED)  # as a kill: nothing is tidied up


def size(path: str) -> int:
    return Path(path).stat().st_size if Path(path).exists() else 0


def attempt(work: Work, folder: Path, last: int = 0, *, torn: bool = False) -> int:
    """Exit status of the work in a fork that is killed at operation `last`; 0: it ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        Killer(folder, last, torn=torn)
        work(folder)
    except BaseException:  # noqa: BLE001  a fork must never go on as pytest
        import traceback

        traceback.print_exc()
        os._exit(_FAILED)
    os._exit(0)


def content(folder: Path) -> dict[str, object]:
    """Every file's bytes; a state of torch by its values, since equal ones pickle in two ways."""
    return {
        str(path.relative_to(folder)): repr(torch.load(path, weights_only=True))
        if path.suffix == ".pt"
        else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def main(name: str, folder: Path, every: int) -> dict[str, object]:
    """Kill at every n-th operation of a writer; what was done, and what was wrong."""
    torch.set_num_threads(1)
    time.perf_counter = lambda: 0.0  # else files hold how long it took
    work = {**WORKS, "careless": careless}[name]()
    assert attempt(work, folder / "whole") == 0
    expected, wrong, kills, torn_kills = content(folder / "whole"), [], 0, 0
    last = 1
    while True:
        status = _kill(work, folder / "cut", last, expected, wrong, torn=False)
        if status == 0:
            break
        kills += 1
        if status == _UNSYNCED:
            torn_kills += 1
            _kill(work, folder / "cut", last, expected, wrong, torn=True)
        last += every
    return {"kills": kills, "torn": torn_kills, "files": list(expected), "wrong": wrong}


def _kill(
    work: Work, folder: Path, last: int, expected: dict[str, object], wrong: list, *, torn: bool
) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    status = attempt(work, folder, last, torn=torn)
    if status == 0:
        return 0
    again = attempt(work, folder)
    found = content(folder)
    if status not in (_KILLED, _UNSYNCED) or again or found != expected:
        names = found.keys() | expected.keys()
        different = sorted(one for one in names if found.get(one) != expected.get(one))
        wrong.append({"operation": last, "torn": torn, "status": [status, again], "in": different})
    return status


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))  # noqa: T201
