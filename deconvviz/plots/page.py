"""Pages that stand alone: one HTML file with its style and pictures in it, and no script."""

import base64
from html import escape
from pathlib import Path
from string import Template

_HERE = Path(__file__).parent


def filled(template: str, **parts: str) -> str:
    """A template of this folder with its parts; `$$style` is the style that all pages share.

    The parts are HTML: texts are escaped by whoever gives them.
    """
    style = (_HERE / "page.css").read_text("utf-8")
    return Template((_HERE / template).read_text("utf-8")).substitute(style=style, **parts)


def image(png: bytes, alt: str, more: str = "") -> str:
    """A PNG file as an <img> that needs no other file; `more` attributes."""
    source = base64.b64encode(png).decode("ascii")
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{source}"{more}>'
