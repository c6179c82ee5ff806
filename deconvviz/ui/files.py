"""Files that a person takes away from the Workbench: figures, and one page of a picture."""

from functools import partial
from typing import get_args

import streamlit as st

from deconvviz.analysis.report import ReportOptions, report
from deconvviz.analysis.unit import unit_in_picture
from deconvviz.plots.files import Ending
from deconvviz.ui import show
from deconvviz.ui.memory import working
from deconvviz.ui.networks import verification
from deconvviz.ui.reconstructions import (
    Projector,
    Reconstruction,
    file_name,
    settings,
    whole_to_safetensors,
)


def unit_figure(projector: Projector, one: Reconstruction, ending: Ending) -> bytes:
    """The figure of a unit by all rules: a PNG, SVG or PDF file."""
    network, view = projector.network, projector.view
    from deconvviz.plots.unit import file  # here, because matplotlib takes half a second

    about = settings(projector, one)
    with working():
        found = unit_in_picture(
            network.bundle,
            view.image,
            one.unit,
            name=view.picture.name,
            start=projector.start,
            net=network.net,
        )
        return file(found, ending, about["Software"])


def picture_report(projector: Projector) -> bytes:
    """One page of what the network sees in the picture: an HTML file."""
    network, view = projector.network, projector.view
    size = None if view.size == "trained" else view.size
    options = ReportOptions(rule=projector.rule, size=size)
    checked = verification(network, network.layers)
    from deconvviz.plots.report import page  # here, because matplotlib takes half a second

    with working():
        found = report(network.bundle, view.picture, options, net=network.net, verification=checked)
        return page(found).encode()


def more_files(projector: Projector, one: Reconstruction, share: float) -> None:
    """Downloads beside the projection itself."""
    name = file_name(projector, one)
    picture = name.partition(f"-{one.unit.layer}-")[0]
    with st.popover("More files", type="tertiary", icon=":material/download:"):
        st.caption("This unit as a figure: picture, patch, three rules")
        with st.container(horizontal=True):
            for ending in get_args(Ending):
                content = partial(unit_figure, projector, one, ending)
                show.download(content, f"{name}-figure.{ending}", f"Figure, {ending.upper()}")
        st.caption("The whole picture through this unit; `deconvviz render` makes it again")
        content = partial(whole_to_safetensors, projector, one, share)
        show.download(content, f"{name}-whole.safetensors", "Whole picture, tensor")
        st.caption("All layers in one page that opens in any browser")
        content = partial(picture_report, projector)
        show.download(content, f"{projector.network.bundle.name}-{picture}.html", "Report, HTML")
