"""What several tests need, and the reasons why some cannot run everywhere."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from deconvviz.io.data import Dataset, load_dataset

# More threads than cores wait for each other, and OpenMP's do so busily: where pytest has processes
# for its tests, each has one thread, and so has each that a test starts.
_IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if _IS_WORKER:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1 if _IS_WORKER else min(torch.get_num_threads(), 2))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of CIFAR-10, or a skip that says what is missing."""
    folder = os.environ.get("DECONVVIZ_DATA")
    if not folder:
        pytest.skip("needs CIFAR-10: set DECONVVIZ_DATA to its folder")
    return Path(folder)


@pytest.fixture(scope="session")
def folder_with(data_dir: Path) -> Callable[[str], Path]:
    """Gives the folder of all data sets if it has one of this name, or skips."""

    def find(name: str) -> Path:
        if not (data_dir / name).is_dir():
            pytest.skip(f"needs {name} in the folder that DECONVVIZ_DATA names")
        return data_dir

    return find


@pytest.fixture(scope="session")
def cifar10_test(data_dir: Path) -> Dataset:
    """The test pictures of CIFAR-10; a folder that lacks them is an error, not a skip."""
    return load_dataset("cifar10", "test", data_dir=data_dir, progress=False)


@pytest.fixture(autouse=True)
def _needs_gpu(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
