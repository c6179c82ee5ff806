"""What is said where weights are missing."""

from pathlib import Path

from deconvviz.io.zoo.weights import not_here, unreadable


def test_missing_weights_say_how_to_get_them_or_do_without():
    told = str(not_here("torchvision/vgg16", "528 MB"))
    assert told.startswith("the weights of torchvision/vgg16 (528 MB) are not on this machine")
    assert "--download" in told
    assert "weights=None" in told


def test_a_failure_is_one_line_and_names_a_file_only_where_there_is_one(tmp_path):
    error = RuntimeError("first line\nsecond line")
    told = str(unreadable("timm/x", error, tmp_path / "missing"))
    assert "(first line)" in told
    assert "\n" not in told
    assert "missing" not in told
    assert f"delete {__file__}" in str(unreadable("timm/x", error, Path(__file__)))
    assert "(EOFError)" in str(unreadable("timm/x", EOFError()))
