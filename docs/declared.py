"""Parts of the reference as Markdown, from the declarations in the code."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import deconvviz
from deconvviz import errors
from deconvviz.cli import app
from deconvviz.io.data import DATASETS


def commands() -> str:
    """Each command with its arguments and options, under a heading."""
    return "\n\n".join(_command(path, command) for path, command in all_commands())


def all_commands() -> Iterator[tuple[str, Any]]:
    """Path, such as "deconvviz atlas build", and the click command with all its options."""
    yield from _walk("deconvviz", typer.main.get_command(app))


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    context = command.make_context(path, [], resilient_parsing=True)
    command = context.command  # what stood for a command that is made when it is invoked
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    for name in command.list_commands(context):
        yield from _walk(f"{path} {name}", command.get_command(context, name))


def _command(path: str, command: Any) -> str:
    shown = [one for one in command.params if one.name != "help" and not getattr(one, "hidden", 0)]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    rows = [f"| {_names(one)} | {_default(one)} | {_cell(one.help or '')} |" for one in shown]
    words = [path, *(one.metavar or one.name.upper() for one in arguments)]
    usage = " ".join([*words, *(["[options]"] if len(shown) > len(arguments) else [])])
    text = inspect.cleandoc(command.help or "").replace("\f", "")
    head = [f"## {path.removeprefix('deconvviz ')}", "", text, "", "```text", usage, "```", ""]
    table = ["| option | default | meaning |", "|---|---|---|", *rows] if rows else []
    return "\n".join([*head, *table])


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    flags = [*parameter.opts, *parameter.secondary_opts]
    return ", ".join(f"`{flag}`" for flag in flags)


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    is_shown = isinstance(value, str | int | float) and not isinstance(value, bool)
    return f"`{value}`" if is_shown and value != "" else ""


def _cell(text: str) -> str:
    """Text for a table's cell; its default has a column or stands at its end."""
    return " ".join(text.split()).replace("|", "\\|")


def data_sets() -> str:
    """The data sets for `--data`."""
    rows = [f"| `{name}` | {_cell(entry.description)} |" for name, entry in DATASETS.items()]
    return "\n".join(["| `--data` | what |", "|---|---|", *rows])


def cards() -> str:
    """The cards of all networks in the package, one heading lower."""
    files = sorted(Path(deconvviz.__file__).with_name("demo").glob("*.md"))
    texts = (one.read_text("utf-8") for one in files)
    return "\n\n".join(re.sub("^#", "##", text, flags=re.MULTILINE) for text in texts)


def exceptions() -> str:
    """The exception tree, drawn, and what each exception means."""
    kinds = list(_below(errors.DeconvvizError))
    tree = "\n".join(f"{indent}{kind.__name__}" for indent, kind in kinds)
    entries = "\n".join(f".. autoexception:: deconvviz.errors.{kind.__name__}" for _, kind in kinds)
    return f"```text\n{tree}\n```\n\n```{{eval-rst}}\n{entries}\n```"


def _below(kind: type, before: str = "", indent: str = "") -> Iterator[tuple[str, type]]:
    """An exception and all below it, each with what is drawn before its name."""
    yield before, kind
    public = [one for one in kind.__subclasses__() if one.__module__ == errors.__name__]
    *upper, last = public or [None]
    for one in upper:
        yield from _below(one, f"{indent}├── ", f"{indent}│   ")
    if last is not None:
        yield from _below(last, f"{indent}└── ", f"{indent}    ")


def analyses_reference() -> str:
    """The function and the options of each analysis, and its result, from their docstrings."""
    from deconvviz.analysis.registry import analyses

    return "\n\n".join(_analysis(one) for one in analyses().values())


def _analysis(one: Any) -> str:
    result = inspect.signature(one.function, eval_str=True).return_annotation
    function, options = one.function, type(one.options)
    lines = [
        f".. autofunction:: {function.__module__}.{function.__name__}",
        f".. autoclass:: {options.__module__}.{options.__name__}",
        "   :members:",
        f".. autoclass:: {result.__module__}.{result.__name__}",
        "   :no-index-entry:",
    ]
    lines = [f"{line}\n" if not line.startswith("   ") else line for line in lines]
    return f"## {one.name}\n\n```{{eval-rst}}\n" + "\n".join(lines) + "\n```"
