"""Records of many runs in one file: JSON lines, each added whole by a single write."""

import json
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from deconvviz.errors import StudyError
from deconvviz.io.files import append_line, is_json
from deconvviz.io.legacy import earlier_study
from deconvviz.schema import parse

_OLD_RECORD = "*-[0-9]*.json"  # ends in the seed, which a summary beside it does not


class Keyed(Protocol):
    """A record, or the spec that one is made from."""

    @property
    def key(self) -> Hashable:
        """Key that identifies a record in a file."""


Kept = TypeVar("Kept", bound=Keyed)


@dataclass(frozen=True)
class RecordFile(Generic[Kept]):
    """A file NAME.jsonl of records, and the folder NAME of single files that older versions wrote.

    Attributes:
        path: The file; it may be missing.
        decode: Makes a record of plain values; the second argument is their origin, for errors.
    """

    path: Path
    decode: Callable[[Any, str], Kept]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The file, and first the one of the study's earlier name, if it had another."""
        earlier = self.path.with_stem(earlier_study(self.path.stem))
        return tuple(dict.fromkeys((earlier, self.path)))

    def read(self) -> tuple[Kept, ...]:
        """All records, in the order of the lines; a last line that a kill cut is left out.

        Raises:
            StudyError: A record is damaged, or two differ; the message names its line.
        """
        texts: dict[str, bytes] = {}
        try:
            for path in self.paths:
                if path.is_file():
                    lines = path.read_bytes().split(b"\n")
                    if not is_json(lines[-1]):
                        lines.pop()
                    texts |= {f"{path}, line {n}": line for n, line in enumerate(lines, 1)}
                for old in sorted(path.with_suffix("").rglob(_OLD_RECORD)):
                    texts[str(old)] = old.read_bytes()
        except OSError as error:
            raise StudyError(f"{error.filename} cannot be read: {error.strerror}") from None
        found: dict[Hashable, tuple[Kept, str]] = {}
        for source, text in texts.items():
            if not text.strip():
                continue
            try:
                record = self.decode(parse(text, source, StudyError), source)
            except StudyError as error:
                raise StudyError(f"{error}; remove this record and run the study again") from None
            if record.key in found and record != found[record.key][0]:
                raise StudyError(
                    f"{found[record.key][1]} and {source} are the same run ({record}); remove one"
                )
            found[record.key] = record, source
        return tuple(record for record, _ in found.values())

    def append(self, record: Kept) -> None:
        """Add a line, which is on the disk when this returns; processes may do so at once."""
        plain = asdict(record)  # type: ignore[call-overload]  # every record is a dataclass
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
        append_line(self.path, text)
