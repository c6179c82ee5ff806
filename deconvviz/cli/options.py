"""Command-line options made from a declaration: each is written once, where it is declared."""

import inspect
from collections.abc import Callable, Collection
from functools import wraps
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from typer.core import TyperCommand

from deconvviz.schema import Option, changed, options

Command = Callable[..., None]


def takes(
    defaults: Any, name: str, only: Collection[str] | None = None
) -> Callable[[Command], Command]:
    """Give a command an option for each one that a validated dataclass declares.

    The command's parameter `name` is then the dataclass with the given values.

    Args:
        defaults: An instance of the dataclass; its values are shown as defaults.
        name: Parameter of the command.
        only: Options that the command takes; by default all.
    """
    return _taking(defaults, name, only, lambda given: changed(defaults, given))


def _taking(
    defaults: Any,
    name: str,
    only: Collection[str] | None,
    made: Callable[[dict[str, Any]], Any],
) -> Callable[[Command], Command]:
    declared = [option for option in options(defaults) if only is None or option.name in only]

    def wrap(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True).parameters

        @wraps(command)
        def run(**given: Any) -> None:
            values = {option.name: given.pop(_key(option)) for option in declared}
            # an option of several values, given more than once or with commas, is one text
            chosen = {
                key: ",".join(value) if isinstance(value, list) else value
                for key, value in values.items()
                if value is not None
            }
            command(**given, **{name: made(chosen)})

        kept = [one.replace(kind=one.KEYWORD_ONLY) for key, one in own.items() if key != name]
        signature = inspect.Signature([*kept, *map(_parameter, declared)])
        run.__signature__ = signature  # type: ignore[attr-defined]  # typer reads it
        run.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()}
        return run

    return wrap


def declared_command(
    app: typer.Typer, defaults: Callable[[], Any], name: str, only: Collection[str] | None = None
) -> Callable[[Command], Command]:
    """Register a command whose declaration is imported only when the command is invoked.

    `deconvviz --help` lists all commands, and would wait for torch if declarations were imported.

    Args:
        app: The application that gets the command.
        defaults: Returns the defaults of `takes`.
        name: Parameter of the command: a dict of the options that were given, for `changed`.
        only: Options that the command takes; by default all.
    """

    def register(command: Command) -> Command:
        def made() -> Any:
            taking = _taking(defaults(), name, only, dict)
            return made_command(command.__name__, taking(command))

        deferred(app, command.__name__.replace("_", "-"), inspect.getdoc(command) or "", made)
        return command

    return register


def made_command(name: str, command: Command) -> Any:
    """A function as a command of its own."""
    holder = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    holder.command(name)(command)
    return typer.main.get_command(holder)


def deferred(app: typer.Typer, name: str, text: str, made: Callable[[], Any]) -> None:
    """Register a command that is made when it is invoked; its name and text are listed before."""

    class Deferred(TyperCommand):
        def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
            return made().make_context(info_name, args, parent, **extra)

    @app.command(name, help=text, cls=Deferred)
    def listed() -> None: ...  # for the list of commands alone


def option_table(defaults: Any) -> str:
    """A Markdown table of all options of a validated dataclass, given as an instance."""
    rows = [
        f"| `{_flag(option)}` | {_default(option) or '-'} | {_help(option)} |"
        for option in options(defaults)
    ]
    return "\n".join(["| option | default | meaning |", "|---|---|---|", *rows])


def _parameter(option: Option) -> inspect.Parameter:
    flag = _flag(option)
    shown = f" Default: {_default(option)}." if _default(option) else ""
    if option.kind is bool:
        kind: Any = bool
        made = typer.Option(None, f"{flag}/--no-{flag[2:]}", help=_help(option) + shown)
    else:
        # Text, whatever its type: the declaration reads it, with the same messages everywhere.
        kind = list[str] if isinstance(option.default, tuple) else str
        kinds = get_args(option.kind) or (option.kind,)  # of `int | None`, the first
        metavar = {int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(kinds[0], "TEXT")
        made = typer.Option(None, flag, metavar=metavar, help=_help(option) + shown)
    only = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(_key(option), only, default=made, annotation=kind | None)


def _key(option: Option) -> str:
    return option.name.replace(".", "__")


def _flag(option: Option) -> str:
    return f"--{option.name.replace('_', '-')}"


def _default(option: Option) -> str:
    if isinstance(option.default, tuple):
        return ",".join(map(str, option.default))
    return "" if option.default is False or option.default is None else str(option.default)


def _help(option: Option) -> str:
    choices = get_args(option.kind) if get_origin(option.kind) is Literal else ()
    return option.help + (f" One of: {', '.join(map(str, choices))}." if choices else "")
