"""A person's own runs on a page: those that were made elsewhere, and one that is made now."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from deconvviz.errors import CheckpointError
from deconvviz.io.zoo import DEMOS
from deconvviz.plots.figures import learning_curves
from deconvviz.training import read_metrics
from deconvviz.ui.loaders import bundle
from deconvviz.ui.pickers import named_checkpoints, pick_job, pick_run
from deconvviz.ui.refusals import sentence
from deconvviz.ui.runner import KEPT, JobStatus, Runner, kept_runs
from deconvviz.ui.runs import OwnRun, different, progress_curves, read_run, read_upload
from deconvviz.ui.show import ink, show_figure

__all__ = ["OWN_RUNS", "own_runs", "runner", "train_now"]

OWN_RUNS = "Your own runs"
"""The section of the Accuracy page that shows them."""

_UPLOADS = 8  # that a session keeps, without their weights


@st.cache_resource(show_spinner=False)
def runner() -> Runner:
    """The one of this server."""
    return Runner()


def own_runs() -> None:
    """A person's runs beside the demos."""
    st.markdown(
        "What you trained beside what we did: runs of *Train now*, checkpoints that the app was "
        "started with (`deconvviz app RUN/model.safetensors`), and those that you add here."
    )
    _uploader()
    runs = _all_runs()
    st.dataframe(
        [run.row for run in runs.values()],
        hide_index=True,
        column_config={"test accuracy": st.column_config.NumberColumn(format="%.2f %%")},
    )
    st.caption(
        "Accuracy after the last epoch, as each checkpoint tells it. Only what was measured on the "
        "same pictures can be compared, and one run of each proves nothing."
    )
    _two_runs(runs)


def _two_runs(runs: Mapping[str, OwnRun]) -> None:
    """Two of them closely: their curves, and how their recipes differ."""
    names = list(runs)
    with st.container(horizontal=True):
        first = runs[pick_run("Look at", "run", names, default=len(DEMOS))]
        second = runs[pick_run("Beside", "beside", names, default=0)]
    shown, recipes = st.columns(2, gap="large")
    with shown:
        st.header("While they learnt", anchor=False)
        lines = {one.name: one.metrics for one in (first, second)}
        figure = learning_curves(lines, ink())
        show_figure(
            figure,
            f"Accuracy by epoch of {first.name} and {second.name}",
            "runs",
            "As `deconvviz train` told it: solid on test pictures, dotted on (augmented) training "
            "pictures.",
        )
    with recipes:
        st.header("How their recipes differ", anchor=False)
        rows = different(first, second)
        if first is second:
            st.markdown("This is one run; choose another beside it.")
        elif rows:
            st.dataframe(rows, hide_index=True)
        else:
            st.markdown("In nothing: what differs are the pictures, or chance.")


class _Checkpoint(NamedTuple):
    """A file that is to be read."""

    path: Path
    name: str
    origin: str


def _all_runs() -> dict[str, OwnRun]:
    """The demos and all runs of a person, by name; what cannot be read is told in a sentence."""
    runs = {name: _demo(name) for name in DEMOS}
    files = [_Checkpoint(path, path.parent.name, "Train now") for path in kept_runs()]
    files += [
        _Checkpoint(Path(path), name, "command line") for name, path in named_checkpoints().items()
    ]
    for file in files:
        try:
            runs[file.name] = _stored(str(file.path), file.name, file.origin, _stamp(file.path))
        except CheckpointError as error:
            st.warning(sentence(error), icon=":material/info:")
    return runs | _uploads()


def _stamp(path: Path) -> int:
    """When a file was written; 0 where there is none, which reading it says."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@st.cache_resource(max_entries=2, show_spinner=False)
def _demo(name: str) -> OwnRun:
    return OwnRun.of(bundle(name), "built in")


@st.cache_resource(max_entries=2 * KEPT, show_spinner=False)
def _stored(path: str, name: str, origin: str, stamp: int) -> OwnRun:  # noqa: ARG001  a key
    return read_run(Path(path), name, origin)


def _uploads() -> dict[str, OwnRun]:
    """What this session was given."""
    uploads: dict[str, OwnRun] = st.session_state.setdefault("own_runs", {})
    return uploads


def _uploader() -> None:
    turn = st.session_state.setdefault("run_turn", 0)
    with st.popover("Add a checkpoint", icon=":material/upload_file:"):
        st.file_uploader(
            "The model.safetensors of runs of `deconvviz train`, up to 20 MB each; what they tell "
            "of themselves stays in this session, their weights do not",
            accept_multiple_files=True,
            key=f"run-upload-{turn}",
            on_change=_take,
            args=(f"run-upload-{turn}",),
        )
    for message in st.session_state.pop("refused_runs", ()):
        st.warning(message, icon=":material/info:")


def _take(key: str) -> None:
    """Keep what can be read of an upload, and the sentences on what cannot."""
    refused: list[str] = []
    uploads = _uploads()
    for file in st.session_state[key]:
        try:
            run = read_upload(file.getvalue(), file.name)
            uploads[run.name] = run
        except CheckpointError as error:
            refused.append(sentence(error))
    for old in list(uploads)[:-_UPLOADS]:
        del uploads[old]
    st.session_state["refused_runs"] = refused
    st.session_state["run_turn"] += 1  # a new, empty uploader; the old one's bytes are freed


def train_now() -> None:
    """A small run, made here."""
    st.markdown(
        "A small network trained here and now, after the arms A and R-all of the study: with a "
        "decoder, all training pictures are reconstructed beside the few that have labels. One run "
        "proves nothing; two with the same seed, one of them with a decoder, are one pair."
    )
    status = runner().status
    going = status is not None and status.running
    job = pick_job()
    if st.button("Train", icon=":material/play_arrow:", type="primary", disabled=going):
        if not runner().start(job):
            st.toast("A run was begun elsewhere just now; this is how it goes.")
        st.rerun()
    if going:
        st.caption(
            "A run is under way, and there is one at a time for all who use this server. Each of "
            "them sees it below, and may stop it."
        )
    else:
        st.caption(
            f"Seconds to a few minutes; the last {KEPT} runs are kept. `deconvviz train` makes "
            "longer ones."
        )
    # While something goes on, this part of the page asks again each second.
    st.fragment(_one_run, run_every=1.0 if going else None)(going)


def _one_run(shown_as_going: bool) -> None:
    """How the run goes that is under way, or how the last one ended."""
    status = runner().status
    if status is None:
        return
    if shown_as_going and not status.running:
        st.rerun()  # the whole page, with its button
    st.header(status.job.title, anchor=False)
    if status.running:
        _under_way(status)
    elif status.failed:
        st.error(status.message, icon=":material/info:")
    else:
        st.success(status.message, icon=":material/check:")
        _way_to_own_runs(status.folder)
    metrics = read_metrics(status.folder)
    if metrics:
        alt = f"Accuracy and loss after {len(metrics)} parts of the run"
        with st.container(width=760):
            show_figure(progress_curves(metrics, ink()), alt)
        st.caption("Solid on test pictures, dotted on (augmented) training pictures.")


def _under_way(status: JobStatus) -> None:
    """The bar, and the way to end it."""
    steps = f"{status.doing}: {status.done} of {status.total} steps …"
    st.progress(status.done / status.total, steps if status.done else f"{status.doing} …")
    st.button(
        "Stop the run",
        icon=":material/stop:",
        on_click=runner().stop,
        disabled=status.stopping,
    )


def _way_to_own_runs(folder: Path) -> None:
    """A button that shows a run beside the others, if it was kept."""
    label, told = "See it beside other runs", (folder.name,)
    if folder.is_dir() and st.button(label, on_click=_show_own_runs, args=told):
        st.rerun()  # the whole page, which shows another section now


def _show_own_runs(name: str) -> None:
    st.session_state["section"] = OWN_RUNS
    st.session_state["run"] = name
