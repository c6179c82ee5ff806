"""The exception tree."""

from deconvviz import errors


def test_every_exception_is_caught_by_the_base_and_drawn_in_the_tree():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert len(kinds) > 5
    for kind in kinds:
        assert issubclass(kind, errors.DeconvvizError)
        assert kind.__name__ in errors.__doc__


def test_a_message_keeps_its_beginning_and_its_end_however_long_a_files_own_text_is():
    message = str(errors.DataError(f"here.txt says {'x' * 10_000}; do this"))
    assert len(message) <= 1000
    assert message.startswith("here.txt says x")
    assert message.endswith("x; do this")
    assert str(errors.DataError("short; do this")) == "short; do this"
