"""Pictures, layers, units and rules, as a person goes through them."""

import json
from io import BytesIO

import pytest
from PIL import Image

from deconvviz.io.images import to_png
from deconvviz.ui import trust
from tests.pages.conftest import all_words, alternatives, grid

SMALL = {"view": "as the classifier does"}


def upload(app, *files):
    app.get("file_uploader")[0].set_value([(name, data, "image/png") for name, data in files])
    return app.run()


def fine(app):
    assert not app.exception
    assert not app.error
    return app


def test_the_first_pictures_are_there_without_a_click(open_page):
    app = fine(open_page("reconstruct"))
    texts = alternatives(app)
    assert any("windows of the strongest units" in text for text in texts)
    assert any("through unit" in text for text in texts)
    for rule in ("deconvnet", "guided", "gradient"):
        assert any(f"by the {rule} rule" in text for text in texts)
    assert all(texts)
    assert "451 × 300 pixels" in all_words(app)
    assert "symmetric about grey" in all_words(app)
    values = [float(tile["caption"]) for tile in grid(app)["tiles"]]
    assert values == sorted(values, reverse=True)
    assert min(values) > 0


def test_the_classifiers_view_is_small_and_says_what_it_is_taken_for(open_page):
    app = fine(open_page("reconstruct", **SMALL))
    assert "32 × 32 pixels" in all_words(app)
    assert app.subheader[0].value == "Taken for"


def test_every_layer_can_be_chosen(open_page):
    app = open_page("reconstruct", **SMALL)
    seen = set()
    for option in app.button_group(key="layer").options:
        app.button_group(key="layer").set_value(option).run()
        fine(app)
        assert f"The strongest units of {option}" in all_words(app)
        seen.add(json.dumps(grid(app)["tiles"]))
    assert len(seen) == len(app.button_group(key="layer").options)


def test_another_unit_and_another_rule_are_other_pictures(open_page):
    app = open_page("reconstruct", **SMALL)
    second = grid(app)["tiles"][1]["name"]
    app.selectbox(key="unit").set_value(second).run()
    assert f"Unit {second} closely" in all_words(fine(app))
    assert grid(app)["chosen"] == second
    before = [tile["pictures"][1] for tile in grid(app)["tiles"]]
    app.button_group(key="rule").set_value("gradient").run()
    assert [tile["pictures"][1] for tile in grid(fine(app))["tiles"]] != before
    app.button_group(key="start").set_value("one").run()
    app.button_group(key="positions").set_value("all").run()
    fine(app)


def test_a_link_restores_picture_layer_unit_and_rule(open_page):
    query = {"pictures": "rocket", "rule": "guided", **SMALL}
    app = fine(open_page("reconstruct", **query))
    unit = grid(app)["tiles"][3]["name"]
    app = fine(open_page("reconstruct", unit=unit, **query))
    assert grid(app)["chosen"] == unit
    assert any("rocket" in text for text in alternatives(app))
    assert any(text.endswith("guided") for text in alternatives(app))


@pytest.mark.parametrize(
    "query",
    [
        {"unit": "99999"},
        {"unit": "-1"},
        {"layer": "../../etc/passwd"},
        {"pictures": "nobody"},
        {"rule": "<b>", "start": "x", "positions": "-"},
    ],
)
def test_a_bad_link_is_the_default(open_page, query):
    app = fine(open_page("reconstruct", **SMALL, **query))
    assert grid(app)["tiles"]
    assert any(text.startswith("cat, the windows") for text in alternatives(app))


def test_several_pictures_show_the_same_unit_in_each(open_page):
    app = open_page("reconstruct", **SMALL)
    app.button_group(key="pictures").set_value(["cat", "coffee", "astronaut"]).run()
    words = all_words(fine(app))
    assert "in the other pictures" in words
    assert "cat: " in words
    assert "coffee: " in words


def test_no_picture_is_a_request_for_one(open_page):
    app = open_page("reconstruct", **SMALL)
    app.button_group(key="pictures").set_value([]).run()
    assert "Choose a picture" in fine(app).info[0].value


def test_a_persons_own_small_picture_is_reconstructed(open_page):
    app = open_page("reconstruct")
    own = Image.effect_noise((32, 32), 120).convert("RGB")
    upload(app, ("own.png", to_png(own)))
    assert "own.png" in alternatives(fine(app))[0]
    assert "32 × 32 pixels" in all_words(app)


def test_bad_uploads_get_their_sentence_and_the_page_goes_on(open_page):
    app = open_page("reconstruct", **SMALL)
    cut = BytesIO()
    Image.effect_noise((64, 64), 90).save(cut, "PNG")
    upload(app, ("empty.png", b""), ("drawing.svg", b"<svg/>"), ("cut.png", cut.getvalue()[:300]))
    assert len(fine(app).warning) == 3
    assert grid(app)["tiles"]


def test_constant_grey_says_that_no_unit_answers_to_it(open_page):
    app = open_page("reconstruct", **SMALL)
    upload(app, ("grey.png", to_png(Image.new("RGB", (64, 64), (128, 128, 128)))))
    assert "no unit is active" in fine(app).info[0].value
    assert "nan" not in all_words(app).lower()


def test_a_reconstruction_is_examined_when_asked(open_page):
    trust._reports.clear()  # other tests may have asked for the same
    app = open_page("reconstruct", **SMALL)
    (button,) = [one for one in app.button if one.label == "Examine it"]
    button.click().run()
    assert not app.exception
    words = all_words(app)
    assert "shuffling the unit's own kernels" in words or "Likeness tells nothing" in words
    assert any("its controls are" in text for text in alternatives(app))
