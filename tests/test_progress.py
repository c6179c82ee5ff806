"""Progress is reported, and drawn only once there is some."""

from deconvviz.progress import TerminalBars, track


def test_every_item_is_given_and_then_told():
    seen, events = [], []
    for item in track("abc", "letters", lambda *event: events.append(event)):
        assert len(events) == len(seen)  # an item is done when the next is asked for
        seen.append(item)
    assert seen == ["a", "b", "c"]
    assert events == [("letters", 1, 3), ("letters", 2, 3), ("letters", 3, 3)]
    assert list(track([1, 2], "silent", None)) == [1, 2]


def test_bars_appear_with_the_first_progress(capsys):
    with TerminalBars() as bars:
        assert capsys.readouterr().err == ""
        bars("pictures", 5, 10)
        bars("pictures", 10, 10)
        bars("classifiers", 1, 2)
    shown = capsys.readouterr().err
    assert "pictures: 100%" in shown
    assert "10/10" in shown
    assert "classifiers:  50%" in shown
