"""What a caller asks of a loader."""

from dataclasses import replace
from pathlib import Path

from deconvviz.io.data import LOADERS, Request, draw_shapes, load_dataset


def test_loaders_receive_every_option_as_it_was_given(monkeypatch):
    received: list[Request] = []

    def loader(request: Request):
        received.append(request)
        return draw_shapes(1)

    monkeypatch.setitem(LOADERS, "any", loader)
    load_dataset(
        "any", "val", data_dir="x", size=9, channels=2, download=True, byte_budget=5, progress=False
    )
    load_dataset("any")
    assert received == [
        Request("val", Path("x"), 9, 2, download=True, byte_budget=5, progress=False),
        Request("train", None, None, None, download=False, byte_budget=2**30, progress=True),
    ]


def test_a_sets_own_channels_are_taken_where_none_are_asked_for():
    request = Request("train", None, None, None, download=False, byte_budget=1, progress=False)
    assert request.channels_or(1) == 1
    assert replace(request, channels=3).channels_or(1) == 3
