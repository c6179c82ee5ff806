"""Accuracy: whether a deconvolution decoder raises it, and a person's own runs beside ours."""

from collections.abc import Callable, Mapping

import streamlit as st
from matplotlib.figure import Figure

from deconvviz.io.zoo import DEMOS
from deconvviz.plots import study as figures
from deconvviz.plots.figures import confusion_matrix, learning_curves, per_class_accuracy
from deconvviz.study import Report, Sweep
from deconvviz.study.cells import ACCURACY, GAP, RECONSTRUCTION, Measure
from deconvviz.study.gradients import Gradients
from deconvviz.study.report import ARMS, PRIMARY
from deconvviz.ui import pickers, show, verdicts
from deconvviz.ui.networks import bundle
from deconvviz.ui.own_runs import OWN_RUNS, own_runs, train_now
from deconvviz.ui.records import Record, conclusion, record

POINTS = st.column_config.NumberColumn(format="%+.2f")
SMALL = st.column_config.NumberColumn(format="%.2g")


def the_answer() -> None:
    """The answer, every pair that it rests on, and what it does not prove."""
    findings = verdicts.helps()
    report = findings.found
    short, rest = verdicts.answer(report)
    st.header(short, anchor=False)
    st.markdown(rest)
    if findings.runs:
        differences(findings)
    else:
        st.info(verdicts.command("helps"), icon=":material/info:")
    st.header("What may not be concluded", anchor=False)
    st.markdown("\n".join(f"- {caution}" for caution in verdicts.cautions(report)))
    with st.expander("What the arms are"):
        st.markdown("\n".join(f"- **{arm}**: {told}." for arm, told in ARMS.items()))


def differences(findings: verdicts.Findings[Report]) -> None:
    """The paired differences, drawn and as a table."""
    report = findings.found
    st.header("Every pair of runs", anchor=False)
    st.markdown(
        "A dot is one pair: two runs from one seed, which had the same labels, initial weights, "
        "order and augmentation. Below the dots their mean and its 95 % interval. Shaded is what "
        "counts as no difference; dashed what was aimed at."
    )
    verdicts.exhibit(
        findings,
        "differences",
        lambda columns, ink: figures.paired_differences(report, columns, ink),
        "Differences of test accuracy between arms, every pair, by labels",
        columns=3,
    )
    with st.expander("All differences as a table"):
        columns = dict.fromkeys(("mean", "from", "to"), POINTS)
        p_values = dict.fromkeys(("p", "p, adjusted", "p, equivalence"), SMALL)
        st.dataframe(
            verdicts.difference_rows(report), hide_index=True, column_config={**columns, **p_values}
        )
        st.caption(
            "Means, 95 % t intervals and pairs in percentage points. p: exact, over all choices of "
            "signs of the pairs; adjusted: Holm, over the budgets of a contrast."
        )
        show.download(lambda: verdicts.numbers(findings), "helps.json", "All numbers")


def curves() -> None:
    """How accurate the arms are: by labels, by epoch, beyond the training pictures."""
    findings = verdicts.helps()
    report = findings.found
    if not findings.runs:
        st.info(verdicts.command("helps"), icon=":material/info:")
        return
    st.header("Accuracy by labels", anchor=False)
    st.markdown("Every run is a dot; beside the dots an arm's mean and one standard deviation.")
    verdicts.exhibit(
        findings,
        "labels",
        lambda _, ink: figures.accuracy_by_labels(report, ink),
        "Test accuracy of every run, by arm and labels",
    )
    cells_as_table(report, ACCURACY)
    st.header("Overfitting", anchor=False)
    st.markdown(
        "Accuracy on the labelled training pictures less that on the test pictures: the claim is "
        "that a decoder makes it smaller. A small gap alone is no gain."
    )
    verdicts.exhibit(
        findings,
        "overfitting",
        lambda columns, ink: figures.overfitting(report, columns, ink),
        "Train-test gap of every run, by arm and labels",
        columns=3,
    )
    cells_as_table(report, GAP)
    at_one_budget(findings)


def cells_as_table(report: Report, measure: Measure) -> None:
    """One measure of every arm at every budget."""
    with st.expander("As a table"):
        st.dataframe(verdicts.cell_rows(report, measure), hide_index=True)
        st.caption(f"{measure.title}: mean ± standard deviation, and in brackets how many runs.")


def at_one_budget(findings: verdicts.Findings[Report]) -> None:
    """What is looked at with one number of labels."""
    report = findings.found
    st.header("With one number of labels", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        budget = pickers.budget(sorted({record.labels for record in report.records}), str(PRIMARY))
        cells = report.at(budget)
        metric = pickers.metric({name.replace("_", " "): name for name in verdicts.metrics(cells)})
    st.subheader("While they learn", anchor=False)
    st.markdown("The mean of an arm's runs, shaded from the least of them to the greatest.")
    verdicts.exhibit(
        findings,
        f"epochs-{budget}-{metric}",
        lambda _, ink: figures.accuracy_by_epoch(cells, metric, ink),
        f"{metric.replace('_', ' ')} by epoch of every arm at {budget} labels",
    )
    st.subheader("Calibration", anchor=False)
    st.markdown("Whether a network is as often right as it is sure; in both, less is better.")
    verdicts.exhibit(
        findings,
        f"calibration-{budget}",
        lambda columns, ink: figures.calibration(cells, columns, ink),
        f"Negative log-likelihood and calibration error of every run at {budget} labels",
        columns=2,
    )
    st.subheader("Robustness", anchor=False)
    st.markdown("Accuracy on test pictures that are made worse, in five degrees of each way.")
    verdicts.exhibit(
        findings,
        f"robustness-{budget}",
        lambda columns, ink: figures.robustness(cells, columns, ink),
        f"Test accuracy on noisy, blurred and otherwise worse pictures at {budget} labels",
        columns=2,
    )


def levers_and_recipe() -> None:
    """What else moves accuracy."""
    st.header("Levers", anchor=False)
    st.markdown("One thing changed at a time: what accuracy it brings, and what it costs.")
    with show.errors():
        one_sweep("levers", "curves", figures.sweep_curves, "Test accuracy by each lever", 3)
        what_decoders_leave()
    st.header("The recipe", anchor=False)
    st.markdown(
        "The same recipe with one ingredient removed or replaced: every pair with the whole "
        "recipe, and below the pairs their mean and its 95 % interval."
    )
    with show.errors():
        one_sweep(
            "recipe",
            "differences",
            lambda found, _, ink: figures.recipe_differences(found, ink),
            "Differences of test accuracy to the whole recipe, every pair",
        )
    with show.errors():
        gradients()


def one_sweep(
    study: str, name: str, draw: Callable[[Sweep, int, str], Figure], alt: str, columns: int = 1
) -> None:
    """One figure of a sweep, and its table."""
    findings = verdicts.swept(study)
    if not findings.runs:
        st.info(verdicts.command(study), icon=":material/info:")
        return
    verdicts.exhibit(
        findings, name, lambda count, ink: draw(findings.found, count, ink), alt, columns=columns
    )
    with st.expander("As a table"):
        st.dataframe(
            verdicts.point_rows(findings.found),
            hide_index=True,
            column_config={"difference, points": POINTS},
        )
        st.caption(
            f"Differences to “{findings.found.base}” are paired by seed; they are many, and not "
            "corrected for it."
        )


def what_decoders_leave() -> None:
    """The same levers, by what comes back; nothing until a run with a decoder was made."""
    findings = verdicts.swept("levers")
    if not findings.runs or not findings.found.factors_with(RECONSTRUCTION):
        return
    st.markdown("What the decoder leaves of the training pictures: the lower, the better.")
    verdicts.exhibit(
        findings,
        "reconstruction",
        lambda count, ink: figures.reconstruction_curves(findings.found, count, ink),
        "Reconstruction error by each lever",
        columns=3,
    )


def gradients() -> None:
    """Whether ddnet keeps gradients from vanishing; nothing until somebody has looked."""
    for number, findings in enumerate(verdicts.gradients(), 1):
        st.header("Gradients", anchor=False)
        st.markdown(findings.found.verdict())
        one_heat_map(findings, f"gradients-{number}", Gradients.figure, "Gradient norms")
        with st.expander("All ratios, and how they were measured"):
            st.markdown(findings.found.details())
        with st.expander("Do both losses want the same?"):
            one_heat_map(findings, f"cosines-{number}", Gradients.cosine_figure, "Cosines")


def one_heat_map(
    findings: verdicts.Findings[Gradients],
    name: str,
    draw: Callable[[Gradients, str], Figure],
    what: str,
) -> None:
    """What was measured of gradients, by layer and step."""
    alt = f"{what} by layer and step, ddnet beside a plain network"
    verdicts.exhibit(findings, name, lambda _, ink: draw(findings.found, ink), alt)


def two_networks() -> None:
    """The demo and its twin: one pair, looked at closely."""
    st.markdown(
        "The two networks that come with the app: the same recipe, and the same two networks that "
        "they learned from beside the labels, but the twin also had to give the picture back "
        "from its features, through a deconvolution decoder."
    )
    records: dict[str, Record] = {name: record(bundle(name)) for name in DEMOS}
    ink = show.ink()
    st.dataframe(
        [one.row for one in records.values()],
        hide_index=True,
        column_config={"test accuracy": st.column_config.NumberColumn(format="%.2f %%")},
    )
    st.header("What may be concluded", anchor=False)
    st.markdown(conclusion(*records.values()))
    shown, classes = st.columns(2, gap="large")
    with shown:
        st.header("Learning curves", anchor=False)
        runs = {name: one.metrics for name, one in records.items()}
        show.figure(
            learning_curves(runs, ink),
            "Accuracy by epoch of both networks",
            "curves",
            "As `deconvviz train` told it. Test accuracy during training is measured with the "
            "trainer's precision; training accuracy on augmented pictures, hence it may lie below.",
        )
    with classes:
        st.header("Class by class", anchor=False)
        per_class = {name: one.evaluation.per_class for name, one in records.items()}
        show.figure(
            per_class_accuracy(per_class, ink),
            "Test accuracy of each class",
            "classes",
            "After the last epoch; `deconvviz evaluate demo` measures it again.",
        )
    st.header("What is taken for what", anchor=False)
    for column, (name, one) in zip(st.columns(2, gap="large"), records.items(), strict=True):
        with column:
            st.markdown(f"**{name}**")
            figure = confusion_matrix(
                one.evaluation.confusion.tolist(), one.evaluation.classes, ink
            )
            show.figure(
                figure,
                f"Confusion matrix of {name}",
                f"confusion-{name}",
                "As `deconvviz train` stored it in the checkpoint.",
            )


SECTIONS: Mapping[str, Callable[[], None]] = {
    "The answer": the_answer,
    "Curves": curves,
    "Levers and recipe": levers_and_recipe,
    "These two networks": two_networks,
    OWN_RUNS: own_runs,
    "Train now": train_now,
}

show.title(
    "Accuracy",
    "Does a deconvolution decoder beside a classifier raise its accuracy? What the records of all "
    "runs say, and what they do not.",
)
verdicts.fit_figures()
with show.errors():
    SECTIONS[pickers.section(list(SECTIONS))]()
