"""A memory of bounded size, and a bar that goes away."""

from streamlit.testing.v1 import AppTest

from deconvviz.ui.memory import Memory


def test_the_oldest_is_forgotten_first():
    memory = Memory(2)
    for name in "abc":
        assert memory.put((name,), name.upper()) == name.upper()
    assert [memory.get((name,)) for name in "abc"] == [None, "B", "C"]
    memory.put(("b",), "again")
    assert memory.get(("b",)) == "again"
    assert memory.get(("c",)) == "C"


def page():
    import streamlit as st

    from deconvviz.ui.memory import bar

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
