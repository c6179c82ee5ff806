"""Pack data sets for a machine without a network: each a folder of at most so many megabytes.

    DECONVVIZ_DATA=DIR python benchmarks/pack.py [OUT] [--megabytes 25]

Pictures are compressed again (WebP), as little as the limit allows; if even the smallest quality is
too large, only one of n training pictures is taken. `OUT/NAME/note.json` says which. A pack is an
archive of class folders, which `benchmarks/on_gpu.sh` unpacks; it is a copy for measuring speed and
whether training works, not for figures of accuracy beside others.
"""

import argparse
import io
import json
import tarfile
from pathlib import Path

from PIL import Image

from deconvviz.io.data import Dataset, load_dataset, stratified_subset

QUALITIES = (90, 75, 60, 45, 30, 15)
SAMPLE = 400  # pictures from which sizes are estimated
MEMBER = 1024  # bytes that an archive spends on a file beside its content, about


def encoded(data: Dataset, index: int, quality: int) -> bytes:
    stream = io.BytesIO()
    pixels = data.images[index].permute(1, 2, 0).numpy()
    Image.fromarray(pixels.squeeze()).save(stream, "WEBP", quality=quality, method=4)
    return stream.getvalue()


def size(data: Dataset, quality: int) -> float:
    """Bytes of a data set in an archive, estimated."""
    some = range(0, len(data), max(1, len(data) // SAMPLE))
    taken = sum(len(encoded(data, index, quality)) for index in some)
    return len(data) * (taken / len(some) + MEMBER)


def pack(name: str, out: Path, limit: float) -> None:
    splits = {split: load_dataset(name, split, progress=False) for split in ("train", "test")}
    sizes = {q: sum(size(data, q) for data in splits.values()) for q in QUALITIES}
    quality = next((q for q in QUALITIES if sizes[q] < limit), QUALITIES[-1])
    test = size(splits["test"], quality)
    every = 1
    while test + (sizes[quality] - test) / every > limit:
        every += 1
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    with tarfile.open(folder / f"{name}.tar", "w") as archive:
        for split, data in splits.items():
            if split == "train" and every > 1:
                data = stratified_subset(data, len(data) // every)
            counts[split] = len(data)
            for index in range(len(data)):
                content = encoded(data, index, quality)
                label = data.classes[int(data.labels[index])]
                member = tarfile.TarInfo(f"{name}/{split}/{label}/{index:05d}.webp")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    note = {"data": name, "webp_quality": quality, "training_pictures_taken": f"1 of {every}"}
    (folder / "note.json").write_text(json.dumps({**note, "pictures": counts}) + "\n")
    print(folder, f"{(folder / f'{name}.tar').stat().st_size / 1e6:.1f} MB", note)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=Path, default=Path(".gpu"))
    parser.add_argument("--megabytes", type=float, default=25.0, help="limit for each folder")
    given = parser.parse_args()
    for name in ("cifar10", "photos20"):
        pack(name, given.out, 1e6 * given.megabytes)


if __name__ == "__main__":
    main()
