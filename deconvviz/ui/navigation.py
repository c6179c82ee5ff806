"""The pages of the app, and links between them."""

from pathlib import Path

import streamlit as st

_PACKAGE = Path(__file__).resolve().parents[1]
_PAGES = {
    "overview": ("Overview", ":material/home:"),
    "filters": ("Filters", ":material/grid_view:"),
    "reconstruct": ("Reconstruct", ":material/visibility:"),
    "atlas": ("Atlas", ":material/map:"),
    "evolution": ("Evolution", ":material/timeline:"),
    "experiments": ("Experiments", ":material/science:"),
    "restore": ("Restore", ":material/auto_fix_high:"),
    "accuracy": ("Accuracy", ":material/monitoring:"),
}


def shipped_folder(name: str, package: Path = _PACKAGE) -> Path:
    """`_NAME` inside the package as a wheel has it, or `NAME` beside it as in a checkout."""
    inside = package / f"_{name}"
    return inside if inside.is_dir() else package.parent / name


def pages() -> dict[str, st.Page]:
    """Every page of the app by its short name; the overview is shown first."""
    folder = shipped_folder("pages")
    return {
        name: st.Page(folder / f"{name}.py", title=title, icon=icon, default=name == "overview")
        for name, (title, icon) in _PAGES.items()
    }


def link(name: str, label: str, layer: str = "", channel: int | None = None) -> None:
    """A link to a page of the app, there to a layer and a channel."""
    query = {"layer": layer} if layer else {}
    query |= {} if channel is None else {"unit": str(channel)}
    st.page_link(pages()[name], label=label, query_params=query)
