"""Wrong labels on purpose, to see how a network learns from them."""

from dataclasses import replace

import torch

from deconvviz.errors import DataError, SettingError
from deconvviz.io.data.dataset import Dataset


def with_label_noise(dataset: Dataset, share: float, seed: int = 0) -> Dataset:
    """Replace some labels, chosen at random, by another class, each equally likely.

    Args:
        dataset: N pictures.
        share: Fraction of labels to change, in [0, 1): exactly round(share * N) of them.
        seed: Random seed; gives the same labels on every machine.

    Returns:
        The same pictures; the title says how many labels are wrong, if any are.

    Raises:
        SettingError: The share is not in [0, 1).
        DataError: There is no other class.
    """
    if not 0 <= share < 1:
        raise SettingError(f"label noise must be in [0, 1), got {share}")
    count, classes = round(share * len(dataset)), len(dataset.classes)
    if not count:
        return dataset
    if classes < 2:
        raise DataError(f"label noise needs two classes or more; `{dataset.title}` has {classes}")
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(dataset), generator=generator)[:count]
    steps = torch.randint(1, classes, (count,), generator=generator)
    labels = dataset.labels.cpu().clone()
    labels[chosen] = (labels[chosen] + steps) % classes
    title = f"{dataset.title}, {100 * share:.4g} % of labels wrong"
    return replace(dataset, labels=labels.to(dataset.labels.device), title=title, source="")
