"""Errors on missing weights."""

from pathlib import Path

from deconvviz.io.zoo.weights import missing_weights, unreadable_weights


def test_missing_weights_say_how_to_get_them_or_do_without():
    message = str(missing_weights("torchvision/vgg16", "528 MB"))
    assert message.startswith("the weights of torchvision/vgg16 (528 MB) are not on this machine")
    assert "--download" in message
    assert "weights=None" in message


def test_a_failure_is_one_line_and_names_a_file_only_where_there_is_one(tmp_path):
    error = RuntimeError("first line\nsecond line")
    message = str(unreadable_weights("timm/x", error, tmp_path / "missing"))
    assert "(first line)" in message
    assert "\n" not in message
    assert "missing" not in message
    assert f"delete {__file__}" in str(unreadable_weights("timm/x", error, Path(__file__)))
    assert "(EOFError)" in str(unreadable_weights("timm/x", EOFError()))
