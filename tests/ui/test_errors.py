"""How a refusal reaches a person."""

import pytest
from streamlit.testing.v1 import AppTest

from deconvviz.errors import PictureError
from deconvviz.ui.refusals import sentence


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("no layer `x`; there is y", "No layer `x`; there is y."),
        ("What is it?", "What is it?"),
        ("it is broken.", "It is broken."),
        ("cat.png is empty", "cat.png is empty."),
        ("", "."),
    ],
)
def test_a_message_is_shown_as_a_sentence(message, shown):
    assert sentence(PictureError(message)) == shown


def refused():
    import streamlit as st

    from deconvviz.errors import CheckpointError
    from deconvviz.ui.refusals import refusals

    with refusals():
        raise CheckpointError("no checkpoint at x; train one")
    st.markdown("and on it goes")


def faulty():
    from deconvviz.ui.refusals import refusals

    with refusals():
        raise ZeroDivisionError


def test_a_refusal_is_one_sentence_and_the_script_goes_on():
    app = AppTest.from_function(refused, default_timeout=120).run()
    assert [error.value for error in app.error] == ["No checkpoint at x; train one."]
    assert app.markdown[0].value == "and on it goes"
    assert not app.exception


def test_a_fault_of_ours_is_not_dressed_up_as_a_refusal():
    app = AppTest.from_function(faulty, default_timeout=120).run()
    assert not app.error
    assert len(app.exception) == 1
