"""Typed declarations that check their values: options, and everything that is read from a file.

A class is declared once, as a frozen dataclass whose fields have types, limits and a docstring
each. The command line, its help, the documentation and what is stored follow from that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import lru_cache
from typing import Annotated, Any, TypeVar, dataclass_transform, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import from_json, to_json

from deconvviz.errors import DeconvvizError, SettingError

Made = TypeVar("Made")

Count = Annotated[int, Field(ge=0, lt=2**31)]
Positive = Annotated[int, Field(ge=1, lt=2**31)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
UnitInterval = Annotated[float, Field(ge=0, le=1)]

_CONFIG = ConfigDict(
    allow_inf_nan=False, extra="forbid", arbitrary_types_allowed=True, use_attribute_docstrings=True
)
_SIGNS = {
    "greater than or equal to": ">=",
    "less than or equal to": "<=",
    "greater than": ">",
    "less than": "<",
}


@dataclass_transform(frozen_default=True, kw_only_default=False, field_specifiers=(field,))
def validated(cls: type[Made]) -> type[Made]:
    """Make a class a frozen dataclass that checks its values.

    Each field's docstring, below it, is its description. `dataclasses.replace` and `asdict` work.
    A wrong value raises `SettingError`, for example "epochs must be >= 1, got 0".
    """
    made: Any = pydantic_dataclass(frozen=True, config=_CONFIG)(cls)
    check = made.__init__

    def checked(self: Any, *values: Any, **named: Any) -> None:
        # by name, so that a message names the field
        named |= zip((one.name for one in fields(made)), values, strict=False)
        try:
            check(self, **named)
        except ValidationError as error:
            raise SettingError(_sentence(error)) from None

    made.__init__ = checked
    return made  # type: ignore[no-any-return]  # pydantic's decorator is typed for one class


@dataclass(frozen=True)
class Option:
    """One option of a declaration.

    Attributes:
        name: Name, with a dot for a nested declaration, as in `decoder.kernel`.
        kind: Type, without limits.
        default: Default value.
        help: Docstring of the field.
    """

    name: str
    kind: Any
    default: Any
    help: str


def options(config: Any, prefix: str = "") -> Iterator[Option]:
    """All options of a validated dataclass, given as an instance that holds the defaults."""
    kinds = get_type_hints(type(config))
    for one in fields(config):
        name, value = f"{prefix}{one.name}", getattr(config, one.name)
        if is_dataclass(value):
            yield from options(value, f"{name}.")
        else:
            # pydantic finds the docstrings of a class's own fields only
            owners = [kind for kind in type(config).__mro__ if hasattr(kind, "__pydantic_fields__")]
            found = (kind.__pydantic_fields__.get(one.name) for kind in owners)
            described = next(
                (field.description for field in found if field and field.description), ""
            )
            yield Option(name, kinds[one.name], value, " ".join(described.split()))


def changed(config: Made, changes: Mapping[str, Any]) -> Made:
    """A validated dataclass with some options changed.

    Args:
        config: The dataclass.
        changes: Name -> value, or its text; `decoder.kernel` is the `kernel` of `decoder`, and the
            text of a tuple has commas.

    Raises:
        SettingError: There is no such option, or the value is not valid.
    """
    values: dict[str, Any] = asdict(config)  # type: ignore[call-overload]  # it is a dataclass
    for name, value in changes.items():
        inner, (*parts, last) = values, name.split(".")
        for part in parts:
            inner = inner.get(part, {}) if isinstance(inner, dict) else {}
        if not isinstance(inner, dict) or last not in inner:
            known = ", ".join(option.name for option in options(config))
            raise SettingError(f"no option `{name}`; there are {known}")
        if isinstance(value, str) and isinstance(inner[last], tuple):
            value = tuple(part.strip() for part in value.split(",") if part.strip())
        elif isinstance(value, str) and type(inner[last]) is int and value.strip().isdecimal():
            value = int(value)  # `Literal[1, 3]` takes no text
        inner[last] = asdict(value) if is_dataclass(value) else value  # type: ignore[arg-type]
    return type(config)(**values)


def to_dict(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON values."""
    plain: dict[str, Any] = from_json(to_json(config))
    return plain


def parse(text: str | bytes, source: object, error: type[DeconvvizError]) -> Any:
    """JSON as plain values.

    Args:
        text: The JSON; NaN and infinity are read, deep nesting is not.
        source: Origin of the text, for the message.
        error: Raised where it is not valid JSON.
    """
    try:
        return from_json(text)
    except ValueError as problem:
        raise error(f"{source} is not valid JSON: {problem}") from None


def read(kind: type[Made], content: Any, source: object, error: type[DeconvvizError]) -> Made:
    """Check plain values against a declaration.

    Args:
        kind: A dataclass, or any type that pydantic knows. Nothing is converted, but for a whole
            number where a float is declared, and a list where a tuple is.
        content: Plain values, as `parse` gives them, or JSON.
        source: Origin of the values, for the message.
        error: Raised with one sentence where they do not fit.
    """
    text = (
        content if isinstance(content, str | bytes) else to_json(content, inf_nan_mode="constants")
    )
    try:
        made: Made = _adapter(kind).validate_json(text, strict=True)  # type: ignore[arg-type]
    except ValidationError as problem:
        raise error(f"{source}: {_sentence(problem)}") from None
    except SettingError as problem:
        raise error(f"{source}: {problem}") from None
    return made


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"]) or "the content"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    reason = first["msg"]
    for words, sign in _SIGNS.items():
        reason = reason.replace(words, sign)
    if first["type"] in ("missing", "missing_argument"):
        return f"{name} is missing{more}"
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{name} is not an option{more}"
    if first["type"] == "json_invalid":
        return f"not valid JSON ({first['ctx']['error']})"
    if first["type"] == "value_error":
        return f"{reason.removeprefix('Value error, ')}{more}"
    reason = reason.replace("Input should be", "must be").replace("Input should", "must")
    return f"{name} {reason}, got {_short(first['input'])}{more}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and value else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def dotted(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested changes, as a TOML file has them, under names as `decoder.kernel`."""
    flat: dict[str, Any] = {}
    for name, value in changes.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{part}": one for part, one in dotted(value).items()}
        else:
            flat[name] = tuple(value) if isinstance(value, list) else value
    return flat
