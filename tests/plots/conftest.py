"""The small network and the pictures of the atlas's tests."""

from tests.atlas.conftest import bundle, shapes

__all__ = ["bundle", "shapes"]
