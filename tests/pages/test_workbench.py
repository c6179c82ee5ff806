"""Pictures, layers, units and rules, as a person goes through them."""

import json
import re
from io import BytesIO

import pytest
import torch
from PIL import Image

from deconvviz.io.images import photograph, to_png
from deconvviz.ui.networks import input_view, network
from tests.pages.conftest import all_words, alternatives, channels, components, fine, grid


def upload(app, *files):
    app.get("file_uploader")[0].set_value([(name, data, "image/png") for name, data in files])
    return app.run()


def answers(app):
    return [one["name"] for one in grid(app)["answer"]["classes"]]


def test_the_first_pictures_are_there_without_a_click(open_page):
    app = fine(open_page("workbench"))
    texts = alternatives(app)
    assert any("through unit" in text for text in texts)
    for rule in ("deconvnet", "guided", "gradient"):
        assert any(f"by the {rule} rule" in text for text in texts)
    assert all(texts)
    assert "symmetric about grey" in all_words(app)
    data = grid(app)
    assert (data["picture"]["width"], data["picture"]["height"]) == (32, 32)
    values = [float(tile["caption"]) for tile in data["tiles"]]
    assert values == sorted(values, reverse=True)
    assert min(values) > 0
    assert data["chosen"] == data["tiles"][0]["channel"]
    assert [one["name"] for one in data["layers"]] == list(network("demo").layers)
    shelves = {one["shelf"]: one["pictures"] for one in components(app, "shelf")}
    assert {one["picture"] for one in data["layers"]} < {*shelves["around"]}
    assert {one["projection"] for one in data["tiles"]} == {*shelves["inside"]}
    sources = [source for shelf in shelves.values() for source in shelf.values()]
    assert all(one.startswith("data:image/png") for one in sources)
    shares = [one["share"] for one in data["answer"]["classes"]]
    assert shares == sorted(shares, reverse=True)
    assert "of 10 classes" in data["answer"]["rest"]


def test_layers_units_rules_and_shares_can_be_chosen(open_page):
    app = fine(open_page("workbench"))
    layers, seen = app.button_group(key="layer").options, set()
    for option in layers:
        app.button_group(key="layer").set_value(option).run()
        assert f"of {option}" in all_words(fine(app))
        assert [one["name"] for one in grid(app)["layers"] if one["chosen"]] == [option]
        seen.add(json.dumps(grid(app)["tiles"]))
    assert len(seen) == len(layers)
    second = channels(app)[1]
    app.selectbox(key="unit").set_value(str(second)).run()
    assert f"Unit {second} of" in all_words(fine(app))
    assert grid(app)["chosen"] == second
    before = [tile["projection"] for tile in grid(app)["tiles"]]
    app.button_group(key="rule").set_value("gradient").run()
    assert [tile["projection"] for tile in grid(fine(app))["tiles"]] != before
    app.button_group(key="start").set_value("one").run()
    app.button_group(key="share").set_value("all").run()
    fine(app)


def test_how_windows_are_shown_can_be_chosen(open_page):
    app = fine(open_page("workbench"))
    first = grid(app)["tiles"]
    assert not grid(app)["crisp"]
    assert not any(tile["patch"] for tile in first)  # the page cuts them out of its picture
    app.button_group(key="enlargement").set_value("pixels").run()
    assert grid(fine(app))["crisp"]
    assert grid(app)["tiles"] == first
    app.button_group(key="patch").set_value("where the projection is").run()
    seen = grid(fine(app))["tiles"]
    assert [one["projection"] for one in seen] == [one["projection"] for one in first]
    assert all(tile["patch"] for tile in seen)
    app.button_group(key="contrast").set_value("shared").run()
    shared = grid(fine(app))["tiles"]
    assert [one["projection"] for one in shared] != [one["projection"] for one in first]


def test_a_place_shows_the_units_that_are_most_active_there(open_page):
    app = fine(open_page("workbench", layer="stage3.relu1", place="0.64,0.3"))
    data, demo = grid(app), network("demo")
    assert data["place"] == [0.64, 0.3]
    net, view = demo.net, input_view(demo, photograph("cat"), "trained")
    maps = net.record(view.pixels, ["stage3.relu1"])["stage3.relu1"][0]
    boxes = {tuple(tile["box"]) for tile in data["tiles"]}
    assert len(boxes) == 1  # all are seen from the same place
    ((top, left, bottom, right),) = boxes
    fields = net.layers["stage3.relu1"]
    centres = [
        (fields.offset[0] + y * fields.stride[0], fields.offset[1] + x * fields.stride[1], y, x)
        for y in range(maps.shape[1])
        for x in range(maps.shape[2])
    ]
    side = (fields.receptive_field[0] - 1) / 2
    *_, y, x = min(centres, key=lambda c: (c[0] + side - 9.1) ** 2 + (c[1] + side - 19.98) ** 2)
    assert ((top + bottom - 1) / 2, (left + right - 1) / 2) == (
        fields.offset[0] + y * fields.stride[0] + side,
        fields.offset[1] + x * fields.stride[1] + side,
    )
    order = maps[:, y, x].argsort(descending=True)[: len(data["tiles"])]
    assert channels(app) == order.tolist()
    assert data["chosen"] == channels(app)[0]
    assert data["heading"]["back"]


def test_a_class_shows_the_units_that_speak_for_it(open_page):
    app = fine(open_page("workbench"))
    first, second = answers(app)[:2]
    shown = [channels(fine(open_page("workbench", **{"class": name}))) for name in (first, second)]
    assert shown[0] != shown[1]
    app = fine(open_page("workbench", **{"class": second, "layer": "stage3.relu2"}))
    values = [float(tile["caption"]) for tile in grid(app)["tiles"]]
    assert values == sorted(values, reverse=True)
    assert min(values) > 0
    assert second in grid(app)["heading"]["text"]
    demo = network("demo")
    pixels = input_view(demo, photograph("cat"), "trained").pixels
    maps, model = [], demo.bundle.model
    handle = model.get_submodule("stage3.relu2").register_forward_hook(
        lambda *args: maps.append(args[-1])
    )
    score = model(pixels)[0, demo.bundle.classes.index(second)]
    handle.remove()
    (gradient,) = torch.autograd.grad(score, maps[0])
    truth = (maps[0] * gradient).sum((0, 2, 3)).topk(len(values))
    assert channels(app) == truth.indices.tolist()
    assert values == pytest.approx(truth.values.tolist(), rel=0.01)
    assert [one["name"] for one in grid(app)["answer"]["classes"] if one["chosen"]] == [second]


def test_a_network_that_was_never_trained_says_so_and_one_without_names_too(open_page, monkeypatch):
    monkeypatch.setattr("sys.argv", ["app.py", "torchvision/squeezenet1_1", "--weights=none"])
    app = fine(open_page("workbench", model="torchvision/squeezenet1_1", layer="features.6"))
    assert "never trained" in app.warning[0].value
    assert not answers(app)
    assert "without names of classes" in grid(app)["answer"]["lead"]


def test_random_weights_stand_beside_a_unit(open_page):
    app = fine(open_page("workbench", beside="random weights"))
    texts = [text for text in alternatives(app) if "random weights" in text]
    assert len(texts) == 3
    words = all_words(app)
    (trained,) = re.findall(r"\*\* Activation ([\d.]+), in row", words)
    assert re.search(rf"random weights: activation [\d.]+ \(trained: {trained}\); each", words)


def test_a_link_restores_picture_rule_unit_and_position(open_page):
    query = {"pictures": "rocket", "rule": "guided", "layer": "stage2.relu1"}
    app = fine(open_page("workbench", unit="7/3/5", **query))
    assert grid(app)["chosen"] == 7
    assert "in row 3, column 5" in all_words(app)
    assert "rocket through unit 7, guided" in alternatives(app)


def test_a_link_of_an_older_version_restores_the_same(open_page):
    old = {"view": "as the classifier does", "positions": "all", "unit": "7"}
    app = fine(open_page("workbench", **old))
    assert app.button_group(key="input-size").value == "as trained"
    assert app.button_group(key="share").value == "all"
    assert grid(app)["chosen"] == 7


@pytest.mark.parametrize(
    "query",
    [
        {"unit": "99999", "pictures": "nobody"},
        {"unit": "7/999/0", "layer": "../../etc/passwd"},
        {"rule": "<b>", "start": "x", "positions": "-", "view": "x"},
        {"place": "-1,x", "class": "<b>"},
        {"place": f"{10**400},1"},
    ],
)
def test_a_bad_link_is_the_default(open_page, query):
    app = fine(open_page("workbench", **query))
    assert channels(app)
    assert grid(app)["picture"]["alt"].startswith("cat, ")


def test_several_pictures_show_the_same_unit_in_each_and_none_asks_for_one(open_page):
    app = open_page("workbench")
    app.button_group(key="pictures").set_value(["cat", "coffee", "astronaut"]).run()
    words = all_words(fine(app))
    assert "in the other pictures" in words
    assert "cat: " in words
    assert "coffee: " in words
    app.button_group(key="pictures").set_value([]).run()
    assert "Choose a picture" in fine(app).info[0].value


def test_the_line_below_a_picture_says_what_of_it_the_network_gets(open_page):
    app = open_page("workbench")
    assert "32 × 32 pixels, the middle of the picture (More, Input size: the whole)." in about(
        fine(app)
    )
    clear = Image.new("RGBA", (16, 16), (0, 128, 0, 0))
    clear.putpixel((3, 3), (255, 0, 0, 255))
    upload(app, ("icon.png", to_png(clear)))
    assert "32 × 32 pixels, enlarged from 16 × 16. T" in about(fine(app))
    upload(app, ("square.png", to_png(Image.effect_noise((40, 40), 99).convert("RGB"))))
    assert about(fine(app)).startswith("Input of the network: 32 × 32 pixels. Click")


def about(app):
    return grid(app)["picture"]["about"]


def test_uploads_are_reconstructed_or_refused_in_words(open_page):
    app = open_page("workbench")
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
    assert "own.png" in grid(fine(app))["picture"]["alt"]
    assert len(app.warning) == 3
    upload(app, ("grey.png", to_png(Image.new("RGB", (64, 64), (128, 128, 128)))))
    assert "a single colour" in fine(app).info[0].value
    assert "nan" not in all_words(app).lower()


def test_the_controls_of_a_reconstruction_are_run_when_asked(open_page):
    app = open_page("workbench", layer="stage1.relu2", unit="11", rule="guided")
    (button,) = [one for one in app.button if one.label == "Run the controls"]
    button.click().run()
    assert any("to its controls" in text for text in alternatives(fine(app)))
    assert not [one for one in app.button if one.label == "Run the controls"]
    assert "unit's own" in all_words(app) or "says little about" in all_words(app)
    assert "Seed 0; the unit's own kernels were shuffled in 15 networks" in all_words(app)
    files = [one.proto.id for one in app.get("download_button")]
    assert sum(name.endswith(("-trust.png", "-trust.json")) for name in files) == 2
    (command,) = [one.value for one in app.code if "trust" in one.value]
    assert command == (
        "deconvviz trust demo cat --layer stage1.relu2 --unit 11 --rule guided --seed 0 --out trust"
    )


def test_the_controls_of_a_unit_at_another_place_have_no_command(open_page):
    app = open_page("workbench", layer="stage1.relu2", unit="11/6/12")
    next(one for one in app.button if one.label == "Run the controls").click().run()
    assert "Seed 0" in all_words(fine(app))
    assert not app.code
