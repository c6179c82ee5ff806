"""Hides the modules beside `app.py` from other people's imports; importing this does it, once.

Streamlit puts the script's folder first on `sys.path`, where our `models.py` would shadow a
person's own. The entry must stay: Streamlit adds a missing one for each run of the script and takes
it away again, and an import of another session that reads the path meanwhile skips a folder.
"""

import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType

_PACKAGE = Path(__file__).resolve().parents[1]


class _Ours(FileFinder):
    """Finds modules of the package by their full names alone."""

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """As any finder of files, but `models` is not there, only `deconvviz.models`."""
        ours = fullname.startswith(f"{_PACKAGE.name}.")
        return super().find_spec(fullname, target) if ours else None


def _finder(entry: str) -> _Ours:
    """A path hook, for that folder alone."""
    if Path(entry).resolve() != _PACKAGE:
        raise ImportError
    return _Ours(entry, (SourceFileLoader, SOURCE_SUFFIXES))


sys.path_hooks.insert(0, _finder)
for _entry in [entry for entry in sys.path_importer_cache if Path(entry).resolve() == _PACKAGE]:
    del sys.path_importer_cache[_entry]
