"""Pictures of a person's own: what is kept, what is refused, and that it ends somewhere."""

from io import BytesIO

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from deconvviz.io.images import to_png
from deconvviz.ui import pictures
from deconvviz.ui.memory import UPLOADS
from deconvviz.ui.pickers import LARGEST


def page():
    import streamlit as st

    from deconvviz.ui.pictures import pick_pictures

    for picture in pick_pictures():
        st.markdown(f"{picture.name} {picture.image.width}x{picture.image.height}")


def png(colour, size=(32, 32)):
    return to_png(Image.new("RGB", size, colour))


def upload(app, *files):
    app.get("file_uploader")[0].set_value([(name, data, "image/png") for name, data in files])
    return app.run()


def shown(app):
    assert not app.exception
    return [line.value for line in app.markdown]


@pytest.fixture
def app():
    return AppTest.from_function(page, default_timeout=120).run()


def test_a_picture_is_there_before_any_click(app):
    assert shown(app) == ["cat 451x300"]


def test_several_can_be_chosen_and_the_last_is_looked_at_first(app):
    app.button_group(key="pictures").set_value(["cat", "rocket"]).run()
    assert [line.split()[0] for line in shown(app)] == ["rocket", "cat"]
    app.button_group(key="focus").set_value("cat").run()
    assert [line.split()[0] for line in shown(app)] == ["cat", "rocket"]


def test_none_may_be_chosen(app):
    app.button_group(key="pictures").set_value([]).run()
    assert shown(app) == []


def test_a_link_to_a_picture_that_is_not_here_shows_the_first_one():
    app = AppTest.from_function(page, default_timeout=120)
    app.query_params["pictures"] = "../../etc/passwd"
    assert shown(app.run()) == ["cat 451x300"]


@pytest.mark.parametrize(
    ("names", "shown_names", "says"),
    [
        (["holiday.png"], ["cat"], "The cat is shown instead."),
        (["rocket", "holiday.png"], ["rocket"], "Add it again."),
        (["holiday.png", "<b>x</b>"], ["cat"], "The cat is shown instead."),
    ],
)
def test_a_link_to_a_lost_upload_says_so_once_with_its_name(names, shown_names, says):
    app = AppTest.from_function(page, default_timeout=120)
    app.query_params["pictures"] = names
    assert [line.split()[0] for line in shown(app.run())] == shown_names
    said = [one.value for one in app.warning]
    assert len(said) == len([name for name in names if name != "rocket"])
    assert "holiday.png is not here" in said[0]
    assert all(one.endswith(says) for one in said)
    assert not any("<" in one for one in said)
    assert not app.run().warning


def test_a_link_to_photographs_needs_no_word():
    app = AppTest.from_function(page, default_timeout=120)
    app.query_params["pictures"] = ["coffee", "rocket"]
    assert sorted(line.split()[0] for line in shown(app.run())) == ["coffee", "rocket"]
    assert not app.warning


def test_uploads_are_removed_one_by_one(app):
    upload(app, ("a.png", png("teal")), ("b.png", png("navy")))
    assert shown(app) == ["b.png 32x32"]
    app.button(key="remove-b.png").click().run()
    assert shown(app) == ["a.png 32x32"]
    assert list(app.session_state["uploads"]) == ["a.png"]
    app.button(key="remove-a.png").click().run()
    assert shown(app) == ["cat 451x300"]
    assert not [one for one in app.button if one.key.startswith("remove-")]
    assert not app.warning


def test_an_upload_is_looked_at_and_its_bytes_are_let_go(app, monkeypatch):
    freed = []
    monkeypatch.setattr(pictures, "free", freed.append)
    upload(app, ("mine.png", png("teal")))
    assert shown(app) == ["mine.png 32x32"]
    assert [file.name for file in freed] == ["mine.png"]


@pytest.mark.parametrize("chosen", [["cat"], ["rocket"], ["cat", "rocket"], []])
def test_an_upload_takes_the_place_of_what_is_chosen_and_needs_no_further_line(app, chosen):
    app.button_group(key="pictures").set_value(chosen).run()
    upload(app, ("a.png", png("teal")))
    upload(app, ("b.png", png("navy")), ("c.png", png("gold")))
    assert shown(app) == ["c.png 32x32"]
    assert not [one for one in app.button_group if one.key == "focus"]
    app.button_group(key="pictures").set_value(["a.png", "cat"]).run()
    assert {line.split()[0] for line in shown(app)} == {"a.png", "cat"}


def test_a_large_upload_is_shrunk_to_the_largest_size_in_use(app):
    upload(app, ("large.png", png("teal", (4000, 3000))))
    assert shown(app)[0] == f"large.png {LARGEST}x{LARGEST * 3 // 4}"


def test_bad_files_get_a_sentence_each_while_the_others_go_on(app):
    cut = BytesIO()
    Image.effect_noise((64, 64), 90).save(cut, "JPEG")
    upload(
        app,
        ("empty.png", b""),
        ("page.png", b"<html>hello</html>"),
        ("good.png", png("teal")),
        ("cut.jpg", cut.getvalue()[:400]),
        ("thin.png", png("teal", (1, 40))),
    )
    assert shown(app)[0] == "good.png 32x32"
    sentences = [warning.value for warning in app.warning]
    assert len(sentences) == 4
    for name, sentence in zip(("empty", "page", "cut", "thin"), sentences, strict=True):
        assert name in sentence.lower()
        assert sentence.endswith(".")


def test_sentences_are_said_once(app):
    upload(app, ("empty.png", b""))
    assert len(app.warning) == 1
    app.run()
    assert len(app.warning) == 0


def test_one_name_for_two_pictures_is_two_pictures_and_one_picture_twice_is_one(app):
    upload(app, ("a.png", png("teal")), ("a.png", png("navy")), ("a.png", png("teal")))
    assert len(shown(app)) == 1
    assert set(app.session_state["uploads"]) == {"a.png", "a.png (2)"}


def test_names_are_inert(app):
    upload(app, ("../../<b>x</b>.png", png("teal")))
    assert "<" not in shown(app)[0]
    assert "/" not in shown(app)[0]


def test_a_name_like_a_photographs_does_not_hide_it(app):
    upload(app, ("cat", png("teal")))
    assert shown(app) == ["cat (2) 32x32"]
    app.button_group(key="pictures").set_value(["cat"]).run()
    assert shown(app) == ["cat 451x300"]


def test_a_session_keeps_a_few_uploads_only(app):
    colours = [(5 * i, 0, 0) for i in range(UPLOADS + 3)]
    for turn, colour in enumerate(colours):
        upload(app, (f"p{turn}.png", png(colour)))
    assert not app.exception
    kept = list(app.session_state["uploads"])
    assert kept == [f"p{turn}.png" for turn in range(3, UPLOADS + 3)]
    assert set(app.session_state["pictures"]) <= {*kept, "cat"}


def test_the_page_says_which_upload_made_room(app):
    for turn in range(UPLOADS):
        upload(app, (f"p{turn}.png", png((5 * turn, 0, 0))))
        assert not app.info
    upload(app, ("new.png", png("teal")), ("newer.png", png("navy")))
    said = [one.value for one in app.info]
    assert len(said) == 2
    assert said[0].startswith("p0.png made room for new.png")
    assert said[1].startswith("p1.png made room for newer.png")
    assert not app.run().info
