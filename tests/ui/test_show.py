"""How pictures stand on a page."""

from streamlit.testing.v1 import AppTest

from deconvviz.deconv import Layer
from deconvviz.ui.show import describe_layer


def page():
    import numpy as np

    from deconvviz.plots.figures import learning_curves
    from deconvviz.ui.show import downloads, ink, show, show_figure

    show(np.zeros((1600, 1600, 3), np.uint8), "black", "a square")
    metrics = [{"epoch": 1, "test_accuracy": 0.5, "train_accuracy": 0.4}]
    show_figure(learning_curves({"a": metrics}, ink()), "curves")
    downloads("name", lambda: b"picture", lambda: b"tensor")


def test_pictures_are_png_and_have_a_text_alternative():
    app = AppTest.from_function(page, default_timeout=120).run()
    assert not app.exception
    images = [image.proto.imgs[0] for image in app.get("image")]
    assert [image.url.endswith(".png") for image in images] == [True, True]
    assert [image.alt for image in images] == ["black", "curves"]


def test_a_reconstruction_can_be_taken_away_as_picture_and_as_tensor():
    app = AppTest.from_function(page, default_timeout=120).run()
    labels = [button.label for button in app.get("download_button")]
    assert labels == ["PNG", "Raw tensor"]


def test_a_layer_is_described_by_its_units_and_their_window():
    layer = Layer(64, (16, 16), (2, 2), (8, 8), (-3, -3))
    assert describe_layer(layer) == "64 units, each sees 8 × 8 pixels"
