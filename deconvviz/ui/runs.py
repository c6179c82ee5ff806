"""Training runs beside each other: the demos, and a person's own.

No Streamlit here: these are plain functions, which the page calls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any

from matplotlib.figure import Figure

from deconvviz.errors import CheckpointError
from deconvviz.io.bundle import Bundle
from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, quiet
from deconvviz.training import Recipe
from deconvviz.training.recipe import to_dict

__all__ = ["OwnRun", "different", "progress_curves", "read_run", "read_upload"]

_NAME = 80  # letters of a file's name that are shown


@dataclass(frozen=True)
class OwnRun:
    """What a checkpoint says of the run that made it; its weights are let go.

    Attributes:
        name: For people; no two of a table have the same.
        origin: Where it comes from, for people.
        model: The architecture's name.
        data: Title of the training pictures.
        pictures: Labelled pictures that it learnt from.
        epochs: Done.
        accuracy: On the test pictures, in [0, 1].
        test: How many of them, and their title.
        recipe: As it was stored.
        metrics: A line an epoch.
    """

    name: str
    origin: str
    model: str
    data: str
    pictures: int
    epochs: int
    accuracy: float
    test: str
    recipe: Mapping[str, Any]
    metrics: Sequence[Mapping[str, float]]

    @classmethod
    def of(cls, bundle: Bundle, origin: str) -> "OwnRun":
        """That which made a loaded network.

        Raises:
            CheckpointError: It was never tested.
        """
        title = str(bundle.training.get("test", {}).get("title", ""))
        return _run(bundle.name, origin, bundle.architecture, bundle.training, title)

    @property
    def row(self) -> dict[str, str | int | float]:
        """The run as a row of a table."""
        return {
            "run": self.name,
            "from": self.origin,
            "network": self.model,
            "test accuracy": 100 * self.accuracy,
            "decoder's weight": self.recipe["deconv_weight"],
            "labels": self.pictures,
            "epochs": self.epochs,
            "measured on": self.test,
            "learnt from": self.data,
        }


def read_run(path: Path, name: str, origin: str) -> OwnRun:
    """The run that made a checkpoint.

    Raises:
        CheckpointError: It cannot be used, or was never tested.
    """
    described = load_checkpoint(path).description
    return _run(name, origin, described.model, described.training, str(described.data["title"]))


def read_upload(content: bytes, name: str) -> OwnRun:
    """The run that made an uploaded checkpoint.

    Args:
        content: Of the file.
        name: Whatever the person's machine calls it.

    Raises:
        CheckpointError: As `read_run`; it is named by its own name, not by where it lay meanwhile.
    """
    shown = PurePath(name.replace("\\", "/")).name[:_NAME] or "a file"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(content)
        try:
            return read_run(path, shown, "uploaded")
        except CheckpointError as error:
            raise CheckpointError(str(error).replace(str(path), f"`{shown}`")) from None


def _run(name: str, origin: str, model: str, training: Mapping[str, Any], data: str) -> OwnRun:
    try:
        test, recipe = training["test"], dict(training["recipe"])
        recipe["deconv_weight"] = float(recipe["deconv_weight"])
        lines = [{key: float(line[key]) for key in line} for line in training["metrics"]]
        for line in lines:  # what a curve is drawn of
            _ = [line[key] for key in ("epoch", "test_accuracy", "train_accuracy")]
        return OwnRun(
            name,
            origin,
            model,
            data,
            int(training["pictures"]),
            int(training["epochs"]),
            float(test["accuracy"]),
            f"{int(test['pictures'])} pictures of {test['title']}",
            recipe,
            lines,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CheckpointError(
            f"`{name}` has no complete test in its training record; give the model.safetensors of "
            "a run of `deconvviz train`, not one of its snapshots"
        ) from None


def different(first: OwnRun, second: OwnRun) -> list[dict[str, str]]:
    """The options in which two recipes differ, a row each; those of parts are as `decoder.kernel`.

    What there was no option for was done as that option's default says.
    """
    default = to_dict(Recipe())
    ours, theirs = (_flat({**default, **_known(one.recipe, default)}) for one in (first, second))
    return [
        {"option": name, first.name: _word(ours.get(name)), second.name: _word(theirs.get(name))}
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name)
    ]


def _known(recipe: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    """A stored recipe, the parts that its options lacked filled in."""
    return {
        name: {**default[name], **value}
        if isinstance(value, Mapping) and isinstance(default.get(name), Mapping)
        else value
        for name, value in recipe.items()
    }


def _flat(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Parts beside the whole, by names with a dot."""
    flat: dict[str, Any] = {}
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{part}": one for part, one in value.items()}
        else:
            flat[name] = value
    return flat


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "–" if value is None else str(value)


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
