"""Choices and their place in the URL."""

import pytest
from streamlit.testing.v1 import AppTest


def page():
    import streamlit as st

    from deconvviz.ui import pickers

    chosen = {
        "layer": pickers.pick_layer(["stage1.relu1", "stage1.relu2"], default=9),
        "size": pickers.pick_size(),
        "rule": pickers.pick_rule(),
        "start": pickers.pick_start(),
        "share": pickers.pick_share(),
        "unit": pickers.pick_unit(20),
    }
    st.json(chosen)


def chosen(**query):
    import json

    app = AppTest.from_function(page, default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app, json.loads(app.json[0].value)


DEFAULTS = {
    "layer": "stage1.relu2",
    "size": 512,
    "rule": "deconvnet",
    "start": "activation",
    "share": 0.1,
    "unit": None,
}


def test_without_a_query_everything_has_its_default():
    assert chosen()[1] == DEFAULTS


def test_a_link_restores_every_choice():
    query = {
        "layer": "stage1.relu1",
        "size": "256",
        "rule": "guided",
        "start": "one",
        "positions": "30 %",
        "unit": "7",
    }
    assert chosen(**query)[1] == {
        "layer": "stage1.relu1",
        "size": 256,
        "rule": "guided",
        "start": "one",
        "share": 0.3,
        "unit": 7,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("unit", "99999"),
        ("unit", "-1"),
        ("unit", "20"),
        ("unit", "<script>"),
        ("unit", ""),
        ("layer", "../../etc/passwd"),
        ("layer", "stage9.relu1"),
        ("size", "1000000"),
        ("size", "nan"),
        ("rule", "lrp"),
        ("start", "two"),
        ("positions", "1000 %"),
    ],
)
def test_what_is_wrong_in_a_link_is_the_default(name, value):
    app, found = chosen(**{name: value})
    assert found == DEFAULTS
    assert name not in app.query_params


def test_the_classifiers_view_needs_no_size():
    assert chosen(view="as the classifier does")[1]["size"] == "trained"


def test_another_layer_forgets_the_unit():
    import json

    app, found = chosen(unit="7")
    assert found["unit"] == 7
    app.button_group(key="layer").set_value("stage1.relu1").run()
    found = json.loads(app.json[0].value)
    assert (found["layer"], found["unit"]) == ("stage1.relu1", None)


def test_a_unit_that_the_layer_lacks_is_forgotten():
    app = AppTest.from_function(page, default_timeout=120)
    app.session_state["unit"] = "21"
    app.run()
    assert not app.exception
    assert app.selectbox(key="unit").value == "strongest"


def deep_page():
    import streamlit as st

    from deconvviz.ui import pickers

    st.json({"layer": pickers.pick_layer([f"layer{i}" for i in range(60)], default=30)})


def test_many_layers_are_a_list_with_the_same_link():
    app = AppTest.from_function(deep_page, default_timeout=120)
    app.run()
    assert "layer30" in app.json[0].value
    app.selectbox(key="layer").set_value("layer7").run()
    assert "layer7" in app.json[0].value
    app = AppTest.from_function(deep_page, default_timeout=120)
    app.query_params["layer"] = "layer59"
    app.run()
    assert "layer59" in app.json[0].value


def atlas_page():
    import streamlit as st

    from deconvviz.ui import pickers

    part = pickers.pick_part(25, 10)
    st.json(
        {
            "data": pickers.pick_data(["photos", "cifar10 test"]),
            "order": pickers.pick_order(["by number", "by peak"]),
            "part": [part.start, part.stop],
            "whole": pickers.pick_part(10, 10).stop,
            "only": pickers.pick_data(["photos"]),
        }
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ("photos", "by number", [0, 10])),
        (
            {"data": "cifar10 test", "order": "by peak", "part": "21 to 25"},
            ("cifar10 test", "by peak", [20, 30]),
        ),
        ({"data": "mnist", "order": "x", "part": "1 to 99"}, ("photos", "by number", [0, 10])),
    ],
)
def test_the_atlas_is_asked_for_by_a_link(query, expected):
    import json

    app = AppTest.from_function(atlas_page, default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    found = json.loads(app.json[0].value)
    assert (found["data"], found["order"], found["part"]) == expected
    assert (found["whole"], found["only"]) == (10, "photos")
