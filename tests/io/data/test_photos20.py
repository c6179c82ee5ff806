"""photos20: class folders at any size, and no test picture that was trained on."""

import pytest
import torch
from PIL import Image

from deconvviz.errors import DataError
from deconvviz.io.data import Dataset, load_dataset
from deconvviz.io.data.photos20 import CLASSES, copies

from .conftest import write_folders


def smooth(count, seed, size=32):
    """Random pictures without fine detail, as photographs are."""
    noise = torch.rand(count, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    large = torch.nn.functional.interpolate(noise, size=(size, size), mode="bicubic")
    return (large.clamp(0, 1) * 255).byte()


@pytest.fixture
def folders(tmp_path):
    labels = torch.arange(40) % 20
    train = Dataset(smooth(40, 0), labels, CLASSES, "")
    test = Dataset(torch.cat([train.images[3:4], smooth(19, 1)]), labels[:20], CLASSES, "")
    write_folders(tmp_path / "photos20" / "train", train)
    write_folders(tmp_path / "photos20" / "test", test)
    return tmp_path


def load(split, folder, **options):
    return load_dataset("photos20", split, data_dir=folder, progress=False, **options)


def test_test_pictures_that_are_in_the_training_part_are_left_out(folders):
    train, test = (load(split, folders, size=32) for split in ("train", "test"))
    assert len(train) == 40
    # the first was of class 0 there, and is of class 3 in the training part
    assert test.labels.tolist() == list(range(1, 20))
    assert test.classes == train.classes == CLASSES


def test_a_copy_is_known_when_it_was_compressed_again(tmp_path):
    images = smooth(6, 2, size=64)
    again = images.clone()
    for index, picture in enumerate(images[:3]):
        path = tmp_path / "again.jpg"
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(path, quality=40)
        with Image.open(path) as image:
            again[index] = torch.tensor(list(image.tobytes())).view(64, 64, 3).permute(2, 0, 1)
    others = torch.cat([again[:3], smooth(50, 3, size=64)])
    assert copies(images, others).tolist() == [True] * 3 + [False] * 3


def test_without_files_it_says_where_it_looked_and_offers_no_download(tmp_path):
    with pytest.raises(DataError, match=r"photos20 was not found in .*--data-dir") as refusal:
        load("train", tmp_path, download=True)
    assert "--download" not in str(refusal.value)
