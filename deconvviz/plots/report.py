"""The report of one picture as one HTML page that needs no other file and no script."""

import shlex
from collections.abc import Iterator
from html import escape

import numpy as np
from PIL import Image

from deconvviz.analysis.report import LayerReport, Report, ReportOptions
from deconvviz.deconv import Box
from deconvviz.io.images import limit_side, to_png
from deconvviz.io.preprocess import Pixels
from deconvviz.plots import why as why_words
from deconvviz.plots.arrays import crop
from deconvviz.plots.display import display, display_caption, percent, spoken
from deconvviz.plots.look import contrast
from deconvviz.plots.page import filled, image

_PHOTO = 480  # pixels of the picture's longer side
_TILE = 160  # of a patch and of a projection
_CLASSES = 5
_LEGEND = (
    "Of each layer the units with the highest activations: left the patch of the picture in the "
    "unit's window, right its activation projected back to the pixels."
)


def headline(found: Report) -> str:
    """The network's answer, in one sentence."""
    if not found.answer:
        return f"{found.network} comes without names of classes, so it can give no answer."
    name, share = next(iter(found.answer.items()))
    count = len(found.answer)
    return (
        f"{found.network} says {spoken(name)}, {percent(share)}, of {count} classes that it knows."
    )


def page(found: Report, command: str = "") -> str:
    """The picture, the answer, the units of each layer, why, and what was checked, as HTML.

    Args:
        found: The report.
        command: What makes it again; by default with the names of network and picture.
    """
    name, options = found.picture.name, found.options
    photo = limit_side(found.picture.image, _PHOTO)
    width, height = found.picture.image.size
    cut = "the whole picture" if options.size else "the part in the frame"
    warning = "This network has random weights; it was never trained."
    high, wide = found.image.shape[:2]
    return filled(
        "report.html",
        title=escape(f"What {found.network} sees in {name}"),
        lead=escape(headline(found)),
        warning=f'<p class="warning">{warning}</p>' if found.is_untrained else "",
        photo=image(to_png(photo), f"{name}, the picture") + _frame(found.crop, width, height),
        about_photo=escape(f"{name}, {width} × {height} pixels"),
        input=image(to_png(found.image), f"{name} as the network sees it"),
        about_input=f"The network sees {cut}, at {wide} × {high} pixels.",
        answer=_answer(found),
        legend=_LEGEND,
        layers="\n".join(_layer(one, found) for one in found.layers),
        question=escape(_question(found)),
        why=escape(_why(found)),
        named=f'<div class="named">{"".join(_named(found))}</div>' if found.why else "",
        checked=escape(found.checked),
        coverage=escape(_coverage(found)),
        caption=escape(display_caption()),
        command=escape(command or _command(found)),
        made=escape(_made(found)),
    )


def _frame(crop: Box, width: int, height: int) -> str:
    """The crop as a frame over the picture; none around the whole."""
    top, left, bottom, right = crop
    if crop == (0, 0, height, width):
        return ""
    sides = {
        "top": top / height,
        "left": left / width,
        "height": (bottom - top) / height,
        "width": (right - left) / width,
    }
    style = "; ".join(f"{side}: {share:.2%}" for side, share in sides.items())
    return f'<i style="{style}"></i>'


def _answer(found: Report) -> str:
    rows = [
        f"<dt>{escape(spoken(name))}</dt>"
        f'<dd><span><i style="width: {share:.1%}"></i></span>{escape(percent(share))}</dd>'
        for name, share in list(found.answer.items())[:_CLASSES]
    ]
    return f'<dl class="bars">{"".join(rows)}</dl>' if rows else ""


def _layer(one: LayerReport, found: Report) -> str:
    height, width = one.layer.receptive_field
    about = f"{one.layer.channels} units, receptive field {height} × {width} pixels"
    inner = "".join(_units(one, found.image, found.options.rule))
    if one.refused:
        inner = f"<p>{escape(one.refused)}.</p>"
    elif not one.units:
        inner = "<p>No unit is active in this picture.</p>"
    return (
        f'<section class="layer"><div><h3><code>{escape(one.name)}</code></h3>'
        f'<p class="quiet">{about}</p></div><div class="units">{inner}</div></section>'
    )


def _units(one: LayerReport, picture: Pixels, rule: str) -> Iterator[str]:
    if one.projection is None or not one.units:
        return
    shown = display(one.projection.pixels, contrast=contrast(one.shares))
    rows = zip(one.units, one.values, one.projection.boxes.tolist(), shown, strict=True)
    for unit, value, box, pixels in rows:
        named = f"Unit {unit.channel} of {one.name}"
        patch = image(_tile(crop(picture, tuple(box))), f"{named}: the patch that it sees")
        projection = image(_tile(pixels), f"{named}: its projection by the {rule} rule")
        yield (
            f'<figure><div class="pair">{patch}{projection}</div>'
            f"<figcaption>unit {unit.channel}, activation {value:.3g}</figcaption></figure>"
        )


def _tile(pixels: Pixels) -> bytes:
    return to_png(np.asarray(limit_side(Image.fromarray(pixels), _TILE)))


def _question(found: Report) -> str:
    if found.why is None:
        return "Why this answer"
    label, against = (found.why.classes[one] for one in (found.why.label, found.why.against))
    return f"Why {spoken(label)} rather than {spoken(against)}?"


def _why(found: Report) -> str:
    if found.why is None:
        return f"{found.why_not}."
    return why_words.summary(found.why)


def _named(found: Report) -> Iterator[str]:
    """The units that contribute most, with what they lose when they are switched off."""
    assert found.why is not None
    for unit, pixels in zip(found.why.named, found.why.projections, strict=True):
        gain, loss = float(found.why.contribution[unit]), float(found.why.effect[unit])
        alt = f"Unit {unit} of {found.why.layer}: its projection by the deconvnet rule"
        yield (
            f"<figure>{image(_tile(display(pixels)), alt)}<figcaption>unit {unit}: contributes "
            f"{gain:+.2f}; without it alone the lead falls by {loss:.2f}</figcaption></figure>"
        )


def _coverage(found: Report) -> str:
    """How many operations are reversed as in the paper, and which are not."""
    operations = found.coverage.operations
    kinds = {
        status: [one.operation for one in operations if one.status == status]
        for status in ("exact", "extension", "unsupported")
    }
    text = f"Of {len(operations)} kinds of operations {len(kinds['exact'])} are reversed as in "
    text += "Zeiler & Fergus (2014)"
    if kinds["extension"]:
        text += f"; the paper does not cover {', '.join(kinds['extension'])}"
    if kinds["unsupported"]:
        text += f"; not supported: {', '.join(kinds['unsupported'])}"
    return f"{text}."


def _command(found: Report) -> str:
    given, usual = found.options, ReportOptions()
    words = ["deconvviz", "report", found.network, found.picture.name, "--out", "report.html"]
    for name in ("units", "rule", "size"):
        if (value := getattr(given, name)) != getattr(usual, name):
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def _made(found: Report) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    return (
        f"Made with {versions}. SHA-256 of the network: {found.sha256}; of the picture's pixels: "
        f"{found.picture.key}."
    )
