"""The one loop that makes missing records, with records that cost nothing."""

from dataclasses import dataclass

import pytest

from deconvviz.errors import BusyError, StudyError
from deconvviz.io.files import only_writer
from deconvviz.study.complete import complete
from deconvviz.study.store import RecordFile


@dataclass(frozen=True)
class Item:
    """A record, and the spec of it."""

    key: int
    value: int = 0


@pytest.fixture
def file(tmp_path):
    return RecordFile(tmp_path / "items.jsonl", lambda content, _: Item(**content))


def test_what_is_missing_is_made_once_and_given_in_the_order_of_the_specs(file):
    made = []

    def make(spec, report):
        made.append(spec.key)
        return Item(spec.key, spec.key**2)

    first = complete([Item(3), Item(1)], file, make)
    assert first == (Item(3, 9), Item(1, 1))
    assert complete([Item(1), Item(2), Item(3)], file, make) == (Item(1, 1), Item(2, 4), Item(3, 9))
    assert made == [3, 1, 2]
    assert [one.key for one in file.read()] == [3, 1, 2]


def test_what_was_made_before_a_stop_is_kept(file):
    def make(spec, report):
        if spec.key == 2:
            raise KeyboardInterrupt
        return Item(spec.key)

    with pytest.raises(KeyboardInterrupt):
        complete([Item(1), Item(2), Item(3)], file, make)
    assert file.read() == (Item(1),)


def test_progress_is_the_work_that_is_done_of_all(file):
    heard = []

    def make(spec, report):
        report(0.5)
        return Item(spec.key)

    file.append(Item(1))
    complete(
        [Item(1), Item(2)],
        file,
        make,
        work=[10, 30],
        title="x",
        progress=lambda *w: heard.append(w),
    )
    assert heard == [("x", done, 2000) for done in (0, 500, 500, 1250, 2000)]


def test_a_wrong_record_is_refused_before_anything_is_made(file):
    def check(spec, record):
        raise StudyError("of another plan")

    file.append(Item(2))
    with pytest.raises(StudyError, match="another plan"):
        complete([Item(1), Item(2)], file, lambda *_: pytest.fail("made"), check=check)


def test_a_record_that_another_process_made_meanwhile_counts(file):
    def make(spec, report):
        file.append(Item(1, 7))
        return Item(1, 8)

    assert complete([Item(1)], file, make) == (Item(1, 7),)
    assert file.read() == (Item(1, 7),)


def test_a_file_of_records_has_one_writer(file):
    with only_writer(file.path.parent, "items"), pytest.raises(BusyError, match="is writing items"):
        complete([Item(1)], file, lambda spec, _: Item(spec.key))
    assert complete([Item(1)], file, lambda spec, _: Item(spec.key)) == (Item(1),)
    assert [path.name for path in file.path.parent.iterdir()] == ["items.jsonl"]
