"""Every block of code in README, CONTRIBUTING and docs does what its page says."""

import re
import runpy
import sys

import pytest

from .documentation import (
    PAGES,
    ROOT,
    blocks,
    check_python,
    check_shell,
    furnish,
    lines,
    run_python,
    run_shell,
)

CODE = {str(page.relative_to(ROOT)): list(blocks(page)) for page in PAGES}
SHOWN = {"", "text", "nginx", "toml", "yaml", "json", "ini", "dockerfile"}
"""Languages of blocks that are no programs; directives of the site have none of these."""


def test_every_page_is_found_and_every_block_has_a_language_that_is_known():
    assert len(CODE) > 20
    languages = {block.language for found in CODE.values() for block in found}
    assert {"python", "sh"} <= languages
    assert languages - {"python", "sh"} <= SHOWN
    unfenced = [page for page in PAGES if "\n    deconvviz " in page.read_text("utf-8")]
    assert unfenced == []


@pytest.mark.parametrize("page", [page for page, found in CODE.items() if found])
@pytest.mark.usefixtures("_as_it_was")
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DECONVVIZ_DATA", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    furnish(tmp_path)
    namespace = {"__name__": "page"}
    for block in CODE[page]:
        if block.language == "python" and block.reason:
            check_python(block)
        elif block.language == "python":
            run_python(block, tmp_path, namespace)
        elif block.language == "sh":
            for words in lines(block):
                (check_shell if block.reason else run_shell)(words)


@pytest.fixture
def _as_it_was():
    """Modules that a page makes are not those of other tests of the same name."""
    made = ("my_nets", "many")
    others = {name: sys.modules.pop(name) for name in made if name in sys.modules}
    yield
    for name in made:
        sys.modules.pop(name, None)
    sys.modules.update(others)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("deconvviz atlas built --out x", "no command"),
        ("deconvviz trust demo cat.png --layr x --out y", "--layr"),
        ("torchrun -m deconvviz train --epoch 3", "--epoch"),
        ("pip install 'deconvviz[tim]'", "tim"),
        ("python benchmarks/nothing.py", "nothing"),
        ("rm -rf /", "say in"),
    ],
)
def test_a_line_that_is_wrong_is_found(line, fault, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"```sh\n{line}\n```\n")
    (words,) = lines(next(blocks(page)))
    with pytest.raises(Exception, match=re.escape(fault)):
        check_shell(words)


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("<a href='b.html'>", "no file for b.html"),
        ("<a href='#there'>", "no place for #there"),
        ("<a href='c/d.html#here'>", "no place for c/d.html#here"),
        ("<script src='https://example.org/x.js'></script>", "fetches https://example.org/x.js"),
        ("<link rel='stylesheet' href='//example.org/x.css'>", "fetches //example.org/x.css"),
        ("<a href='c/d.html'><a href='https://example.org'><p id='x'><a href='#x'>", None),
    ],
)
def test_links_of_the_site_that_lead_nowhere_are_found(more, fault, tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "a.html").write_text(more)
    (tmp_path / "c" / "d.html").write_text("<a href='../a.html'>")
    (tmp_path / "e.css").write_text("body { background: url(e.png) }")
    faults = runpy.run_path(str(ROOT / "docs" / "check_site.py"))["faults"]
    found = list(faults(tmp_path))
    assert len(found) == (fault is not None)
    assert fault is None or found[0].endswith(fault)
    (tmp_path / "e.css").write_text("@import 'https://example.org/font.css';")
    assert len(list(faults(tmp_path))) == len(found) + 1
