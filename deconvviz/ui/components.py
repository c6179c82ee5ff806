"""The app's own components: markup, style and script that stand beside this file."""

from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent


def component(name: str, html: str = "") -> Any:
    """A component of `NAME.js`, and of `NAME.css` where it has a look, to be called with its data.

    The script finds the data as the one item of a list: in a mapping, Streamlit looks for tables,
    with pandas, on every call.

    Args:
        name: Name of the two files.
        html: What the script finds at first; nothing for a component that is not seen.
    """
    made = st.components.v2.component(
        f"deconvviz_{name}",
        html=html or None,
        css=(_HERE / f"{name}.css").read_text(encoding="utf-8") if html else None,
        js=(_HERE / f"{name}.js").read_text(encoding="utf-8"),
    )
    return lambda data, **options: made(data=[data], **options)
