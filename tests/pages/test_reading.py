"""The page that explains the pictures."""

import pytest
import streamlit as st

from tests.pages.conftest import all_words, alternatives, fine


def test_it_explains_with_pictures_of_the_chosen_network(open_page):
    app = fine(open_page("reading"))
    texts, words = alternatives(app), all_words(app)
    for rule in ("deconvnet", "guided", "gradient"):
        assert f"The same unit by the {rule} rule" in texts
    assert sum(text.startswith("With random weights") for text in texts) == 2
    assert sum(text.startswith("Strongest unit of") for text in texts) == 4
    assert "not the reason for the answer" in words
    assert all(texts)


@pytest.mark.parametrize("page", ["reading", "overview"])
def test_pictures_are_as_wide_as_their_columns(open_page, monkeypatch, page):
    widths, image = [], st.image
    monkeypatch.setattr(
        st, "image", lambda *args, **how: (widths.append(how["width"]), image(*args, **how))
    )
    fine(open_page(page))
    assert len(widths) > 8
    assert set(widths) == {"stretch"}
