"""Records of runs: what is written is what is read."""

import json

import pytest

from deconvviz.errors import StudyError
from deconvviz.study import Record, read_records
from deconvviz.training import Recipe
from deconvviz.training.recipe import to_dict
from tests.study.samples import record


def test_what_is_written_is_what_is_read(tmp_path):
    made = record()
    assert Record.read(made.write(tmp_path)) == made


def test_a_record_from_before_an_option_was_there_has_that_options_default(tmp_path):
    recipe = to_dict(Recipe(epochs=3))
    path = record(configuration={"recipe": recipe, "held_out": 0}).write(tmp_path)
    content = json.loads(path.read_text())
    del content["configuration"]["recipe"]["mixup"]
    del content["configuration"]["recipe"]["decoder"]["fill"]
    path.write_text(json.dumps(content))
    assert Record.read(path).configuration == {"recipe": recipe, "held_out": 0}


def test_a_folder_is_read_by_arm_labels_and_seed(tmp_path):
    made = [record(arm, labels, seed) for arm in "AB" for labels in (500, 4000) for seed in (2, 10)]
    for one in reversed(made):
        one.write(tmp_path)
    assert read_records(tmp_path) == tuple(made)
    assert read_records(tmp_path / "nowhere") == ()


def test_the_gap_is_training_less_test_accuracy():
    assert record(accuracy=0.7, train_accuracy=0.95).gap == pytest.approx(0.25)


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "{",
        lambda _: "[]",
        lambda told: json.dumps({**told, "more": 1}),
        lambda told: json.dumps({key: told[key] for key in told if key != "seed"}),
        lambda told: json.dumps({**told, "robustness": 3}),
        lambda told: json.dumps({**told, "test_accuracy": "high"}),
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path, damage):
    path = record().write(tmp_path)
    path.write_text(damage(json.loads(path.read_text())))
    with pytest.raises(StudyError, match=r"A-1000-0\.json"):
        read_records(tmp_path)
