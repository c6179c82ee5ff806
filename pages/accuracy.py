"""Accuracy: whether a deconvolution decoder raises it, and a person's own runs beside ours."""

from collections.abc import Callable, Mapping

import streamlit as st
from matplotlib.figure import Figure

from deconvviz import ui
from deconvviz.io.zoo import DEMOS
from deconvviz.plots import gradients as heatmaps
from deconvviz.plots import study as plots
from deconvviz.plots.figures import confusion_matrix, learning_curves, per_class_accuracy
from deconvviz.study import Report
from deconvviz.study.gradients import Gradients
from deconvviz.study.metrics import ACCURACY, GAP, RECONSTRUCTION, Metric
from deconvviz.ui import reports
from deconvviz.ui.runs import OwnRun, conclusion

POINTS = dict.fromkeys(
    ("difference, points", "95 % from", "to"), st.column_config.NumberColumn(format="%+.2f")
)
P_VALUES = dict.fromkeys(
    ("p", "p, adjusted", "p, equivalence"), st.column_config.NumberColumn(format="%.2g")
)


def the_answer() -> None:
    """The answer, every pair that it rests on, and what it does not prove."""
    view = reports.study("helps")
    short, rest = plots.answer(view.result)
    st.header(short, anchor=False)
    st.markdown(rest)
    if view.runs:
        differences(view)
    else:
        not_run("helps")
    st.header("What may not be concluded", anchor=False)
    st.markdown("\n".join(f"- {caution}" for caution in plots.cautions(view.result)))
    with st.expander("What the arms are"):
        st.markdown(plots.arms(view.result))


def not_run(name: str) -> None:
    """The command that runs a study."""
    st.info(reports.command(name), icon=":material/info:")


def differences(view: reports.StudyView[Report]) -> None:
    """The paired differences, drawn and as a table."""
    st.header("Every pair of runs", anchor=False)
    st.markdown(
        "A dot is one pair: two runs from one seed, which had the same labels, initial weights, "
        "order and augmentation. Below the dots their mean and its 95 % interval. Shaded is what "
        "counts as no difference; dashed what was aimed at."
    )
    reports.show_study_figure(
        view,
        "differences",
        lambda columns, ink: plots.paired_differences(view.result, columns, ink),
        "Differences of test accuracy between arms, every pair, by labels",
        columns=3,
    )
    with st.expander("All differences as a table"):
        st.dataframe(
            plots.effect_table(view.result), hide_index=True, column_config={**POINTS, **P_VALUES}
        )
        st.caption(
            "Means and 95 % t intervals in percentage points. p: exact, over all choices of "
            "signs of the pairs; adjusted: Holm, over the budgets of a contrast."
        )
        ui.download(lambda: reports.numbers(view), "helps.json", "All numbers")


def curves() -> None:
    """How accurate the arms are: by labels, by epoch, beyond the training pictures."""
    view = reports.study("helps")
    if not view.runs:
        not_run("helps")
        return
    st.header("Accuracy by labels", anchor=False)
    st.markdown("Every run is a dot; beside the dots an arm's mean and one standard deviation.")
    reports.show_study_figure(
        view,
        "labels",
        lambda _, ink: plots.accuracy_by_labels(view.result, ink),
        "Test accuracy of every run, by arm and labels",
    )
    as_table(view.result, ACCURACY)
    st.header("Overfitting", anchor=False)
    st.markdown(
        "Accuracy on the labelled training pictures minus that on the test pictures: the claim is "
        "that a decoder makes it smaller. A small gap alone is no gain."
    )
    reports.show_study_figure(
        view,
        "overfitting",
        lambda columns, ink: plots.overfitting(view.result, columns, ink),
        "Train-test gap of every run, by arm and labels",
        columns=3,
    )
    as_table(view.result, GAP)
    at_one_budget(view)


def as_table(report: Report, metric: Metric) -> None:
    """One metric of every arm at every budget."""
    with st.expander("As a table"):
        st.dataframe(plots.metric_table(report, metric), hide_index=True)
        st.caption(f"{metric.title}: mean ± standard deviation, and in brackets how many runs.")


def at_one_budget(view: reports.StudyView[Report]) -> None:
    """What is looked at with one number of labels."""
    report = view.result
    st.header("With one number of labels", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        run = sorted({record.labels for record in report.records})
        budget = ui.pick_budget(run, report.plan.primary or run[0])
        metric = ui.pick_metric(reports.metrics(report, budget))
    st.subheader("By epoch", anchor=False)
    st.markdown("The mean of an arm's runs, shaded from the lowest of them to the highest.")
    reports.show_study_figure(
        view,
        f"epochs-{budget}-{metric}",
        lambda _, ink: plots.accuracy_by_epoch(report, budget, metric, ink),
        f"{metric.replace('_', ' ')} by epoch of every arm at {budget} labels",
    )
    st.subheader("Calibration", anchor=False)
    st.markdown("Whether a network is as often right as it is sure; in both, lower is better.")
    reports.show_study_figure(
        view,
        f"calibration-{budget}",
        lambda columns, ink: plots.calibration(report, budget, columns, ink),
        f"Negative log-likelihood and calibration error of every run at {budget} labels",
        columns=2,
    )
    st.subheader("Robustness", anchor=False)
    st.markdown("Accuracy on corrupted test pictures, at five severities of each corruption.")
    reports.show_study_figure(
        view,
        f"robustness-{budget}",
        lambda columns, ink: plots.robustness(report, budget, columns, ink),
        f"Test accuracy on noisy, blurred and otherwise corrupted pictures at {budget} labels",
        columns=2,
    )


def levers_and_recipe() -> None:
    """What else changes accuracy."""
    st.header("Levers", anchor=False)
    st.markdown("One thing changed at a time: what accuracy it brings, and what it costs.")
    with ui.refusals():
        sweep("levers", "curves", plots.factor_curves, "Test accuracy by each lever", 3)
        reconstruction()
    st.header("The recipe", anchor=False)
    st.markdown(
        "The same recipe with one ingredient removed or replaced: every pair with the whole "
        "recipe, and below the pairs their mean and its 95 % interval."
    )
    with ui.refusals():
        sweep(
            "recipe",
            "differences",
            lambda found, _, ink: plots.sweep_differences(found, ink),
            "Differences of test accuracy to the whole recipe, every pair",
        )
    with ui.refusals():
        gradients()


def sweep(
    name: str, figure: str, draw: Callable[[Report, int, str], Figure], alt: str, columns: int = 1
) -> None:
    """One figure of a sweep, and its table."""
    view = reports.study(name)
    if not view.runs:
        not_run(name)
        return
    reports.show_study_figure(
        view, figure, lambda count, ink: draw(view.result, count, ink), alt, columns=columns
    )
    with st.expander("As a table"):
        st.dataframe(plots.sweep_table(view.result), hide_index=True, column_config=POINTS)
        st.caption(
            f"Differences from “{view.result.base}” are paired by seed; they are many, and not "
            "corrected for it."
        )


def reconstruction() -> None:
    """The reconstruction error by each lever; nothing until a run with a decoder was made."""
    view = reports.study("levers")
    if not view.result.factors_with(RECONSTRUCTION):
        return
    st.markdown("The decoder's error on the training pictures: the lower, the better.")
    reports.show_study_figure(
        view,
        "reconstruction",
        lambda count, ink: plots.reconstruction_curves(view.result, count, ink),
        "Reconstruction error by each lever",
        columns=3,
    )


def gradients() -> None:
    """Whether ddnet keeps gradients from vanishing; nothing until it was measured."""
    for number, view in enumerate(reports.gradients(), 1):
        st.header("Gradients", anchor=False)
        st.markdown(heatmaps.verdict(view.result))
        heat_map(view, f"norms-{number}", heatmaps.norm_maps, "Gradient norms")
        with st.expander("All ratios, and how they were measured"):
            st.markdown(heatmaps.details(view.result))
        with st.expander("Do the gradients of both losses point the same way?"):
            heat_map(view, f"cosines-{number}", heatmaps.cosine_maps, "Cosines")


def heat_map(
    view: reports.StudyView[Gradients],
    name: str,
    draw: Callable[[Gradients, str], Figure],
    shown: str,
) -> None:
    """Gradients by layer and step."""
    alt = f"{shown} by layer and step, ddnet beside a plain network"
    reports.show_study_figure(view, name, lambda _, ink: draw(view.result, ink), alt)


def two_networks() -> None:
    """The demo and its twin: one pair in detail."""
    st.markdown(
        "The two networks that come with the app: the same recipe, and the same two networks that "
        "they learned from beside the labels, but the twin also had to reconstruct the picture "
        "from its features, through a deconvolution decoder."
    )
    runs = {name: OwnRun.of(ui.bundle(name), "built in") for name in DEMOS}
    evaluations = {name: run.evaluation for name, run in runs.items()}
    ink = ui.ink()
    st.dataframe(
        [run.row for run in runs.values()],
        hide_index=True,
        column_config={"test accuracy": st.column_config.NumberColumn(format="%.2f %%")},
    )
    st.header("What may be concluded", anchor=False)
    st.markdown(conclusion(*runs.values()))
    shown, classes = st.columns(2, gap="large")
    with shown:
        st.header("Learning curves", anchor=False)
        ui.show_figure(
            learning_curves({name: run.metrics for name, run in runs.items()}, ink),
            "Accuracy by epoch of both networks",
            "curves",
            "As `deconvviz train` measured it: test accuracy with the trainer's precision; "
            "training accuracy on augmented pictures, hence it may lie below.",
        )
    with classes:
        st.header("Class by class", anchor=False)
        ui.show_figure(
            per_class_accuracy({name: one.per_class for name, one in evaluations.items()}, ink),
            "Test accuracy of each class",
            "classes",
            "After the last epoch; `deconvviz evaluate demo` measures it again.",
        )
    st.header("Confusion matrices", anchor=False)
    for column, (name, one) in zip(st.columns(2, gap="large"), evaluations.items(), strict=True):
        with column:
            st.markdown(f"**{name}**")
            ui.show_figure(
                confusion_matrix(one.confusion.tolist(), one.classes, ink),
                f"Confusion matrix of {name}",
                f"confusion-{name}",
                "As `deconvviz train` stored it in the checkpoint.",
            )


SECTIONS: Mapping[str, Callable[[], None]] = {
    "The answer": the_answer,
    "Curves": curves,
    "Levers and recipe": levers_and_recipe,
    "These two networks": two_networks,
    ui.OWN_RUNS: ui.own_runs,
    "Train now": ui.train_now,
}

ui.title(
    "Accuracy",
    "Does a deconvolution decoder beside a classifier raise its accuracy? What the records of all "
    "runs say, and what they do not.",
)
reports.fit_figures()
with ui.refusals():
    SECTIONS[ui.pick_section(list(SECTIONS))]()
