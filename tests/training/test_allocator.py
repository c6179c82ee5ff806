"""Counted in a process of its own, because it holds for a whole process."""

import subprocess
import sys

import pytest

from deconvviz.training import device
from deconvviz.training.device import keep_memory

COUNTED = """
import resource
import torch
from deconvviz.training.device import keep_memory

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.empty(2**26, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

pages()
anew = pages()
taken = keep_memory()
pages()
print(int(taken), anew, pages())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is of glibc")
def test_a_block_that_was_freed_is_taken_again_without_new_pages():
    ran = subprocess.run(
        [sys.executable, "-c", COUNTED], capture_output=True, text=True, check=True
    )
    taken, anew, again = map(int, ran.stdout.split())
    if not taken:
        pytest.skip("the C library here is not glibc")
    assert anew > 10
    assert again < anew / 10


def test_where_there_is_no_such_library_nothing_happens(monkeypatch):
    monkeypatch.setattr(device.sys, "platform", "darwin")
    assert not keep_memory()
    monkeypatch.undo()
    monkeypatch.setattr(device.ctypes, "CDLL", lambda _: object())
    assert not keep_memory()
