"""The small network and the pictures of the atlas's tests."""
