"""Pictures, files and errors on a page."""

import pytest
from streamlit.testing.v1 import AppTest

from deconvviz.deconv import Layer
from deconvviz.errors import PictureError
from deconvviz.ui.show import as_sentence, describe_layer


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("no layer `x`; there is y", "No layer `x`; there is y."),
        ("What is it?", "What is it?"),
        ("it is broken.", "It is broken."),
        ("cat.png is empty", "cat.png is empty."),
        ("", "."),
    ],
)
def test_a_message_becomes_a_sentence(message, sentence):
    assert as_sentence(PictureError(message)) == sentence


def page():
    import numpy as np
    import streamlit as st

    from deconvviz.errors import CheckpointError
    from deconvviz.plots.figures import learning_curves
    from deconvviz.ui import show

    show.picture(np.zeros((1600, 1600, 3), np.uint8), "black", "a square")
    metrics = [{"epoch": 1, "test_accuracy": 0.5, "train_accuracy": 0.4}]
    show.figure(learning_curves({"a": metrics}, show.ink()), "curves")
    show.download(lambda: b"picture", "name.png", "PNG")
    show.download(b"tensor", "name.safetensors", "Raw tensor")
    with show.errors():
        raise CheckpointError("no checkpoint at x; train one")
    st.markdown("the script goes on")
    with show.errors():
        raise ZeroDivisionError


def test_pictures_files_and_errors_reach_the_page():
    app = AppTest.from_function(page, default_timeout=120).run()
    images = [image.proto.imgs[0] for image in app.get("image")]
    assert [image.url.endswith(".png") for image in images] == [True, True]
    assert [image.alt for image in images] == ["black", "curves"]
    assert [one.label for one in app.get("download_button")] == ["PNG", "Raw tensor"]
    assert [error.value for error in app.error] == ["No checkpoint at x; train one."]
    assert app.markdown[0].value == "the script goes on"
    assert len(app.exception) == 1  # a bug is not shown as one of our errors


def test_a_layer_is_described_by_its_units_and_their_window():
    layer = Layer(64, (16, 16), (2, 2), (8, 8), (-3, -3))
    assert describe_layer(layer) == "64 units, receptive field 8 × 8 pixels"


def proof_page():
    from deconvviz.deconv import SelfCheck, Verification, VerifiedLayer
    from deconvviz.ui import show

    layers = VerifiedLayer("a", 2, 3e-7, True), VerifiedLayer("b", 2, 0.5, False)
    checked = SelfCheck(5, 2e-7, 1e-4)
    show.proof(checked, Verification(layers[:1], "float32", 1e-4, 0))
    show.proof(checked, Verification(layers, "float32", 1e-4, 0, "relu in `b`"))


def test_a_comparison_is_one_line_and_a_difference_a_warning():
    app = AppTest.from_function(proof_page, default_timeout=120).run()
    values = "Checked: values equal the model's own (largest relative error 2e-7); projections of "
    (line,) = app.caption
    equal = "2 units in 1 layer equal autograd (largest relative error 3e-7)."
    assert line.value == values + equal
    (warning,) = app.warning
    assert warning.value == values + "b differ from autograd, first in relu in `b`."
