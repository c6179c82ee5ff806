"""Make the records that are missing: the one loop behind every study."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from deconvviz.io.files import only_writer
from deconvviz.progress import Progress
from deconvviz.study.store import Keyed, RecordFile

Made = TypeVar("Made", bound=Keyed)
Asked = TypeVar("Asked", bound=Keyed)


def complete(
    specs: Sequence[Asked],
    file: RecordFile[Made],
    make: Callable[[Asked, Callable[[float], None]], Made],
    *,
    check: Callable[[Asked, Made], None] = lambda _, __: None,
    work: Sequence[int] = (),
    title: str = "runs",
    progress: Progress | None = None,
) -> tuple[Made, ...]:
    """The records of all specs, in order; those that are not in the file are made and added.

    Args:
        specs: Specs of all records, made one after the other.
        file: The existing records.
        make: Makes the record of a spec; it reports the finished share, from 0 to 1.
        check: Refuses a record that was made in another way than its spec says.
        work: Relative duration of each record; by default all the same.
        title: Title of the progress bar.
        progress: Called with the finished work, of 1000 for each spec.

    Raises:
        StudyError: A record is damaged, or `check` refuses it.
        BusyError: Another process adds to the file.
    """
    weights = list(work) or [1] * len(specs)
    total, done = 1000 * len(specs), 0

    def report(share: float) -> None:
        if progress:
            progress(title, round(total * (done + share * own) / sum(weights)), total)

    with only_writer(file.path.parent, file.path.stem):
        known = {record.key: record for record in file.read()}
        for spec in specs:  # a wrong record is refused before anything is made
            if spec.key in known:
                check(spec, known[spec.key])
        for spec, own in zip(specs, weights, strict=True):
            report(0)
            if spec.key not in known:
                made = make(spec, report)
                # a person may have added to the file meanwhile
                known = {record.key: record for record in file.read()}
                if spec.key not in known:
                    file.append(made)
                    known[spec.key] = made
            report(1)
            done += own
    return tuple(known[spec.key] for spec in specs)
