"""What the server keeps: its size, what goes first, and that one session does the work of all."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from deconvviz.io.data import draw_shapes
from deconvviz.ui import memory
from deconvviz.ui.choices import MAX_PARAMETERS
from deconvviz.ui.memory import MB, RESULTS, Memory, kept, key_of, long_work, size_of, working


@pytest.fixture(autouse=True)
def _empty():
    RESULTS.clear()


def test_the_least_recently_used_values_go_first():
    cache = Memory(3 * 1000 + 400)
    for name in "abc":
        cache.put(name, bytes(1000))
    assert cache.get("a") is not None
    cache.put("d", bytes(1000))
    assert [name for name in "abcd" if cache.get(name) is not None] == ["a", "c", "d"]


def test_no_more_than_the_limit_is_held_whatever_is_put_in():
    cache, values = Memory(MB), np.random.default_rng(0)
    for _ in range(2000):
        size = int(values.integers(0, MB // 3))
        cache.put(int(values.integers(60)), bytes(size))
        held = [cache.get(key) for key in range(60)]
        assert cache.held == sum(size_of(one) for one in held if one is not None) <= MB
    cache.clear()
    assert (cache.held, len(cache)) == (0, 0)


def test_a_value_larger_than_all_may_be_is_not_kept_and_drops_nothing():
    cache = Memory(2000)
    cache.put("small", bytes(1000))
    assert len(cache.put("large", bytes(3000))) == 3000
    assert cache.get("large") is None
    assert cache.get("small") is not None


def test_a_value_that_takes_the_place_of_another_is_counted_once():
    cache = Memory(10_000)
    for _ in range(5):
        cache.put("a", bytes(4000))
    assert cache.held == size_of(bytes(4000))


@dataclass(frozen=True, eq=False)
class Found:
    pixels: torch.Tensor
    patch: np.ndarray
    image: Image.Image
    network: nn.Module


def test_the_size_of_a_value_is_that_of_its_pixels_each_counted_once():
    pixels = torch.zeros(3, 512, 512)
    patch = np.zeros((512, 512, 3), np.uint8)
    network = nn.Linear(2000, 2000)
    one = Found(pixels[:, :10], patch[5:], Image.new("RGB", (512, 512)), network)
    expected = 3 * 512 * 512 * 4 + 512 * 512 * 3 + 512 * 512 * 4
    assert expected < size_of(one) < expected + 4000
    assert size_of([one, one, {"again": pixels}]) < expected + 5000
    assert size_of("x" * MB) > MB
    assert size_of({"a": [bytes(1000)] * 9}) < 3000


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_the_size_agrees_with_the_memory_of_a_process():
    """Against the system: what a process grows by when it holds 200 MB of such values."""
    program = (
        "import torch, numpy as np\n"
        "from PIL import Image\n"
        "from deconvviz.ui.memory import RESULTS, size_of\n"
        "resident = lambda: int(open('/proc/self/statm').read().split()[1]) * 4096\n"
        "before = resident()\n"
        "held = [(torch.ones(3, 700, 700), np.ones((700, 700, 3), np.uint8),\n"
        "         Image.new('RGB', (700, 700), 'teal'), b'x' * 700_000) for _ in range(20)]\n"
        "print((resident() - before) / size_of(held), RESULTS.max_bytes)"
    )
    words = [sys.executable, "-c", program]
    environment = {**os.environ, "DECONVVIZ_CACHE_MB": "64"}
    reply = subprocess.run(words, check=True, capture_output=True, env=environment, timeout=100)
    share, limit = reply.stdout.split()
    assert 0.85 < float(share) < 1.15
    assert int(limit) == 64 * MB


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_freed_memory_goes_back_to_the_system_after_the_last_work():
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    with working():
        blocks = [b"x" * (60_000 + place % 7) for place in range(4000)]
        held, some = resident(), blocks[::100]  # of 240 MB in pieces, which glibc keeps
        del blocks
    assert held - resident() > 150 * MB
    assert len(some) == 40


def test_arguments_are_told_apart_by_what_they_are():
    @dataclass(frozen=True)
    class Point:
        x: int
        y: int

    @dataclass(frozen=True)
    class Keyed:
        key: str

    values = [1, 1.5, "1", None, True, (1, 2), Point(1, 2), Point(2, 1), Keyed("a"), Keyed("b")]
    values += [draw_shapes(4, seed=seed) for seed in (1, 2)]
    keys = [key_of(value) for value in values]
    assert len(set(keys)) == len(keys)
    assert key_of([1, 2]) == key_of((1, 2))
    assert key_of(Point(1, 2)) == keys[6]
    with pytest.raises(TypeError, match="object"):
        key_of(object())


def test_a_kept_function_works_once_for_equal_arguments():
    calls = []

    @kept()
    def double(number, by=2, _ink=""):
        calls.append(number)
        return number * by

    assert [double(3), double(3), double(number=3, by=2), double(3, _ink="red")] == [6] * 4
    assert double(3, 3) == 9
    assert calls == [3, 3]

    @kept()
    def nothing():
        calls.append("nothing")

    assert nothing() is nothing() is None
    assert calls[2:] == ["nothing"]


def test_a_failure_is_not_kept():
    calls = []

    @kept()
    def fails():
        calls.append(1)
        return 1 / 0

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fails()
    assert len(calls) == 2
    assert not memory._making


def run_at_once(functions):
    threads = [Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


def test_of_equal_calls_at_once_one_does_the_work():
    calls, found = [], []

    @kept()
    def slow(number):
        calls.append(number)
        time.sleep(0.2)
        return object()

    run_at_once([lambda: found.append(slow(7)) for _ in range(6)])
    assert calls == [7]
    assert len(set(map(id, found))) == 1
    assert not memory._making


def test_nested_work_of_many_threads_ends_and_never_exceeds_its_places():
    running, most, lock = [0], [0], Lock()

    @kept()
    def inner(number):
        time.sleep(0.01)
        return number

    @kept()
    def outer(number):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        total = sum(inner((number + step) % 7) for step in range(4))
        with working():  # as a page that decodes an upload inside
            time.sleep(0.01)
        with lock:
            running[0] -= 1
        return total

    run_at_once([lambda n=n: outer(n) for n in range(24)])
    assert most[0] == memory.AT_ONCE


def test_long_work_waits_for_its_turn_and_says_so():
    begin, waited = Event(), []

    def occupy():
        with long_work(lambda: None):
            begin.wait(30)

    holders = [Thread(target=occupy) for _ in range(memory.AT_ONCE)]
    for holder in holders:
        holder.start()
    time.sleep(0.1)

    def wait():
        waited.append(1)
        begin.set()

    with long_work(wait):
        assert waited
    for holder in holders:
        holder.join(30)

    def leaves():
        raise KeyboardInterrupt

    begin.clear()
    holders = [Thread(target=occupy) for _ in range(memory.AT_ONCE)]
    for holder in holders:
        holder.start()
    time.sleep(0.1)
    with pytest.raises(KeyboardInterrupt), long_work(leaves):
        pytest.fail("it has no turn")
    begin.set()
    for holder in holders:
        holder.join(30)
    with long_work(leaves):
        pass


def test_the_documentation_has_the_same_bounds():
    text = (Path(memory.__file__).parents[2] / "docs" / "security.md").read_text("utf-8")
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line[:1] == "|"}
    pending = f"| {memory.PENDING_FILES} files, {memory.PENDING_SESSION_BYTES // MB} MB |"
    assert (
        f"{pending} {memory.PENDING_BYTES // MB} MB |" in rows["uploads that no page has read yet"]
    )
    pictures = rows["uploaded pictures, 1024 pixels at most"]
    assert f"| {memory.UPLOADS} | {memory.SESSION_BYTES // MB} MB" in pictures
    assert f"| {memory.NETWORKS} |" in rows["networks, with their data sets and atlases"]
    for row in ("uploaded checkpoints, 20 MB each", "networks whose classes a person named"):
        assert f"| {memory.NETWORKS} |" in rows[row]
    (largest,) = (row for name, row in rows.items() if name.startswith("parameters of a library"))
    assert f"| {MAX_PARAMETERS // 10**6} million, {4 * MAX_PARAMETERS / 1e9:g} GB |" in largest
    if "DECONVVIZ_CACHE_MB" not in os.environ:
        assert f"| {memory.RESULT_BYTES // MB} MB," in rows["results of pages"]
