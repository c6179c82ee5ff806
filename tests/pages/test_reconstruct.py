"""Pictures, layers, units and rules, as a person goes through them."""

import json
from io import BytesIO

import pytest
from PIL import Image

from deconvviz.io.images import to_png
from tests.pages.conftest import all_words, alternatives, channels, fine, grid

SMALL = {"input-size": "as trained"}


def upload(app, *files):
    app.get("file_uploader")[0].set_value([(name, data, "image/png") for name, data in files])
    return app.run()


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


def test_layers_units_rules_and_shares_can_be_chosen(open_page):
    app = fine(open_page("reconstruct", **SMALL))
    assert "32 × 32 pixels" in all_words(app)
    assert app.subheader[0].value == "Predictions"
    layers, seen = app.button_group(key="layer").options, set()
    for option in layers:
        app.button_group(key="layer").set_value(option).run()
        assert f"Strongest units of {option}" in all_words(fine(app))
        seen.add(json.dumps(grid(app)["tiles"]))
    assert len(seen) == len(layers)
    second = channels(app)[1]
    app.selectbox(key="unit").set_value(str(second)).run()
    assert f"Unit {second}: details" in all_words(fine(app))
    assert grid(app)["chosen"] == second
    before = [tile["pictures"][1] for tile in grid(app)["tiles"]]
    app.button_group(key="rule").set_value("gradient").run()
    assert [tile["pictures"][1] for tile in grid(fine(app))["tiles"]] != before
    app.button_group(key="start").set_value("one").run()
    app.button_group(key="share").set_value("all").run()
    fine(app)


def test_how_windows_are_shown_can_be_chosen(open_page):
    app = fine(open_page("reconstruct", **SMALL))
    first = [tile["pictures"] for tile in grid(app)["tiles"]]
    assert not grid(app)["crisp"]
    app.button_group(key="enlargement").set_value("pixels").run()
    assert grid(fine(app))["crisp"]
    assert [tile["pictures"] for tile in grid(app)["tiles"]] == first
    app.button_group(key="patch").set_value("where the projection is").run()
    seen = [tile["pictures"] for tile in grid(fine(app))["tiles"]]
    assert [one[1] for one in seen] == [one[1] for one in first]
    assert all(one[0] != other[0] for one, other in zip(seen, first, strict=True))
    app.button_group(key="contrast").set_value("shared").run()
    shared = [tile["pictures"] for tile in grid(fine(app))["tiles"]]
    assert [one[1] for one in shared] != [one[1] for one in first]


def test_random_weights_stand_beside_a_unit(open_page):
    app = fine(open_page("reconstruct", beside="random weights", **SMALL))
    texts = [text for text in alternatives(app) if "random weights" in text]
    assert len(texts) == 3
    assert "with random weights" in all_words(app)


def test_a_link_restores_picture_rule_unit_and_position(open_page):
    query = {"pictures": "rocket", "rule": "guided", "layer": "stage2.relu1", **SMALL}
    app = fine(open_page("reconstruct", unit="7/3/5", **query))
    assert grid(app)["chosen"] == 7
    assert "in row 3, column 5" in all_words(app)
    assert "rocket through unit 7, guided" in alternatives(app)


def test_a_link_of_an_older_version_restores_the_same(open_page):
    old = {"view": "as the classifier does", "positions": "all", "unit": "7"}
    app = fine(open_page("reconstruct", **old))
    assert "32 × 32 pixels" in all_words(app)
    assert app.button_group(key="input-size").value == "as trained"
    assert app.button_group(key="share").value == "all"
    assert grid(app)["chosen"] == 7


@pytest.mark.parametrize(
    "query",
    [
        {"unit": "99999", "pictures": "nobody"},
        {"unit": "7/999/0", "layer": "../../etc/passwd"},
        {"rule": "<b>", "start": "x", "positions": "-", "view": "x"},
    ],
)
def test_a_bad_link_is_the_default(open_page, query):
    app = fine(open_page("reconstruct", **SMALL | query))
    assert channels(app)
    assert any(text.startswith("cat, the windows") for text in alternatives(app))


def test_several_pictures_show_the_same_unit_in_each_and_none_asks_for_one(open_page):
    app = open_page("reconstruct", **SMALL)
    app.button_group(key="pictures").set_value(["cat", "coffee", "astronaut"]).run()
    words = all_words(fine(app))
    assert "in the other pictures" in words
    assert "cat: " in words
    assert "coffee: " in words
    app.button_group(key="pictures").set_value([]).run()
    assert "Choose a picture" in fine(app).info[0].value


def test_uploads_are_reconstructed_or_refused_in_words(open_page):
    app = open_page("reconstruct")
    own = Image.effect_noise((32, 32), 120).convert("RGB")
    cut = BytesIO()
    Image.effect_noise((64, 64), 90).save(cut, "PNG")
    upload(
        app,
        ("own.png", to_png(own)),
        ("empty.png", b""),
        ("drawing.svg", b"<svg/>"),
        ("cut.png", cut.getvalue()[:300]),
    )
    assert "own.png" in alternatives(fine(app))[0]
    assert "32 × 32 pixels" in all_words(app)
    assert len(app.warning) == 3
    upload(app, ("grey.png", to_png(Image.new("RGB", (64, 64), (128, 128, 128)))))
    assert "a single colour" in fine(app).info[0].value
    assert "nan" not in all_words(app).lower()


def test_the_controls_of_a_reconstruction_are_run_when_asked(open_page):
    app = open_page("reconstruct", layer="stage1.relu2", unit="11", rule="guided", **SMALL)
    (button,) = [one for one in app.button if one.label == "Run the controls"]
    button.click().run()
    assert any("to its controls" in text for text in alternatives(fine(app)))
