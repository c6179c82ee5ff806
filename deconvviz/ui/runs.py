"""Training runs beside each other: the demos, and a person's own.

No Streamlit here: these are plain functions, which the page calls.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from deconvviz.errors import CheckpointError
from deconvviz.io.bundle import Bundle
from deconvviz.io.card import inert, spaced
from deconvviz.io.checkpoint import Description, load_checkpoint, read_checkpoint
from deconvviz.io.images import safe_name
from deconvviz.schema import dotted
from deconvviz.training import Evaluation
from deconvviz.training.recipe import completed

# Standard deviation of a CIFAR-10 CNN's test accuracy from run to run, in percentage points:
# 0.56 at 4 epochs, 0.19 at 16, 0.15 at 64 (Jordan 2024, arXiv:2304.01910).
_DEVIATION = "0.2 to 0.5"
_MANY = 100_000  # parameters, which are millions to one digit
_NO_EVIDENCE = 1.0  # percentage points between two single runs


@dataclass(frozen=True)
class OwnRun:
    """A training run as its checkpoint describes it, without its weights.

    Attributes:
        name: Displayed name; unique in a table.
        origin: Displayed origin.
        model: Name of the architecture.
        data: Title of the training pictures.
        training: The training record: recipe, epochs, labelled pictures, metrics and test.
    """

    name: str
    origin: str
    model: str
    data: str
    classes: tuple[str, ...]
    training: Mapping[str, Any]

    def __post_init__(self) -> None:
        names = ("epoch", "test_accuracy", "train_accuracy")
        try:
            values = [line[name] for line in self.training["metrics"] for name in names]
            complete = bool(self.row and values) and all(map(math.isfinite, values))
        except KeyError:
            complete = False
        if not complete:
            raise self._incomplete()

    def _incomplete(self) -> CheckpointError:
        return CheckpointError(
            f"`{self.name}` has no complete test in its training record; give the "
            "model.safetensors of a run of `deconvviz train`, not one of its snapshots"
        )

    @property
    def metrics(self) -> Sequence[Mapping[str, float]]:
        """One line per epoch."""
        metrics: Sequence[Mapping[str, float]] = self.training["metrics"]
        return metrics

    @property
    def accuracy(self) -> float:
        """Accuracy on the test pictures, in [0, 1]."""
        return float(self.training["test"]["accuracy"])

    @property
    def title(self) -> str:
        """Title of the test pictures."""
        return str(self.training["test"]["title"])

    @property
    def evaluation(self) -> Evaluation:
        """The decisions on the test pictures.

        Raises:
            CheckpointError: They were not kept.
        """
        try:
            confusion = torch.tensor(self.training["test"]["confusion"], dtype=torch.int64)
            return Evaluation(confusion, self.classes, float(self.metrics[-1]["test_loss"]))
        except (KeyError, TypeError, ValueError):
            raise self._incomplete() from None

    @property
    def row(self) -> dict[str, str | int | float]:
        """The run as a row of a table."""
        test = self.training["test"]
        return {
            "run": self.name,
            "from": self.origin,
            "network": self.model,
            "test accuracy": 100 * self.accuracy,
            "decoder's weight": self.training["recipe"]["deconv_weight"],
            "labels": self.training["pictures"],
            "epochs": self.training["epochs"],
            "measured on": f"{test['pictures']} pictures of {test['title']}",
            "trained on": self.data,
        }


def read_run(path: Path, name: str, origin: str) -> OwnRun:
    """The run that made a checkpoint.

    Raises:
        CheckpointError: It cannot be used, or was never tested.
    """
    return _run(load_checkpoint(path).description, name, origin)


def read_upload(content: bytes, name: str) -> OwnRun:
    """The run that made an uploaded checkpoint, given its bytes and its name on any machine.

    Raises:
        CheckpointError: See `read_run` and `read_checkpoint`.
    """
    shown = safe_name(name, "a file")
    return _run(read_checkpoint(content, shown).description, shown, "uploaded")


def _run(described: Description, name: str, origin: str) -> OwnRun:
    data = str(described.data["title"])
    return OwnRun(name, origin, described.model, data, described.classes, described.training)


def different(first: OwnRun, second: OwnRun) -> list[dict[str, str]]:
    """The options in which two recipes differ, a row each; nested ones as `decoder.kernel`.

    An option that did not exist then has its default.
    """
    ours, theirs = (dotted(completed(one.training["recipe"])) for one in (first, second))
    return [
        {"option": name, first.name: _word(ours.get(name)), second.name: _word(theirs.get(name))}
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name)
    ]


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "–" if value is None else str(value)


def summary(bundle: Bundle) -> str:
    """A network in one line of Markdown."""
    count = sum(parameter.numel() for parameter in bundle.model.parameters())
    size = f"{count / 1e6:.1f} M" if count >= _MANY else spaced(count)
    parts = [f"**{inert(bundle.name)}**", f"`{bundle.architecture}`, {size} parameters"]
    return " · ".join([*parts, *bundle.summary])


def preprocessing(bundle: Bundle) -> str:
    """What a network's input is, and what of it was assumed, in one line of Markdown."""
    given = bundle.preprocessing
    size = " × ".join(map(str, bundle.input_size))
    mean, std = (", ".join(f"{one:.4g}" for one in values) for values in (given.mean, given.std))
    text = f"Input {size}, mean {mean}, standard deviation {std}."
    if not bundle.assumed:
        return text
    return (
        f"{text} Assumed, because none was given: {', '.join(bundle.assumed)}. If the network was "
        "trained on other inputs, its answers may be wrong; a function that returns "
        "`deconvviz.Bundle.of(...)` gives them."
    )


def conclusion(baseline: OwnRun, other: OwnRun) -> str:
    """Conclusions that two single runs do and do not allow, in Markdown, from their numbers."""
    difference = 100 * (other.accuracy - baseline.accuracy)
    if abs(difference) < 0.005:
        compared = f"`{other.name}` and `{baseline.name}` are equally accurate"
    else:
        which = "above" if difference > 0 else "below"
        compared = (
            f"`{other.name}` is **{abs(difference):.2f}** percentage points {which} "
            f"`{baseline.name}`"
        )
    spread = (
        f"Each was trained once, from one seed. The accuracy of such networks varies by "
        f"{_DEVIATION} points (standard deviation) from seed to seed alone"
    )
    if abs(difference) < _NO_EVIDENCE:
        evidence = (
            "so a difference this small is no evidence that the decoder helps or harms; nor is it "
            "evidence that it does nothing"
        )
    else:
        evidence = (
            "so a difference this large is unlikely to be the seed alone; but one pair of runs "
            "does not separate the decoder's effect from luck or from tuning. Many pairs would"
        )
    titles = sorted({baseline.title, other.title})
    measured = f"Measured on {' and '.join(titles)}, the last epoch, each picture once as it is."
    if any("JPEG copy" in title for title in titles):
        measured += (
            " Accuracy on the JPEG copy is lower than on the original pixels, and is not to be "
            "compared with published figures."
        )
    if len(titles) > 1 or baseline.training["epochs"] != other.training["epochs"]:
        measured += " The two differ in data or in epochs, so they are no fair pair."
    return f"{compared}. {spread}, {evidence}.\n\n{measured}"
