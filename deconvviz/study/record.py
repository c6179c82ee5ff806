"""One training run of a study, as the small JSON file that is kept of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from deconvviz.errors import StudyError
from deconvviz.io.files import write_atomically
from deconvviz.training.recipe import completed

__all__ = ["Record", "file_name", "read_records"]


@dataclass(frozen=True)
class Record:
    """What one run of a study left; everything that is reported follows from such records.

    Attributes:
        study: The plan it belongs to, "helps" for one.
        arm: What was done, "R-all" for one.
        labels: The labels it was given; all arms of one budget and seed were given the same ones.
        seed: Of the labelled pictures, the initial weights, the order and the augmentation.
        test_accuracy: The share of the test pictures that got their class after the last epoch.
        train_accuracy: Likewise of the labelled pictures, neither augmented nor with wrong labels.
        nll: Mean cross-entropy on the test pictures, in nats.
        ece: Expected calibration error on them: how far confidence is from accuracy, in [0, 1].
        robustness: Corruption -> test accuracy at each of its strengths, weakest first; empty where
            it was not measured.
        parameters: Numbers that the classifier holds.
        multiply_adds: Of the classifier's forward pass on one picture.
        training_parameters: All numbers that were learnt, a decoder's included.
        training_multiply_adds: Of what a training step does forward for one labelled picture, and
            its share of the unlabelled ones.
        seconds: That training took, measurements left out.
        configuration: The recipe that all of this follows from.
        data: Titles and fingerprints of the pictures: `title`, `test`, `unlabelled` and the like.
        subset: Fingerprint of the labelled pictures, with their right labels.
        epochs: The line of metrics of every epoch.
        versions: Of Python and the libraries.
        device: What it ran on.
    """

    study: str
    arm: str
    labels: int
    seed: int
    test_accuracy: float
    train_accuracy: float
    nll: float
    ece: float
    robustness: Mapping[str, tuple[float, ...]]
    parameters: int
    multiply_adds: int
    training_parameters: int
    training_multiply_adds: int
    seconds: float
    configuration: Mapping[str, Any]
    data: Mapping[str, Any]
    subset: str
    epochs: tuple[Mapping[str, float], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = ""

    @property
    def file_name(self) -> str:
        """Of its file: arm, labels and seed."""
        return file_name(self.arm, self.labels, self.seed)

    @property
    def gap(self) -> float:
        """Training accuracy less test accuracy: how far it overfits."""
        return self.train_accuracy - self.test_accuracy

    def write(self, folder: Path) -> Path:
        """Write it into `folder`, at once or not at all."""
        path = folder / self.file_name
        write_atomically(path, json.dumps(asdict(self), indent=1) + "\n")
        return path

    @classmethod
    def read(cls, path: Path) -> "Record":
        """Read one file; of a record from before an option was there, its recipe is completed.

        Raises:
            StudyError: It is not there, or is no such record.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
            content["robustness"] = {k: tuple(v) for k, v in content["robustness"].items()}
            content["epochs"] = tuple(content["epochs"])
            if "recipe" in (configuration := content["configuration"]):
                configuration["recipe"] = completed(configuration["recipe"])
            record = cls(**content)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            raise StudyError(
                f"{path} is no record of a run that can be read; remove it, and run the study again"
            ) from None
        numbers = [f.name for f in fields(cls) if f.type is float or f.type is int]
        if not all(isinstance(getattr(record, name), int | float) for name in numbers):
            raise StudyError(
                f"{path} has a word where a number must be; remove it and run it again"
            )
        return record


def file_name(arm: str, labels: int, seed: int) -> str:
    """Of the record of one run."""
    return f"{arm}-{labels}-{seed}.json"


def read_records(folder: Path) -> tuple[Record, ...]:
    """The records of one study's folder, by arm, labels and seed.

    Raises:
        StudyError: One of its files is damaged.
    """
    records = [Record.read(path) for path in folder.glob("*.json")]
    return tuple(sorted(records, key=lambda r: (r.arm, r.labels, r.seed)))
