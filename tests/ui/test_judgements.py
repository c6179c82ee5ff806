"""A reconstruction is examined once, for all who ask."""

import json

from streamlit.testing.v1 import AppTest

from deconvviz.ui import judgements


def page():
    import streamlit as st

    from deconvviz.deconv import Deconvnet
    from deconvviz.io.images import photograph
    from deconvviz.io.zoo import load
    from deconvviz.ui import explore
    from deconvviz.ui.judgements import judge, judged

    bundle = load("demo")
    network = explore.Network(bundle, Deconvnet(bundle.model))
    sight = explore.look(bundle, photograph("cat"), "trained")
    layer = network.layers[-3]
    recording = network.net.record(sight.pixels, [layer])
    selection = explore.strongest_units(recording, layer, 2)
    one, other = explore.reconstruct(
        network.net, recording, sight, selection, "deconvnet", "activation"
    )
    before = judged(network, sight, one, "deconvnet")
    found = judge(network, sight, one, "deconvnet")
    st.json(
        {
            "before": before is not None,
            "same": judged(network, sight, one, "deconvnet") is found,
            "other": judged(network, sight, other, "deconvnet") is not None,
            "rule": judged(network, sight, one, "guided") is not None,
            "sentence": found.sentence,
            "pictures": [p[:4] == b"\x89PNG" for p in (found.panel, found.others_panel)],
        }
    )


def test_it_is_kept_for_this_unit_and_rule_alone():
    judgements._judgements.clear()  # other tests may have asked for the same
    app = AppTest.from_function(page, default_timeout=240).run()
    assert not app.exception
    told = json.loads(app.json[0].value)
    assert told.pop("sentence").startswith(("This picture is", "Likeness tells"))
    assert told == {
        "before": False,
        "same": True,
        "other": False,
        "rule": False,
        "pictures": [True, True],
    }
    assert not app.get("progress")
