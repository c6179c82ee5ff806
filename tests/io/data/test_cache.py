"""Pixels on disk: whole or not at all, and damage is seen."""

import numpy as np
import pytest
import torch

from deconvviz.errors import DataError
from deconvviz.io.data.cache import cache_folder, empty_pixels, read_pixels, write_pixels

PIXELS = np.arange(5 * 3 * 4 * 6, dtype=np.uint16).astype(np.uint8).reshape(5, 3, 4, 6)


@pytest.fixture(params=[0, 2**30], ids=["mapped", "in-memory"])
def limit(request, monkeypatch):
    monkeypatch.setattr("deconvviz.io.data.cache._MAX_IN_MEMORY", request.param)
    return request.param


@pytest.mark.usefixtures("limit")
def test_what_is_written_in_blocks_is_read_as_one():
    write_pixels("key", iter([PIXELS[:2], PIXELS[2:4], PIXELS[4:]]))
    pixels = read_pixels("key")
    assert pixels is not None
    assert pixels.dtype == torch.uint8
    assert np.array_equal(pixels.numpy(), PIXELS)
    assert read_pixels("other") is None


@pytest.mark.parametrize("damage", ["first byte", "shape", "digest", "cut", "longer", "empty"])
def test_a_damaged_file_reads_as_absent(cache, damage):
    write_pixels("key", [PIXELS])
    file = cache / "decoded" / "key.pixels"
    content = bytearray(file.read_bytes())
    if damage in ("first byte", "shape", "digest"):
        content[{"first byte": 0, "shape": PIXELS.nbytes, "digest": -1}[damage]] ^= 1
    file.write_bytes(
        {"cut": content[:-100], "longer": content + b"0", "empty": b""}.get(damage, content)
    )
    assert read_pixels("key") is None


def test_writing_that_fails_leaves_what_was_there_and_no_debris(cache):
    def failing():
        yield PIXELS
        raise DataError("a picture is damaged")

    write_pixels("key", [PIXELS[:1]])
    with pytest.raises(DataError, match="a picture is damaged"):
        write_pixels("key", failing())
    assert [path.name for path in (cache / "decoded").iterdir()] == ["key.pixels"]
    assert len(read_pixels("key")) == 1


@pytest.mark.usefixtures("limit")
def test_writing_to_what_was_read_does_not_change_the_file():
    write_pixels("key", [PIXELS])
    read_pixels("key").zero_()
    assert np.array_equal(read_pixels("key").numpy(), PIXELS)


@pytest.mark.usefixtures("limit")
def test_empty_pixels_leave_no_file(cache):
    (cache / "decoded").mkdir(parents=True, exist_ok=True)
    tensor = empty_pixels((4, 3, 8, 8), torch.device("cpu"))
    tensor.copy_(torch.ones(4, 3, 8, 8))
    assert tensor.sum() == 4 * 3 * 8 * 8
    assert list((cache / "decoded").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    sentence = "cannot write decoded pictures to .*file/deconvviz"
    with pytest.raises(DataError, match=sentence):
        write_pixels("key", [PIXELS])
    assert len(empty_pixels((1,), torch.device("cpu"))) == 1  # in memory
    monkeypatch.setattr("deconvviz.io.data.cache._MAX_IN_MEMORY", 0)
    with pytest.raises(DataError, match=sentence):
        empty_pixels((1,), torch.device("cpu"))


def test_cache_is_in_the_home_folder_unless_told_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "deconvviz"
