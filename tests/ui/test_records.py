"""Training records in words: what they say follows from their numbers."""

import pytest
import torch

from deconvviz.errors import CheckpointError
from deconvviz.training import Evaluation
from deconvviz.ui.records import Record, conclusion, record, summary


def single(name, right, title="CIFAR-10", epochs=15):
    """A record of 10 000 test pictures, `right` of them decided rightly."""
    confusion = torch.tensor([[right, 10_000 - right], [0, 0]])
    evaluation = Evaluation(confusion, ("cat", "dog"), 0.3)
    return Record(name, title, epochs, 0.0, [], evaluation)


@pytest.mark.parametrize(
    ("twin", "said"), [(9_150, "**0.50** percentage points above"), (9_080, "**0.20**")]
)
def test_a_difference_under_one_point_is_called_no_evidence_either_way(twin, said):
    text = conclusion(single("demo", 9_100), single("twin", twin))
    assert said in text
    assert "no evidence that the decoder helps or harms" in text
    assert "nor is it evidence that it does nothing" in text


def test_a_larger_difference_is_still_only_one_pair():
    text = conclusion(single("demo", 9_100), single("twin", 8_800))
    assert "**3.00** percentage points below" in text
    assert "one pair of runs" in text
    assert "no evidence that" not in text


def test_equal_networks_are_called_equal():
    assert "equally accurate" in conclusion(single("demo", 9_100), single("twin", 9_100))


def test_the_jpeg_copy_is_named_only_where_it_was_used():
    copy = "CIFAR-10, JPEG copy"
    text = conclusion(single("demo", 9_100, copy), single("twin", 9_100, copy))
    assert "not to be compared with published figures" in text
    text = conclusion(single("demo", 9_100), single("twin", 9_100))
    assert "JPEG" not in text
    assert "no fair pair" not in text


def test_unequal_training_is_no_fair_pair():
    text = conclusion(single("demo", 9_100), single("twin", 9_100, epochs=30))
    assert "no fair pair" in text


TRAINING = {
    "epochs": 2,
    "recipe": {"deconv_weight": 0.3, "epochs": 2, "seed": 0, "precision": "float32"},
    "pictures": 20,
    "device": "cpu",
    "seconds": 1.0,
    "metrics": [{"epoch": 1, "test_loss": 1.5}, {"epoch": 2, "test_loss": 1.25}],
    "test": {
        "title": "shapes",
        "pictures": 10,
        "accuracy": 0.7,
        "confusion": [[3, 1, 0], [0, 4, 0], [1, 1, 0]],
    },
}


def test_a_record_has_the_numbers_of_its_checkpoint(make_network):
    read = record(make_network("vgg", **TRAINING).bundle)
    assert read.evaluation.accuracy == pytest.approx(0.7)
    assert read.evaluation.per_class == pytest.approx({"one": 0.75, "two": 1.0, "three": 0.0})
    assert read.row["right"] == "7 of 10"
    assert read.row["test accuracy"] == pytest.approx(70)


@pytest.mark.parametrize("missing", ["test", "metrics", "recipe"])
def test_an_incomplete_record_is_refused_in_words(make_network, missing):
    part = {key: value for key, value in TRAINING.items() if key != missing}
    with pytest.raises(CheckpointError, match="no complete test"):
        record(make_network("vgg", **part).bundle)


def test_the_summary_says_how_good_the_network_is(make_network):
    text = summary(make_network("vgg", **TRAINING).bundle)
    assert "**70.0%** of 10 test pictures" in text
    assert "2 epochs" in text


def test_a_network_that_was_never_tested_is_summed_up_without_a_figure(make_network):
    text = summary(make_network("vgg", epochs=1).bundle)
    assert "1 epoch" in text
    assert "%" not in text
