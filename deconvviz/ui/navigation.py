"""The pages of the app, and links between them."""

from pathlib import Path

import streamlit as st

from deconvviz.ui.components import component

_PACKAGE = Path(__file__).resolve().parents[1]
_PAGES = {
    "workbench": ("Workbench", ":material/visibility:"),
    "reading": ("How to read this", ":material/menu_book:"),
    "atlas": ("Atlas", ":material/map:"),
    "filters": ("Filters", ":material/grid_view:"),
    "compare": ("Compare", ":material/compare:"),
    "evolution": ("Evolution", ":material/timeline:"),
    "experiments": ("Experiments", ":material/science:"),
    "restore": ("Restore", ":material/auto_fix_high:"),
    "accuracy": ("Accuracy", ":material/monitoring:"),
    "overview": ("The network", ":material/hub:"),
}
_menu = component("menu")


def shipped_folder(name: str, package: Path = _PACKAGE) -> Path:
    """`_NAME` inside the package as a wheel has it, or `NAME` beside it as in a checkout."""
    inside = package / f"_{name}"
    return inside if inside.is_dir() else package.parent / name


def pages() -> dict[str, st.Page]:
    """Every page of the app by its short name; the workbench is shown first."""
    return {name: _page(name) for name in _PAGES}


def _page(name: str) -> st.Page:
    title, icon = _PAGES[name]
    script = shipped_folder("pages") / f"{name}.py"
    return st.Page(script, title=title, icon=icon, default=name == "workbench")


def close_menu_on_telephones() -> None:
    """Where the menu lies over the page, close it once a page is chosen; call it in the menu."""
    _menu(None, key="menu")


def moved() -> list[st.Page]:
    """Addresses of pages that are now part of another one."""
    return [
        st.Page(_to_workbench, title="Workbench", url_path="reconstruct", visibility="hidden"),
    ]


def _to_workbench() -> None:
    st.switch_page(_page("workbench"), query_params=st.query_params.to_dict())


def link(name: str, label: str, layer: str = "", channel: int | None = None) -> None:
    """A link to a page of the app, there to a layer and a channel."""
    query = {"layer": layer} if layer else {}
    query |= {} if channel is None else {"unit": str(channel)}
    st.page_link(_page(name), label=label, query_params=query)
