"""One training run of a study, as the record that is kept of it."""

from collections.abc import Mapping
from dataclasses import asdict, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from deconvviz.errors import StudyError
from deconvviz.io.legacy import current_record
from deconvviz.schema import Count, NonNegative, read, validated
from deconvviz.study.store import RecordFile
from deconvviz.training.recipe import completed

__all__ = ["Record", "read_records", "record_file"]

Share = Annotated[float, Field(ge=0, le=1)]
Whole = Annotated[Count, Field(lt=2**63)]


@validated
class Record:
    """What one run of a study left; everything that is reported follows from such records."""

    study: str
    """Name of the plan."""

    arm: str
    """Name of the arm."""

    labels: Whole
    """Number of labels; all arms of one budget and seed have the same ones."""

    seed: Whole
    """Seed of the labelled pictures, the initial weights, the order and the augmentation."""

    test_accuracy: Share
    """Share of the test pictures that got their class after the last epoch."""

    train_accuracy: Share
    """The same of the labelled pictures, neither augmented nor with wrong labels."""

    nll: NonNegative
    """Mean cross-entropy on the test pictures, in nats."""

    ece: Share
    """Expected calibration error on the test pictures."""

    robustness: Mapping[str, tuple[Share, ...]]
    """Corruption -> test accuracy at each severity, weakest first; empty if not measured."""

    parameters: Whole
    """Number of parameters of the classifier."""

    multiply_adds: Whole
    """Multiply-adds of the classifier's forward pass on one picture."""

    training_parameters: Whole
    """Number of parameters in training, a decoder's included."""

    training_multiply_adds: Whole
    """Multiply-adds of a training step's forward passes, for each labelled picture."""

    seconds: NonNegative
    """Time of training, without measurements."""

    configuration: Mapping[str, Any]
    """`recipe`, `label_noise` and `held_out`, from which all of this follows."""

    data: Mapping[str, Any]
    """Titles and fingerprints of the pictures: `title`, `test` and the like."""

    subset: str
    """Fingerprint of the labelled pictures, with their right labels."""

    epochs: tuple[Mapping[str, int | float], ...] = ()
    """Line of metrics of every epoch."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of Python and the libraries."""

    device: str = ""
    """Name of the device."""

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

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return asdict(self)


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
    content = current_record(content)
    record = read(Record, content, source, StudyError)
    configuration = dict(record.configuration)
    if isinstance(recipe := configuration.get("recipe"), Mapping):
        configuration["recipe"] = completed(recipe)
    object.__setattr__(record, "configuration", configuration)
    return record
