"""What a caller asks of a loader."""

from pathlib import Path

from deconvviz.data import LOADERS, Request, draw_shapes, load_dataset


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
        Request("train", None, None, 3, download=False, byte_budget=2**30, progress=True),
    ]
