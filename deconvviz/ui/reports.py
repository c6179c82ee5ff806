"""The results of the studies, read once for all sessions, and their display on a page."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import streamlit as st
from matplotlib.figure import Figure

from deconvviz.plots.figures import NEUTRAL_INK
from deconvviz.plots.files import figure_png
from deconvviz.study import Report, analyse, find_plan, read_records
from deconvviz.study.gradients import Gradients, read_gradients
from deconvviz.ui.memory import kept
from deconvviz.ui.navigation import shipped_folder
from deconvviz.ui.show import DPI, ON_SCREEN, below_figure, ink

Result = TypeVar("Result", Report, Gradients)


@dataclass(frozen=True, eq=False)
class StudyView(Generic[Result]):
    """The result of one study; `key` identifies its records in caches."""

    study: str
    key: str
    result: Result


def _records(name: str) -> Path:
    """A study's file of records, in the folder that DECONVVIZ_RESULTS names or the shipped one."""
    named = os.environ.get("DECONVVIZ_RESULTS")
    folder = Path(named).expanduser() if named else shipped_folder("results")
    return folder / f"{name}.jsonl"


def study(name: str) -> StudyView[Report]:
    """A study of a declared plan.

    Raises:
        StudyError: A record is damaged, or two cannot be compared.
    """
    (view,) = _views(name, _records(name), _key(_records(name)))
    return view


def gradients() -> list[StudyView[Gradients]]:
    """The results on gradients, one for each setting; errors as for `study`."""
    return _views("gradients", _records("gradients"), _key(_records("gradients")))


@kept("Reading the records …")
def _views(name: str, path: Path, key: str) -> list[StudyView[Any]]:
    found: Sequence[Any]
    if name == "gradients":
        found = read_gradients(path)
    else:
        found = [analyse(find_plan(name), read_records(path))]
    return [StudyView(name, f"{key}-{number}", one) for number, one in enumerate(found)]


def _key(path: Path) -> str:
    """A digest of the files of records, and when each was written."""
    files = sorted([path, *path.with_suffix("").rglob("*.json")])
    stamps = [
        (str(one), one.stat().st_size, one.stat().st_mtime_ns) for one in files if one.exists()
    ]
    return hashlib.sha256(repr(stamps).encode()).hexdigest()


def command(name: str) -> str:
    """Instructions for running a study, in Markdown."""
    return (
        f"**Not run.** `deconvviz study run {name}` trains what is missing, one record per run, "
        f"and resumes after a stop. This page reads `results/{name}.jsonl` beside the package, "
        "or in the folder that DECONVVIZ_RESULTS names."
    )


def metrics(report: Report, labels: int) -> list[str]:
    """Metrics by epoch of the runs at one budget, test accuracy first."""
    lines = [line for r in report.records if r.labels == labels for line in r.epochs]
    keys = dict.fromkeys(key for line in lines for key in line)
    shown = [key for key in keys if key not in ("epoch", "seconds")]
    return sorted(shown, key=lambda key: key != "test_accuracy")


def numbers(view: StudyView[Result]) -> bytes:
    """Everything that was computed, as a JSON file."""
    return (json.dumps(view.result.to_dict(), indent=1) + "\n").encode()


@kept("Drawing …")
def _png(
    key: str,  # noqa: ARG001  what is drawn
    ink: str,
    _draw: Callable[[int, str], Figure],
    columns: int,
) -> bytes:
    return figure_png(_draw(columns, ink), DPI)


def show_study_figure(
    view: StudyView[Result],
    name: str,
    draw: Callable[[int, str], Figure],
    alt: str,
    *,
    columns: int = 1,
) -> None:
    """A figure of a study, the command that makes it, and its file to download.

    `draw` is given the number of columns of panels, which is `columns` on a wide page and 1 on a
    telephone, and the ink. `name` holds all that the figure depends on beside the study.
    """
    key = f"{view.key}/{name}"
    forms = {"slide": columns} if columns == 1 else {"wide": columns, "narrow": 1}
    with st.container(gap=None):  # one form of two is always hidden, and leaves no gap
        for form, count in forms.items():
            with st.container(key=f"{form}-{view.study}-{name}"):
                picture = _png(key, ink(), draw, count)
                # so wide that letters are as large as in other figures; a PNG begins with its size
                width = round(int.from_bytes(picture[16:20], "big") / DPI * ON_SCREEN)
                st.image(picture, width=width, output_format="PNG", alt=alt)
    below_figure(
        f"Made by `deconvviz study report {view.study} --figures FOLDER`",
        lambda: _png(key, NEUTRAL_INK, draw, columns),  # an ink for white and for black paper
        f"{view.study}-{name}.png",
    )
