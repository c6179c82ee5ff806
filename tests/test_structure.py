"""The rules of the house, held by tests: who may import whom, and what a file may be called."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "deconvviz"
MODULES = sorted(PACKAGE.rglob("*.py"))

# All that the engine borrows from outside, for a projection that is asked for its picture.
LENT = {"deconvviz.plots.projections": {"captioned", "thumbnails"}}
BORROWER = PACKAGE / "deconv" / "projection.py"
DEF = ast.FunctionDef | ast.AsyncFunctionDef


def imports(path):
    """The names of all modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def borrowed(path):
    """The module of each import of nothing but what is `LENT` in the body of a function."""
    functions = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, DEF)]
    for node in (node for function in functions for node in function.body):
        if isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            if names <= LENT.get(node.module, set()):
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
    """But for `LENT`, imported by the `BORROWER` inside functions alone."""
    ours = [name for name in imports(path) if top(name) == "deconvviz"]
    others = [n for n in ours if not n.startswith(("deconvviz.deconv", "deconvviz.errors"))]
    assert sorted(others) == (sorted(borrowed(path)) if path == BORROWER else [])


def test_the_engine_is_imported_without_what_draws():
    code = "import sys, deconvviz.deconv; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "PIL", "streamlit"} & set(map(top, run.stdout.split()))


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_untyped_libraries_are_reached_through_one_module(path):
    doors = {"_torchvision.py": {"torchvision"}, "_captum.py": {"captum"}}
    foreign = {"torchvision", "captum"} - doors.get(path.name, set())
    assert not foreign & set(map(top, imports(path)))


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
