"""Atlases in the cache folder, one for each network and data set, where the app finds them."""

from functools import partial
from pathlib import Path

from deconvviz.atlas.build import PARTIAL, build_atlas
from deconvviz.atlas.store import FILE, Atlas, load_atlas
from deconvviz.deconv import Deconvnet
from deconvviz.errors import AtlasError, BusyError, DataError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset, cache_folder, load_for
from deconvviz.io.zoo.names import DEMOS, demo_folder
from deconvviz.progress import Progress

PHOTOS = "photos"
"""The data set that is always available."""

_DIGITS = 16  # of each SHA-256, in a folder's name


def atlas_folder(bundle: Bundle, dataset: Dataset) -> Path:
    """The folder in the cache for a network's atlas of a data set."""
    return _atlases() / f"{bundle.sha256[:_DIGITS]}-{dataset.fingerprint[:_DIGITS]}"


def cached_atlases(bundle: Bundle) -> tuple[Path, ...]:
    """The files of a network's finished atlases: in the package, then in the cache."""
    cached = sorted(_atlases().glob(f"{bundle.sha256[:_DIGITS]}-*/{FILE}"))
    shipped = shipped_atlas(bundle)
    return (shipped, *cached) if shipped else tuple(cached)


def shipped_atlas(bundle: Bundle) -> Path | None:
    """The file of the atlas that the package has of a network over its own data; None without."""
    path = demo_folder() / f"{bundle.name}-atlas.safetensors"
    if bundle.name not in DEMOS or not path.is_file():
        return None
    return path if load_atlas(path).header.weights == bundle.sha256 else None


def available_datasets(bundle: Bundle) -> dict[str, Dataset]:
    """The data sets that a network's units can be shown in at once, by name and split.

    A whole data set goes by its name alone: "cifar10", beside "cifar10 test".

    The one of the atlas in the package, tiles of the photographs inside scikit-image, and each one
    of a cached atlas, where `load_dataset` finds their pictures.

    Raises:
        DataError: The network takes no photographs: not 1 or 3 channels, or too large.
    """
    photos = load_for(bundle.input_size, PHOTOS, "all", progress=False)
    shipped = shipped_atlas(bundle)
    own: dict[str, Dataset] = {}
    others: dict[str, Dataset] = {}
    for file in cached_atlases(bundle):
        try:
            header = load_atlas(file).header
            if header.fingerprint == photos.fingerprint:
                continue
            name, _, split = header.source.partition("/")
            dataset = load_for(bundle.input_size, name, split, progress=False)
        except (AtlasError, DataError):
            continue  # damaged, or the pictures are not here: it is not offered
        if (dataset.fingerprint, bundle.sha256) == (header.fingerprint, header.weights):
            title = name if split == "all" else f"{name} {split}"
            (own if file == shipped else others)[title] = dataset
    return {**own, PHOTOS: photos, **others}


def open_atlas(
    bundle: Bundle,
    dataset: Dataset,
    *,
    net: Deconvnet | None = None,
    progress: Progress | None = None,
) -> Atlas:
    """The cached atlas of a data set; one that is missing, damaged or incomplete is built.

    It has statistics, and the rectified map after each convolution. Where the cache cannot be
    written to, or another process is building it, the atlas is built and not kept.

    Raises:
        DataError: See `build_atlas`.
        PictureError: See `build_atlas`.
    """
    net = net or Deconvnet(bundle.model, bundle.input_size)
    folder = atlas_folder(bundle, dataset)
    for path in filter(None, (shipped_atlas(bundle), folder)):
        atlas = _load_complete(path, bundle, dataset, net)
        if atlas is not None:
            return atlas
    make = partial(build_atlas, bundle, dataset, net=net, k=min(9, len(dataset)), progress=progress)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return make()
    try:
        return make(folder)
    except BusyError:
        return make()
    except AtlasError:  # of other settings or another version: it can be made again
        for name in (FILE, PARTIAL):
            (folder / name).unlink(missing_ok=True)
        return make(folder)


def _load_complete(path: Path, bundle: Bundle, dataset: Dataset, net: Deconvnet) -> Atlas | None:
    try:
        atlas = load_atlas(path)
        atlas.check(bundle, dataset)
    except AtlasError:
        return None
    complete = atlas.header.statistics and set(net.default_layers) <= set(atlas.units)
    return atlas if complete else None


def _atlases() -> Path:
    return cache_folder() / "atlases"
