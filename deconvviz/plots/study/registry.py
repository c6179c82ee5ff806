"""All figures of a study: their contents, and the choice of those that a report has."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from matplotlib.figure import Figure

from deconvviz.plots.figures import NEUTRAL_INK
from deconvviz.plots.study import comparison, factors
from deconvviz.study.metrics import RECONSTRUCTION as ERROR
from deconvviz.study.pooling import FEW
from deconvviz.study.report import Report


class StudyFigure(NamedTuple):
    """A figure of a study, with the text above it.

    Attributes:
        name: Name of the file.
        heading: Heading on pages and in tables.
        text: Explanation for readers.
        alt: Alternative text.
        draw: Draws a report, given a number of columns of panels, and the ink.
        columns: Columns of panels on a wide page.
    """

    name: str
    heading: str
    text: str
    alt: str
    draw: Callable[[Report, int, str], Figure]
    columns: int = 1


_POOLED = (
    f" With fewer than {FEW} pairs the interval takes the deviation of all arms together, because "
    "that of so few pairs is often small by luck."
)
ANSWER = StudyFigure(
    "answer",
    "The answer",
    "A dot is one pair of networks; below the dots their mean and its 95% interval. Right of the "
    "line the one with the decoder was more accurate. Shaded: too small to matter. "
    "*Cross-entropy*: learning from the labels alone; *consistency*: learning, too, that changed "
    "copies of a picture are the same thing.",
    "Differences of test accuracy that decide, every pair",
    comparison.deciding_differences,
    2,
)
DIFFERENCES = StudyFigure(
    "differences",
    "Every pair of runs",
    "A dot is one pair: two runs from one seed, which had the same labels, initial weights, "
    "order and augmentation. Below the dots their mean and its 95% interval. Shaded is what "
    f"counts as no difference; dashed what was aimed at.{_POOLED}",
    "Differences of test accuracy between arms, every pair, by labels",
    comparison.paired_differences,
    3,
)
BY_LABELS = StudyFigure(
    "labels",
    "Accuracy by labels",
    "Every run is a dot; beside the dots an arm's mean and one standard deviation.",
    "Test accuracy of every run, by arm and labels",
    lambda report, _, ink: comparison.accuracy_by_labels(report, ink),
)
OVERFITTING = StudyFigure(
    "overfitting",
    "Overfitting",
    "Accuracy on the labelled training pictures minus that on the test pictures: the claim is "
    "that a decoder makes it smaller. A small gap alone is no gain.",
    "Train-test gap of every run, by arm and labels",
    comparison.overfitting,
    3,
)
CURVES = StudyFigure(
    "curves",
    "What each factor does",
    "One thing changed at a time: what accuracy it brings, and what it costs.",
    "Test accuracy by each factor",
    factors.factor_curves,
    3,
)
RECONSTRUCTION = StudyFigure(
    "reconstruction",
    "What each factor does to the reconstruction",
    "The decoder's error on the training pictures: the lower, the better.",
    "Reconstruction error by each factor",
    factors.reconstruction_curves,
    3,
)
RANKED = StudyFigure(
    "ranking",
    "Every change, ranked",
    f"One thing changed at a time: mean difference of accuracy and its 95% interval.{_POOLED}",
    "Mean differences of test accuracy from the first arm, by size",
    lambda report, _, ink: factors.ranked_differences(report, ink),
)
SWEEP = StudyFigure(
    "differences",
    "Every change",
    "One thing removed or replaced at a time: every pair with the first arm, and below the pairs "
    f"their mean and its 95% interval.{_POOLED}",
    "Differences of test accuracy from the first arm, every pair",
    lambda report, _, ink: factors.sweep_differences(report, ink),
)


def at_one_budget(labels: int, metric: str = "test_accuracy") -> tuple[StudyFigure, ...]:
    """Figures of the runs at one budget."""
    return (
        StudyFigure(
            "epochs",
            "By epoch",
            "The mean of an arm's runs, shaded from the lowest of them to the highest.",
            f"{metric.replace('_', ' ')} by epoch of every arm at {labels} labels",
            lambda report, _, ink: comparison.accuracy_by_epoch(report, labels, metric, ink),
        ),
        StudyFigure(
            "calibration",
            "Calibration",
            "Whether a network is as often right as it is sure; in both, lower is better.",
            f"Negative log-likelihood and calibration error of every run at {labels} labels",
            lambda report, columns, ink: comparison.calibration(report, labels, columns, ink),
            2,
        ),
        StudyFigure(
            "robustness",
            "Robustness",
            "Accuracy on corrupted test pictures, at five severities of each corruption.",
            f"Test accuracy on noisy, blurred and otherwise corrupted pictures at {labels} labels",
            lambda report, columns, ink: comparison.robustness(report, labels, columns, ink),
            2,
        ),
    )


def of_sweep(report: Report) -> tuple[StudyFigure, ...]:
    """Figures that the report of a sweep has something for."""
    curves = (CURVES,) if report.factors else ()
    errors = (RECONSTRUCTION,) if report.factors_with(ERROR) else ()
    return (*curves, *errors, SWEEP, RANKED)


def figures(report: Report, columns: int = 2, ink: str = NEUTRAL_INK) -> Mapping[str, Figure]:
    """All figures of a study, by name."""
    shown = of_sweep(report)
    if report.plan.contrasts:
        primary = report.plan.primary or report.budgets[0]
        shown = (DIFFERENCES, BY_LABELS, OVERFITTING, *at_one_budget(primary), ANSWER)
    return {one.name: one.draw(report, columns, ink) for one in shown}
