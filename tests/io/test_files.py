"""Files that are there whole or not at all."""

import pytest

from deconvviz.io import files
from deconvviz.io.files import write_atomically


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
