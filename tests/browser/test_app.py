"""The app as a person has it: a real server, a real browser, pixels that were really drawn."""

import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

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


@pytest.fixture
def page(request, chromium):
    """A new session, in a theme; at its end the browser must have had no errors."""
    theme = getattr(request, "param", "light")
    context = chromium.new_context(color_scheme=theme, viewport={"width": 1400, "height": 1000})
    page, faults = context.new_page(), []
    page.set_default_timeout(SECONDS)
    page.theme = theme
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


def fits_a_telephone(page):
    """Whether nothing is wider than a telephone, and no picture is distorted there."""
    page.set_viewport_size({"width": 420, "height": 900})
    width = page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollWidth")
    page.wait_for_function(UNDISTORTED)
    return width <= 420


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_the_first_page_shows_reconstructions_without_a_click(page, server):
    open_page(page, server)
    assert is_reconstruction(picture(page, "reconstructed from unit"))
    background = page.evaluate(
        "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    )
    shade = sum(map(int, re.findall(r"\d+", background)[:3])) / 3
    assert (shade > 200) == (page.theme == "light")
    assert fits_a_telephone(page)


def test_a_unit_is_clicked_and_taken_away_and_an_upload_is_reconstructed(page, server, tmp_path):
    open_page(page, server, "reconstruct?view=as+the+classifier+does")  # of an older version
    page.wait_for_url(re.compile("input-size=as"))
    third = page.locator("button.tile").nth(2)
    unit = third.get_attribute("data-channel")
    third.click()
    page.get_by_role("heading", name=f"Unit {unit}: details").wait_for()
    page.wait_for_url(re.compile(f"unit={unit}"))
    settled(page)
    pressed = page.locator("button.tile[aria-pressed=true]")
    assert pressed.get_attribute("data-channel") == unit
    assert is_reconstruction(picture(page, f"Unit {unit} reconstructed by the deconvnet rule"))
    for label, suffix in (("PNG", ".png"), ("Raw tensor", ".safetensors")):
        with page.expect_download() as download:
            page.get_by_role("button", name=label).first.click()
        download.value.save_as(tmp_path / f"taken{suffix}")
        assert download.value.suggested_filename.endswith(suffix)
    with Image.open(tmp_path / "taken.png") as taken:
        assert taken.size == (128, 128)
    assert load_file(tmp_path / "taken.safetensors")["pixels"].shape == (3, 128, 128)
    before = picture(page, "through unit")
    page.get_by_role("button", name="Add your own").click()
    noise = Image.effect_noise((500, 375), 100).convert("RGB")
    page.locator("input[type=file]").set_input_files(
        {"name": "mine.png", "mimeType": "image/png", "buffer": to_png(noise)}
    )
    page.get_by_alt_text(re.compile("mine.png, the windows")).first.wait_for()
    page.keyboard.press("Escape")
    page.get_by_text("stage3.relu2", exact=True).first.click()
    page.get_by_text("Strongest units of stage3.relu2").wait_for()
    settled(page)
    uploaded = picture(page, "mine.png through unit")
    assert is_reconstruction(uploaded)
    assert not np.array_equal(uploaded, before)
    assert fits_a_telephone(page)


@pytest.mark.parametrize("page", ["dark"], indirect=True)
def test_a_click_in_the_atlas_shows_the_units_nine(page, server):
    open_page(page, server, "atlas")
    tile = page.locator("button.tile").nth(5)
    unit = tile.get_attribute("data-channel")
    tile.click()
    page.get_by_role("heading", name=f"Unit {unit} of").wait_for()
    page.wait_for_url(re.compile(f"unit={unit}"))
    settled(page)
    assert is_reconstruction(picture(page, f"9 projections of unit {unit} of"))
    assert fits_a_telephone(page)


def test_the_accuracy_page_gives_the_answer(page, server):
    open_page(page, server, "accuracy")
    page.get_by_role("heading", name="What may not be concluded").wait_for()
    page.get_by_text(re.compile("^At 1000 labels")).first.wait_for()
    assert fits_a_telephone(page)


@pytest.mark.slow
def test_a_run_is_trained_and_stopped_on_the_page(page, server):
    open_page(page, server, "accuracy?section=Train+now")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_role("button", name="Stop the run").click()
    page.get_by_text(re.compile("^Stopped ")).wait_for()
    assert page.get_by_role("button", name="Train", exact=True).is_enabled()


@pytest.mark.slow
@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("path", ["filters", "evolution", "experiments", "restore", "accuracy"])
def test_no_page_is_wider_than_a_telephone(page, server, path):
    page.set_viewport_size({"width": 420, "height": 900})
    open_page(page, server, path)
    assert fits_a_telephone(page)
