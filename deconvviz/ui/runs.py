"""Training runs beside each other: the demos, and a person's own.

No Streamlit here: these are plain functions, which the page calls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NotRequired

import torch
from matplotlib.figure import Figure
from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from deconvviz.errors import CheckpointError
from deconvviz.io.bundle import Bundle
from deconvviz.io.card import inert
from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.images import safe_name
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, quiet
from deconvviz.schema import Count, NonNegative, UnitInterval, read
from deconvviz.study.plan import dotted
from deconvviz.training import Evaluation
from deconvviz.training.recipe import completed

# Standard deviation of a CIFAR-10 CNN's test accuracy from run to run, in percentage points:
# 0.56 at 4 epochs, 0.19 at 16, 0.15 at 64 (Jordan 2024, arXiv:2304.01910).
_DEVIATION = "0.2 to 0.5"
_NO_EVIDENCE = 1.0  # percentage points between two single runs


class _Recipe(TypedDict):
    deconv_weight: NonNegative


class _Epoch(TypedDict):
    epoch: float
    test_accuracy: float
    train_accuracy: float


class _Test(TypedDict):
    title: str
    pictures: Count
    accuracy: UnitInterval
    confusion: NotRequired[list[list[int]]]


class _Training(TypedDict):
    """Required fields of a checkpoint's training record."""

    __pydantic_config__ = ConfigDict(allow_inf_nan=False)  # type: ignore[misc]

    recipe: _Recipe
    epochs: Count
    pictures: Count
    metrics: Annotated[list[_Epoch], Field(min_length=1)]
    test: _Test


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
        try:
            read(_Training, self.training, "training", CheckpointError)
        except CheckpointError as error:
            raise CheckpointError(
                f"`{self.name}` has no complete test in its training record ({error}); give the "
                "model.safetensors of a run of `deconvviz train`, not one of its snapshots"
            ) from None

    @classmethod
    def of(cls, bundle: Bundle, origin: str) -> "OwnRun":
        """The run that made a loaded network.

        Raises:
            CheckpointError: It was never tested, or its record is damaged.
        """
        test = bundle.training.get("test")
        title = str(test.get("title", "")) if isinstance(test, Mapping) else ""
        architecture = bundle.architecture
        return cls(bundle.name, origin, architecture, title, bundle.classes, bundle.training)

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
            raise CheckpointError(
                f"`{self.name}` has no complete test in its training record; train it again with "
                "`deconvviz train`"
            ) from None

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
    described = load_checkpoint(path).description
    data = str(described.data["title"])
    return OwnRun(name, origin, described.model, data, described.classes, described.training)


def read_upload(content: bytes, name: str) -> OwnRun:
    """The run that made an uploaded checkpoint, given its bytes and its name on any machine.

    Raises:
        CheckpointError: See `read_run`; the message has the file's own name, not a temporary path.
    """
    shown = safe_name(name, "a file")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(content)
        try:
            return read_run(path, shown, "uploaded")
        except CheckpointError as error:
            raise CheckpointError(str(error).replace(str(path), f"`{shown}`")) from None


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
    count = sum(parameter.numel() for parameter in bundle.model.parameters()) / 1e6
    parts = [f"**{inert(bundle.name)}**", f"`{bundle.architecture}`, {count:.1f} M parameters"]
    return " · ".join([*parts, *bundle.summary])


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


def progress_curves(metrics: Sequence[Mapping[str, float]], ink: str = NEUTRAL_INK) -> Figure:
    """Accuracy and loss of one run, part by part: solid on test, dotted on training pictures."""
    figure = Figure(figsize=(7.2, 2.6), facecolor="none", layout="constrained")
    for place, measure in enumerate(("accuracy", "loss"), 1):
        axes = figure.add_subplot(1, 2, place)
        quiet(axes, ink)
        for part, style, colour in (("test", "-", ACCENTS[0]), ("train", ":", ACCENTS[1])):
            values = [line[f"{part}_{measure}"] for line in metrics]
            epochs = [line["epoch"] for line in metrics]
            label = "test" if part == "test" else "training"
            axes.plot(epochs, values, style, color=colour, marker="o", markersize=4, label=label)
        axes.set_xlim(0.5, max(10.5, len(metrics) + 0.5))
        axes.set_xlabel("part of the run")
        axes.set_ylabel(measure)
        axes.grid(axis="y", color=ink, alpha=0.2, linewidth=0.6)
        if measure == "accuracy":
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
            axes.legend(frameon=False, labelcolor=ink, fontsize=8, loc="lower right")
    return figure
