"""Wrong commands and failures of the machine: a sentence and an exit status, never a traceback."""

import errno
import io
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from deconvviz import cli
from deconvviz.cli.failures import guarded
from deconvviz.errors import BusyError, SettingError
from deconvviz.io.files import only_writer
from deconvviz.io.images import photograph
from deconvviz.io.zoo.names import DEMOS

LAYER = "stage2.relu2"
PROJECT = ["project", "demo", "cat.png", "--layer", LAYER, "--out"]
TRAIN = ["train", "--data", "shapes", "--device", "cpu", "--out"]
ABLATION = ["experiment", "ablation", "--data", "shapes", "--device", "cpu", "--out"]
TRUST = ["trust", "demo", "cat.png", "--layer", LAYER]
LONG = "n" * 300


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a picture, a file, a folder with a picture's name, and broken code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    photograph("cat").image.save("cat.png")
    (tmp_path / "file").write_text("some text")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "broken_nets.py").write_text("def net(:")
    (tmp_path / "ending_nets.py").write_text("import sys; sys.exit(3)")
    (tmp_path / "good_nets.py").write_text(
        "import torch\ndef net(): return torch.nn.Conv2d(3, 4, 3)"
    )
    return tmp_path


def ended(words, monkeypatch, capfd):
    """Exit status and stderr of a command in this process."""
    monkeypatch.setattr(sys, "argv", ["deconvviz", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([*PROJECT, "folder.png"], "not a file"),
        ([*PROJECT, "file/y.png"], "file is not a folder"),
        ([*PROJECT, f"{LONG}.png"], "name is too long"),
        ([*PROJECT, ""], "empty"),
        ([*PROJECT, "y.png", "--rule", "no"], "no rule `no`; there are deconvnet"),
        ([*PROJECT, "y.png", "--weights", "IMAGENET1K_V1"], "leave out IMAGENET1K_V1"),
        ([*PROJECT, "y.png", "--weights", "none"], "weights are chosen for torchvision"),
        ([*PROJECT, "y.png", "--unit", "224"], "no unit 224"),
        ([*TRAIN, ""], "empty"),
        ([*TRAIN, "file"], "file is not a folder"),
        ([*TRAIN, "file/below"], "file is not a folder"),
        ([*TRAIN, "t", "--device", "cpu:99"], "no device `cpu:99`"),
        ([*TRAIN, "t", "--model", "fast", "--size", "9"], "`fast` does not take pictures of 9 x 9"),
        ([*TRAIN, "t", "--batch-size", "100000000"], "batch_size must be <= 65536"),
        ([*TRAIN, "t", "--unlabelled-batch", "100000000"], "unlabelled_batch must be <= 65536"),
        ([*TRAIN, "t", "--bn-bias-lr-scale", "-5"], "bn_bias_lr_scale must be > 0"),
        ([*TRAIN, "t", "--epochs", "1" + "0" * 30], "epochs must be <"),
        ([*TRAIN, "t", "--snapshots", "1" + "0" * 30], "snapshots.0 must be <"),
        ([*TRAIN, "t", "--augmentation.crop-padding", "1000000"], "crop_padding must be <= 4096"),
        ([*ABLATION, "file"], "file is not a folder"),
        (["atlas", "build", "--out", ""], "empty"),
        (["atlas", "build", "--out", "x", "--device", "cpu:99"], "no device `cpu:99`"),
        (["diagnose", "demo", "--out", "file"], "file is not a folder"),
        (["experiment", "filters", "demo", "--out", ""], "empty"),
        (["study", "run", "helps", "--results", "reslts"], "no folder reslts; check its name"),
        (["study", "report", "helps", "--results", "reslts"], "no folder reslts"),
        (["study", "gradients", "--results", "reslts"], "no folder reslts"),
        (["experiment", "filters", "demo", "--out", "x", "--seed", "-1"], "seed must be >= 0"),
        (["experiment", "filters", "demo", "--out", "x", "--count", "-1"], "count must be >= 0"),
        (["diagnose", "demo", "--out", "x", "--seed", str(2**64)], "seed must be <"),
        ([*TRUST, "--out", "x", "--seed", str(2**64)], "seed must be <"),
        ([*TRUST, "--out", "x", "--size", "4"], "size must be >= 8"),
        (["study", "gradients", "--seeds", str(2**64)], "seeds.0 must be <"),
        (["study", "gradients", "--width", "0"], "width must be >= 1"),
        (["layers", "broken_nets:net"], "`broken_nets` fails when it is imported: SyntaxError"),
        (["layers", "ending_nets:net"], "`ending_nets` fails when it is imported: SystemExit"),
        (["layers", "good_nets:net", "--input-size", "3,1000000,1000000"], "at most 1024 and 4096"),
        (["layers", "good_nets:net", "--input-size", "0,32,32"], "input_size must be"),
        (["layers", "good_nets:net", "--input-size", f"3,{10**30},{10**30}"], "as in 3,224,224"),
        (["layers", "good_nets:net", "--weights", "x"], "weights are chosen for torchvision"),
        (["app", "resnet18"], "no model `resnet18`"),
    ],
)
def test_a_wrong_command_is_refused_in_a_sentence(here, monkeypatch, capfd, words, says):
    before = sorted(here.rglob("*"))
    status, said = ended(words, monkeypatch, capfd)
    assert (status, said.count("\n")) == (1 if "too long" in says else 2, 1)
    assert said.startswith("deconvviz: ")
    assert says in said
    assert [
        path
        for path in sorted(here.rglob("*"))
        if path.name != "__pycache__" and path.parent.name != "__pycache__"
    ] == before


@pytest.mark.parametrize(
    "words",
    [
        [*PROJECT, "y.png", "-k", "0"],
        [*PROJECT, "y.png", "-k", "-1"],
        [*PROJECT, "y.png", "--size", "0"],
        [*PROJECT, "y.png", "--size", "-5"],
        [*PROJECT, "y.png", "--unit", "-1"],
        [*TRAIN, "t", "--size", "1000000"],
        [*TRAIN, "t", "--size", "-3"],
        [*TRAIN, "t", "--hold-out", "-3"],
        [*TRAIN, "t", "--labels", "-3"],
        [*TRAIN, "t", "--no-such-option"],
        [*TRAIN, "t", "stray"],
        [*ABLATION, "t", "--size", "1000000"],
        [*ABLATION, "t", "--count", "-4"],
        [*ABLATION, "t", "--seed", "-3"],
        ["atlas", "build", "--out", "x", "-k", "0"],
        ["evaluate", "demo", "--data", "shapes", "--robust", "-5"],
        ["experiment", "nothing"],
        ["nothing"],
    ],
)
def test_a_value_out_of_range_is_refused_before_anything_starts(here, monkeypatch, capfd, words):
    before = sorted(here.rglob("*"))
    status, said = ended(words, monkeypatch, capfd)
    assert status == 2
    assert "Error" in said
    assert sorted(here.rglob("*")) == before


def test_one_class_alone_cannot_be_learnt(here, monkeypatch, capfd):
    for split in ("train", "test"):
        (here / "data" / split / "cat").mkdir(parents=True)
        for number in range(4):
            photograph("cat").image.save(here / "data" / split / "cat" / f"{number}.png")
    words = ["train", "--data", "folder", "--data-dir", "data", "--size", "32", "--batch-size", "2"]
    status, said = ended([*words, "--out", "t"], monkeypatch, capfd)
    assert status == 2
    assert "one class alone (cat)" in said
    assert not (here / "t").exists()


def test_other_files_beside_snapshots_are_left_out(here, monkeypatch, capfd):
    (here / "snapshots").mkdir()
    content = load_path().read_bytes()
    (here / "net.safetensors").write_bytes(content)
    (here / "snapshots" / "epoch-final.safetensors").write_bytes(content)
    assert ended(["layers", "net.safetensors"], monkeypatch, capfd) == (0, "")


def load_path():
    from importlib import resources

    return resources.files("deconvviz") / "demo" / f"{DEMOS[0]}.safetensors"


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (SettingError("k must be >= 1"), 2, "k must be >= 1"),
        (BusyError("process 7 is writing x"), 1, "process 7"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 1, "share of the disk"),
        (OSError(errno.EROFS, "Read-only file system", "/a/b"), 1, "/a/b: this disk is read-only"),
        (PermissionError(errno.EACCES, "Permission denied", "/a"), 1, "/a: you have no permission"),
        (PermissionError(errno.EPERM, "Operation not permitted", "/a"), 1, "no permission"),
        (OSError(errno.EFBIG, "File too large", "/a"), 1, "larger than this disk"),
        (OSError(errno.EIO, "Input/output error", "/a"), 1, "the disk fails"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a" * 999), 1, "shorter"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "x.png"), 1, "it is a folder"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "a/b"), 1, "is a file"),
        (FileExistsError(errno.EEXIST, "File exists", "a"), 1, "something else of this name"),
        (OSError(errno.EMFILE, "Too many open files"), 1, "ulimit"),
        (OSError("libtorch.so: cannot open shared object file"), 1, "libtorch.so"),
        (MemoryError(), 1, "the memory is full"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            1,
            "memory is full",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate"), 1, "memory is full"),
        (ModuleNotFoundError("No module named 'scipy'"), 1, "No module named 'scipy'"),
        (ImportError("libcudnn.so.9: cannot open\nmore"), 1, "libcudnn.so.9"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_a_failure_of_the_machine_is_a_sentence_and_a_status(capfd, error, status, says):
    with pytest.raises(SystemExit) as end:
        guarded(raising(error))
    said = capfd.readouterr().err
    assert end.value.code == status
    assert says in said
    assert said.count("\n") == bool(says)
    assert len(said) < 400


def test_a_bug_keeps_its_traceback():
    with pytest.raises(RuntimeError, match="a bug"):
        guarded(raising(RuntimeError("a bug")))


def test_a_folder_that_another_process_writes_is_refused_with_status_1(here, monkeypatch, capfd):
    with only_writer(here / "t"):
        words = [*TRAIN, "t", "--epochs", "1", "--model", "seed-cnn"]
        status, said = ended(words, monkeypatch, capfd)
    assert status == 1
    assert f"process {os.getpid()}, started 2" in said


def start(*words, **options):
    words = [sys.executable, "-m", "deconvviz", *words]
    return subprocess.Popen(
        words,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # A shell has what runs in its background ignore Ctrl-C, and its children too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **options,
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_training_with_its_status_and_the_command_resumes(here, number, status):
    words = [*TRAIN, "t", "--epochs", "500", "--steps-per-epoch", "1", "--batch-size", "16"]
    with start(*words, "--model", "seed-cnn", "--snapshots", "", cwd=here) as process:
        until = time.monotonic() + 100
        while not (here / "t" / "metrics.jsonl").exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=100)
    assert process.returncode == status, said
    assert b"Traceback" not in said
    assert (here / "t" / "model.safetensors").exists() == (status == 130)
    assert not [path for path in (here / "t").iterdir() if path.name.startswith(".")]


def test_a_file_limit_is_a_sentence(here, monkeypatch, capfd):
    words = [*TRAIN, "t", "--epochs", "1", "--steps-per-epoch", "1", "--model", "seed-cnn"]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        status, said = ended([*words, "--hold-out", "40"], monkeypatch, capfd)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert status == 1
    assert "larger than this disk" in said


def test_help_is_shown_in_a_terminal_that_knows_ascii_alone(monkeypatch, capfd):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        assert ended(["train", "--help"], patch, capfd) == (0, "")
    terminal.flush()
    assert b"--lr" in terminal.buffer.getvalue()
