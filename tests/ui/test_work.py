"""A bar that goes away."""

from streamlit.testing.v1 import AppTest


def page():
    import streamlit as st

    from deconvviz.ui.work import bar

    try:
        with bar("Starting") as progress:
            progress("steps", 1, 2)
            raise ValueError
    except ValueError:
        st.write("stopped")


def test_the_bar_goes_away_even_if_the_work_fails():
    app = AppTest.from_function(page, default_timeout=60).run()
    assert not app.exception
    assert app.markdown[0].value == "stopped"
    assert not app.get("progress")
