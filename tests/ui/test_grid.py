"""The data that the grid of units draws."""

import base64
import json
from io import BytesIO

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest

from deconvviz.ui.grid import Tile


def page():
    import numpy as np

    from deconvviz.ui.grid import Tile, unit_grid

    dark, light = np.zeros((2, 3, 3), np.uint8), np.full((2, 3, 3), 200, np.uint8)
    tiles = [Tile.of(7, [dark, light], "1.5", "seven"), Tile.of(9, [light], "", "nine")]
    unit_grid(tiles, "G", 7)


def test_the_grid_has_every_tile_with_its_text():
    app = AppTest.from_function(page, default_timeout=120).run()
    assert not app.exception
    (grid,) = app.get("bidi_component")
    (data,) = json.loads(grid.proto.json)
    assert (data["chosen"], data["label"], data["noun"]) == (7, "G", "unit")
    assert [tile["channel"] for tile in data["tiles"]] == [7, 9]
    assert [len(tile["pictures"]) for tile in data["tiles"]] == [2, 1]
    assert [tile["alt"] for tile in data["tiles"]] == ["seven", "nine"]


def test_pictures_reach_the_browser_without_loss():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    kind, _, data = Tile.of(0, [pixels], "", "").pictures[0].partition(",")
    assert kind == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(BytesIO(base64.b64decode(data)))), pixels)
