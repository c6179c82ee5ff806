"""Accuracy: whether a deconvolution decoder raises it, and a person's own runs beside ours."""

from collections.abc import Callable, Mapping

import streamlit as st
from matplotlib.figure import Figure
from pandas import DataFrame

from deconvviz.io.zoo import TWINS
from deconvviz.plots import gradients as heatmaps
from deconvviz.plots import study as plots
from deconvviz.plots.figures import confusion_matrix, per_class_accuracy
from deconvviz.plots.study import registry
from deconvviz.plots.study.registry import StudyFigure
from deconvviz.study import Report
from deconvviz.study.gradients import Gradients
from deconvviz.study.metrics import ACCURACY, GAP
from deconvviz.ui import pickers, reports
from deconvviz.ui import show as showing
from deconvviz.ui.own_runs import OWN_RUNS, curves_of, demo_runs, own_runs, run_table, train_now
from deconvviz.ui.runs import conclusion

FORMATS = {
    **dict.fromkeys(("difference, points", "95 % from", "to"), "%+.2f"),
    **dict.fromkeys(("p", "p, adjusted", "p, equivalence"), "%.2g"),
}


def show(view: reports.StudyView[Report], shown: StudyFigure, key: str = "") -> None:
    """A figure below its heading."""
    st.subheader(shown.heading, anchor=False)
    st.markdown(shown.text)
    reports.show_study_figure(
        view,
        f"{shown.name}{key}",
        lambda columns, ink: shown.draw(view.result, columns, ink),
        shown.alt,
        columns=shown.columns,
    )


def has_runs(view: reports.StudyView[Report]) -> bool:
    """Whether there is anything to show; if not, how the study is run."""
    if not view.result.records:
        st.info(reports.command(view.study), icon=":material/info:")
    return bool(view.result.records)


def as_table(table: DataFrame, caption: str) -> None:
    """Numbers of the figure above."""
    with st.expander("As a table"):
        columns = {name: st.column_config.NumberColumn(format=f) for name, f in FORMATS.items()}
        st.dataframe(table, hide_index=True, column_config=columns)
        st.caption(caption)


def the_answer() -> None:
    """The answer, every pair behind it, and its limits."""
    view = reports.study("helps")
    short, rest = plots.answer(view.result)
    st.header(short, anchor=False)
    st.markdown(rest)
    if has_runs(view):
        show(view, registry.DIFFERENCES)
        as_table(
            plots.effect_table(view.result),
            "Means and 95 % t intervals in percentage points. p: exact, over all choices of signs "
            "of the pairs; adjusted: Holm, over the budgets of a contrast.",
        )
        showing.download(lambda: reports.numbers(view), "helps.json", "All numbers")
    st.header("What may not be concluded", anchor=False)
    st.markdown("\n".join(f"- {caution}" for caution in plots.cautions(view.result)))
    with st.expander("What the arms are"):
        st.markdown(plots.arms(view.result))


def curves() -> None:
    """Accuracy of the arms: by labels, by epoch, beyond the training pictures."""
    view = reports.study("helps")
    if not has_runs(view):
        return
    report = view.result
    for shown, metric in ((registry.BY_LABELS, ACCURACY), (registry.OVERFITTING, GAP)):
        show(view, shown)
        caption = f"{metric.title}: mean ± standard deviation, and in brackets how many runs."
        as_table(plots.metric_table(report, metric), caption)
    st.header("With one number of labels", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        run = sorted({record.labels for record in report.records})
        labels = pickers.budget(run, str(report.plan.primary or run[0]))
        key = pickers.metric(
            {key.replace("_", " "): key for key in reports.metrics(report, labels)}
        )
    for shown in registry.at_one_budget(labels, key):
        show(view, shown, f"-{labels}-{key}")


def hyperparameters_and_recipe() -> None:
    """Accuracy by hyperparameters and recipe."""
    for name in ("hyperparameters", "recipe"):
        with showing.errors():
            view = reports.study(name)
            st.header(view.result.plan.question, anchor=False)
            if not has_runs(view):
                continue
            for shown in registry.of_sweep(view.result):
                show(view, shown)
            as_table(
                plots.sweep_table(view.result),
                f"Differences from “{view.result.base}” are paired by seed; they are many, and not "
                "corrected for it.",
            )
    with showing.errors():
        for number, gradients in enumerate(reports.gradients(), 1):
            show_gradients(gradients, number)


def show_gradients(view: reports.StudyView[Gradients], number: int) -> None:
    """Whether ddnet keeps gradients from vanishing."""

    def heat_map(name: str, draw: Callable[[Gradients, str], Figure], what: str) -> None:
        alt = f"{what} by layer and step, ddnet beside a plain network"
        reports.show_study_figure(
            view, f"{name}-{number}", lambda _, ink: draw(view.result, ink), alt
        )

    st.header("Gradients", anchor=False)
    st.markdown(heatmaps.verdict(view.result))
    heat_map("norms", heatmaps.norm_maps, "Gradient norms")
    with st.expander("All ratios, and how they were measured"):
        st.markdown(heatmaps.details(view.result))
    with st.expander("Do the gradients of both losses point the same way?"):
        heat_map("cosines", heatmaps.cosine_maps, "Cosines")


def two_networks() -> None:
    """The two demo networks in detail."""
    st.markdown(
        "Two of the networks that come with the app: the same recipe, and the same two networks "
        "that they learned from beside the labels. `demo-deconv` also had to reconstruct the "
        "picture from its features, through a deconvolution decoder."
    )
    runs = demo_runs(TWINS)
    evaluations = {name: run.evaluation for name, run in runs.items()}
    ink = showing.ink()
    run_table(runs)
    st.header("What may be concluded", anchor=False)
    st.markdown(conclusion(*runs.values()))
    shown, classes = st.columns(2, gap="large")
    with shown:
        curves_of(
            runs,
            "curves",
            "As `deconvviz train` measured it: test accuracy with the trainer's precision; "
            "training accuracy on augmented pictures, hence it may lie below.",
        )
    with classes:
        st.header("Class by class", anchor=False)
        showing.figure(
            per_class_accuracy({name: one.per_class for name, one in evaluations.items()}, ink),
            "Test accuracy of each class",
            "classes",
            "After the last epoch; `deconvviz evaluate demo-accurate` measures it again.",
        )
    st.header("Confusion matrices", anchor=False)
    for column, (name, one) in zip(st.columns(2, gap="large"), evaluations.items(), strict=True):
        with column:
            st.markdown(f"**{name}**")
            showing.figure(
                confusion_matrix(one.confusion.tolist(), one.classes, ink),
                f"Confusion matrix of {name}",
                f"confusion-{name}",
                "As `deconvviz train` stored it in the checkpoint.",
            )


SECTIONS: Mapping[str, Callable[[], None]] = {
    "The answer": the_answer,
    "Curves": curves,
    "Hyperparameters and recipe": hyperparameters_and_recipe,
    "These two networks": two_networks,
    OWN_RUNS: own_runs,
    "Train now": train_now,
}

showing.title(
    "Accuracy",
    "Does a deconvolution decoder beside a classifier raise its accuracy? What the records of all "
    "runs say, and what they do not.",
)
reports.fit_figures()
with showing.errors():
    SECTIONS[pickers.section(list(SECTIONS))]()
