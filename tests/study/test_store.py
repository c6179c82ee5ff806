"""Files of records: what is added is what is read, and what is damaged is named in one sentence."""

import json
import multiprocessing
from dataclasses import asdict, replace

import pytest

from deconvviz.errors import StudyError
from deconvviz.io.data import Augmentation
from deconvviz.schema import to_dict
from deconvviz.study import read_records
from deconvviz.study.record import record_file
from deconvviz.training import Recipe
from tests.study.samples import keep, record

OLD_RECIPE = {
    "epochs": 3,
    "steps": 7,
    "peak_rate": 0.3,
    "largest_rms": 0.5,
    "decoder": {"fill": True, "below": 1},
    "augmentation": {"crop": 2},
}
"""Options under names of older versions."""


def test_what_is_added_is_what_is_read(tmp_path):
    made = [record(arm, labels, seed) for arm in "AB" for labels in (500, 4000) for seed in (2, 10)]
    keep(tmp_path, *reversed(made))
    path = tmp_path / "helps.jsonl"
    assert record_file(path).read() == tuple(reversed(made))
    assert read_records(path) == tuple(made)
    assert read_records(tmp_path / "nowhere.jsonl") == ()
    assert len(path.read_text().splitlines()) == len(made)


def add(folder, arm):
    keep(folder, *(record(arm, seed=seed) for seed in range(40)))


def test_two_processes_may_add_at_once(tmp_path):
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=add, args=(tmp_path, arm)) for arm in "AB"]
    for one in both:
        one.start()
    for one in both:
        one.join()
        assert one.exitcode == 0
    assert len(read_records(tmp_path / "helps.jsonl")) == 80


def test_a_line_without_an_end_that_an_editor_left_is_ended_first(tmp_path):
    path = tmp_path / "helps.jsonl"
    keep(tmp_path, record())
    path.write_text(path.read_text().rstrip("\n"))
    keep(tmp_path, record(seed=1))
    assert [one.seed for one in read_records(path)] == [0, 1]


def test_a_folder_of_single_files_under_old_names_is_read_too(tmp_path):
    old = asdict(record("decoder-rate=0.3", study="levers"))
    old["configuration"] = {"recipe": OLD_RECIPE, "held_out": 0}
    folder = tmp_path / "levers"
    folder.mkdir()
    (folder / "decoder-rate=0.3-1000-0.json").write_text(json.dumps(old, indent=1))
    (folder / "unfinished" / "A-1000-0").mkdir(parents=True)
    (folder / "unfinished" / "A-1000-0" / "config.json").write_text("{")
    (folder / "levers.json").write_text("a summary")
    keep(tmp_path, record("lr=0.1", study="hyperparameters"))
    ours, new = read_records(tmp_path / "hyperparameters.jsonl")
    assert ours.study == new.study == "hyperparameters"
    assert (ours.arm, new.arm) == ("decoder-lr=0.3", "lr=0.1")
    recipe = ours.configuration["recipe"]
    expected = to_dict(Recipe(epochs=3, steps_per_epoch=7, lr=0.3, max_kernel_rms=0.5))
    expected["decoder"] |= {"inpaint": True, "skip_last_stages": 1}
    expected["augmentation"] = to_dict(Augmentation(crop_padding=2))
    assert recipe == expected  # what is newer than the record has its default


def nested(depth):
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda line: line[: len(line) // 2], "not valid JSON"),
        (lambda _: "\x00\xff", "not valid JSON"),
        (lambda _: nested(100_000), "not valid JSON"),
        (lambda _: "[]", "not a record"),
        (lambda _: "3", "not a record"),
        (lambda line: line.replace('"seed":0,', ""), "seed is missing"),
        (lambda line: line.replace('"seed":0', '"seed":"0"'), "seed must be"),
        (lambda line: line.replace('"seed":0', f'"seed":1{"0" * 30}'), "seed must be"),
        (lambda line: line.replace('"seed":0', '"seed":0,"more":1'), "more"),
        (lambda line: line.replace('"nll":1.2', '"nll":NaN'), "nll must be"),
        (lambda line: line.replace('"nll":1.2', '"nll":1e400'), "nll must be"),
        (lambda line: line.replace('"ece":0.1', '"ece":-0.1'), "ece must be >= 0"),
        (lambda line: line.replace('"ece":0.1', '"ece":"high"'), "ece must be"),
        (lambda line: line.replace('{"noise"', '3,"x":{"noise"'), "robustness must be"),
        (lambda line: line.replace('"configuration":{', '"configuration":3,"x":{'), "config"),
    ],
)
def test_a_damaged_line_is_one_sentence_that_names_it(tmp_path, damage, says):
    path = tmp_path / "helps.jsonl"
    keep(tmp_path, record(seed=1), record())
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{damage(second)}\n")
    with pytest.raises(StudyError, match=r"helps\.jsonl, line 2") as refusal:
        read_records(path)
    assert says in str(refusal.value)
    assert len(str(refusal.value)) < 500


def test_two_records_of_a_run_that_differ_are_named(tmp_path):
    keep(tmp_path, record(), record(seed=1), replace(record(), seconds=77.0))
    with pytest.raises(StudyError, match=r"line 1 and .*line 3 are the same run \(A, 1000 labels"):
        read_records(tmp_path / "helps.jsonl")


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path):
    (tmp_path / "helps").mkdir()
    (tmp_path / "helps" / "A-1000-0.json").mkdir()
    with pytest.raises(StudyError, match="cannot be read"):
        read_records(tmp_path / "helps.jsonl")


@pytest.mark.parametrize("cut", [1, 40, 300])
def test_a_line_that_a_kill_cut_is_replaced_and_one_that_is_there_twice_counts_once(tmp_path, cut):
    path = tmp_path / "helps.jsonl"
    keep(tmp_path, record(), record(seed=1))
    whole = path.read_bytes()
    first, second = whole.splitlines(keepends=True)
    path.write_bytes(first + first + second[:cut])
    assert [one.seed for one in read_records(path)] == [0]
    keep(tmp_path, record(seed=1))
    assert path.read_bytes() == first + whole
