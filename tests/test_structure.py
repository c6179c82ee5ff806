"""The rules of the house, held by tests: who may import whom, and what a file may be called."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "deconvviz"
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path):
    """The names of all modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def top(name):
    return name.split(".")[0]


def relative(path):
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_only_the_app_imports_streamlit(path):
    allowed = path.parent.name == "ui" or path == PACKAGE / "app.py"
    assert allowed or "streamlit" not in map(top, imports(path))


@pytest.mark.parametrize("path", sorted((PACKAGE / "deconv").rglob("*.py")), ids=relative)
def test_the_engine_knows_itself_and_the_errors_alone(path):
    ours = {name for name in imports(path) if top(name) == "deconvviz"}
    assert all(n.startswith("deconvviz.deconv") or n == "deconvviz.errors" for n in ours)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_untyped_libraries_are_reached_through_one_module(path):
    if path.name != "_torchvision.py":
        assert not {"torchvision", "captum"} & set(map(top, imports(path)))


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_no_module_hides_one_of_the_standard_library(path):
    """`streamlit run deconvviz/app.py` puts the package's folder first on the path."""
    assert path.stem not in sys.stdlib_module_names


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_every_module_says_what_it_is_for_and_what_it_gives(path):
    tree = ast.parse(path.read_text("utf-8"))
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("path", [p for p in MODULES if not p.name.startswith("__")], ids=relative)
def test_every_module_has_its_test(path):
    """Its own, or, for the rows of a table and the like, that of its package."""
    name = path.relative_to(PACKAGE)
    own = ROOT / "tests" / name.parent / f"test_{name.stem}.py"
    package = ROOT / "tests" / name.parent.parent / f"test_{name.parent.name}.py"
    assert own.is_file() or package.is_file(), f"{own.relative_to(ROOT)} is missing"
