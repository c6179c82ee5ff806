"""The public names."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import deconvviz as dv


def test_every_public_name_is_there():
    for name in dv.__all__:
        assert getattr(dv, name) is not None
    assert set(dv.__all__) <= set(dir(dv))


def test_what_is_imported_lazily_is_what_type_checkers_are_told():
    tree = ast.parse(Path(dv.__file__).read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    told = {alias.name: node.module for node in block.body for alias in node.names}
    assert set(told) == set(dv.__all__) - {"__version__"}
    for name, module in told.items():
        home = sys.modules[module]
        assert getattr(home, name) is getattr(dv, name)


def test_other_names_are_refused_as_any_module_does():
    with pytest.raises(AttributeError, match="no attribute `Deconvnt`"):
        _ = dv.Deconvnt


def test_importing_the_package_alone_is_quick():
    code = "import sys, deconvviz; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
