"""Accuracy: whether a deconvolution decoder raises it, and a person's own runs beside ours."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import streamlit as st
from matplotlib.figure import Figure
from pandas import DataFrame

from deconvviz.errors import DeconvvizError
from deconvviz.io.zoo import TWINS
from deconvviz.plots import study as plots
from deconvviz.plots.figures import confusion_matrix, per_class_accuracy
from deconvviz.plots.study import gradients as heatmaps
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
    draw(view, shown, key)


def draw(view: reports.StudyView[Report], shown: StudyFigure, key: str = "") -> None:
    """A figure, and its file."""
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


def say_missing(view: reports.StudyView[Report]) -> None:
    """What was declared and not run, if anything was."""
    if missing := plots.missing(view.result):
        st.caption(missing)


def numbers(table: DataFrame, caption: str) -> None:
    """Numbers of the figure above, without what was not run."""
    columns = {name: st.column_config.NumberColumn(format=f) for name, f in FORMATS.items()}
    st.dataframe(plots.run_only(table), hide_index=True, column_config=columns)
    st.caption(caption)


def the_answer() -> None:
    """The answer with one chart; every pair behind it and its limits below."""
    view = reports.study("helps")
    st.header(plots.headline(view.result), anchor=False)
    st.markdown(plots.plain(view.result))
    if view.result.deciding:
        draw(view, registry.ANSWER)
        st.caption(registry.ANSWER.text)
    if has_runs(view):
        with st.expander("In numbers"):
            st.markdown(plots.answer(view.result)[1])
            st.markdown(plots.arms(view.result))
            say_missing(view)
            showing.download(lambda: reports.numbers(view), "helps.json", "All numbers")
        showing.folded("Every comparison, every pair", "pairs", partial(every_pair, view))
    st.header("What may not be concluded", anchor=False)
    st.markdown("\n".join(f"- {caution}" for caution in plots.cautions(view.result)))


def every_pair(view: reports.StudyView[Report]) -> None:
    """All contrasts, with their table."""
    show(view, registry.DIFFERENCES)
    numbers(
        plots.effect_table(view.result),
        "Means and 95% t intervals in percentage points. p: exact, over all choices of signs "
        "of the pairs; adjusted: Holm, over all budgets that the plan declares for a contrast.",
    )
    every_measure(view)


def every_measure(view: reports.StudyView[Report]) -> None:
    """The difference of each metric, and where the baselines stand beside published figures."""
    measures, baselines = plots.measure_table(view.result), plots.baseline_table(view.result)
    if not measures.empty:
        st.subheader("Every metric", anchor=False)
        numbers(
            measures,
            "Mean difference and 95% interval of each metric. Only test accuracy decides; no "
            "interval is corrected for being one of many.",
        )
    if not baselines.empty:
        st.subheader("Where the baselines stand", anchor=False)
        numbers(
            baselines,
            "Accuracy on the pictures it learned from says whether a network has room for a second "
            "task: mean ± standard deviation, and in brackets how many runs.",
        )
    st.markdown(plots.published(view.result))
    st.caption(plots.pooling(view.result))


def curves() -> None:
    """Accuracy of the arms: by labels, by epoch, beyond the training pictures."""
    view = reports.study("helps")
    if not has_runs(view):
        return
    say_missing(view)
    report = view.result
    for shown, metric in ((registry.BY_LABELS, ACCURACY), (registry.OVERFITTING, GAP)):
        show(view, shown)
        caption = f"{metric.title}: mean ± standard deviation, and in brackets how many runs."
        with st.expander("As a table"):
            numbers(plots.metric_table(report, metric), caption)
    st.header("With one number of labels", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        labels = pickers.budget(report.run_budgets, str(report.plan.primary))
        key = pickers.metric(
            {key.replace("_", " "): key for key in reports.metrics(report, labels)}
        )
    for shown in registry.at_one_budget(labels, key):
        show(view, shown, f"-{labels}-{key}")


def hyperparameters_and_recipe() -> None:
    """What hyperparameters, recipe and architecture do; details are drawn when unfolded."""
    names = ("hyperparameters", "recipe")
    for column, name in zip(st.columns(2, gap="large"), names, strict=True):
        with column, showing.errors():
            sweep(reports.study(name))
    for name in names:
        with suppress(DeconvvizError):  # said above
            view = reports.study(name)
            if view.result.records:
                label = f"Every run and the numbers: {name}"
                showing.folded(label, name, partial(every_run, view))
    with showing.errors():
        for number, gradients in enumerate(reports.gradients(), 1):
            show_gradients(gradients, number)


def sweep(view: reports.StudyView[Report]) -> None:
    """A sweep: its answer, and its changes by size."""
    st.header(view.result.plan.question, anchor=False)
    if has_runs(view):
        st.markdown(plots.sweep_headline(view.result))
        draw(view, registry.RANKED)


def every_run(view: reports.StudyView[Report]) -> None:
    """A sweep's runs as charts and as a table."""
    st.markdown(plots.arms(view.result))
    say_missing(view)
    for shown in registry.of_sweep(view.result):
        if shown is not registry.RANKED:
            show(view, shown)
    numbers(
        plots.sweep_table(view.result),
        f"Differences from “{view.result.base}” are paired by seed; they are many, and not "
        "corrected for it.",
    )
    every_measure(view)


def show_gradients(view: reports.StudyView[Gradients], number: int) -> None:
    """Whether ddnet keeps gradients from vanishing."""

    def heat_map(name: str, draw: Callable[[Gradients, str], Figure], what: str) -> None:
        alt = f"{what} by layer and step, ddnet beside a plain network"
        reports.show_study_figure(
            view, f"{name}-{number}", lambda _, ink: draw(view.result, ink), alt
        )

    st.header("Gradients", anchor=False)
    st.markdown(f"*{heatmaps.heading(view.result)}*")
    st.markdown(heatmaps.verdict(view.result))
    showing.folded(
        "Gradient norms, layer by layer",
        f"norms-{number}",
        lambda: heat_map("norms", heatmaps.norm_maps, "Gradient norms"),
    )
    showing.folded(
        "Do the gradients of both losses point the same way?",
        f"cosines-{number}",
        lambda: heat_map("cosines", heatmaps.cosine_maps, "Cosines"),
    )
    with st.expander("All ratios, and how they were measured"):
        numbers(heatmaps.condition_table(view.result), heatmaps.method(view.result))


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
    "Does a network recognise more pictures if, while it learns, it must also rebuild them from "
    "its own features? A *deconvolution decoder* beside the classifier does the rebuilding.",
)
with showing.errors():
    SECTIONS[pickers.section(list(SECTIONS))]()
