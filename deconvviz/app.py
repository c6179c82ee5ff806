"""The app: `deconvviz app`, or `streamlit run deconvviz/app.py` from any folder."""

from pathlib import Path

import deconvviz.ui.own_folder  # noqa: F401  before all other imports

# isort: split
from deconvviz.ui.garbage import importing, set_modules_aside

with importing():
    import streamlit as st

    from deconvviz.ui import show
    from deconvviz.ui.navigation import close_menu_on_telephones, moved, pages
    from deconvviz.ui.networks import pick_network
    from deconvviz.ui.own_networks import use_another
    from deconvviz.ui.pickers import carry_choices, translate_old_link
    from deconvviz.ui.uploads import limit_uploads
set_modules_aside()

_HERE = Path(__file__).resolve().parent

# A picture of our own: Streamlit would fetch a named icon from a server.
st.set_page_config("deconvviz", _HERE / "ui" / "icon.svg", layout="wide")
st.html(f"<style>{(_HERE / 'ui' / 'app.css').read_text(encoding='utf-8')}</style>")
limit_uploads()
page = st.navigation([*pages().values(), *moved()])
carry_choices(page.url_path)
translate_old_link()
with st.sidebar:
    pick_network()
    use_another()
    close_menu_on_telephones()
with show.errors():
    page.run()
