"""The network's answer in words."""

import pytest

from deconvviz.ui.answers import probabilities_in_words


@pytest.mark.parametrize(
    ("after", "before", "words"),
    [
        (0.44, None, ("44%", "")),
        (0.44, 0.12, ("44%", "12%")),
        (0.1204, 0.1231, ("12.0%", "12.3%")),  # both are 12%
        (0.12041, 0.12049, ("12.04%", "12.05%")),
        (0.000001, 0.0005, ("<0.1%", "0.1%")),
        (0.120411, 0.120412, ("12.04%", "12.04%")),  # under the mouse they differ
        (0.12, 0.12, ("12%", "12%")),
    ],
)
def test_two_probabilities_that_differ_are_written_so_that_it_shows(after, before, words):
    assert probabilities_in_words(after, before) == words
