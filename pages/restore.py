"""Restore: encoder-decoders at work on pictures, beside classical methods."""

import math
from dataclasses import replace
from html import escape

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator
from torch import Tensor

from deconvviz.io.images import PHOTOGRAPHS, Picture, to_png
from deconvviz.plots.display import percent
from deconvviz.restoration.degradations import to_image
from deconvviz.restoration.segmenter import class_map, overlaid
from deconvviz.restoration.trial import Trial
from deconvviz.ui import restoring, show
from deconvviz.ui.compare import compare
from deconvviz.ui.generating import generate
from deconvviz.ui.pickers import Picker
from deconvviz.ui.pictures import pick_pictures, upload_files
from deconvviz.ui.restoring import Mask, Tool

GREY_LEVELS = {str(level): float(level) for level in (5, 10, 15, 25, 35, 50, 75)}
PIXELS = {f"{level:.1f}": level for level in (0.8, 1.2, 1.6, 2.0, 2.4)}
SHARES = {f"{share} %": share / 100 for share in (10, 25, 50, 75, 90)}

task = Picker[Tool]("task", "Task", widget="pills")
_INPUTS = {"degraded first": True, "as it is": False}
_degraded = Picker[bool](
    "input",
    "Input",
    _INPUTS,
    help="A picture that is degraded first has a known original, so that the result can be "
    "measured. One that is noisy, blurred or small already is restored as it is.",
)
_own_degraded = replace(_degraded, key="input-own", default="as it is")
_amounts = {
    "denoise": Picker[float](
        "noise", "Noise, grey levels", GREY_LEVELS, "25", widget="slider",
        help="Standard deviation of Gaussian noise. The network does not get it.",
    ),
    "deblur": Picker[float](
        "blur", "Blur, pixels", PIXELS, "1.6", widget="slider",
        help="Standard deviation of a Gaussian blur; noise of 2 grey levels is added. The network "
        "was trained on 1.6 alone.",
    ),
    "inpaint": Picker[float]("missing", "Missing pixels", SHARES, "50 %", widget="slider"),
}  # fmt: skip
_GIVEN = {"denoise": "strength of the noise", "deblur": "width of the blur"}
_mask = Picker[Mask | None]("mask", "Mask", widget="list", width=240)


def array(pixels: Tensor) -> NDArray[np.uint8]:
    """(1 or 3, H, W) uint8 as (H, W) or (H, W, 3)."""
    return np.asarray(to_image(pixels))


def restore(tool: Tool, picture: Picture) -> None:
    """A picture before and after, with what is known of it."""
    left, right = st.columns([2, 1], gap="medium")
    with right:
        degrade = (_degraded if picture.name in PHOTOGRAPHS else _own_degraded)()
        amount, mask = None, None
        if degrade:
            amount = _amounts[tool.purpose]() if tool.purpose in _amounts else 1.0
        elif tool.purpose == "inpaint":
            mask = pick_mask()
    with left, show.errors():
        if tool.purpose == "inpaint" and not (degrade or mask):
            st.info(
                "Add a mask: a picture of the same size, white where pixels are missing.",
                icon=":material/add_photo_alternate:",
            )
            return
        trial = restoring.tried_on(tool, picture, amount, mask)
        others = {name: array(one.pixels) for name, one in trial.outcomes.items()}
        made = others.pop("network")
        if trial.original is not None:
            others["original"] = array(trial.original)
        compare(others, ("network", made), f"{picture.name}, {restoring.TITLES[tool.purpose]}")
        restored(tool, picture, trial, right)


def restored(tool: Tool, picture: Picture, trial: Trial, place: DeltaGenerator) -> None:
    """What is known of a restored picture, and its download."""
    with place:
        figures(tool, trial)
        file = f"{picture.name.rpartition('.')[0] or picture.name}-{tool.purpose}.png"
        show.download(lambda: to_png(to_image(trial.network.pixels)), file, "Restored picture")
        for notice in picture.notices:
            st.caption(f"Note: {notice}.")
        st.caption(
            f"Pictures are reduced to {restoring.LONGEST} pixels here. `deconvviz restore` takes "
            "them whole, and folders of them."
        )


def figures(tool: Tool, trial: Trial) -> None:
    """How near each method came to the original."""
    if trial.original is None:
        st.markdown("The original is not known, so nothing is measured. Judge by your eye.")
        return
    rows = [
        f"| {name} | {known(one.psnr, 2)} | {known(one.ssim, 3)} | {known(one.seconds, 2)} |"
        for name, one in trial.outcomes.items()
        if not math.isnan(one.psnr)  # as the small picture has none that was enlarged
    ]
    st.markdown("\n".join(["| | PSNR | SSIM | seconds |", "|---|--:|--:|--:|", *rows]))
    *_, (peer, other), (_, network) = trial.outcomes.items()
    if math.isfinite(network.psnr) and math.isfinite(other.psnr):
        gain = network.psnr - other.psnr
        st.markdown(
            f"The network is **{abs(gain):.2f} dB {'nearer to' if gain > 0 else 'farther from'}** "
            f"the original than {'the picture that it got' if peer == 'given' else peer}."
        )
    if tool.purpose.startswith("sr"):
        st.caption("PSNR in dB, of luma (BT.601) without the border; the colours are interpolated.")
    else:
        st.caption("PSNR in dB, of all pixels and channels in 8 bits.")
    if tool.purpose in _GIVEN:
        known_to = f"{peer[0].upper()}{peer[1:]}"
        st.caption(f"{known_to} gets the {_GIVEN[tool.purpose]}; the network does not.")


def known(value: float, digits: int) -> str:
    """A figure for a table, or an empty cell."""
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def pick_mask() -> Mask | None:
    """The chosen one of the session's masks."""
    masks: dict[str, Mask | None] = dict(restoring.masks())
    with st.popover("Add a mask", icon=":material/add_photo_alternate:"):
        refused = upload_files("White where pixels are missing", "mask-upload", restoring.keep_mask)
    for message in refused:
        st.warning(message, icon=":material/image_not_supported:")
    return _mask(masks, list(masks)[-1]) if masks else None


def segment(tool: Tool, picture: Picture) -> None:
    """The class of each pixel, over the picture and alone, and the legend."""
    network, classes = restoring.segmenter(tool), restoring.segmented(tool, picture)
    image = to_image(restoring.pixels_of(picture))
    drawn = class_map(classes, network.colours)
    over = overlaid(image, classes, network.colours)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        alone = np.asarray(drawn.convert("RGB"))
        sides = {"picture": np.asarray(image), "classes": alone}
        compare(sides, ("classes over it", np.asarray(over)), f"{picture.name}, segmented")
    with right:
        legend(network.classes, network.colours, restoring.shares(classes, len(network.classes)))
        name = picture.name.rpartition(".")[0] or picture.name
        with st.container(horizontal=True):
            show.download(lambda: to_png(drawn), f"{name}-classes.png", "Classes")
            show.download(lambda: to_png(over), f"{name}-overlay.png", "Over the picture")
        st.caption(
            "The network was trained on street scenes from a car. It gives every pixel one of its "
            "classes, also where none of them is right."
        )


def legend(
    classes: tuple[str, ...], colours: tuple[tuple[int, int, int], ...], shares: Tensor
) -> None:
    """The classes by falling share of the pixels, each with its colour."""
    rows = [
        f'<tr style="opacity:{1 if share else 0.5}"><td><span style="display:inline-block;'
        f"width:1.1rem;height:1.1rem;border:1px solid gray;vertical-align:middle;"
        f'background:rgb{colour}"></span></td><td>{escape(name)}</td>'
        f'<td style="text-align:right">{escape(percent(share, 1))}</td></tr>'
        for share, name, colour in sorted(
            zip(shares.tolist(), classes, colours, strict=True), reverse=True
        )
    ]
    st.html(f'<table style="border-spacing:0.6rem 0.15rem">{"".join(rows)}</table>')


top = st.container()  # filled after the networks are read, because a warning of one stands below it
tools = restoring.tools()
lacking = restoring.untrained()
what = f": they {restoring.deeds(tools.values())}" if tools else ""
with top:
    show.title("Restore", f"Encoder-decoders at work on pictures{what}.")
if tools:
    tool = task(tools)
    if tool.purpose.startswith("generate"):
        generate(tool)
    elif pictures := pick_pictures():
        (segment if tool.purpose == "segment" else restore)(tool, pictures[0])
if lacking:
    none = (
        f"No network comes with this version for: {', '.join(lacking)}. Train one with a command "
        "below, and open it with `deconvviz app runs/NAME/model.safetensors`."
    )
    if not tools:
        st.info(none, icon=":material/model_training:")
    with st.expander("Commands that train others" if tools else "Commands", expanded=not tools):
        if tools:
            st.caption(none)
        st.code("\n".join(lacking.values()), language="sh", wrap_lines=True)
