"""The public names."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import deconvviz as dv


def test_every_public_name_is_there():
    for name in dv.__all__:
        assert getattr(dv, name) is not None
    assert set(dv.__all__) <= set(dir(dv))


def test_lazy_names_are_those_that_type_checkers_see():
    tree = ast.parse(Path(dv.__file__).read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    declared = {alias.name: node.module for node in block.body for alias in node.names}
    assert set(declared) == set(dv.__all__) - {"__version__"}
    for name, module in declared.items():
        assert getattr(import_module(module), name) is getattr(dv, name)


def test_other_names_are_refused_as_any_module_does():
    with pytest.raises(AttributeError, match="no attribute `Deconvnt`"):
        _ = dv.Deconvnt


def test_importing_the_package_alone_is_quick():
    code = "import sys, deconvviz; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
