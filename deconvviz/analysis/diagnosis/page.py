"""A diagnosis as one HTML file that needs nothing beside it."""

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from deconvviz.analysis.diagnosis.diagnose import Diagnosis, Illustrated
from deconvviz.analysis.diagnosis.findings import LIMITS
from deconvviz.analysis.filters import NYQUIST_CHANCE

__all__ = ["page"]

_TEMPLATE = Path(__file__).with_name("page.html")
_SHOWN = 24  # units that are named
_SHARES = ("fires in, median", "near Nyquist", "folded by stride", "told by edges, median")


def page(diagnosis: Diagnosis) -> str:
    """The whole page: what was found, each with its picture and advice, and all numbers."""
    columns = list(diagnosis.layers[0]) if diagnosis.layers else []
    found = "\n".join(map(_article, diagnosis.found))
    return Template(_TEMPLATE.read_text("utf-8")).substitute(
        title=f"What {escape(diagnosis.network)} looks like inside",
        finding=escape(diagnosis.summary()),
        findings=found or "<p>Nothing is beyond its limit.</p>",
        head="".join(f"<th>{escape(column)}</th>" for column in columns),
        rows="\n".join(_row(row) for row in diagnosis.layers),
        legend=escape(_LEGEND),
    )


_LEGEND = (
    f"Dead: never above zero on these pictures; rare: in fewer than {LIMITS.rare:.0%} of them. "
    f"Dominant: kernels with a root mean square above {LIMITS.outsized:g} times the layer's "
    "median. Near Nyquist: the share of the kernels' energy above 3/8 cycles a pixel, "
    f"{NYQUIST_CHANCE:.0%} by chance. Told by edges: how much of a unit's variance the mean "
    "oriented edges in the quarters of its window account for (R squared, on pictures that the "
    f"fit has not seen). For one class: selectivity above {LIMITS.selective:g} (Morcos et al. "
    "2018). A dash: it does not apply or is not known."
)


def _article(one: Illustrated) -> str:
    finding = one.finding
    source = base64.b64encode(one.picture).decode("ascii")
    named = ", ".join(map(str, finding.units[:_SHOWN]))
    more = len(finding.units) - _SHOWN
    plural = "s" * (len(finding.units) != 1)
    units = f"Unit{plural} {named}" + (f" and {more} more" if more > 0 else "")
    return (
        f"<article><div><h3>{escape(finding.kind)} in <code>{escape(finding.layer)}</code></h3>"
        f"<p>{escape(finding.told)}</p><p>{escape(finding.advice)}</p>"
        f'<p class="quiet units">{units}.</p></div>'
        f'<figure><img alt="{escape(one.alt)}" src="data:image/png;base64,{source}">'
        f"<figcaption>{escape(one.alt)}.</figcaption></figure></article>"
    )


def _row(row: Mapping[str, Any]) -> str:
    cells = "".join(f"<td>{_cell(name, value)}</td>" for name, value in row.items())
    return f"<tr>{cells}</tr>"


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.0%}" if name in _SHARES else escape(str(value))
