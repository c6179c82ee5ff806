"""A writer that is killed at any of its file operations goes on to the same bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crashes import WORKS

ROOT = Path(__file__).parents[1]
QUICK = {"atlas": 1, "diagnosis": 4, "gallery": 12}  # writer -> every n-th operation

SLOW = {"training": 6}  # of which one kill takes seconds; every other writer: each operation


def crash(name, folder, every):
    words = [sys.executable, "-m", "tests.crashes", name, str(folder), str(every)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=1700, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["wrong"] == [], done.stderr[-2000:]
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, and /proc/self/fd")
@pytest.mark.parametrize("name", QUICK)
def test_a_kill_at_some_file_operations_changes_nothing(name, tmp_path):
    found = crash(name, tmp_path, QUICK[name])
    assert found["kills"] > 2
    assert found["torn"] > 0 or name == "gallery"


def test_the_harness_finds_a_writer_that_does_not_go_on(tmp_path):
    words = [sys.executable, "-m", "tests.crashes", "careless", str(tmp_path), "1"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True)
    found = json.loads(done.stdout)
    assert {"numbers"} in [set(one["in"]) for one in found["wrong"]]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, and /proc/self/fd")
@pytest.mark.parametrize("name", WORKS)
def test_a_kill_at_any_file_operation_changes_nothing(name, tmp_path):
    found = crash(name, tmp_path, SLOW.get(name, 1))
    assert found["kills"] > 5
    assert found["torn"] > 0
