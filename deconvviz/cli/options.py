"""Command-line options made from a declaration: each is written once, where it is declared."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, get_args, get_origin

import typer

from deconvviz.schema import Option, options

__all__ = ["takes"]


def takes(
    defaults: Any, name: str, leave: tuple[str, ...] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each one that a validated dataclass declares.

    The command's parameter `name` then holds those that were given, by name, for `schema.changed`.

    Args:
        defaults: An instance of the dataclass; its values are shown as defaults.
        name: Parameter of the command, a dict.
        leave: Options to leave out.
    """
    declared = [option for option in options(defaults) if option.name not in leave]
    by_key = {option.name.replace(".", "__"): option for option in declared}

    def wrap(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters

        @wraps(command)
        def run(**given: Any) -> None:
            chosen = {
                option.name: ",".join(value) if isinstance(value, list) else value
                for key, option in by_key.items()
                if (value := given.pop(key)) not in (None, [])
            }
            command(**given, **{name: chosen})

        kept = [one.replace(kind=one.KEYWORD_ONLY) for key, one in own.items() if key != name]
        made = [_parameter(key, option) for key, option in by_key.items()]
        signature = inspect.Signature([*kept, *made])
        run.__signature__ = signature  # type: ignore[attr-defined]  # typer reads it
        run.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()}
        return run

    return wrap


def _parameter(key: str, option: Option) -> inspect.Parameter:
    flag = f"--{option.name.replace('_', '-')}"
    choices = get_args(option.kind) if get_origin(option.kind) is Literal else ()
    help_text = option.help + (f" One of: {', '.join(map(str, choices))}." if choices else "")
    kind: Any = str
    if option.kind in (int, float, bool):
        kind = option.kind
    if get_origin(option.kind) is tuple:
        kind = list[str]
        help_text += " Commas between several, or repeat the option."
    if kind is bool:
        flag = f"{flag}/--no-{option.name.replace('_', '-')}"
    value = option.default
    shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
    if shown not in ("", False, None):
        help_text += f" Default: {shown}."
    default = typer.Option(None, flag, help=help_text, show_default=False)
    return inspect.Parameter(
        key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind | None
    )
