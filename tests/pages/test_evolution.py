"""The epochs of a run, as a person slides through them."""

from deconvviz.io.zoo import load
from tests.pages.conftest import all_words, alternatives, fine, grid


def test_the_last_epoch_comes_first_and_a_link_or_a_move_shows_another(open_page):
    bundle = load("demo-photos")
    last = bundle.training["epochs"]
    epochs = [*(epoch for epoch in bundle.snapshots if epoch < last), last]
    app = fine(open_page("evolution", model="demo-photos"))
    slider = app.select_slider(key="epoch")
    assert slider.options == list(map(str, epochs))
    assert slider.value == str(last)
    assert f"Between epochs {epochs[-2]} and {last}" in all_words(app)
    unit = grid(app)["chosen"]
    shown = {f"Unit {unit} after epoch {epoch}: patch and projection" for epoch in epochs}
    assert shown <= set(alternatives(app))
    before = [tile["pictures"] for tile in grid(app)["tiles"]]
    assert all(len(pair) == 2 for pair in before)  # the patch beside the projection
    slider.set_value(str(epochs[0])).run()
    assert "the first stored epoch" in all_words(fine(app))
    assert [tile["pictures"] for tile in grid(app)["tiles"]] != before
    app = open_page("evolution", model="demo-photos", unit="3", epoch=str(epochs[0]))
    assert grid(app)["chosen"] == 3
    assert app.select_slider(key="epoch").value == str(epochs[0])
    app = fine(open_page("evolution", model="demo-photos", unit="9999", epoch="-7"))
    assert app.select_slider(key="epoch").value == str(last)


def test_a_layer_with_more_units_than_fit_is_shown_in_ranges(open_page):
    layer = "stage2.relu"  # of 96 units
    app = fine(open_page("evolution", model="demo-photos", layer=layer))
    assert any(f"Units 0 to 59 of the 96 of {layer}" in one.value for one in app.subheader)
    assert grid(app)["chosen"] < 60
    assert app.selectbox(key="unit").options == ["strongest", *map(str, range(60))]
    app.selectbox(key="units").set_value("60 to 95").run()
    assert any(f"Units 60 to 95 of the 96 of {layer}" in one.value for one in fine(app).subheader)
    assert [tile["channel"] for tile in grid(app)["tiles"]] == list(range(60, 96))
    assert 60 <= grid(app)["chosen"] < 96
    app.selectbox(key="unit").set_value("80").run()
    assert any(f"Unit 80 of {layer}" in one.value for one in fine(app).subheader)


def test_a_link_to_a_unit_opens_its_range(open_page):
    app = fine(open_page("evolution", model="demo-photos", layer="stage2.relu", unit="80"))
    assert app.selectbox(key="units").value == "60 to 95"
    assert grid(app)["chosen"] == 80


def test_a_network_without_snapshots_names_the_option_that_stores_them(open_page):
    app = fine(open_page("evolution", model="demo"))
    assert "has no snapshots" in app.info[0].value
    assert "--snapshots" in app.info[0].value
