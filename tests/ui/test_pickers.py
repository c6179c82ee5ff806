"""Choices and their place in the URL."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from deconvviz.ui import pickers


def page():
    from dataclasses import asdict

    import streamlit as st

    from deconvviz.ui import pickers
    from deconvviz.units import Unit

    pickers.translate_old_link()
    layer = pickers.layer(["stage1.relu1", "stage1.relu2"], default="stage1.relu2")
    unit = pickers.pick_unit(layer, range(20))
    part = pickers.part(pickers.parts(25, 10))
    st.json(
        {
            "layer": layer,
            "size": pickers.input_size(),
            "rule": pickers.rule(),
            "start": pickers.start(),
            "share": pickers.share(),
            "unit": asdict(unit) if isinstance(unit, Unit) else unit,
            "dataset": pickers.dataset(["photos", "cifar10 test"]),
            "order": pickers.sort_by({"unit number": 1, "class selectivity": 2}),
            "part": [part.start, part.stop],
            "only": pickers.part(pickers.parts(10, 10)).stop,
        }
    )


def opened(script=page, **query):
    app = AppTest.from_function(script, default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def chosen(app):
    return json.loads(app.json[0].value)


DEFAULTS = {
    "layer": "stage1.relu2",
    "size": "trained",
    "rule": "deconvnet",
    "start": "activation",
    "share": 0.1,
    "unit": None,
    "dataset": "photos",
    "order": 1,
    "part": [0, 10],
    "only": 10,
}
OTHERS = {
    "layer": "stage1.relu1",
    "size": 256,
    "rule": "guided",
    "start": "one",
    "share": 0.3,
    "unit": 7,
    "dataset": "cifar10 test",
    "order": 2,
    "part": [20, 30],
    "only": 10,
}
LINK = {
    "layer": "stage1.relu1",
    "input-size": "256",
    "rule": "guided",
    "start": "one",
    "share": "30 %",
    "unit": "7",
    "dataset": "cifar10 test",
    "sort": "class selectivity",
    "part": "21 to 25",
}
OLD_LINK = {
    **{name: LINK[name] for name in ("layer", "rule", "start", "unit", "part")},
    "view": "large",
    "size": "256",
    "positions": "30 %",
    "data": "cifar10 test",
    "order": "preference for one class",
}


def test_without_a_query_everything_has_its_default():
    assert chosen(opened()) == DEFAULTS


@pytest.mark.parametrize("link", [LINK, OLD_LINK], ids=["today", "an older version"])
def test_a_link_restores_every_choice(link):
    app = opened(**link)
    assert chosen(app) == OTHERS
    assert set(app.query_params) == set(LINK)


def test_the_view_of_an_old_link_counts_more_than_its_size():
    assert chosen(opened(view="as the classifier does", size="256"))["size"] == "trained"


BAD = [
    {"unit": "99999", "layer": "../../etc/passwd", "input-size": "1000000", "rule": "lrp"},
    {"unit": "-1", "layer": "stage9.relu1", "size": "nan", "start": "two", "part": "-1"},
    {"unit": "20", "share": "1000 %", "dataset": "mnist", "sort": "x", "part": "1 to 99"},
    {"unit": "<script>", "positions": "x", "view": "x", "data": "x"},
    {"unit": "7/-1/0"},
    {"unit": "20/0/0"},
    {"unit": ""},
]


@pytest.mark.parametrize("query", BAD)
def test_an_invalid_value_in_a_link_is_the_default(query):
    app = opened(**query)
    assert chosen(app) == DEFAULTS
    assert not set(query) & set(app.query_params)
    said = [one.value for one in app.toast]
    assert all(" of the link is not here; " in one for one in said)
    assert not app.run().toast  # once


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"unit": "99"}, ["`unit=99` of the link is not here; strongest is shown."]),
        ({"layer": "nope"}, ["`layer=nope` of the link is not here; stage1.relu2 is shown."]),
        ({"rule": "guided", "unit": "7/3/5", "layer": "stage1.relu1"}, []),
        ({}, []),
    ],
)
def test_what_a_link_names_and_is_not_here_is_said(query, said):
    assert [one.value for one in opened(**query).toast] == said


def test_a_link_to_a_unit_at_a_position_is_that_unit_until_another_is_chosen():
    app = opened(layer="stage1.relu1", unit="7/3/5")
    assert chosen(app)["unit"] == {"layer": "stage1.relu1", "channel": 7, "y": 3, "x": 5}
    app.selectbox(key="unit").set_value("8").run()
    assert chosen(app)["unit"] == 8
    app.button_group(key="layer").set_value("stage1.relu2").run()
    assert (chosen(app)["layer"], chosen(app)["unit"]) == ("stage1.relu2", None)


def test_a_unit_that_another_layer_had_is_forgotten():
    app = AppTest.from_function(page, default_timeout=120)
    app.session_state["unit"] = "21"
    assert chosen(app.run())["unit"] is None


def deep_page():
    import streamlit as st

    from deconvviz.ui import pickers

    st.json({"layer": pickers.layer([f"layer{i}" for i in range(60)], default="layer30")})


def test_many_layers_are_a_list_with_the_same_link():
    app = opened(deep_page)
    assert chosen(app)["layer"] == "layer30"
    app.selectbox(key="layer").set_value("layer7").run()
    assert chosen(app)["layer"] == "layer7"
    assert chosen(opened(deep_page, layer="layer59"))["layer"] == "layer59"


@pytest.mark.parametrize(("count", "size"), [(25, 10), (10, 10), (1, 96), (97, 96)])
def test_parts_hold_everything_once(count, size):
    parts = pickers.parts(count, size)
    assert [n for part in parts.values() for n in range(count)[part]] == list(range(count))
    assert all(
        label == f"{part.start + 1} to {min(part.stop, count)}" for label, part in parts.items()
    )


def two_pages():
    import streamlit as st

    from deconvviz.ui import pickers

    if st.checkbox("here"):
        st.json({"layer": pickers.layer(["a", "b", "c"]), "unit": pickers.pick_unit("", range(9))})


def test_a_choice_stays_while_its_picker_is_away():
    app = AppTest.from_function(two_pages, default_timeout=120).run()
    app.checkbox[0].check().run()
    app.button_group(key="layer").set_value("b").run()
    app.selectbox(key="unit").set_value("4").run()
    app.checkbox[0].uncheck().run()
    app.query_params.clear()  # as a link to another page does
    app.run()
    app.checkbox[0].check().run()
    assert chosen(app) == {"layer": "b", "unit": 4}


def test_a_link_counts_more_than_what_was_chosen_before():
    app = AppTest.from_function(two_pages, default_timeout=120).run()
    app.checkbox[0].check().run()
    app.button_group(key="layer").set_value("b").run()
    app.checkbox[0].uncheck().run()
    app.query_params["layer"] = "c"
    app.checkbox[0].check().run()
    assert chosen(app)["layer"] == "c"
