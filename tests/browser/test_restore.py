"""Before and after in a real browser: what is left and right of a border that a person moves."""

import base64
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from deconvviz.io.checkpoint import Description, save_checkpoint
from deconvviz.networks import build
from tests.browser.conftest import serving
from tests.browser.test_app import fits_a_telephone, open_page, page  # noqa: F401  a fixture

pytestmark = pytest.mark.browser

LINE = 16  # pixels beside the border that its handle covers


@pytest.fixture(scope="module")
def restoring(chromium, tmp_path_factory):
    """The app with a denoiser of random weights."""
    folder = tmp_path_factory.mktemp("own")
    torch.manual_seed(0)
    name, path = "half:width=4:blocks=0", folder / "denoiser" / "model.safetensors"
    description = Description(
        model=name,
        channels=3,
        size=16,
        classes=(),
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
        data={"title": "none", "fingerprint": ""},
        training={},
        task="denoise",
    )
    save_checkpoint(path, build(name, channels=3), description)
    with serving(folder, str(path)) as address:
        yield address


def shown(page, which):  # noqa: F811
    """The pixels of a picture of the comparison, as the browser was sent them."""
    source = page.locator(f".compare img{which}").get_attribute("src")
    content = base64.b64decode(source.partition(",")[2])
    return np.asarray(Image.open(BytesIO(content)).convert("RGB"))


def drawn(page):  # noqa: F811
    """The pixels of the comparison on the screen, without the names over them."""
    for name in page.locator(".compare .name").all():
        name.evaluate("(node) => { node.style.visibility = 'hidden'; }")
    view = page.locator(".compare .view")
    view.scroll_into_view_if_needed()
    return np.asarray(Image.open(BytesIO(view.screenshot())).convert("RGB"))


def assert_divided(pixels, left, right, border):
    """Left of the border is one picture, right of it the other, to the pixel."""
    border = round(border * pixels.shape[1])
    for part, whole in (
        (slice(0, border - LINE), left),
        (slice(border + LINE, pixels.shape[1]), right),
    ):
        assert np.array_equal(pixels[:, part], whole[: len(pixels), part])


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_the_border_is_moved_by_keys_and_pointers_and_pixels_are_exact(page, restoring):  # noqa: F811
    open_page(page, restoring, "restore?task=Denoise%3A+denoiser")
    page.set_viewport_size({"width": 1400, "height": 1400})
    page.get_by_role("button", name="1×").click()
    given, made = shown(page, ".left"), shown(page, ":not(.left)")
    assert not np.array_equal(given, made)
    assert_divided(drawn(page), given, made, 0.5)
    slider = page.get_by_role("slider", name="Border between given and network")
    slider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    assert_divided(drawn(page), given, made, 0.4)
    box = page.locator(".compare .view").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.4 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], middle, steps=3)
    page.mouse.up()
    assert_divided(drawn(page), given, made, 0.75)
    page.get_by_role("button", name="original").press("Enter")
    assert_divided(drawn(page), shown(page, ".left"), made, 0.75)
    page.get_by_role("button", name="4×").click()
    view = page.locator(".compare .view")
    view.evaluate("(node) => { node.scrollLeft = 400; node.scrollTop = 200; }")
    large = [one.repeat(4, 0).repeat(4, 1)[200:, 400:] for one in (shown(page, ".left"), made)]
    height, width = view.evaluate("(node) => [node.clientHeight, node.clientWidth]")
    inner = drawn(page)[:height, :width]  # without the scroll bars
    assert_divided(inner, *large, 0.75)
    assert fits_a_telephone(page)
    page.get_by_role("button", name="fit", exact=True).click()
    assert fits_a_telephone(page)


def test_a_restored_picture_is_downloaded_as_it_is_shown(page, restoring, tmp_path):  # noqa: F811
    open_page(page, restoring, "restore?pictures=coffee&task=Denoise%3A+denoiser")
    with page.expect_download() as download:
        page.get_by_role("button", name="Restored picture").click()
    download.value.save_as(tmp_path / "taken.png")
    assert download.value.suggested_filename == "coffee-denoise.png"
    with Image.open(tmp_path / "taken.png") as taken:
        assert np.array_equal(np.asarray(taken), shown(page, ":not(.left)"))
