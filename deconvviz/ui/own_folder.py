"""Hides the folder of `app.py` from imports; importing this module does it, once.

Streamlit puts the script's folder first on `sys.path`, where our `models.py` would shadow a
person's own. The entry must stay: Streamlit adds a missing one for each run of the script and takes
it away again, and an import of another session that reads the path meanwhile skips a folder.
"""

import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[1]


class _NoModules:
    """Finds nothing."""

    @staticmethod
    def find_spec(name: str, target: object = None) -> None:
        """No module of any name."""


def _finder(entry: str) -> type[_NoModules]:
    """A path hook: it answers for that folder alone."""
    if Path(entry).resolve() != _FOLDER:
        raise ImportError
    return _NoModules


sys.path_hooks.insert(0, _finder)
for _entry in [entry for entry in sys.path_importer_cache if Path(entry).resolve() == _FOLDER]:
    del sys.path_importer_cache[_entry]
