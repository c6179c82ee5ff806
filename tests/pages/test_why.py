"""Why an answer, on the workbench: two classes, and units switched off."""

import re

import pytest
import torch

from deconvviz.io.images import photograph
from deconvviz.ui.networks import input_view, network
from tests.pages.conftest import all_words, channels, fine, grid

LAYER = "stage3.relu2"


def probabilities(off):
    """Class -> probability for the cat, by a hook that sets units of the model to zero."""
    demo = network("demo")
    handles = [
        demo.bundle.model.get_submodule(layer).register_forward_hook(
            lambda *args, units=units: args[-1].index_fill(1, torch.tensor(units), 0)
        )
        for layer, units in off.items()
    ]
    with torch.no_grad():
        pixels = input_view(demo, photograph("cat"), "trained").pixels
        found = demo.bundle.model(pixels)[0].softmax(0)
    for handle in handles:
        handle.remove()
    return dict(zip(demo.bundle.classes, found.tolist(), strict=True))


def shown(app):
    return {one["name"]: one["share"] for one in grid(app)["answer"]["classes"]}


def test_units_of_a_link_are_off_in_the_answer(open_page):
    app = fine(open_page("workbench", off=f"{LAYER}:3.17;stage2.relu1:5"))
    wanted = probabilities({LAYER: [3, 17], "stage2.relu1": [5]})
    found = shown(app)
    assert found == pytest.approx({name: wanted[name] for name in found}, abs=1e-5)
    assert max(wanted, key=wanted.get) in found
    whole = probabilities({})
    assert max(whole, key=whole.get) in found
    answer = grid(app)["answer"]
    assert answer["lead"].startswith("Without 3 units")
    assert answer["back"]
    before = {one["name"]: one["before"] for one in answer["classes"]}
    said = {name: float(text.strip("<>%")) / 100 for name, text in before.items()}
    assert said == pytest.approx({name: whole[name] for name in before}, abs=0.0051)
    for one in answer["classes"]:
        assert one["before"] != one["probability"]
        exact = f"Probability: {wanted[one['name']]:.3g}"[:-1]
        assert exact in one["title"]
        assert f"; with all units: {whole[one['name']]:.3g}"[:-1] in one["title"]
    assert grid(app)["off"] == []  # of the layer that is shown


@pytest.mark.parametrize(
    "off",
    [
        "nowhere:3",
        f"{LAYER}:9999",
        f"{LAYER}:{'9' * 5000}",
        f"{LAYER}:x.-1.²",
        ":",
        "3.4",
        f"{LAYER}:",
        "a;b;c",
    ],
)
def test_a_link_that_names_no_unit_switches_none_off(open_page, off):
    app = fine(open_page("workbench", off=off))
    assert shown(app) == shown(open_page("workbench"))
    assert grid(app)["answer"]["lead"] == "The network says:"


def test_one_class_rather_than_another(open_page):
    first, second = list(shown(fine(open_page("workbench"))))[:2]
    query = {"class": second, "against": first, "layer": LAYER}
    app = fine(open_page("workbench", **query))
    demo = network("demo")
    pixels = input_view(demo, photograph("cat"), "trained").pixels
    maps, model = [], demo.bundle.model
    handle = model.get_submodule(LAYER).register_forward_hook(lambda *args: maps.append(args[-1]))
    scores = model(pixels)[0]
    handle.remove()
    a, b = (demo.bundle.classes.index(name) for name in (second, first))
    (gradient,) = torch.autograd.grad(scores[a] - scores[b], maps[0])
    count = len(channels(app))
    truth = (maps[0] * gradient).sum((0, 2, 3)).topk(count)
    assert channels(app) == truth.indices.tolist()
    heading = grid(app)["heading"]
    assert heading["against"]["chosen"] == first
    assert {one["name"] for one in heading["against"]["options"]} == {
        "",
        *(name for name in demo.bundle.classes if name != second),
    }
    assert "Rank correlation" in heading["note"]
    # the chosen unit's effect is what the lead loses without it
    unit = grid(app)["chosen"]
    whole, cut = scores.detach(), torch.tensor(list(probabilities({LAYER: [unit]}).values())).log()
    lost = float((whole[a] - whole[b]) - (cut[a] - cut[b]))
    (said,) = re.findall(r"switched off alone, .* changes by ([−+.\d]+)\.", all_words(app))
    assert float(said.replace("−", "-")) == pytest.approx(-lost, rel=0.01)


def test_a_network_without_names_of_classes_has_nothing_to_switch(open_page, monkeypatch):
    name = "torchvision/squeezenet1_1"
    monkeypatch.setattr("sys.argv", ["app.py", name, "--weights=none"])
    app = fine(open_page("workbench", model=name, layer="features.6", off="features.6:1"))
    assert grid(app)["off"] is None


def test_another_network_starts_with_all_units_on(open_page):
    app = fine(open_page("workbench", off=f"{LAYER}:3", **{"class": "dog"}))
    assert grid(app)["answer"]["back"]
    app.selectbox(key="model").set_value("demo-deconv").run()
    assert not grid(fine(app))["answer"]["back"]
    assert "highest activation" in grid(app)["heading"]["text"]
