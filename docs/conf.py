"""The site: `sphinx-build -W --keep-going -b html docs build/site`."""

import sys
from collections.abc import Callable
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

import declared

from deconvviz.version import __version__

project = "deconvviz"
author = "deconvviz contributors"
release = version = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

myst_heading_anchors = 3
myst_html_meta = {
    "description": "See what any unit of a convolutional network responds to: exact deconvolution "
    "reconstructions (deconvnets), with the evidence of how far they can be trusted."
}
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
nb_ipywidgets_js = {}  # would be fetched from elsewhere when a page is read

default_role = "py:obj"  # single backticks in docstrings are names
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_use_ivar = True  # attributes are described by their class, not each as an entry
python_maximum_signature_line_length = 90
toc_object_entries = False

html_theme = "furo"
html_title = "deconvviz"
html_show_copyright = False
html_favicon = html_logo = "../deconvviz/ui/icon.svg"
html_static_path = ["style"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": True,
    # the app's colours
    "light_css_variables": {"color-brand-primary": "#9c4a1f", "color-brand-content": "#9c4a1f"},
    "dark_css_variables": {"color-brand-primary": "#e79a6b", "color-brand-content": "#e79a6b"},
}

MADE: dict[str, Callable[[], str]] = {
    "commands": declared.commands,
    "exceptions": declared.exceptions,
    "analyses": declared.analyses_reference,
    "data-sets": declared.data_sets,
    "cards": declared.cards,
}
"""What a comment `<!-- made: NAME -->` on a page stands for."""

ELSEWHERE = {"../benchmarks/RESULTS.md": "measured.md", "../CONTRIBUTING.md": "contributing.md"}
"""Pages of the repository outside of this folder -> the page here that shows them."""


def complete(_app: Sphinx, _name: str, source: list[str]) -> None:
    """Put what declarations say into a page, and point its links to pages of the site."""
    for key, make in MADE.items():
        mark = f"<!-- made: {key} -->"
        if mark in source[0]:
            source[0] = source[0].replace(mark, make())
    for there, here in ELSEWHERE.items():
        source[0] = source[0].replace(f"]({there}", f"]({here}")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", complete)
