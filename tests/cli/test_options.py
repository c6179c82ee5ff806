"""Options on the command line: from a declaration, read by it."""

import re
import runpy
from pathlib import Path
from typing import Literal

import pytest
import typer
from typer.testing import CliRunner

from deconvviz.cli.options import declared_command, option_table, takes
from deconvviz.schema import changed, options, validated
from deconvviz.training import Recipe

ROOT = Path(__file__).parents[2]


@validated
class Config:
    """A config."""

    lr: float = 0.5
    """Peak learning rate."""
    kind: Literal["a", "b"] = "a"
    """Kind of it."""
    fp16: bool = False
    """Store float16."""
    channels: Literal[1, 3] = 1
    """Channels."""
    steps: tuple[int, ...] = (1, 2)
    """Some steps."""
    note: str | None = None
    """A note."""


def application(lazy):
    app, seen = typer.Typer(), []

    @app.callback()
    def main() -> None: ...

    def work(out: Path, count: int = 1, *, changes: object) -> None:
        """Work on it."""
        seen.append((out, count, changed(Config(), changes) if lazy else changes))

    if lazy:
        declared_command(app, Config, "changes")(work)
    else:
        only = ("lr", "kind", "fp16", "channels", "steps")
        app.command()(takes(Config(), "changes", only=only)(work))
    return app, seen


@pytest.mark.parametrize("lazy", [False, True])
def test_a_command_takes_what_is_declared_beside_its_own(lazy):
    app, seen = application(lazy)
    words = ["work", "x", "--count", "3", "--lr", "2", "--fp16", "--steps", "4,5", "--kind", "b"]
    words += ["--channels", "3"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert seen == [(Path("x"), 3, Config(lr=2.0, kind="b", fp16=True, channels=3, steps=(4, 5)))]
    assert CliRunner().invoke(app, ["work", "x", "--no-fp16"]).exit_code == 0
    assert seen[1] == (Path("x"), 1, Config())
    text = " ".join(CliRunner().invoke(app, ["work", "--help"], terminal_width=200).output.split())
    for part in ("Work on it.", "--count", "Peak learning rate. Default: 0.5.", "One of: a, b."):
        assert part in text
    assert ("--note" in text) == lazy
    assert "Work on it." in CliRunner().invoke(app, ["--help"]).output
    assert CliRunner().invoke(app, ["work", "x", "--colour", "1"]).exit_code == 2


def test_a_declaration_is_not_imported_for_the_list_of_commands():
    app = typer.Typer()

    def defaults():
        raise AssertionError

    app.callback()(lambda: None)

    @declared_command(app, defaults, "changes")
    def work(*, changes: dict[str, object]) -> None:
        """Work on it."""

    assert "Work on it." in CliRunner().invoke(app, ["--help"]).output


def test_the_table_has_every_option(capsys):
    rows = option_table(Recipe()).splitlines()[2:]
    assert len(rows) == len(list(options(Recipe())))
    assert any(row.startswith("| `--decoder.kernel` | 4 | Side of") for row in rows)
    runpy.run_path(str(ROOT / "docs" / "options.py"), run_name="__main__")
    assert capsys.readouterr().out == option_table(Recipe()) + "\n"


@pytest.mark.parametrize("page", ["docs/training.md", "benchmarks/train_demos.py"])
def test_every_flag_of_training_that_is_written_there_exists(page):
    text = (ROOT / page).read_text()
    if page.endswith(".md"):
        lines = text.replace("\\\n", " ").splitlines()
        text = "\n".join(line for line in lines if line.startswith("deconvviz train "))
    written = {flag.removeprefix("--") for flag in re.findall(r"(?<![\w-])--[a-z][\w.-]*", text)}
    own = {"out", "data", "labels", "hold-out", "config"} | {
        "install",
        "mixtures",
        "robust",
        "save",
    }
    declared = {option.name.replace("_", "-") for option in options(Recipe())}
    assert len(written & declared) > 5
    assert written - own - declared == set()
