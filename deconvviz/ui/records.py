"""Training records in words and numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from deconvviz.errors import CheckpointError
from deconvviz.io.bundle import Bundle
from deconvviz.training import Evaluation

__all__ = ["Record", "conclusion", "record", "summary"]

# Standard deviation of a CIFAR-10 CNN's test accuracy from run to run, in percentage points:
# 0.56 at 4 epochs, 0.19 at 16, 0.15 at 64 (Jordan 2024, arXiv:2304.01910).
_DEVIATION = "0.2 to 0.5"
_NO_EVIDENCE = 1.0  # percentage points between two single runs


@dataclass(frozen=True)
class Record:
    """What a checkpoint says of its training and its test.

    Attributes:
        name: The network's.
        title: Of the data.
        epochs: Done.
        decoder_weight: Of the deconvolution decoder's error; 0 without one.
        metrics: One line an epoch.
        evaluation: On the test pictures.
    """

    name: str
    title: str
    epochs: int
    decoder_weight: float
    metrics: Sequence[Mapping[str, float]]
    evaluation: Evaluation

    @property
    def pictures(self) -> int:
        """How many test pictures."""
        return int(self.evaluation.confusion.sum())

    @property
    def row(self) -> dict[str, str | int | float]:
        """The record as a row of a table."""
        hits = int(self.evaluation.confusion.diagonal().sum())
        return {
            "network": self.name,
            "test accuracy": 100 * self.evaluation.accuracy,
            "right": f"{_spaced(hits)} of {_spaced(self.pictures)}",
            "data": self.title,
            "epochs": self.epochs,
            "decoder's weight": self.decoder_weight,
        }


def record(bundle: Bundle) -> Record:
    """Read a network's training record.

    Raises:
        CheckpointError: it was never tested, or its record is incomplete.
    """
    training = bundle.training
    try:
        test = training["test"]
        confusion = torch.tensor(test["confusion"], dtype=torch.int64)
        loss = float(training["metrics"][-1]["test_loss"])
        return Record(
            bundle.name,
            str(test["title"]),
            int(training["epochs"]),
            float(training["recipe"]["deconv_weight"]),
            training["metrics"],
            Evaluation(confusion, bundle.classes, loss),
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"`{bundle.name}` has no complete test in its training record; train it again with "
            "`deconvviz train`"
        ) from error


def summary(bundle: Bundle) -> str:
    """A network in one line of Markdown."""
    count = sum(parameter.numel() for parameter in bundle.model.parameters()) / 1e6
    parts = [f"**{bundle.name}**", f"`{bundle.architecture}`, {count:.1f} M parameters"]
    return " · ".join([*parts, *bundle.summary])


def _spaced(count: int) -> str:
    return f"{count:,}".replace(",", "\u202f")  # a thin space that does not break


def conclusion(baseline: Record, twin: Record) -> str:
    """What two single runs may and may not prove, in Markdown, from their own numbers."""
    difference = 100 * (twin.evaluation.accuracy - baseline.evaluation.accuracy)
    if abs(difference) < 0.005:
        compared = f"`{twin.name}` and `{baseline.name}` are equally accurate"
    else:
        which = "above" if difference > 0 else "below"
        compared = (
            f"`{twin.name}` is **{abs(difference):.2f}** percentage points {which} "
            f"`{baseline.name}`"
        )
    spread = (
        f"Each was trained once, from one seed. Of such networks the accuracy varies by "
        f"{_DEVIATION} points (standard deviation) from seed to seed alone"
    )
    if abs(difference) < _NO_EVIDENCE:
        judged = (
            "so a difference this small is no evidence that the decoder helps or harms; nor is it "
            "evidence that it does nothing"
        )
    else:
        judged = (
            "so a difference this large is unlikely to be the seed alone; but one pair of runs "
            "does not tell the decoder's effect from luck or from tuning. Many pairs would"
        )
    paragraphs = [f"{compared}. {spread}, {judged}."]
    titles = sorted({baseline.title, twin.title})
    measured = f"Measured on {' and '.join(titles)}, the last epoch, each picture once as it is."
    if any("JPEG copy" in title for title in titles):
        measured += (
            " Accuracy on the JPEG copy is lower than on the original pixels, and is not to be "
            "compared with published figures."
        )
    if len(titles) > 1 or baseline.epochs != twin.epochs:
        measured += " The two differ in data or in epochs, so they are no fair pair."
    paragraphs.append(measured)
    return "\n\n".join(paragraphs)
