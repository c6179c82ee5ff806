"""Readers of what trainings and studies keep, given files that are wrong by meaning."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deconvviz.schema import to_dict
from deconvviz.study import read_records
from deconvviz.study.gradients import read_gradients
from deconvviz.study.plan import read_plan
from deconvviz.training import Recipe, read_metrics
from deconvviz.training.run_folder import RunConfig, read_config
from tests.mutations import plain, texts, toml, trees
from tests.readers.reading import examples, one_sentence_or_valid, stored
from tests.study.samples import record

pytestmark = pytest.mark.timeout(3000)

ROOT = Path(__file__).parents[2]


CONFIG = plain(to_dict(RunConfig(Recipe(precision="float32"), "0" * 64)))


@examples(30)
@given(texts(CONFIG))
def test_configurations_of_runs(text):
    with stored(text, "config.json") as path, one_sentence_or_valid():
        read_config(path)


METRICS = {"epoch": 1, "train_loss": 2.0, "test_loss": 2.0, "test_accuracy": 0.5, "seconds": 1.0}


@examples(25)
@given(st.lists(texts(METRICS), min_size=1, max_size=3))
def test_metrics_of_runs(lines):
    with stored("\n".join(lines) + "\n", "metrics.jsonl") as path, one_sentence_or_valid():
        read_metrics(path.parent)


RECORD = plain(asdict(record()))


@examples(30)
@given(st.lists(texts(RECORD), min_size=1, max_size=2))
def test_records_of_studies(lines):
    with stored("\n".join(lines), "helps.jsonl") as path, one_sentence_or_valid():
        read_records(path)


TRACE = json.loads((ROOT / "results" / "gradients.jsonl").read_text().splitlines()[0])


@examples(20)
@given(texts(TRACE))
def test_traces_of_gradients(text):
    with stored(f"{text}\n", "gradients.jsonl") as path, one_sentence_or_valid():
        read_gradients(path)


PLAN = {
    "name": "mine",
    "question": "What?",
    "recipe": {"model": "vgg:4,8", "epochs": 2, "precision": "float32", "decoder": {"kernel": 3}},
    "arms": [{"name": "A", "title": "one", "changes": {"lr": 0.1}}, {"name": "B", "title": "two"}],
    "budgets": {"100": {"epochs": 3}},
    "seeds": [0, 1],
    "contrasts": [],
}


@examples(40)
@given(trees(PLAN), st.integers(0, 400), st.booleans())
def test_plans(tree, at, cut):
    text = "\n".join(f"{json.dumps(str(name))} = {toml(value)}" for name, value in tree.items())
    with stored(text[:at] if cut else text, "plan.toml") as path, one_sentence_or_valid():
        list(read_plan(path).specs())
