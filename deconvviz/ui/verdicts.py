"""What the records of the studies say, read once for all sessions, and how it stands on a page."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import streamlit as st
from matplotlib.figure import Figure

from deconvviz.errors import StudyError
from deconvviz.plots.figures import NEUTRAL_INK, figure_png
from deconvviz.study import PLANS, Report, Sweep, judge, read_records, read_report, sweep
from deconvviz.study.cells import ACCURACY, Cell, Measure
from deconvviz.study.gradients import Gradients
from deconvviz.study.gradients.traces import Trace
from deconvviz.study.paired import MARGIN
from deconvviz.study.report import AIMS, PRIMARY
from deconvviz.study.sweep import Point
from deconvviz.ui.show import below_figure, ink

__all__ = [
    "Findings",
    "answer",
    "cautions",
    "cell_rows",
    "command",
    "difference_rows",
    "exhibit",
    "fit_figures",
    "gradients",
    "helps",
    "metrics",
    "numbers",
    "point_rows",
    "results_folder",
    "swept",
]

_PACKAGE = Path(__file__).resolve().parents[1]
_TRACE = "[0-9]*"  # a run's file ends in its seed, a summary beside them does not
_DPI = 200  # twice as fine as a page shows it, for screens that are
_ON_SCREEN = 104  # pixels of a page for an inch of a figure
_FIT = """
@media (min-width: 641px) { [class*="st-key-narrow-"] { display: none; } }
@media (max-width: 640px) {
  [class*="st-key-wide-"] { display: none; }
  [class*="st-key-slide-"] { overflow-x: auto; }
  [class*="st-key-slide-"] [data-testid="stImage"] img { min-width: 600px; }
}
"""

Found = TypeVar("Found", Report, Sweep, Gradients)


@dataclass(frozen=True, eq=False)
class Findings(Generic[Found]):
    """What the records of one study say.

    Attributes:
        study: Its name.
        key: Of the records' files, for caches.
        found: The judgement on them.
        runs: How many records there are.
        made_by: What makes its tables and figures.
    """

    study: str
    key: str
    found: Found
    runs: int
    made_by: str


def results_folder(package: Path) -> Path:
    """Where the records of all studies lie.

    The folder that DECONVVIZ_RESULTS names; or `_results` inside the package as a wheel has it, or
    `results` beside it as in a checkout.
    """
    named = os.environ.get("DECONVVIZ_RESULTS")
    if named:
        return Path(named).expanduser()
    inside = package / "_results"
    return inside if inside.is_dir() else package.parent / "results"


def helps() -> Findings[Report]:
    """The study that answers the question; see `read_report`.

    Raises:
        StudyError: A record is damaged, or two cannot be compared.
    """
    folder = results_folder(_PACKAGE) / "helps"
    return _helps(str(folder), _key(folder))


def swept(study: str) -> Findings[Sweep]:
    """A study that varies one thing at a time.

    Raises:
        StudyError: A record is damaged, or two cannot be compared.
    """
    folder = results_folder(_PACKAGE) / study
    return _swept(study, str(folder), _key(folder))


def gradients() -> list[Findings[Gradients]]:
    """What was found on gradients: one for each folder of runs, as these share a setting.

    Raises:
        StudyError: A run's file is damaged, or two of a folder are of different settings.
    """
    top = results_folder(_PACKAGE) / "gradients"
    folders = dict.fromkeys(path.parent for path in sorted(top.rglob(f"*-{_TRACE}.json")))
    return [_gradients(str(folder), _key(folder)) for folder in folders]


@st.cache_resource(max_entries=2, show_spinner="Reading the records …")
def _helps(folder: str, key: str) -> Findings[Report]:
    found = read_report(Path(folder))
    return Findings("helps", key, found, len(found.records), _report("helps"))


@st.cache_resource(max_entries=4, show_spinner="Reading the records …")
def _swept(study: str, folder: str, key: str) -> Findings[Sweep]:
    records = read_records(Path(folder))
    found = judge(PLANS[study], Path(folder)) if study in PLANS else sweep(records)
    assert isinstance(found, Sweep)
    return Findings(study, key, found, len(records), _report(study))


@st.cache_resource(max_entries=4, show_spinner="Reading the records …")
def _gradients(folder: str, key: str) -> Findings[Gradients]:
    traces = [Trace.read(path) for path in Path(folder).glob(f"*-{_TRACE}.json")]
    if len({trace.setting for trace in traces}) > 1:
        raise StudyError(f"{folder} has runs of different settings; give each a folder of its own")
    # Plain networks first, so that each stands left of the ddnet that is held against it.
    ordered = sorted(
        traces,
        key=lambda t: (
            t.arm.deconv_weight,
            t.arm.norm,
            t.arm.architecture != "plain",
            t.arm.depth,
            t.seed,
        ),
    )
    found = Gradients(tuple(ordered))
    made_by = "deconvviz study gradients"
    return Findings("gradients", key, found, len(ordered), made_by)


def _report(study: str) -> str:
    return f"deconvviz study report {study} --figures FOLDER"


def _key(folder: Path) -> str:
    """A digest of which records there are, and when each was written."""
    files = [(path.name, path.stat()) for path in sorted(folder.glob("*.json"))]
    told = [(name, found.st_size, found.st_mtime_ns) for name, found in files]
    return hashlib.sha256(repr((str(folder), told)).encode()).hexdigest()


def command(study: str) -> str:
    """How a study is run, in Markdown."""
    return (
        f"**Not run.** `deconvviz study run {study}` trains what is missing, one small file a run, "
        f"and goes on where it was stopped. This page reads `results/{study}` beside the package, "
        "or in the folder that DECONVVIZ_RESULTS names."
    )


def answer(report: Report) -> tuple[str, str]:
    """The answer in a few words, and what it rests on, in Markdown."""
    told, _, rest = report.summary().partition(f", at {PRIMARY} labels")
    return told, f"At {PRIMARY} labels{rest}"


def cautions(report: Report) -> list[str]:
    """What may not be concluded from these records, a sentence or two each."""
    records = report.records
    pairs = [len(c.difference.pairs) for c in report.contrasts if c.difference is not None]
    names = " and ".join(" − ".join(contrast) for contrast in AIMS)
    told = []
    if pairs:
        count = f"{min(pairs)}" if min(pairs) == max(pairs) else f"{min(pairs)} to {max(pairs)}"
        told.append(
            f"**Few seeds.** Each difference rests on {count} pairs of runs, which share labels, "
            "initial weights, order and augmentation. The interval speaks of further such seeds, "
            "and of nothing else."
        )
    told.append(
        "**Inconclusive is not no.** *No effect* is said only where an equivalence test puts the "
        f"difference within ±{100 * MARGIN:.1f} points; where the interval is wider, the runs are "
        "too few to tell."
    )
    networks = dict.fromkeys(
        f"`{r.configuration.get('recipe', {}).get('model', 'network')}`, "
        f"{r.parameters / 1e6:.2f} M parameters"
        for r in records
    )
    titles = dict.fromkeys(str(r.data.get("title", "")) for r in records)
    if records:
        told.append(
            f"**One small network.** {'; '.join(networks)}; data: {', '.join(titles)}. Larger "
            "networks, other data or longer training may answer otherwise."
        )
    if any("JPEG copy" in title for title in titles):
        told.append(
            "**A JPEG copy.** Accuracy on it is lower than on the original pixels, and is not to "
            "be compared with published figures; differences between arms are."
        )
    told.append(
        f"**Many looks.** p is Holm-adjusted over the budgets of a contrast, not over the "
        f"contrasts. Only {names} at {PRIMARY} labels were declared to decide; the others "
        "explain."
    )
    told.append(
        "**One design.** Arms, weights and schedules are those of the declared plan, and the last "
        "epoch counts. Another decoder might do better, or worse."
    )
    return told


def difference_rows(report: Report) -> list[dict[str, object]]:
    """Every contrast as a row of a table, in points; cells are empty where there is no number."""
    rows: list[dict[str, object]] = []
    for contrast in report.contrasts:
        found = contrast.difference
        ends = (None, None) if found is None else (found.low, found.high)
        rows.append(
            {
                "contrast": contrast.name,
                "labels": contrast.labels,
                "verdict": contrast.verdict,
                "mean": None if found is None else 100 * found.mean,
                "from": None if ends[0] is None else 100 * ends[0],
                "to": None if ends[1] is None else 100 * ends[1],
                "p": None if found is None else found.p,
                "p, adjusted": contrast.p,
                "p, equivalence": None if found is None else found.equivalent_p,
                "pairs": [] if found is None else [round(100 * pair, 2) for pair in found.pairs],
            }
        )
    return rows


def cell_rows(report: Report, measure: Measure = ACCURACY) -> list[dict[str, str]]:
    """One measure, arms by budgets: mean ± deviation, and in brackets the runs."""
    return [
        {"arm": arm, **{f"{n} labels": report.cell(arm, n).told(measure) for n in report.budgets}}
        for arm in report.arms
    ]


def metrics(cells: Sequence[Cell]) -> list[str]:
    """What the runs' lines of metrics have by epoch, test accuracy first."""
    lines = [line for cell in cells for one in cell.records for line in one.epochs]
    keys = dict.fromkeys(key for line in lines for key in line)
    shown = [key for key in keys if key not in ("epoch", "seconds")]
    return sorted(shown, key=lambda key: key != "test_accuracy")


def point_rows(found: Sweep) -> list[dict[str, str | int | float | None]]:
    """Every point of a sweep as a row of a table."""
    return [_point_row(point) for point in found.points]


def _point_row(point: Point) -> dict[str, str | int | float | None]:
    found = point.difference
    return {
        "arm": point.cell.arm,
        "labels": point.cell.labels,
        "test accuracy, %": point.cell.told(ACCURACY),
        "difference, points": None if found is None else 100 * found.mean,
        "pairs": 0 if found is None else len(found.pairs),
    }


def numbers(findings: Findings[Found]) -> bytes:
    """Everything that was computed, as a JSON file."""
    return (json.dumps(findings.found.to_dict(), indent=1) + "\n").encode()


@st.cache_data(max_entries=96, show_spinner="Drawing …")
def _png(
    key: str,  # noqa: ARG001  what is drawn
    ink: str,
    _draw: Callable[[int, str], Figure],
    columns: int,
) -> bytes:
    return figure_png(_draw(columns, ink), _DPI)


def exhibit(
    findings: Findings[Found],
    name: str,
    draw: Callable[[int, str], Figure],
    alt: str,
    *,
    columns: int = 1,
) -> None:
    """A figure of a study, the command that makes it, and its file to take away.

    Args:
        findings: What it shows.
        name: Of the figure, with all that it depends on beside the findings.
        draw: Given the number of columns of panels, and the ink.
        alt: What it shows, for those who do not see it.
        columns: Of panels, on a wide page; a telephone has one.
    """
    key = f"{findings.key}/{name}"
    forms = {"slide": columns} if columns == 1 else {"wide": columns, "narrow": 1}
    with st.container(gap=None):  # one form of two is always hidden, and leaves no gap
        for form, count in forms.items():
            with st.container(key=f"{form}-{name}"):
                picture = _png(key, ink(), draw, count)
                st.image(picture, width=_width(picture), output_format="PNG", alt=alt)
    below_figure(
        f"Made by `{findings.made_by}`",
        lambda: _png(key, NEUTRAL_INK, draw, columns),  # an ink for white and for black paper
        f"{findings.study}-{name}.png",
    )


def _width(png: bytes) -> int:
    """Of a figure on the page, in its pixels, so that its letters are as large as in others."""
    inches = int.from_bytes(png[16:20], "big") / _DPI  # where a PNG's width stands
    return round(inches * _ON_SCREEN)


def fit_figures() -> None:
    """Let a page show either form of an `exhibit`, and slide what a telephone is too narrow for."""
    st.html(f"<style>{_FIT}</style>")
