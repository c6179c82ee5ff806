"""Where the pages are."""

from pathlib import Path

import deconvviz
from deconvviz.ui.navigation import pages_folder

PACKAGE = Path(deconvviz.__file__).parent


def test_in_a_checkout_the_pages_stand_beside_the_package(tmp_path):
    package = tmp_path / "deconvviz"
    package.mkdir()
    assert pages_folder(package) == tmp_path / "pages"


def test_in_a_wheel_they_are_inside_the_package(tmp_path):
    inside = tmp_path / "deconvviz" / "_pages"
    inside.mkdir(parents=True)
    assert pages_folder(tmp_path / "deconvviz") == inside


def test_every_script_in_the_folder_is_a_page_and_every_page_a_script():
    from deconvviz.ui import navigation

    scripts = {path.stem for path in pages_folder(PACKAGE).glob("*.py")}
    assert scripts == set(navigation._PAGES)
