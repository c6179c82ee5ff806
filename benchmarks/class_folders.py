"""Class folders of ImageNet's number of files: time, memory and disk of the first and later reads.

    python benchmarks/class_folders.py [--count 100000] [--size 64] [--write]

Makes the files in a folder of its own (JPEG, of random smooth colours, half as large again as they
are read), reads them as `--data folder`, then again from the cache, then one pass over all pictures
from a file that is mapped into memory. Each read is a process of its own, so that its largest
memory is its own. Linux only.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from report import environment, markdown, options, publish

CLASSES = 100
READ = """
import json, re, sys, threading, time
import torch
from deconvviz.io.data import load_dataset

def own():  # pages of the mapped file are not counted: they can be dropped at any moment
    return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1000

largest, ended = own(), threading.Event()
def watch():
    global largest
    while not ended.wait(0.02):
        largest = max(largest, own())
watching = threading.Thread(target=watch)
watching.start()
what, folder, size = sys.argv[1:]
began = time.perf_counter()
if what != "nothing":
    data = load_dataset("folder", "all", data_dir=folder, size=int(size), progress=False)
if what == "pass":
    began = time.perf_counter()
    sum(int(data.images[i : i + 256].sum()) for i in range(0, len(data), 256))
seconds = time.perf_counter() - began
ended.set()
watching.join()
print(json.dumps({"seconds": seconds, "mb": largest}))
"""


def make(folder: Path, count: int, size: int) -> None:
    generator = np.random.default_rng(0)
    side = size * 3 // 2
    for number in range(count):
        place = folder / f"class{number % CLASSES:03}"
        place.mkdir(exist_ok=True)
        coarse = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((side, side)).save(place / f"{number}.jpg")


def read(what: str, folder: Path, size: int, cache: Path) -> dict[str, Any]:
    words = [sys.executable, "-c", READ, what, str(folder), str(size)]
    done = subprocess.run(  # noqa: S603
        words,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        check=True,
        timeout=7200,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=64)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        files, cache = Path(place, "files"), Path(place, "cache")
        files.mkdir()
        began = time.perf_counter()
        make(files, given.count, given.size)
        print(f"{given.count} files in {time.perf_counter() - began:.0f} s")  # noqa: T201
        rows = []
        for title, what in (
            ("nothing but the imports", "nothing"),
            ("first read: decoded into a file", "read"),
            ("read again", "read"),
            ("one pass over all pictures", "pass"),
        ):
            found = read(what, files, given.size, cache)
            rows.append([title, f"{found['seconds']:.1f}", f"{found['mb']:.0f}"])
        disk = sum(one.stat().st_size for one in cache.rglob("*") if one.is_file())
    text = (
        f"`python benchmarks/class_folders.py`; {given.count} JPEG files in {CLASSES} class "
        f"folders, read at {given.size} x {given.size}; {environment()}.\n\n"
        f"{markdown(('step', 'seconds', 'MB of memory of its own'), rows)}\n\n"
        f"On disk: {disk / 1e9:.2f} GB in the cache, {disk / given.count:.0f} bytes a picture."
    )
    publish("Class folders", text, write=given.write)


if __name__ == "__main__":
    main()
