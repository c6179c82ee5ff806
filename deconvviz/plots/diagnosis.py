"""A diagnosis as a figure, in words, and as one HTML page that needs no other file."""

from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from deconvviz.analysis.diagnosis import Diagnosis, DiagnosisOptions, Finding
from deconvviz.analysis.kernels import NYQUIST_CHANCE
from deconvviz.io.images import to_png
from deconvviz.plots.arrays import crop, mosaic
from deconvviz.plots.atlas import grid_of
from deconvviz.plots.display import display
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, legend, plot
from deconvviz.plots.files import figure_png
from deconvviz.plots.page import filled, image

_NAMED = 24  # units of a finding
_SIDE = 64  # pixels of a kernel or a patch
_CURVES = {
    "dead": ("share of dead units", "-"),
    "near_nyquist": ("kernels' energy near Nyquist", ":"),
    "median_explained_by_edges": ("variance explained by edges, median unit", "--"),
}
_COLUMNS = {
    "layer": "layer",
    "units": "units",
    "dead": "dead",
    "rare": "rare",
    "median_activation_frequency": "activation frequency, median",
    "dominant": "dominant",
    "near_nyquist": "near Nyquist",
    "aliased": "aliased by stride",
    "duplicates": "duplicates",
    "median_explained_by_edges": "explained by edges, median",
    "class_specific": "class-specific",
}
_SHARES = ("median_activation_frequency", "near_nyquist", "aliased", "median_explained_by_edges")


class Kind(NamedTuple):
    """A kind of finding: its title, its numbers beside a healthy layer, and what to do."""

    title: str
    sentence: str
    advice: str


KINDS: Mapping[str, Kind] = {
    "dead": Kind(
        "Dead units",
        "{some} {be} never above zero.",
        "They cost work and give nothing, so they can be removed without any change on these "
        "pictures. To avoid them: a lower learning rate or a longer warm-up, BatchNorm before the "
        "rectifier, He's initial weights, or a leaky rectifier. First check whether they are "
        "active on other pictures.",
    ),
    "rare": Kind(
        "Rarely active units",
        "{some} {be} above zero in fewer than {options.rare_threshold:.0%} of the pictures.",
        "Look at their patches: a rare but real thing is fine; a single odd picture, a watermark "
        "or a border is memorised. More varied data or stronger augmentation helps against that.",
    ),
    "dominant": Kind(
        "Dominant kernels",
        "{some} {have} kernels more than {options.dominance_threshold:g} times as large as the "
        "median; they hold {share:.0%} of the layer's squared weights, where an equal share is "
        "{equal:.0%}.",
        "Zeiler and Fergus kept every kernel's root mean square at 0.1 or below while training "
        "(--max-kernel-rms 0.1); weight decay and normalised inputs work in the same direction.",
    ),
    "loud": Kind(
        "Loud units",
        "{some} {be} on average more than {options.loudness_threshold:g} times as active as the "
        "median unit; they make {share:.0%} of the layer's activity.",
        "If their patches have nothing in common they act as a bias, and drown out the others. "
        "BatchNorm, weight decay or a limit on kernels' size evens them out.",
    ),
    "high_frequency": Kind(
        "Kernels of high frequencies",
        "{share:.0%} of the kernels' energy lies near Nyquist; random kernels have "
        "{values[chance]:.0%}.",
        "Checkerboards and noise come from too little training or regularisation, or from "
        "subsampling below. Train longer, decay weights more, or blur before subsampling.",
    ),
    "aliased": Kind(
        "A stride that aliases",
        "{share:.0%} of the kernels' energy lies at frequencies that a stride of "
        "{values[stride][0]} x {values[stride][1]} aliases; random kernels have "
        "{values[chance]:.0%}.",
        "Zeiler and Fergus cured it by a stride of 2 instead of 4 and kernels of 7 instead of 11 "
        "pixels, and gained accuracy. Others blur before they subsample (Zhang 2019, "
        "arXiv:1904.11486).",
    ),
    "duplicate": Kind(
        "Duplicate kernels",
        "{some} {have} a duplicate: another kernel with a cosine above "
        "{options.duplicate_threshold:g}, as {units[0]} and {units[1]} ({values[cosine]:.3f}).",
        "The layer has more units than it uses. Make it narrower, initialise it with decorrelated "
        "kernels, or drop whole maps while training.",
    ),
    "edges": Kind(
        "A deep layer that sees little but edges",
        "The edges in its window, without their arrangement, explain {share:.0%} of the variance "
        "of its median unit.",
        "It adds little to the layers below. Check that it is trained at all (learning rate, "
        "gradients, a frozen stage); then try a larger window by pooling, or fewer layers.",
    ),
    "class_specific": Kind(
        "Class-specific units",
        "{some} {answer} to one class alone (selectivity above "
        "{options.selectivity_threshold:g}), the clearest, {units[0]}, to {values[class]}.",
        "Below the last layers that is suspect: look whether its patches show the object itself, "
        "or a background, a border or a mark that gives the class away. Remove that from the "
        "data, or vary it.",
    ),
}


LEGEND = (
    "Lowest layer left. *Dead* units are never active. *Near Nyquist* is the share of a kernel's "
    "energy in patterns as fine as the pixels can show. *Explained by edges*: how much of a unit's "
    "activity could be had from an edge detector; low is good in high layers."
)


def headline(found: Diagnosis) -> str:
    """The number of findings and the layers that have them."""
    if not found.findings:
        return "Nothing is beyond its threshold."
    count = len(found.findings)
    named = [f"{KINDS[one.kind].title.lower()} in {one.layer}" for one in found.findings[:5]]
    more = f" and {count - 5} more" if count > 5 else ""
    return f"{count} finding{'s' * (count > 1)}: {'; '.join(named)}{more}."


def summary(found: Diagnosis) -> str:
    """The pictures, the number of findings and the layers that have them."""
    said = headline(found)
    said = said[:1].lower() + said[1:]
    return f"{found.network}, {len(found.layers)} layers, on {found.data}: {said}"


def figure(found: Diagnosis, ink: str = NEUTRAL_INK) -> Figure:
    """Properties that change with depth, layer by layer."""
    drawn, axes = plot(6.4, 3.4, ink)
    names = [str(row["layer"]) for row in found.layers]
    for (key, (label, style)), colour in zip(_CURVES.items(), (*ACCENTS, ink), strict=True):
        values = [_share(row, key) for row in found.layers]
        axes.plot(names, values, style, color=colour, marker="o", markersize=3, label=label)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylim(0, 1)
    axes.tick_params(axis="x", rotation=60)
    legend(axes, ink, loc="upper right")
    return drawn


def _share(row: Mapping[str, Any], key: str) -> float:
    value = row[key]
    if value is None:
        return float("nan")
    return value / row["units"] if key == "dead" else float(value)


def sentence(finding: Finding, options: DiagnosisOptions) -> str:
    """A finding's numbers in words, beside chance or a healthy layer."""
    values, total = finding.values, finding.total
    count = values.get("count", len(finding.units))
    be, have, answer = ("is", "has", "answers") if count == 1 else ("are", "have", "answer")
    return KINDS[finding.kind].sentence.format(
        some=f"{count} of {total} units",
        be=be,
        have=have,
        answer=answer,
        equal=count / total,
        share=finding.share,
        units=finding.units,
        values=values,
        options=options,
    )


def evidence(finding: Finding, k: int) -> tuple[bytes, str]:
    """A finding's picture, a PNG file, and its description."""
    shown = finding.evidence
    assert shown is not None
    numbers = ", ".join(map(str, shown.numbers))
    match shown.kind:
        case "patches":
            assert shown.pictures is not None
            cut = [crop(one, box) for one, box in zip(shown.pictures, shown.boxes, strict=True)]
            pair = [grid_of(tiles, k, _SIDE) for tiles in (np.stack(cut), display(shown.values))]
            gap = np.zeros((pair[0].shape[0], 12, 4), np.uint8)
            pixels = np.concatenate([pair[0], gap, pair[1]], axis=1)
            alt = f"What excites unit {numbers} of {finding.layer} most, and its projections"
            return to_png(pixels), alt
        case "activation_frequency":
            return _frequencies(finding), f"Activation frequency of each unit of {finding.layer}"
        case "kernels":
            tiles, alt = display(shown.values), f"Kernels of units {numbers}"
        case "slices":
            tiles = display(shown.values, scale="shared")
            alt = f"The largest kernels of unit {finding.units[0]}, on maps {numbers}"
    return to_png(mosaic(tiles, 9, gap=4, side=_SIDE)), alt


def _frequencies(finding: Finding) -> bytes:
    assert finding.evidence is not None
    values = finding.evidence.values.sort(descending=True).values.tolist()
    drawn, axes = plot(4.8, 2.2)
    axes.bar(range(len(values)), values, width=1, color=ACCENTS[1])
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylabel("share of pictures")
    axes.set_xlabel("units, by falling activation frequency")
    return figure_png(drawn, dpi=150)


def page(found: Diagnosis) -> str:
    """All findings, each with its picture and advice, and all numbers, as HTML."""
    options = found.options
    articles = "\n".join(_article(one, found) for one in found.findings)
    legend = (
        "Dead: never above zero on these pictures; rare: in fewer than "
        f"{options.rare_threshold:.0%} of them. Dominant: kernels with a root mean square above "
        f"{options.dominance_threshold:g} times the layer's median. Near Nyquist: the share of the "
        f"kernels' energy above 3/8 cycles per pixel, {NYQUIST_CHANCE:.0%} by chance. Explained by "
        "edges: R squared of a unit on the mean oriented edges in the quarters of its window, on "
        "pictures that the fit has not seen. Class-specific: selectivity above "
        f"{options.selectivity_threshold:g} (Morcos et al. 2018). A dash: it does not apply or is "
        "not known."
    )
    return filled(
        "diagnosis.html",
        title=f"Diagnosis of {escape(found.network)}",
        finding=escape(summary(found)),
        findings=articles or "<p>Nothing is beyond its threshold.</p>",
        head="".join(f"<th>{escape(title)}</th>" for title in _COLUMNS.values()),
        rows="\n".join(map(_row, found.layers)),
        legend=escape(legend),
    )


def _article(finding: Finding, found: Diagnosis) -> str:
    png, alt = evidence(finding, found.k)
    named = ", ".join(map(str, finding.units[:_NAMED]))
    more = len(finding.units) - _NAMED
    plural = "s" * (len(finding.units) != 1)
    units = f"Unit{plural} {named}" + (f" and {more} more" if more > 0 else "")
    kind, text = KINDS[finding.kind], escape(sentence(finding, found.options))
    return (
        f"<article><div><h3>{escape(kind.title)} in <code>{escape(finding.layer)}</code></h3>"
        f"<p>{text}</p><p>{escape(kind.advice)}</p>"
        f'<p class="quiet units">{units}.</p></div>'
        f"<figure>{image(png, alt)}<figcaption>{escape(alt)}.</figcaption></figure></article>"
    )


def _row(row: Mapping[str, Any]) -> str:
    return f"<tr>{''.join(f'<td>{_cell(name, row[name])}</td>' for name in _COLUMNS)}</tr>"


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.0%}" if name in _SHARES else escape(str(value))
