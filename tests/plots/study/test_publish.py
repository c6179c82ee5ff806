"""What is published follows from the records alone."""

import json

import pytest

from deconvviz.errors import StudyError
from deconvviz.plots.study import figures, publish, save
from deconvviz.study.gradients.trace import trace_file
from tests.study.gradients.made import result
from tests.study.samples import helps, keep, record


@pytest.fixture
def results(tmp_path):
    for seed in range(3):
        keep(tmp_path, record("A", 1000, seed, 0.6 + seed / 100))
        keep(tmp_path, record("R-all", 1000, seed, 0.62 + seed / 100))
    return tmp_path


def test_it_is_computed_anew_from_the_files(results):
    first = publish("helps", results).read_text()
    assert "deconvviz study run helps" in first
    assert "| R-all − A | 1000 | 3 | +2.00 |" in first
    keep(results, record("R-all", 1000, 3, 0.7), record("A", 1000, 3, 0.6))
    assert publish("helps", results).read_text() != first


def test_every_figure_is_drawn(results, tmp_path):
    folder = tmp_path / "figures"
    publish("helps", results, folder)
    assert {path.stem for path in folder.iterdir()} == {
        f"helps-{name}" for name in figures(helps([]))
    }
    assert all(path.stat().st_size > 1000 for path in folder.iterdir())


def test_gradients_are_published_from_their_traces(tmp_path):
    for trace in result((0.1, 1e-9), (0.1, 1e-8)).traces:
        trace_file(tmp_path / "gradients.jsonl").append(trace)
    text = publish("gradients", tmp_path, tmp_path / "figures").read_text()
    assert "1 of 4 plain networks" in text
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"gradients-norms-1.png", "gradients-cosines-1.png"}


@pytest.mark.parametrize("name", ["helps", "gradients"])
def test_a_folder_without_records_is_refused(tmp_path, name):
    with pytest.raises(StudyError, match=f"no record of the study {name}"):
        publish(name, tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_result_is_saved_with_numbers_finding_and_figures(tmp_path):
    found = result((0.1, 1e-9), (0.1, 1e-8))
    numbers, *pictures = save(found, tmp_path)
    content = json.loads(numbers.read_text(), parse_constant=pytest.fail)
    assert {len(one["log10 of gradient norms"]) for one in content["conditions"]} == {7, 13}
    assert content["steps"] == [0, 10]
    assert "deep deconvolution network" in content["summary"]
    assert [path.name for path in pictures] == ["gradients.png", "gradients-cosines.png"]
    assert all(path.stat().st_size > 1000 for path in pictures)
