"""The app: `deconvviz app`, or `streamlit run deconvviz/app.py` from any folder."""

import sys
from pathlib import Path

# Streamlit puts the script's folder first on the path, where our `models.py` would shadow a
# person's own.
_HERE = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != _HERE]

import streamlit as st  # noqa: E402

from deconvviz.ui import show  # noqa: E402
from deconvviz.ui.navigation import moved, pages  # noqa: E402
from deconvviz.ui.networks import pick_network  # noqa: E402
from deconvviz.ui.own_networks import use_another  # noqa: E402
from deconvviz.ui.pickers import translate_old_link  # noqa: E402
from deconvviz.ui.uploads import limit_uploads  # noqa: E402

# A picture of our own: Streamlit would fetch a named icon from a server.
st.set_page_config("deconvviz", _HERE / "ui" / "icon.svg", layout="wide")
st.html(f"<style>{(_HERE / 'ui' / 'app.css').read_text(encoding='utf-8')}</style>")
limit_uploads()
page = st.navigation([*pages().values(), *moved()])
translate_old_link()
with st.sidebar:
    pick_network()
    use_another()
with show.errors():
    page.run()
