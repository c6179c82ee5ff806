"""A reconstruction is examined once, for all who ask."""

import json

from streamlit.testing.v1 import AppTest

from deconvviz.ui import judgements


def page():
    import streamlit as st

    from deconvviz.io.images import photograph
    from deconvviz.ui import networks
    from deconvviz.ui.judgements import judge, judged
    from deconvviz.ui.reconstructions import Projector, reconstruct

    network = networks.network("demo")
    view = networks.input_view(network, photograph("cat"), "trained")
    found = reconstruct(Projector(network, view), network.layers[-3], count=2)
    one, other = (reconstruction.unit for reconstruction in found)
    before = judged(network, view, one, "deconvnet")
    found = judge(network, view, one, "deconvnet")
    st.json(
        {
            "before": before is not None,
            "same": judged(network, view, one, "deconvnet") is found,
            "other": judged(network, view, other, "deconvnet") is not None,
            "rule": judged(network, view, one, "guided") is not None,
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
