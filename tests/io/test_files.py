"""Files that are there whole or not at all."""

import errno
import os
import subprocess
import sys

import pytest

from deconvviz.errors import BusyError
from deconvviz.io import files
from deconvviz.io.files import append_line, only_writer, write_atomically


def test_writes_text_and_bytes_into_a_folder_that_was_missing(tmp_path):
    write_atomically(tmp_path / "a" / "b.txt", "grün")
    write_atomically(tmp_path / "a" / "c.bin", b"\x00\x01")
    assert (tmp_path / "a" / "b.txt").read_text("utf-8") == "grün"
    assert (tmp_path / "a" / "c.bin").read_bytes() == b"\x00\x01"


def test_a_kill_before_the_end_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "state"
    write_atomically(path, "old")

    def killed(_handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


HOLD = """
import sys, time
from pathlib import Path
from deconvviz.io.files import atomic_file, only_writer
with only_writer(Path(sys.argv[1])), atomic_file(Path(sys.argv[1], "half")) as file:
    file.write(b"half")
    file.flush()
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def test_a_folder_has_one_writer_who_is_named_and_a_kill_frees_it(tmp_path, holder):
    with pytest.raises(BusyError, match=rf"process {holder.pid}, started 2\d\d\d-.* is writing"):
        only_writer(tmp_path).__enter__()
    files._cleared.clear()
    write_atomically(tmp_path / "other", "x")
    litter = [path for path in tmp_path.iterdir() if path.name.startswith(".deconvviz-")]
    assert len(litter) == 1  # it is being written
    holder.kill()
    holder.wait()
    files._cleared.clear()
    with only_writer(tmp_path):
        write_atomically(tmp_path / "other", "y")
        with pytest.raises(BusyError, match=f"process {os.getpid()}, started"):
            only_writer(tmp_path).__enter__()
        with only_writer(tmp_path, "part"):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_the_umask_decides_who_may_read(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", "")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_only_an_ordinary_file_is_replaced(tmp_path):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, kind in (("folder.png", IsADirectoryError), ("pipe", FileExistsError)):
        with pytest.raises(kind, match=name):
            write_atomically(tmp_path / name, "x")
    assert {path.name for path in tmp_path.iterdir()} == {"folder.png", "pipe"}


def test_the_longest_name_is_written_and_a_longer_one_is_named(tmp_path):
    write_atomically(tmp_path / ("x" * 255), "x")
    with pytest.raises(OSError, match="xxxx"):
        write_atomically(tmp_path / ("x" * 256), "x")


def test_an_error_of_a_write_names_the_file(tmp_path, monkeypatch):
    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    for write in (write_atomically, append_line):
        with pytest.raises(OSError, match=r"No space left on device: .*state"):
            write(tmp_path / "state", "new")
