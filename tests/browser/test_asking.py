"""Two networks compared, and units found in the atlas, in a real browser."""

import re

import pytest

from tests.browser.test_app import open_page, page, settled  # noqa: F401

pytestmark = pytest.mark.browser


def test_a_picture_is_compared_with_random_weights_and_an_earlier_epoch(page, server):  # noqa: F811
    open_page(page, server, "compare")
    page.get_by_text("demo-photos, random weights").first.wait_for()
    page.get_by_text("By chance it would by").wait_for()
    second = page.get_by_alt_text(re.compile("of demo-photos, random weights, by the deconvnet"))
    assert second.count() == 5
    page.get_by_role("combobox", name=re.compile("Compare with")).click()
    page.get_by_role("option", name="after epoch 1", exact=True).click()
    page.get_by_text("demo-photos, epoch 1").first.wait_for()
    settled(page)
    assert "with=after" in page.url
    page.get_by_role("link", name=re.compile("Look at unit .* in the workbench")).click()
    page.locator("button.tile[aria-pressed=true]").wait_for()


def test_units_are_found_by_direction_and_by_an_example(page, server):  # noqa: F811
    open_page(page, server, "atlas?model=demo-photos&layer=stage2.relu")
    every = page.locator("button.tile").count()
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("radio", name="╱").click()
    page.get_by_text(re.compile(r"\d+ of \d+ units of stage2.relu")).wait_for()
    settled(page)
    assert 0 < page.locator("button.tile").count() < every
    page.keyboard.press("Escape")
    page.locator("button.tile").nth(1).click()
    example = page.locator("button.tile").nth(1).get_attribute("data-channel")
    page.get_by_role("heading", name=f"Unit {example} of stage2.relu").wait_for()
    settled(page)
    page.get_by_role("button", name=f"Units like unit {example}").click()
    page.wait_for_url(re.compile("like="))
    settled(page)
    assert page.locator("button.tile").first.get_attribute("data-channel") == example


def test_the_most_useful_pictures_of_a_unit_are_shown_and_stay_with_the_link(page, server):  # noqa: F811
    open_page(page, server, "atlas?model=demo-photos&layer=stage2.relu&unit=5")
    classes = page.get_by_role("combobox", name=re.compile("Most useful for"))
    classes.scroll_into_view_if_needed()
    page.wait_for_timeout(1000)  # a page that is still scrolling closes the list again
    classes.click()
    page.get_by_role("option", name="beagle", exact=True).click()
    useful = "most useful patches of unit {} of stage2.relu"
    page.get_by_alt_text(re.compile(useful.format(5))).wait_for()
    page.get_by_text(re.compile(r"to the score of .* on average over \d+ pictures")).wait_for()
    assert "useful-for=beagle" in page.url
    page.locator("button.tile[data-channel='7']").click()
    page.get_by_alt_text(re.compile(useful.format(7))).wait_for()
    page.reload()
    page.get_by_alt_text(re.compile(useful.format(7))).wait_for()
