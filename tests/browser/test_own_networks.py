"""A network of one's own, opened, looked at and removed in a real browser, and two sessions."""

import re

import pytest

from deconvviz.io.zoo.names import demo_folder
from tests.browser.conftest import serving
from tests.browser.test_app import lit, open_page, page, settled  # noqa: F401  a fixture

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def hosted(chromium, tmp_path_factory):
    """The address of an app that downloads nothing."""
    with serving(tmp_path_factory.mktemp("hosted"), "--no-downloads") as address:
        yield address


def open_dialog(page):  # noqa: F811
    page.get_by_role("button", name="Use another network").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("tab", name="By name").wait_for()
    return dialog


def test_a_checkpoint_is_added_seen_kept_from_others_and_removed(page, hosted, chromium):  # noqa: F811
    open_page(page, hosted)
    dialog = open_dialog(page)
    dialog.get_by_role("tab", name="Your file").click()
    content = (demo_folder() / "demo.safetensors").read_bytes()
    file = {"name": "mine.safetensors", "mimeType": "application/octet-stream", "buffer": content}
    dialog.locator("input[type=file]").set_input_files(file)
    page.wait_for_url(re.compile("model=mine.safetensors"))
    dialog.wait_for(state="hidden")
    settled(page)
    assert lit(page)["lit"] > 0.05
    page.get_by_text(re.compile("^6 of its 6 layers can be projected")).wait_for()
    page.get_by_role("link", name="The network").last.click()
    page.get_by_role("heading", name="The network").wait_for()
    settled(page)
    page.get_by_text("uploaded checkpoint").first.wait_for()

    other = chromium.new_context().new_page()
    other.goto(f"{hosted}/?model=mine.safetensors")
    other.get_by_text("is not in this session").wait_for()
    settled(other)
    assert "mine.safetensors" not in other.get_by_test_id("stSidebar").inner_text()
    other.context.close()

    dialog = open_dialog(page)
    dialog.get_by_role("tab", name="Your file").click()
    dialog.get_by_role("button", name="Remove").click()
    dialog.wait_for(state="hidden")
    settled(page)
    assert "mine.safetensors" not in page.get_by_test_id("stSidebar").inner_text()


def test_random_weights_are_opened_by_name_and_warn_on_every_page(page, hosted):  # noqa: F811
    open_page(page, hosted)
    dialog = open_dialog(page)
    dialog.get_by_role("combobox").fill("torchvision/resnet18")
    page.get_by_role("option", name="torchvision/resnet18", exact=True).click()
    dialog.get_by_text("This server downloads nothing").wait_for()
    dialog.get_by_text("untrained", exact=True).click()
    dialog.get_by_role("button", name="Open this network").click()
    page.wait_for_url(re.compile("model=torchvision%2Fresnet18%2C(%20|\\+)untrained"))
    dialog.wait_for(state="hidden")
    warning = page.get_by_text("it was never trained")
    warning.wait_for()
    settled(page)
    page.get_by_role("link", name="Filters").click()
    page.get_by_role("heading", name="Filters").wait_for()
    warning.wait_for()
    page.goto(page.url)  # a new session, by the link
    warning.wait_for()
