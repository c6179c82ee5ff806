"""The exception tree."""

from deconvviz import errors


def test_every_exception_is_caught_by_the_base_and_drawn_in_the_tree():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert len(kinds) > 5
    for kind in kinds:
        assert issubclass(kind, errors.DeconvvizError)
        assert kind.__name__ in errors.__doc__
