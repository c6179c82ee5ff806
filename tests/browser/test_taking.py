"""What a person takes away from the workbench, in a real browser: files, a link, a project."""

import re
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from deconvviz.io.images import to_png
from tests.browser.test_app import fits_a_telephone, open_page, page, settled  # noqa: F401

pytestmark = pytest.mark.browser

OWN = {
    "name": "own.png",
    "mimeType": "image/png",
    "buffer": to_png(Image.effect_noise((64, 48), 90).convert("RGB")),
}


def downloaded(page, button, folder):  # noqa: F811
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def popover(page, icon):  # noqa: F811
    """The button of a popover that has an icon alone; one of its two forms is hidden."""
    return page.get_by_test_id("stPopoverButton").filter(has_text=icon).locator("visible=true")


def chosen(page):  # noqa: F811
    """What the workbench shows."""
    layer = page.locator("button.layer[aria-pressed=true]").inner_text()
    unit = page.locator("button.tile[aria-pressed=true]").get_attribute("data-channel")
    answer = page.locator(".answer").inner_text()
    return layer, unit, answer, page.locator("img.photo").get_attribute("alt")


def test_more_files_are_downloaded_and_the_tensor_is_made_again(page, server, tmp_path):  # noqa: F811
    open_page(page, server, "?model=demo&layer=stage2.relu2")
    page.get_by_role("button", name="More files").click()
    paths = {
        name: downloaded(page, name, tmp_path)
        for name in (
            *("Figure, PNG", "Figure, SVG", "Figure, PDF"),
            *("Whole picture, tensor", "Report, HTML"),
        )
    }
    with Image.open(paths["Figure, PNG"]) as figure:
        assert figure.text["network"] == "demo"
        assert figure.text["layer"] == "stage2.relu2"
    assert paths["Figure, SVG"].read_text("utf-8").count("data:image/png") == 5
    assert paths["Figure, PDF"].read_bytes().startswith(b"%PDF-")
    assert paths["Figure, PDF"].name.startswith("cat-stage2.relu2-unit")
    assert "What demo sees in cat" in paths["Report, HTML"].read_text("utf-8")
    words = [sys.executable, "-m", "deconvviz", "render", str(paths["Whole picture, tensor"])]
    done = subprocess.run([*words, "--check"], capture_output=True, text=True)
    assert (done.returncode, "the same bytes" in done.stdout) == (0, True), done.stdout


def test_a_report_from_disk_asks_for_nothing_and_fits_a_telephone(page, server, tmp_path):  # noqa: F811
    open_page(page, server, "?model=demo")
    page.get_by_role("button", name="More files").click()
    path = downloaded(page, "Report, HTML", tmp_path)
    alone = page.context.browser.new_page(java_script_enabled=False)
    asked = []
    alone.on("request", lambda request: asked.append(request.url))
    alone.set_viewport_size({"width": 390, "height": 844})
    alone.goto(path.as_uri())
    alone.locator("h1").get_by_text("What demo sees in cat").wait_for()
    assert {address.partition(":")[0] for address in asked} <= {"file", "data"}
    assert all(one.startswith("data:") or one == path.as_uri() for one in asked)
    wide = alone.locator("body").bounding_box()["width"]
    assert wide <= 390
    for image in alone.locator("img").all():
        box = image.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390.5
    alone.close()


def test_the_link_is_copied_and_restores_the_page(page, server):  # noqa: F811
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(page, server, "?model=demo")
    page.locator("button.layer").nth(1).click()
    page.wait_for_url(re.compile("layer="))
    settled(page)
    page.locator("button.tile").nth(3).click()
    page.wait_for_url(re.compile("unit="))
    settled(page)
    page.get_by_role("button", name="copy link").click()
    page.get_by_role("status").get_by_text("copied").wait_for()
    link = page.evaluate("() => navigator.clipboard.readText()")
    query = parse_qs(urlsplit(link).query)
    assert {key: query[key] for key in ("model", "pictures", "rule")} == {
        "model": ["demo"],
        "pictures": ["cat"],
        "rule": ["deconvnet"],
    }
    assert {"layer", "unit"} <= set(query)
    assert parse_qs(urlsplit(page.url).query).items() <= query.items()
    before = chosen(page)
    other = page.context.new_page()
    other.goto(link)
    settled(other)
    assert chosen(other) == before
    other.close()


def test_a_link_to_an_upload_of_another_session_names_it(page, server):  # noqa: F811
    open_page(page, server, "?model=demo&pictures=holiday.png")
    page.get_by_text(re.compile("^holiday.png is not here: ")).wait_for()
    assert page.locator("img.photo").get_attribute("alt").startswith("cat, ")


def test_pictures_that_come_before_the_page_has_an_answer_are_all_taken(page, server):  # noqa: F811
    """On a busy server a file reaches an uploader whose last one was taken and freed."""
    open_page(page, server, "?model=demo")
    uploader, button = page.locator("input[type=file]").first, page.locator(".st-key-own-pictures")
    uploader.set_input_files(OWN)
    page.get_by_alt_text(re.compile("^own.png, ")).wait_for()
    settled(page)
    height = button.bounding_box()["height"]
    for number in range(3):
        uploader.set_input_files({**OWN, "name": f"own-{number}.png"})
        page.wait_for_timeout(150)
    for number in range(3):
        page.get_by_test_id("stButtonGroup").first.get_by_text(f"own-{number}.png").wait_for()
    settled(page)
    assert not page.get_by_test_id("stException").count()
    assert not page.get_by_test_id("stFileChip").first.is_visible()
    assert button.bounding_box()["height"] == height


def test_a_project_is_saved_and_opened_in_another_session(page, server, tmp_path):  # noqa: F811
    open_page(page, server, "?model=demo")
    page.locator("input[type=file]").first.set_input_files(OWN)
    page.get_by_alt_text(re.compile("^own.png, ")).wait_for()
    settled(page)
    page.locator("button.layer").nth(2).click()
    page.wait_for_url(re.compile("layer="))
    settled(page)
    page.locator(".cell").nth(1).hover()
    page.locator(".cell").nth(1).get_by_role("button", name="switch off").click()
    page.get_by_text("Without 1 unit the network says:").wait_for()
    settled(page)
    popover(page, "folder_open").click()
    path = downloaded(page, "Save project", tmp_path)
    assert path.name == "project.deconvviz"
    wanted = chosen(page)

    context = page.context.browser.new_context(viewport={"width": 1400, "height": 1000})
    other = context.new_page()
    open_page(other, server)  # of another network
    popover(other, "folder_open").click()
    other.locator("input[type=file][accept*=deconvviz]").set_input_files(path)
    other.get_by_text(re.compile("project.deconvviz is open, with 1 picture")).wait_for()
    other.get_by_alt_text(re.compile("^own.png, ")).wait_for()
    settled(other)
    assert chosen(other) == wanted
    assert "pictures=own.png" in other.url
    # an upload is removed again
    other.keyboard.press("Escape")
    popover(other, "photo_library").click()
    other.locator("[class*=st-key-remove-own] button").locator("visible=true").click()
    other.get_by_alt_text(re.compile("^cat, ")).first.wait_for()
    settled(other)
    assert other.get_by_role("button", name="own.png").count() == 0
    assert fits_a_telephone(other)
    context.close()
