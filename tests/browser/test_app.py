"""The app as a person has it: a real server, a real browser, pixels that were really drawn."""

import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from deconvviz.io.images import to_png

pytestmark = pytest.mark.browser

SECONDS = (
    120_000  # milliseconds; a busy machine with two cores traces the network in twenty seconds
)
# Streamlit itself looks for its endpoints below a page's address first, and gets a 404 there.
STREAMLITS_OWN = re.compile(r"/_stcore/(health|host-config)$")

# As pictures may still arrive while a page is looked at, all are measured at one moment.
UNDISTORTED = """
() => [...document.querySelectorAll('[data-testid=stImage] img')].every((image) => {
    if (!image.offsetParent) return true;  // of two forms of a figure one is hidden
    const box = image.getBoundingClientRect();
    const natural = image.naturalWidth / image.naturalHeight;
    return Math.abs(box.width / box.height / natural - 1) < 0.02;
})"""


@pytest.fixture(params=["light", "dark"])
def page(request, chromium):
    """A new session in one of the two themes; at its end the browser must have had no errors."""
    context = chromium.new_context(
        color_scheme=request.param, viewport={"width": 1400, "height": 1000}
    )
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    page.theme, faults = request.param, []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if is_fault(said) else None)
    page.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))
    page.on("request", lambda request: faults.append(request.url) if leaves(request) else None)
    yield page
    context.close()
    assert not faults


def is_fault(said):
    return said.type == "error" and not STREAMLITS_OWN.search(said.location.get("url", ""))


def leaves(request):
    """Whether a request would leave this machine."""
    return not request.url.startswith(("http://127.0.0.1", "data:", "blob:"))


def settled(page):
    """Wait until the script has run and every picture has arrived."""
    page.wait_for_selector("h1")
    page.wait_for_function(
        """() => document.querySelector('[data-testid=stApp]').dataset.testScriptState
            === 'notRunning' && [...document.images].every((image) => image.complete)"""
    )
    page.wait_for_timeout(300)
    assert page.get_by_test_id("stException").count() == 0


def open_page(page, server, path=""):
    page.goto(f"{server}/{path}")
    settled(page)


def picture(page, alternative):
    """The pixels of the picture that has this text alternative, as the browser was sent them."""
    image = page.get_by_alt_text(re.compile(alternative)).first
    image.wait_for()
    address = image.get_attribute("src")
    body = page.evaluate(
        "async (address) => [...new Uint8Array(await (await fetch(address)).arrayBuffer())]",
        address,
    )
    stored = Image.open(BytesIO(bytes(body)))
    assert stored.format == "PNG"
    return np.asarray(stored.convert("RGB")).astype(int)


def is_reconstruction(pixels):
    """Grey in most places, and clearly not grey in some."""
    distance = np.abs(pixels - 128).max(2)
    return (distance > 60).any() and np.median(distance) < 40


def test_the_first_page_shows_reconstructions_without_a_click(page, server):
    open_page(page, server)
    assert is_reconstruction(picture(page, "reconstructed from unit"))
    background = page.evaluate(
        "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    )
    shade = sum(map(int, re.findall(r"\d+", background)[:3])) / 3
    assert (shade > 200) == (page.theme == "light")


def test_an_uploaded_picture_is_reconstructed_at_another_layer(page, server):
    open_page(page, server, "reconstruct?view=as+the+classifier+does")
    before = picture(page, "through unit")
    page.get_by_role("button", name="Add your own").click()
    noise = Image.effect_noise((4000 // 8, 3000 // 8), 100).convert("RGB")
    page.locator("input[type=file]").set_input_files(
        {"name": "mine.png", "mimeType": "image/png", "buffer": to_png(noise)}
    )
    page.get_by_alt_text(re.compile("mine.png, the windows")).first.wait_for()
    page.keyboard.press("Escape")
    settled(page)
    uploaded = picture(page, "mine.png through unit")
    assert is_reconstruction(uploaded)
    page.get_by_text("stage3.relu2", exact=True).first.click()
    page.get_by_text("The strongest units of stage3.relu2").wait_for()
    settled(page)
    deeper = picture(page, "mine.png through unit")
    assert is_reconstruction(deeper)
    assert not np.array_equal(uploaded, before)
    assert not np.array_equal(uploaded, deeper)


def test_a_click_on_a_unit_looks_at_it_closely_and_puts_it_into_the_address(page, server):
    open_page(page, server, "reconstruct?view=as+the+classifier+does")
    third = page.locator("button.tile").nth(2)
    unit = third.get_attribute("data-name")
    third.click()
    page.get_by_role("heading", name=f"Unit {unit} closely").wait_for()
    page.wait_for_url(re.compile(f"unit={unit}"))
    settled(page)
    assert page.locator("button.tile[aria-pressed=true]").get_attribute("data-name") == unit
    assert is_reconstruction(picture(page, f"Unit {unit} reconstructed by the deconvnet rule"))


def test_a_click_in_the_atlas_shows_the_units_nine(page, server):
    open_page(page, server, "atlas")
    page.locator("button.tile").nth(5).wait_for()
    tile = page.locator("button.tile").nth(5)
    unit = tile.get_attribute("data-name")
    tile.click()
    page.get_by_role("heading", name=f"Unit {unit} of").wait_for()
    page.wait_for_url(re.compile(f"unit={unit}"))
    settled(page)
    assert is_reconstruction(picture(page, f"9 projections of unit {unit} of"))


def test_both_files_of_a_reconstruction_can_be_taken_away(page, server, tmp_path):
    from safetensors.torch import load_file

    open_page(page, server, "reconstruct?view=as+the+classifier+does")
    for label, suffix in (("PNG", ".png"), ("Raw tensor", ".safetensors")):
        buttons = page.get_by_role("button", name=label)
        buttons.nth(1).wait_for()  # the whole picture's, the first on the page, comes last
        with page.expect_download() as download:
            buttons.first.click()
        path = tmp_path / f"taken{suffix}"
        download.value.save_as(path)
        assert download.value.suggested_filename.endswith(suffix)
    with Image.open(tmp_path / "taken.png") as taken:
        assert taken.size == (32, 32)
    assert load_file(tmp_path / "taken.safetensors")["pixels"].shape == (3, 32, 32)


def test_the_accuracy_page_gives_the_answer_and_trains(page, server):
    open_page(page, server, "accuracy")
    page.get_by_role("heading", name="What may not be concluded").wait_for()
    page.get_by_text(re.compile("^At 1000 labels")).first.wait_for()
    page.get_by_text("Train now", exact=True).click()
    page.wait_for_url(re.compile("section=Train"))
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_role("button", name="Stop the run").click()
    page.get_by_text(re.compile("^Stopped ")).wait_for()
    assert page.get_by_role("button", name="Train", exact=True).is_enabled()


@pytest.mark.parametrize(
    "path",
    ["", "filters", "reconstruct", "atlas", "evolution", "experiments", "accuracy"],
)
def test_no_page_is_wider_than_a_telephone(page, server, path):
    page.set_viewport_size({"width": 420, "height": 900})
    open_page(page, server, path)
    width = page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollWidth")
    assert width <= 420
    page.wait_for_function(UNDISTORTED)
