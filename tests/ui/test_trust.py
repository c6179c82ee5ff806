"""A reconstruction is examined once, for all who ask."""

import json

from streamlit.testing.v1 import AppTest

from deconvviz.ui.memory import RESULTS


def page():
    import streamlit as st

    from deconvviz.io.images import photograph
    from deconvviz.ui import networks
    from deconvviz.ui.reconstructions import Projector, reconstruct
    from deconvviz.ui.trust import drawn, known_trust_report, trust_report

    network = networks.network("demo")
    view = networks.input_view(network, photograph("cat"), "trained")
    found = reconstruct(Projector(network, view), network.layers[-3], count=2)
    one, other = (reconstruction.unit for reconstruction in found)
    before = known_trust_report(network, view, one, "deconvnet")
    found = trust_report(network, view, one, "deconvnet")
    parts = ("story", "figure", "others")
    st.json(
        {
            "before": before is not None,
            "same": known_trust_report(network, view, one, "deconvnet") is found,
            "other": known_trust_report(network, view, other, "deconvnet") is not None,
            "rule": known_trust_report(network, view, one, "guided") is not None,
            "summary": found.trust.summary(),
            "pictures": [drawn(found, part, "black")[:4] == b"\x89PNG" for part in parts],
            "kept": drawn(found, "story", "black") is drawn(found, "story", "black"),
            "inks": drawn(found, "story", "black") != drawn(found, "story", "white"),
        }
    )


def test_it_is_kept_for_this_unit_and_rule_alone():
    RESULTS.clear()  # other tests may have asked for the same
    app = AppTest.from_function(page, default_timeout=240).run()
    assert not app.exception
    shown = json.loads(app.json[0].value)
    assert shown.pop("summary").startswith("Whether this picture depends partly or strongly on")
    assert shown == {
        "before": False,
        "same": True,
        "other": False,
        "rule": False,
        "pictures": [True, True, True],
        "kept": True,
        "inks": True,
    }
    assert not app.get("progress")
