"""Accuracy: how good the two demo networks are, and what that proves."""

import streamlit as st

from deconvviz import ui
from deconvviz.bundles import DEMOS
from deconvviz.figures import confusion_matrix, learning_curves, per_class_accuracy
from deconvviz.ui.records import Record, conclusion, record

ui.title(
    "Accuracy",
    "A network and its twin: the same recipe, but the twin also had to give the picture back from "
    "its features, through a deconvolution decoder.",
)
records: dict[str, Record] = {name: record(ui.bundle(name)) for name in DEMOS}
ink = ui.ink()

st.dataframe(
    [one.row for one in records.values()],
    hide_index=True,
    column_config={"test accuracy": st.column_config.NumberColumn(format="%.2f %%")},
)
st.header("What may be concluded", anchor=False)
st.markdown(conclusion(*records.values()))

curves, classes = st.columns(2, gap="large")
with curves:
    st.header("Learning curves", anchor=False)
    runs = {name: one.metrics for name, one in records.items()}
    ui.show_figure(learning_curves(runs, ink), "Accuracy by epoch of both networks")
    st.caption(
        "Test accuracy during training is measured with the trainer's precision; training accuracy "
        "on augmented pictures, hence it may lie below."
    )
with classes:
    st.header("Class by class", anchor=False)
    per_class = {name: one.evaluation.per_class for name, one in records.items()}
    ui.show_figure(per_class_accuracy(per_class, ink), "Test accuracy of each class")
st.header("What is taken for what", anchor=False)
for column, (name, one) in zip(st.columns(2, gap="large"), records.items(), strict=True):
    with column:
        st.markdown(f"**{name}**")
        figure = confusion_matrix(one.evaluation.confusion.tolist(), one.evaluation.classes, ink)
        ui.show_figure(figure, f"Confusion matrix of {name}")
