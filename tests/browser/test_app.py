"""The app as a person has it: a real server, a real browser, pixels that were really drawn."""

import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from deconvviz.io.images import to_png
from deconvviz.ui.networks import network

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
            === 'notRunning' && !document.querySelector('[data-testid=stSkeleton]')
            && [...document.images].every((image) => image.complete)"""
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


LIT = """
(canvas) => {
    if (!canvas.width) return null;
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let [lit, top, left, bottom, right] = [0, canvas.height, canvas.width, 0, 0];
    for (let at = 3; at < data.length; at += 4) {
        if (data[at] < 30) continue;
        const [x, y] = [((at - 3) / 4) % canvas.width, Math.floor((at - 3) / 4 / canvas.width)];
        lit++;
        top = Math.min(top, y); bottom = Math.max(bottom, y);
        left = Math.min(left, x); right = Math.max(right, x);
    }
    const frame = canvas.parentElement.querySelector('.frame').style;
    const share = ['top', 'left', 'height', 'width'].map((side) => parseFloat(frame[side]));
    return lit === 0 ? null : {
        lit: lit / canvas.width / canvas.height,
        box: [100 * top / canvas.height, 100 * left / canvas.width,
              100 * bottom / canvas.height, 100 * right / canvas.width],
        frame: [share[0], share[1], share[0] + share[2], share[1] + share[3]],
    };
}"""


def lit(page):
    """What lies over the picture: its share of the area, its bounds, and the frame, in percent."""
    canvas = page.locator("canvas.lit")
    for _ in range(SECONDS // 200):
        if found := canvas.evaluate(LIT):
            return found
        page.wait_for_timeout(200)
    pytest.fail("nothing lies over the picture")


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_the_first_page_shows_projections_over_the_picture_without_a_click(page, server):
    open_page(page, server)
    assert lit(page)["lit"] > 0.05
    assert is_reconstruction(picture(page, "by the deconvnet rule"))
    background = page.evaluate(
        "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    )
    shade = sum(map(int, re.findall(r"\d+", background)[:3])) / 3
    assert (shade > 200) == (page.theme == "light")
    assert fits_a_telephone(page)


def test_hovering_a_tile_lights_its_window_alone_and_a_dot_its_tile(page, server):
    open_page(page, server)
    everything = lit(page)["lit"]
    page.locator("button.tile").nth(1).hover()
    one = lit(page)
    assert one["lit"] < everything
    inside = zip(one["box"], one["frame"], (1, 1, -1, -1), strict=True)
    assert all(sign * (edge - frame) > -1.5 for edge, frame, sign in inside)
    page.locator("button.dot").nth(2).dispatch_event("mouseenter")
    assert "shown" in page.locator("button.tile").nth(2).get_attribute("class")


def test_the_tiles_are_walked_by_keyboard_and_pages_go_through_the_layers(page, server):
    open_page(page, server)
    page.locator("button.tile").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    second = page.locator("button.tile").nth(1)
    unit = second.get_attribute("data-channel")
    page.wait_for_url(re.compile(f"unit={unit}"))
    settled(page)
    second.focus()
    before = page.locator("button.layer[aria-pressed=true]").inner_text()
    page.keyboard.press("PageUp")
    page.wait_for_url(re.compile("layer="))
    settled(page)
    after = page.locator("button.layer[aria-pressed=true]").inner_text()
    assert after != before
    page.locator(".stage").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("place="))


def test_the_keyboard_keeps_its_place_after_a_choice(page, server):
    open_page(page, server)
    focused = (
        "() => [...document.querySelectorAll('*')].map((one) => one.shadowRoot)"
        ".find((one) => one?.querySelector('.bench')).activeElement?.dataset.focus"
    )
    page.locator("button.class").nth(1).focus()
    name = page.evaluate(focused)
    page.keyboard.press("Enter")
    page.get_by_text(re.compile("^Units that raise the score of ")).wait_for()
    settled(page)
    assert page.evaluate(focused) == name
    page.locator("button.layer").first.focus()
    name = page.evaluate(focused)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("layer="))
    settled(page)
    assert page.evaluate(focused) == name
    page.locator("button.tile").nth(1).focus()
    page.keyboard.press("PageUp")
    settled(page)
    assert page.evaluate(focused) == "tile 1"


def test_a_place_and_a_class_choose_units_and_the_choice_survives_other_pages(page, server):
    open_page(page, server)
    stage = page.locator(".stage")
    box = stage.bounding_box()
    place = {"clientX": box["x"] + box["width"] / 3, "clientY": box["y"] + box["height"] / 4}
    stage.dispatch_event("click", place)  # a real one might hit a unit's dot
    page.get_by_text("Units with the highest activation at the cross").wait_for()
    assert "place=" in page.url
    settled(page)
    page.get_by_role("button", name="back to the whole picture").click()
    page.wait_for_url(re.compile("^[^=]*$|^((?!place=).)*$"))
    settled(page)
    page.locator("button.class").nth(1).click()
    page.get_by_text(re.compile("^Units that raise the score of ")).wait_for()
    settled(page)
    page.locator("button.layer").nth(1).click()
    page.wait_for_url(re.compile("layer="))
    settled(page)
    layer = page.locator("button.layer[aria-pressed=true]").inner_text()
    page.get_by_role("link", name="Filters").click()
    page.get_by_role("heading", name="Filters").wait_for()
    settled(page)
    page.get_by_role("link", name="Workbench").click()
    page.locator("button.layer[aria-pressed=true]").get_by_text(layer).wait_for()


def test_what_a_link_chose_goes_along_to_other_pages(page, server):
    open_page(page, server, "?layer=stage4.relu1&rule=guided&unit=12")
    page.get_by_role("link", name="Atlas").click()
    page.get_by_role("heading", name="Unit 12 of stage4.relu1").wait_for()
    settled(page)
    assert {"layer=stage4.relu1", "unit=12", "rule=guided"} <= set(re.split("[?&]", page.url))
    page.get_by_role("radio", name="stage2.relu", exact=True).click()
    page.get_by_role("heading", name="of stage2.relu").wait_for()
    settled(page)
    link = page.get_by_role("link", name=re.compile("^Reconstruct unit"))
    unit = re.search("unit ([0-9]+)", link.inner_text())[1]
    link.click()
    page.get_by_text(f"Unit {unit} of stage2.relu.").wait_for()


def test_the_tour_goes_through_five_steps_with_the_picture_that_is_shown(page, server):
    open_page(page, server)
    tour = page.locator(".tour")
    assert not tour.is_visible()
    page.get_by_role("button", name="Show me around").click()
    for step in range(1, 6):
        assert f"{step} of 5" in tour.inner_text()
        assert page.locator(".toured").count() == 1
        page.keyboard.press("Enter")  # the button that goes on has the focus
    assert not tour.is_visible()
    assert page.locator(".toured").count() == 0
    page.get_by_role("button", name="Show me around").click()
    page.keyboard.press("Escape")
    assert not tour.is_visible()


def test_an_answer_is_explained_and_units_are_switched_off(page, server):
    open_page(page, server)
    answer = page.locator(".answer")
    page.locator("button.class").nth(1).click()
    page.get_by_text(re.compile("^Units that raise the score of ")).wait_for()
    settled(page)
    rival = page.locator("button.class").first.locator("span").first.inner_text()
    page.get_by_label("rather than").select_option(label=rival)
    page.wait_for_url(re.compile("against="))
    settled(page)
    page.locator(".cell").nth(2).hover()
    page.locator(".cell").nth(2).get_by_role("button", name="switch off").click()
    answer.get_by_text("Without 1 unit the network says:").wait_for()
    assert page.locator(".cell.off").count() == 1
    settled(page)
    page.locator("button.tile").first.focus()
    page.keyboard.press("o")
    answer.get_by_text("Without 2 units the network says:").wait_for()
    settled(page)
    page.get_by_role("button", name="switch the next 3 off").click()
    answer.get_by_text("Without 5 units the network says:").wait_for()
    settled(page)
    page.reload()
    answer.get_by_text("Without 5 units the network says:").wait_for()
    settled(page)
    answer.get_by_role("button", name="switch all units on").click()
    answer.get_by_text("The network says:", exact=True).wait_for()
    assert page.locator(".cell.off").count() == 0


def test_a_unit_is_clicked_and_taken_away_and_an_upload_is_reconstructed(page, server, tmp_path):
    open_page(page, server, "reconstruct?view=large&size=256")  # of an older version
    page.wait_for_url(re.compile("input-size=256"))
    third = page.locator("button.tile").nth(2)
    unit = third.get_attribute("data-channel")
    third.click()
    page.get_by_text(f"Unit {unit} of ").first.wait_for()
    page.wait_for_url(re.compile(f"unit={unit}"))
    settled(page)
    pressed = page.locator("button.tile[aria-pressed=true]")
    assert pressed.get_attribute("data-channel") == unit
    assert is_reconstruction(picture(page, f"Unit {unit} reconstructed by the deconvnet rule"))
    for label, suffix in (("PNG", ".png"), ("Raw tensor", ".safetensors")):
        with page.expect_download() as download:
            page.get_by_role("button", name=label).last.click()
        download.value.save_as(tmp_path / f"taken{suffix}")
        assert download.value.suggested_filename.endswith(suffix)
    height, width = network("demo-photos").net.layers["stage3.relu2"].receptive_field
    with Image.open(tmp_path / "taken.png") as taken:
        assert taken.size == (width, height)
    assert load_file(tmp_path / "taken.safetensors")["pixels"].shape == (3, height, width)
    before = picture(page, "through unit")
    noise = Image.effect_noise((500, 375), 100).convert("RGB")
    page.locator("input[type=file]").first.set_input_files(
        {"name": "mine.png", "mimeType": "image/png", "buffer": to_png(noise)}
    )
    page.get_by_alt_text(re.compile("^mine.png, ")).wait_for()
    settled(page)
    uploaded = picture(page, "mine.png through unit")
    assert is_reconstruction(uploaded)
    assert not np.array_equal(uploaded, before)
    assert fits_a_telephone(page)


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_picture_that_is_dropped_or_pasted_anywhere_is_taken(page, server, event):
    open_page(page, server)
    noise = Image.effect_noise((64, 48), 100).convert("RGB")
    page.evaluate(
        """([event, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], 'other.png', {type: 'image/png'}));
            const options = {bubbles: true, cancelable: true};
            const given = event === 'drop'
                ? new DragEvent('drop', {...options, dataTransfer: transfer})
                : new ClipboardEvent('paste', {...options, clipboardData: transfer});
            document.querySelector('h1').dispatchEvent(given);
        }""",
        [event, list(to_png(noise))],
    )
    page.get_by_alt_text(re.compile("^other.png, ")).wait_for()


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
    page.get_by_role("heading", name="of the pictures right with it").wait_for()
    page.get_by_alt_text("Differences of test accuracy that decide, every pair").first.wait_for()
    page.get_by_text("In numbers").click()
    page.get_by_text(re.compile("^At 1000 labels")).first.wait_for()
    page.get_by_text("Every comparison, every pair").click()
    page.get_by_alt_text(re.compile("^Differences of test accuracy between arms")).first.wait_for()
    page.wait_for_url(re.compile("open-pairs=true"))
    page.set_viewport_size({"width": 420, "height": 900})
    settled(page)  # the table is drawn anew
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


CONTRAST = """
() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const paint = (colours) => {  // one over the other, as the screen shows them
        canvas.clearRect(0, 0, 1, 1);
        for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (pixel) => {
        const [r, g, b] = pixel.map((value) => value / 255).map(
            (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [];
    const words = '[data-testid=stCaptionContainer] p, [data-testid=stImageCaption], figcaption, '
        + '[data-testid=stMain] p';
    for (const node of document.querySelectorAll(words)) {
        const shown = node.innerText && node.offsetParent;
        if (!shown || node.closest('button, a, [role=alert]')) continue;
        const grounds = [];
        let opacity = 1;
        for (let above = node; above; above = above.parentElement) {
            grounds.unshift(getComputedStyle(above).backgroundColor);
            opacity *= Number(getComputedStyle(above).opacity);
        }
        const ground = paint(grounds);
        const ink = paint([`rgb(${ground})`, getComputedStyle(node).color]);
        const seen = ink.map((value, at) => opacity * value + (1 - opacity) * ground[at]);
        const [low, high] = [light(seen), light(ground)].sort((a, b) => a - b);
        found.push([(high + 0.05) / (low + 0.05), node.innerText.slice(0, 60)]);
    }
    return found;
}"""


def test_on_a_telephone_the_menu_goes_away_once_a_page_is_chosen(page, server):
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page, server, "accuracy")
    page.get_by_test_id("stExpandSidebarButton").click()
    link = page.get_by_role("link", name="How to read this")
    link.click()
    page.get_by_role("heading", name="How to read").first.wait_for()
    settled(page)
    assert link.bounding_box()["x"] < 0  # the menu is off the screen


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("path", ["accuracy", "atlas", "experiments"])
def test_small_letters_can_be_read(page, server, path):
    open_page(page, server, path)
    measured = page.evaluate(CONTRAST)
    assert len(measured) > 4
    assert [one for one in measured if one[0] < 4.5] == []
