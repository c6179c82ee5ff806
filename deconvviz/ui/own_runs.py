"""A person's own training runs on a page: earlier ones, and one that is trained now."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from deconvviz.errors import CheckpointError
from deconvviz.io.card import inert
from deconvviz.io.zoo import DEMOS
from deconvviz.io.zoo.names import demo_folder
from deconvviz.plots.figures import learning_curves
from deconvviz.training import read_metrics
from deconvviz.ui import show
from deconvviz.ui.choices import named_checkpoints
from deconvviz.ui.memory import kept
from deconvviz.ui.pickers import Picker
from deconvviz.ui.pictures import upload_files
from deconvviz.ui.runner import KEPT, LABELS, NETWORKS, STEPS, Job, Runner, kept_runs, sources
from deconvviz.ui.runs import OwnRun, different, read_run, read_upload
from deconvviz.ui.uploads import Uploads

OWN_RUNS = "Your own runs"
"""Name of the section of the Accuracy page that shows them."""

_first = Picker[OwnRun]("run", "Run", widget="list", width=360)
_second = Picker[OwnRun]("beside", "Compare with", widget="list", width=360)
_data = Picker[str](
    "train-data",
    "Dataset",
    help="Drawn shapes are always available; CIFAR-10 where its files are found.",
)
_network = Picker[str]("train-model", "Network", NETWORKS, widget="list", width=170)
_labels = Picker[int]("train-labels", "Labels", LABELS, default="300")
_steps = Picker[int]("train-steps", "Steps", STEPS, default="300")
_seed = Picker[int]("train-seed", "Seed", range(10), widget="list", width=90)


@st.cache_resource(show_spinner=False)
def runner() -> Runner:
    """The server's runner."""
    return Runner()


def own_runs() -> None:
    """A person's runs beside the demos."""
    st.markdown(
        "Your runs beside the two demo networks: runs of *Train now*, checkpoints named when the "
        "app was started (`deconvviz app RUN/model.safetensors`), and checkpoints that you add "
        "here."
    )
    with st.popover("Add a checkpoint", icon=":material/upload_file:"):
        refused = upload_files(
            "The model.safetensors of runs of `deconvviz train`, up to 20 MB each. This session "
            "keeps their training records, not their weights.",
            "run-upload",
            _keep,
        )
    for message in refused:
        st.warning(inert(message, code=True), icon=":material/info:")
    runs = _all_runs()
    run_table(runs)
    st.caption(
        "Accuracy after the last epoch, from each checkpoint. Compare only runs that were tested "
        "on the same pictures. A single run of each is no evidence."
    )
    _two_runs(runs)


def run_table(runs: Mapping[str, OwnRun]) -> None:
    """Runs by name, a row each."""
    percent = st.column_config.NumberColumn(format="%.2f %%")
    rows = [run.row for run in runs.values()]
    st.dataframe(rows, hide_index=True, column_config={"test accuracy": percent})


def curves_of(runs: Mapping[str, OwnRun], file: str, caption: str) -> None:
    """Learning curves of runs by name."""
    st.header("Learning curves", anchor=False)
    drawn = learning_curves({name: one.metrics for name, one in runs.items()}, show.ink())
    show.figure(drawn, f"Accuracy by epoch of {' and '.join(runs)}", file, caption)


def _two_runs(runs: Mapping[str, OwnRun]) -> None:
    with st.container(horizontal=True):
        first = _first(runs, default=list(runs)[min(len(DEMOS), len(runs) - 1)])
        second = _second(runs)
    curves, recipes = st.columns(2, gap="large")
    with curves:
        both = {one.name: one for one in (first, second)}
        curves_of(both, "runs", "Solid: test pictures. Dotted: training pictures, augmented.")
    with recipes:
        st.header("Differences between the recipes", anchor=False)
        rows = different(first, second)
        if first is second:
            st.markdown("This is one run. Choose another one to compare it with.")
        elif rows:
            st.dataframe(rows, hide_index=True)
        else:
            st.markdown("None. The runs differ in their pictures, or by chance.")


def _all_runs() -> dict[str, OwnRun]:
    """The demos and all runs of a person, by name, with a warning for each unreadable one."""
    runs = demo_runs()
    files = [(path, path.parent.name, "Train now") for path in kept_runs()]
    files += [(Path(path), name, "command line") for name, path in named_checkpoints().items()]
    for path, name, origin in files:
        try:
            modified = path.stat().st_mtime_ns if path.is_file() else 0
            runs[name] = _stored(path, name, origin, modified)
        except CheckpointError as error:
            st.warning(show.as_sentence(error), icon=":material/info:")
    return runs | dict(_uploads())


def demo_runs(names: Sequence[str] = DEMOS) -> dict[str, OwnRun]:
    """The runs that made the demos, by name."""
    files = {name: demo_folder() / f"{name}.safetensors" for name in names}
    return {name: _stored(file, name, "built in", 0) for name, file in files.items()}


@kept()
def _stored(path: Path, name: str, origin: str, modified: int) -> OwnRun:  # noqa: ARG001  a key
    return read_run(path, name, origin)


def _uploads() -> Uploads[OwnRun]:
    return Uploads.of_session("own_runs")


def _keep(content: bytes, name: str) -> None:
    run = read_upload(content, name)
    _uploads().add(run.name, run)


def train_now() -> None:
    """Train a small network on this page."""
    st.markdown(
        "Train a small network on this page, with the settings of the arms A (without a decoder) "
        "and R-all (with one) of the study. With a decoder, the network also reconstructs all "
        "training pictures, with or without a label. Two runs with the same seed, one of them "
        "with a decoder, are one pair; one pair is no evidence."
    )
    status = runner().status
    running = status is not None and status.running
    with st.container(horizontal=True, vertical_alignment="bottom"):
        job = Job(
            data=_data(sources()),
            network=_network(),
            labels=_labels(),
            steps=_steps(),
            seed=_seed(),
            decoder=st.toggle("With a decoder", key="train-decoder", bind="query-params"),
        )
    if st.button("Train", icon=":material/play_arrow:", type="primary", disabled=running):
        if not runner().start(job):
            st.toast("Another session has just started a run. It is shown below.")
        st.rerun()
    if running:
        st.caption(
            "A run is in progress. This server trains one run at a time; every session sees it "
            "below, and may stop it."
        )
    else:
        st.caption(
            f"Takes seconds to a few minutes. The last {KEPT} runs are kept. For longer runs use "
            "`deconvviz train`."
        )
    # While a run is in progress, this part of the page updates every second.
    st.fragment(_one_run, run_every=1.0 if running else None)(running)


def _one_run(shown_running: bool) -> None:
    """Progress of the current run, or result of the last one."""
    status = runner().status
    if status is None:
        return
    if shown_running and not status.running:
        st.rerun()  # the whole page, with its button
    st.header(status.job.title, anchor=False)
    if status.running:
        steps = f"{status.doing}: {status.done} of {status.total} steps …"
        st.progress(status.done / status.total, steps if status.done else f"{status.doing} …")
        icon, stopping = ":material/stop:", status.stopping
        st.button("Stop the run", icon=icon, on_click=runner().stop, disabled=stopping)
    elif status.failed:
        st.error(status.message, icon=":material/info:")
    else:
        st.success(status.message, icon=":material/check:")
        label, name = "Compare with other runs", status.folder.name
        kept = status.folder.is_dir()
        if kept and st.button(label, on_click=_show_own_runs, args=(name,)):
            st.rerun()  # the whole page, which shows another section now
    metrics = read_metrics(status.folder)
    if metrics:
        with st.container(width=760, horizontal=True):
            for measure in ("accuracy", "loss"):
                alt = f"{measure.title()} after {len(metrics)} parts of the run"
                drawn = learning_curves({"this run": metrics}, show.ink(), measure)
                with st.container(width=370):
                    show.figure(drawn, alt)
        st.caption("Solid: test pictures. Dotted: training pictures, augmented.")


def _show_own_runs(name: str) -> None:
    st.session_state["section"] = OWN_RUNS
    st.session_state["run"] = name
