"""Where the pages are."""

from deconvviz.ui.navigation import shipped_folder


def test_in_a_checkout_the_pages_stand_beside_the_package(tmp_path):
    package = tmp_path / "deconvviz"
    package.mkdir()
    assert shipped_folder("pages", package) == tmp_path / "pages"


def test_in_a_wheel_they_are_inside_the_package(tmp_path):
    inside = tmp_path / "deconvviz" / "_pages"
    inside.mkdir(parents=True)
    assert shipped_folder("pages", tmp_path / "deconvviz") == inside


def test_every_script_in_the_folder_is_a_page_and_every_page_a_script():
    from deconvviz.ui import navigation

    scripts = {path.stem for path in shipped_folder("pages").glob("*.py")}
    assert scripts == set(navigation._PAGES)
