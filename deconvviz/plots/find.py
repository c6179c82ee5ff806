"""Units that were found, as a sheet and as a table in words."""

from matplotlib.figure import Figure

from deconvviz.analysis.find import Found, FoundUnit
from deconvviz.plots.arrays import crop
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.figures import NEUTRAL_INK, contact_sheet

_COLUMNS = 5
_ROWS = 20  # of the table in words


def summary(found: Found) -> str:
    """How many fit, and a line for each of the first ones."""
    wanted = f" ({', '.join(found.wanted)})" if found.wanted else ""
    head = (
        f"{found.fitting} of {found.total} units of {found.layer} fit{wanted}, over {found.data}; "
        f"by {found.sort}:"
    )
    rows = "".join(f"\n  {_line(one)}" for one in found.units[:_ROWS])
    return head + (rows or " none")


def _line(one: FoundUnit) -> str:
    parts = [
        f"unit {one.unit:>4}  {one.value:8.3g}",
        f"{one.label} (selectivity {one.selectivity:.2f})" if one.label else "",
        f"clearness {one.clearness:.2f}",
        one.colour,
        "" if one.orientation is None else f"{one.orientation:.0f}°",
    ]
    return "  ".join(part for part in parts if part)


def figure(found: Found, ink: str = NEUTRAL_INK) -> Figure:
    """For each unit the window of its strongest activation, and its projection there."""
    shown = display(found.projections) if len(found.units) else found.pictures
    windows = map(crop, found.pictures, found.boxes)
    cells = [list(pair) for pair in zip(windows, shown, strict=True)]
    titles = [f"unit {one.unit}, {found.sort} {one.value:.3g}" for one in found.units]
    text = (
        f"{found.network}, {found.layer}: {found.fitting} of {found.total} units fit"
        f"{', ' if found.wanted else ''}{', '.join(found.wanted)}. Each with the window of its "
        f"strongest activation over {found.data}. {display_caption()}"
    )
    return contact_sheet(cells, titles, text, _COLUMNS, ink)
