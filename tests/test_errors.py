"""The exception tree."""

from deconvviz import errors


def test_every_exception_is_caught_by_the_base_and_drawn_in_the_tree():
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.DeconvvizError)
        assert name in errors.__doc__
