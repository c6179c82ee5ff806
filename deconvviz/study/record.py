"""The stored record of one training run of a study."""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from deconvviz.errors import StudyError
from deconvviz.io.legacy import current_record
from deconvviz.schema import NonNegative, UnitInterval, read, validated
from deconvviz.study.store import RecordFile
from deconvviz.training.recipe import completed

Whole = Annotated[int, Field(ge=0, lt=2**63)]


@validated
class Record:
    """The record of one run of a study; everything that is reported follows from records.

    Attributes:
        study: Name of the plan.
        labels: Number of labels; all arms of one budget and seed have the same ones.
        seed: Seed of the labelled pictures, the initial weights, the order and the augmentation.
        test_accuracy: Fraction of the test pictures classified correctly after the last epoch.
        train_accuracy: The same of the labelled pictures, not augmented and with right labels.
        nll: Mean cross-entropy on the test pictures, in nats.
        ece: Expected calibration error on the test pictures.
        robustness: Corruption -> test accuracy at each severity; empty if not measured.
        parameters: Number of parameters of the classifier.
        multiply_adds: Multiply-adds of the classifier's forward pass on one picture.
        training_parameters: Number of parameters in training, a decoder's included.
        training_multiply_adds: Multiply-adds of a training step's forward passes, for each labelled
            picture.
        seconds: Time of training, without measurements.
        configuration: `recipe`, `label_noise` and `held_out`, from which all of this follows.
        data: Titles and fingerprints of the pictures: `title`, `test` and the like.
        subset: Fingerprint of the labelled pictures, with their right labels.
        epochs: Line of metrics of every epoch.
        versions: Versions of Python and the libraries.
        clarity: Layer -> means of the analysis `clarity` over its units; empty if not measured.
    """

    study: str
    arm: str
    labels: Whole
    seed: Whole
    test_accuracy: UnitInterval
    train_accuracy: UnitInterval
    nll: NonNegative
    ece: UnitInterval
    robustness: Mapping[str, tuple[UnitInterval, ...]]
    parameters: Whole
    multiply_adds: Whole
    training_parameters: Whole
    training_multiply_adds: Whole
    seconds: NonNegative
    configuration: Mapping[str, Any]
    data: Mapping[str, Any]
    subset: str
    epochs: tuple[Mapping[str, int | float], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    clarity: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int, int]:
        """Arm, labels and seed."""
        return self.arm, self.labels, self.seed

    @property
    def gap(self) -> float:
        """Training accuracy minus test accuracy: how far it overfits."""
        return self.train_accuracy - self.test_accuracy

    def __str__(self) -> str:
        return f"{self.arm}, {self.labels} labels, seed {self.seed}"


def record_file(path: Path) -> RecordFile[Record]:
    """The records of one study, in the file NAME.jsonl."""
    return RecordFile(path, _decode)


def read_records(path: Path) -> tuple[Record, ...]:
    """The records of one study, by arm, labels and seed.

    Raises:
        StudyError: One of them is damaged.
    """
    return tuple(sorted(record_file(path).read(), key=lambda record: record.key))


def _decode(content: Any, source: str) -> Record:
    """A record of plain values; options that are newer than it get their defaults."""
    if not isinstance(content, Mapping):
        raise StudyError(f"{source} is not a record of a run")
    record = read(Record, current_record(content), source, StudyError)
    if isinstance(recipe := record.configuration.get("recipe"), Mapping):
        configuration = {**record.configuration, "recipe": completed(recipe)}
        object.__setattr__(record, "configuration", configuration)
    return record
