"""The page that explains the pictures."""

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
