"""Command-line options made from a declaration: each is written once, where it is declared."""

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Literal, get_args, get_origin

import typer
from typer.core import TyperCommand

from deconvviz.schema import Option, options

Command = Callable[..., None]


def takes(defaults: Any, name: str, leave_out: Sequence[str] = ()) -> Callable[[Command], Command]:
    """Give a command an option for each one that a validated dataclass declares.

    The command's parameter `name` is then a dict of those that were given, for `schema.changed`.

    Args:
        defaults: An instance of the dataclass; its values are shown as defaults.
        name: Parameter of the command.
        leave_out: Options that the command does not take.
    """
    declared = [option for option in options(defaults) if option.name not in leave_out]

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
            command(**given, **{name: chosen})

        kept = [one.replace(kind=one.KEYWORD_ONLY) for key, one in own.items() if key != name]
        signature = inspect.Signature([*kept, *map(_parameter, declared)])
        run.__signature__ = signature  # type: ignore[attr-defined]  # typer reads it
        run.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()}
        return run

    return wrap


def declared_command(
    app: typer.Typer, defaults: Callable[[], Any], name: str
) -> Callable[[Command], Command]:
    """Register a command whose declaration is imported only when the command is invoked.

    `deconvviz --help` lists all commands, and would wait for torch if declarations were imported.

    Args:
        app: The application that gets the command.
        defaults: Returns the defaults of `takes`.
        name: Parameter of the command.
    """

    def register(command: Command) -> Command:
        class Deferred(TyperCommand):
            def make_context(
                self, info_name: Any, args: Any, parent: Any = None, **extra: Any
            ) -> Any:
                made = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
                made.command()(takes(defaults(), name)(command))
                return typer.main.get_command(made).make_context(info_name, args, parent, **extra)

        @app.command(command.__name__.replace("_", "-"), help=inspect.getdoc(command), cls=Deferred)
        def listed() -> None: ...  # for the list of commands alone

        return command

    return register


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
        metavar = {int: "INTEGER", float: "NUMBER"}.get(kinds[0], "TEXT")
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
