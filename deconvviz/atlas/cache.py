"""The shelf: where atlases lie that nobody named a folder for, so that the app finds them."""

from functools import partial
from pathlib import Path

from deconvviz.atlas.store import FILE, Atlas, load_atlas
from deconvviz.atlas.sweep import PARTIAL, build_atlas
from deconvviz.deconv import Deconvnet
from deconvviz.errors import AtlasError, DataError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset, cache_folder, load_dataset
from deconvviz.progress import Progress

__all__ = ["PHOTOS", "atlas_folder", "known_pictures", "open_atlas", "shelved"]

PHOTOS = "photos"
"""The pictures that are always there."""

_DIGITS = 16  # of each SHA-256, in a folder's name
_CIFAR10 = {10_000: "test", 50_000: "train", 60_000: "all"}


def atlas_folder(bundle: Bundle, dataset: Dataset) -> Path:
    """The place on the shelf of a network's atlas of some pictures."""
    return _shelf() / f"{bundle.sha256[:_DIGITS]}-{dataset.fingerprint[:_DIGITS]}"


def shelved(bundle: Bundle) -> tuple[Path, ...]:
    """The files of a network's finished atlases on the shelf."""
    return tuple(sorted(_shelf().glob(f"{bundle.sha256[:_DIGITS]}-*/{FILE}")))


def known_pictures(bundle: Bundle) -> dict[str, Dataset]:
    """The pictures that a network's units can be shown in at once, by a short name.

    Tiles of the photographs inside scikit-image, and those parts of CIFAR-10 that the shelf has an
    atlas of, where they are found as `load_dataset` looks for them.

    Raises:
        DataError: The network takes no photographs: not of one or three channels, or too large.
    """
    channels, side, _ = bundle.input_size
    known = {PHOTOS: load_dataset("photos", "all", size=side, channels=channels, progress=False)}
    for file in shelved(bundle):
        try:
            header = load_atlas(file).header
            split = _CIFAR10.get(header.pictures, "")
            found = load_dataset("cifar10", split, channels=channels, progress=False)
        except (AtlasError, DataError):
            continue  # damaged, or of pictures that are not here: it is not offered
        if (found.fingerprint, bundle.sha256) == (header.fingerprint, header.weights):
            known[f"cifar10 {split}"] = found
    return known


def open_atlas(
    bundle: Bundle,
    dataset: Dataset,
    *,
    net: Deconvnet | None = None,
    progress: Progress | None = None,
) -> Atlas:
    """The shelf's atlas of these pictures; one that is missing or of no use is built.

    It has statistics, and the rectified map after each convolution. Where the shelf cannot be
    written to, the atlas is built and not kept.

    Raises:
        DataError: As `build_atlas`.
        PictureError: Likewise.
    """
    net = net or Deconvnet(bundle.model, bundle.input_size)
    folder = atlas_folder(bundle, dataset)
    atlas = _usable(folder, bundle, dataset, net)
    if atlas is not None:
        return atlas
    make = partial(build_atlas, bundle, dataset, net=net, k=min(9, len(dataset)), progress=progress)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return make()
    try:
        return make(folder)
    except AtlasError:  # of other settings or another version: it can be made again
        for name in (FILE, PARTIAL):
            (folder / name).unlink(missing_ok=True)
        return make(folder)


def _usable(folder: Path, bundle: Bundle, dataset: Dataset, net: Deconvnet) -> Atlas | None:
    """The finished atlas of a folder; None if there is none, or none that holds all that it should.

    One that is damaged or unfinished is none either: building it says what to do with it.
    """
    try:
        atlas = load_atlas(folder)
        atlas.check(bundle, dataset)
    except AtlasError:
        return None
    whole = atlas.header.statistics and set(net.default_layers) <= set(atlas.units)
    return atlas if whole else None


def _shelf() -> Path:
    return cache_folder() / "atlases"
