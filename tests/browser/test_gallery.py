"""The gallery in a real browser, opened from disk."""

import re

import pytest
import torch
from torch import nn

from deconvviz.atlas import build_atlas
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import draw_shapes
from deconvviz.plots.gallery import render

pytestmark = pytest.mark.browser

DEAD = 2


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """Of a small network, unit 2 of whose second layer is dead."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(5, 7, 3), nn.ReLU()
    )
    with torch.no_grad():
        model[0].bias.fill_(3)
        model[3].bias.fill_(9)
        model[3].bias[DEAD] = -1e6
    bundle, pictures = Bundle.of(model, (3, 16, 16)), draw_shapes(40, 16)
    folder = tmp_path_factory.mktemp("gallery")
    return render(build_atlas(bundle, pictures), bundle, pictures, folder).as_uri()


@pytest.fixture
def page(request, chromium):
    """A page that must come to its end without an error, and without leaving the disk."""
    theme = getattr(request, "param", "light")
    context = chromium.new_context(color_scheme=theme)
    page, faults = context.new_page(), []
    page.theme = theme
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))
    page.on(
        "request",
        lambda request: None if request.url.startswith("file:") else faults.append(request.url),
    )
    yield page
    context.close()
    assert not faults


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_a_units_link_shows_its_pictures_and_its_numbers(page, gallery):
    page.goto(f"{gallery}#4/1")
    page.get_by_role("heading", name="4, unit 1", exact=True).wait_for()
    pictures = page.locator(".nines img")
    assert pictures.count() == 18
    page.wait_for_function(
        "() => [...document.querySelectorAll('.nines img')].every((i) => i.naturalWidth > 0)"
    )
    alternatives = pictures.evaluate_all("images => images.map((image) => image.alt)")
    assert len(set(alternatives)) == 18
    assert all(re.match(r"(Patch|Projection) \d of 9: activation ", text) for text in alternatives)
    assert page.locator("#units a[aria-current]").inner_text().startswith("unit 1")
    shade = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", shade)[0]) > 128) == (page.theme == "light")


def test_search_finds_dead_units_numbers_and_layers(page, gallery):
    page.goto(gallery)
    page.locator("#units li").first.wait_for()
    for words, expected in (("dead", 1), ("4", 7 + 1), ("4/6", 1), ("unit 6", 1), ("nothing", 0)):
        page.locator("#search").fill(words)
        page.get_by_text(re.compile(f"^{expected} units? found in all layers")).wait_for()
        assert page.locator("#units li").count() == expected
    page.locator("#search").fill("dead")
    page.get_by_text(re.compile("^1 unit found")).wait_for()
    page.locator("#units a").click()
    page.get_by_text("This unit is dead").wait_for()


def test_units_are_sorted(page, gallery):
    page.goto(f"{gallery}#1")
    page.locator("#sort").select_option("peak")
    values = [float(text) for text in page.locator("#units .name span").all_inner_texts()]
    assert values == sorted(values, reverse=True)


def test_it_is_walked_through_by_keyboard(page, gallery):
    page.goto(gallery)
    page.locator("#units li").first.wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.get_by_role("heading", name="1, unit 1", exact=True).wait_for()
    page.keyboard.press("ArrowLeft")
    page.get_by_role("heading", name="1, unit 0", exact=True).wait_for()
    page.keyboard.press("/")
    assert page.evaluate("() => document.activeElement.id") == "search"


def test_it_fits_on_a_telephone(page, gallery):
    page.set_viewport_size({"width": 380, "height": 800})
    page.goto(f"{gallery}#4/1")
    page.get_by_role("heading", name="4, unit 1", exact=True).wait_for()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 380


def test_a_bad_link_is_a_layer_without_a_unit(page, gallery):
    for link in ("#nothing", "#4/99", "#4/-1", "#%", "#1/x/y"):
        page.goto("about:blank")
        page.goto(f"{gallery}{link}")
        page.locator("#units li").first.wait_for()
        page.get_by_text("Choose a unit").wait_for()
