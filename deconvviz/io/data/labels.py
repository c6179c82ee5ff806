"""Fewer labels, or wrong ones, on purpose: to see how a network learns from them."""

from dataclasses import replace

import torch

from deconvviz.errors import DataError, SettingError
from deconvviz.io.data.dataset import Dataset, stratified_parts

__all__ = ["labelled", "with_label_noise"]


def labelled(dataset: Dataset, count: int, seed: int = 0) -> Dataset:
    """The pictures whose labels may be known: `count` of them, of all classes alike.

    Args:
        dataset: N pictures.
        count: how many, at most N.
        seed: which ones; the same on every machine.

    Raises:
        DataError: there are fewer.
    """
    if not 0 < count <= len(dataset):
        raise DataError(
            f"no {count} labels: `{dataset.title}` has {len(dataset)} training pictures; ask for 1 "
            f"to {len(dataset)}"
        )
    if count == len(dataset):
        return dataset
    return dataset.subset(stratified_parts(dataset.labels.cpu(), count, seed)[1])


def with_label_noise(dataset: Dataset, share: float, seed: int = 0) -> Dataset:
    """Give some pictures, chosen at random, the label of another class, each other one as likely.

    Args:
        dataset: N pictures.
        share: of the labels that are changed, in [0, 1): exactly round(share * N) of them.
        seed: which ones, and to what; the same on every machine.

    Returns:
        The same pictures; the title says how many labels are wrong, where any is.

    Raises:
        SettingError: the share is not in [0, 1).
        DataError: there is no other class.
    """
    if not 0 <= share < 1:
        raise SettingError(f"no share of wrong labels {share}; it is 0 or more and below 1")
    count, classes = round(share * len(dataset)), len(dataset.classes)
    if not count:
        return dataset
    if classes < 2:
        raise DataError(
            f"`{dataset.title}` has {classes} class, so no label can be wrong; give data of two "
            "classes or more"
        )
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(dataset), generator=generator)[:count]
    steps = torch.randint(1, classes, (count,), generator=generator)
    labels = dataset.labels.cpu().clone()
    labels[chosen] = (labels[chosen] + steps) % classes
    title = f"{dataset.title}, {100 * share:.4g} % of labels wrong"
    return replace(dataset, labels=labels.to(dataset.labels.device), title=title)
