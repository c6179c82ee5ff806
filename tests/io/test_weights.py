"""Weights from anyone: plain numbers of the network's own shapes, or one sentence."""

import io
import json
import pickle
import struct
import time
import tracemalloc
import zipfile

import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from deconvviz.errors import CheckpointError
from deconvviz.io.weights import read_weights


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict()


def refusal(path):
    with pytest.raises(CheckpointError) as caught:
        read_weights(path, small())
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def test_a_header_whose_length_begins_as_a_zip_file_does_is_read(tmp_path):
    content = save(small())
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].ljust(int.from_bytes(b"PK", "little"))
    size = struct.pack("<Q", len(header))
    assert size.startswith(b"PK")
    (tmp_path / "w").write_bytes(size + header + content[8 + length :])
    read = read_weights(tmp_path / "w", small())
    assert all(torch.equal(read[name], tensor) for name, tensor in small().items())


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_the_weights_come_back_from_both_kinds_of_file(tmp_path, prefix, kind):
    stored = {prefix + name: tensor for name, tensor in small().items()}
    write = torch.save if kind == "pt" else save_file
    write(stored, tmp_path / "w")
    read = read_weights(tmp_path / "w", small())
    assert all(torch.equal(read[name], tensor) for name, tensor in small().items())


def quantised():
    return torch.quantize_per_tensor(torch.rand(4), 0.1, 0, torch.qint8)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: torch.rand(4).to(torch.float8_e4m3fn), "float8_e4m3fn, which is not read"),
        (lambda: torch.rand(4).to(torch.complex64) * float("nan"), "complex64, which is not read"),
        (lambda: torch.rand(4).to_sparse(), "is sparse"),
        (lambda: torch.rand(4, device="meta"), "has no numbers"),
        (quantised, "is quantised"),
        (lambda: torch.rand(1).expand(4), "repeats its numbers"),
        (lambda: torch.ones(4, dtype=torch.int32), "the network needs torch.float32"),
        (lambda: torch.full((4,), float("nan"), dtype=torch.bfloat16), "not finite"),
        (lambda: torch.full((4,), float("inf"), dtype=torch.float16), "not finite"),
        (lambda: torch.full((4,), 1e300, dtype=torch.float64), "not finite"),
        (lambda: torch.full((4,), float("nan"), dtype=torch.float64), "not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_what_is_no_plain_number_is_refused_by_name(tmp_path, make, says):
    torch.save({**small(), "0.bias": make()}, tmp_path / "w.pt")
    message = refusal(tmp_path / "w.pt")
    assert "`0.bias`" in message
    assert says in message


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.complex64])
def test_a_type_is_refused_before_it_is_read_in_safetensors_too(tmp_path, dtype):
    save_file({**small(), "0.bias": torch.rand(4).to(dtype)}, tmp_path / "w")
    assert "which is not read; save it as float32" in refusal(tmp_path / "w")


def repacked(content, compress=zipfile.ZIP_STORED, **changes):
    """A zip of `torch.save` with other entries."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", compress) as new:
        for one in old.infolist():
            name = one.filename.rpartition("/")[2].partition(".")[0]
            new.writestr(one.filename, changes.get(name, old.read(one)))
    return made.getvalue()


def stored():
    file = io.BytesIO()
    torch.save(small(), file)
    return file.getvalue()


def legacy():
    file = io.BytesIO()
    torch.save(small(), file, _use_new_zipfile_serialization=False)
    return file.getvalue()


class Fill:
    def __reduce__(self):
        return bytearray, (8 << 30,)


def huge_header():
    header = {"0.bias": {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 2**62]}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda: b"", "no weights that can be read"),
        (lambda: b"some words in a text file", "no weights that can be read"),
        (lambda: b"\x80\x02r\xff\xff\xff\x7f.", "no weights that can be read"),
        (lambda: b"PK\x03\x04" + bytes(100), "no weights that can be read"),
        (lambda: stored()[:-30], "no weights that can be read"),
        (lambda: stored()[:400], "no weights that can be read"),
        (lambda: repacked(stored(), data=b"\x80\x02r\xff\xff\xff\x7f."), "no weights that can"),
        (lambda: repacked(stored(), data=pickle.dumps(Fill(), 2)), "no weights that can be read"),
        (lambda: repacked(stored(), zipfile.ZIP_DEFLATED), "is compressed"),
        (legacy, "before version 1.6, which is not read; write it anew"),
        (huge_header, "damaged"),
        (lambda: save(small())[:-30], "damaged"),
        (lambda: struct.pack("<Q", 2**40) + b"{" + bytes(99), "no plausible safetensors header"),
    ],
)
def test_a_file_that_is_not_whole_or_not_weights_is_refused(tmp_path, content, says):
    (tmp_path / "w.pt").write_bytes(content())
    assert says in refusal(tmp_path / "w.pt")


def test_an_older_file_is_read_once_it_is_written_anew_as_its_refusal_says(tmp_path):
    (path := tmp_path / "w.pt").write_bytes(legacy())
    torch.save(torch.load(path, weights_only=True), path)
    read = read_weights(path, small())
    assert all(torch.equal(read[name], tensor) for name, tensor in small().items())


def test_a_compressed_file_is_not_unpacked(tmp_path):
    file = io.BytesIO()
    torch.save({**small(), "0.bias": torch.zeros(10**8)}, file)
    (tmp_path / "w.pt").write_bytes(repacked(file.getvalue(), zipfile.ZIP_DEFLATED))
    del file
    started = time.perf_counter()
    tracemalloc.start()
    assert "is compressed" in refusal(tmp_path / "w.pt")
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("write", [torch.save, lambda weights, path: save_file(weights, path)])
def test_a_huge_tensor_is_refused_by_its_shape_and_not_read(tmp_path, write, monkeypatch):
    write({**small(), "0.bias": torch.zeros(10**7)}, tmp_path / "w")
    monkeypatch.setattr(torch.Tensor, "to", lambda *_: pytest.fail("read"))
    assert "`0.bias` is [10000000], not [4]" in refusal(tmp_path / "w")
