"""The two networks side by side."""

import pytest

from deconvviz.bundles import DEMOS, load
from tests.pages.conftest import all_words, alternatives


def test_the_table_has_the_accuracies_of_the_checkpoints(open_page):
    app = open_page("accuracy")
    assert not app.exception
    assert not app.error
    table = app.dataframe[0].value
    expected = [100 * load(name).training["test"]["accuracy"] for name in DEMOS]
    assert table["network"].tolist() == list(DEMOS)
    assert table["test accuracy"].tolist() == pytest.approx(expected)


def test_the_difference_that_is_spoken_of_is_the_one_of_the_numbers(open_page):
    words = all_words(open_page("accuracy"))
    first, second = (load(name).training["test"]["accuracy"] for name in DEMOS)
    difference = 100 * abs(second - first)
    assert (f"**{difference:.2f}**" in words) or (difference < 0.005 and "equally" in words)
    assert "trained once, from one seed" in words


def test_curves_classes_and_both_confusion_matrices_are_shown(open_page):
    texts = alternatives(open_page("accuracy"))
    assert len(texts) == 4
    assert [name for name in DEMOS if f"Confusion matrix of {name}" in texts] == list(DEMOS)
