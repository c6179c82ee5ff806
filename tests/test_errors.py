"""The tree of refusals."""

from deconvviz import errors


def test_every_refusal_is_caught_by_the_base():
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.DeconvvizError)
        assert getattr(errors, name).__doc__
