"""Names of classes from a person."""

import json

import pytest

from deconvviz.errors import SettingError
from deconvviz.ui.class_names import read_names


@pytest.mark.parametrize(
    "text",
    [
        "cat\ndog\nrat",
        "\ufeffcat\r\n\r\n  dog \t\nrat\n\n",
        '["cat", "dog", "rat"]',
        '\n [ "cat",\n"dog","rat" ]',
    ],
)
def test_lines_and_json_are_read(text):
    assert read_names(text, 3) == ("cat", "dog", "rat")


def test_equal_names_are_numbered_and_long_ones_cut():
    assert read_names("crane\ncrane\nx", 3) == ("crane", "crane (2)", "x")
    assert len(read_names("a" * 10_000, 1)[0]) <= 100


def test_what_cannot_be_seen_is_left_out():
    assert read_names("c\u202eat\x00\nd\x1bog", 2) == ("cat", "dog")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat\ndog", "there are 2 names, and the network has 3 outputs"),
        ("", "there are 0 names, and the network has 3 outputs"),
        (json.dumps(["a"] * 4), "there are 4 names, and the network has 3 outputs"),
        ('{"0": "cat"}', "no list of names"),
        ("[1, 2, 3]", "no list of names"),
        ('["cat"', "no list of names"),
        ("[" * 100_000, "no list of names"),
    ],
)
def test_others_are_refused_in_one_sentence(text, message):
    with pytest.raises(SettingError, match=message):
        read_names(text, 3)
