"""A study's tables and figures, computed anew from the records of its runs."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from deconvviz.io.files import write_atomically
from deconvviz.plots import study as figures
from deconvviz.plots.figures import NEUTRAL_INK, figure_png
from deconvviz.study.cells import RECONSTRUCTION
from deconvviz.study.plan import Plan
from deconvviz.study.record import read_records
from deconvviz.study.report import PRIMARY, Report, report
from deconvviz.study.sweep import Sweep, sweep

__all__ = ["draw", "judge", "publish"]


def judge(plan: Plan, folder: Path) -> Report | Sweep:
    """What the records in `folder` say: verdicts where arms answer a question, else a sweep.

    Raises:
        StudyError: A record is damaged, or two cannot be compared.
    """
    records = read_records(folder)
    if plan.robust:
        return report(records)
    return sweep(records, plan.points)


def draw(found: Report | Sweep, columns: int = 2, ink: str = NEUTRAL_INK) -> Mapping[str, Figure]:
    """All figures of a study, by name."""
    if isinstance(found, Sweep):
        drawn = {
            "curves": figures.sweep_curves(found, columns, ink),
            "differences": figures.recipe_differences(found, ink),
        }
        if found.factors_with(RECONSTRUCTION):
            drawn["reconstruction"] = figures.reconstruction_curves(found, columns, ink)
        return drawn
    cells = found.at(PRIMARY)
    return {
        "differences": figures.paired_differences(found, columns, ink),
        "labels": figures.accuracy_by_labels(found, ink),
        "epochs": figures.accuracy_by_epoch(cells, ink=ink),
        "overfitting": figures.overfitting(found, columns, ink),
        "robustness": figures.robustness(cells, columns, ink),
        "calibration": figures.calibration(cells, columns, ink),
    }


def publish(plan: Plan, results: Path, drawn: Path | None = None) -> Path:
    """Write `results/NAME.md`, and the figures into the folder `drawn`, where one is given.

    Args:
        plan: Whose runs.
        results: Has their records in its folder NAME.
        drawn: For NAME-FIGURE.png.
    """
    found = judge(plan, results / plan.name)
    command = f"deconvviz study report {plan.name}"
    arms = "".join(f"- **{arm.name}**: {arm.about}.\n" for arm in plan.arms)
    known = "" if isinstance(found, Report) else f"{arms}\n"  # a report tells of its arms itself
    path = results / f"{plan.name}.md"
    write_atomically(
        path,
        f"# {plan.asks}\n\nMade by `{command}` from the files of all runs, which "
        f"`deconvviz study run {plan.name}` makes.\n\n{known}{found.markdown()}",
    )
    if drawn is not None:
        for name, figure in draw(found).items():
            write_atomically(drawn / f"{plan.name}-{name}.png", figure_png(figure))
    return path
