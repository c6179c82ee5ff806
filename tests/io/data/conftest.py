"""A cache folder of each test's own, and class folders written from drawn shapes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from deconvviz.io.data import Dataset, draw_shapes


@pytest.fixture(autouse=True)
def cache(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path | None:
    """An empty cache folder and no DECONVVIZ_DATA, except where a test wants the real pictures."""
    if request.node.get_closest_marker("data"):
        return None
    monkeypatch.delenv("DECONVVIZ_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "deconvviz"


def write_folders(root: Path, dataset: Dataset, suffix: str = ".png") -> Path:
    """Write pictures of one or three channels to `root/CLASS/NNNN.suffix`."""
    for index, (pixels, label) in enumerate(zip(dataset.images, dataset.labels, strict=True)):
        folder = root / dataset.classes[label]
        folder.mkdir(parents=True, exist_ok=True)
        array = pixels.permute(1, 2, 0).squeeze(2).numpy()
        Image.fromarray(array).save(folder / f"{index:04d}{suffix}")
    return root


@pytest.fixture
def shapes() -> Dataset:
    return draw_shapes(30, size=16)


@pytest.fixture
def folders(tmp_path: Path, shapes: Dataset) -> Path:
    """The shapes as PNG, five in each of six class folders."""
    return write_folders(tmp_path / "pictures", shapes)


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many pictures were decoded since the test began."""
    from deconvviz.io.data import folders

    seen: list[Path] = []
    decode = folders.decode

    def counted(path: Path, size: int | None, channels: int):
        seen.append(path)
        return decode(path, size, channels)

    monkeypatch.setattr(folders, "decode", counted)
    return lambda: len(set(seen))
