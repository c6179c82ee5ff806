"""Declarations: what they check, and how each fault is named."""

from dataclasses import asdict, replace
from typing import Annotated, Literal

import pytest
from pydantic import Field

from deconvviz.errors import CheckpointError, SettingError
from deconvviz.schema import (
    Count,
    Fraction,
    NonNegative,
    Positive,
    changed,
    options,
    parse,
    read,
    to_dict,
    validated,
)


@validated
class Part:
    """A part of a config."""

    kernel: Annotated[int, Field(ge=2, le=15)] = 4
    """Side of a kernel,
    in pixels."""
    weights: tuple[NonNegative, ...] = ()
    """Weights."""


@validated
class Config:
    """A config."""

    epochs: Positive = 3
    """Number of epochs."""
    steps: Count = 0
    """Number of steps."""
    momentum: Fraction = 0.9
    """Momentum."""
    loss: Literal["mse", "focal"] = "mse"
    """Loss."""
    fp16: bool = False
    """Store float16."""
    part: Part = Part()
    """The part."""

    def __post_init__(self) -> None:
        if self.steps and self.fp16:
            raise SettingError("steps and fp16 exclude each other")


def test_a_declaration_is_a_frozen_dataclass():
    config = replace(Config(), part=Part(5))
    assert asdict(config)["part"] == {"kernel": 5, "weights": ()}
    with pytest.raises(AttributeError):
        config.epochs = 4
    assert to_dict(config)["part"] == {"kernel": 5, "weights": []}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs must be >= 1, got 0"),
        ({"steps": -1}, "steps must be >= 0"),
        ({"momentum": 1.0}, "momentum must be < 1"),
        ({"momentum": float("nan")}, "momentum must be a finite number"),
        ({"loss": "hinge"}, "loss must be 'mse' or 'focal', got hinge"),
        ({"epochs": 2.5}, "epochs"),
        ({"steps": 1, "fp16": True}, "exclude"),
        ({"colour": 1}, "colour is not an option"),
        ({"epochs": "x" * 500}, r"xxx\.\.\.$"),
    ],
)
def test_a_wrong_value_is_named_in_one_short_sentence(values, message):
    with pytest.raises(SettingError, match=message) as caught:
        Config(**values)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_options_have_a_name_a_default_and_their_docstring():
    listed = {option.name: option for option in options(Config(part=Part(5)))}
    assert list(listed) == [
        *("epochs", "steps", "momentum", "loss", "fp16"),
        *("part.kernel", "part.weights"),
    ]
    kernel = listed["part.kernel"]
    assert (kernel.kind, kernel.default) == (int, 5)
    assert kernel.help == "Side of a kernel, in pixels."


def test_options_are_changed_by_name_from_values_or_text():
    changes = {"epochs": "4", "fp16": "yes", "part.weights": "0.5, 1", "loss": "focal"}
    expected = Config(epochs=4, fp16=True, loss="focal", part=Part(weights=(0.5, 1.0)))
    assert changed(Config(), changes) == expected
    assert changed(Config(), {"part": Part(5), "part.weights": (1.0,)}).part == Part(5, (1.0,))
    assert changed(expected, {}) == expected


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epoch", "3", "no option `epoch`; there are epochs, steps"),
        ("part.colour", "3", "no option `part.colour`"),
        ("epochs.more", "3", "no option"),
        ("part", "3", "part must be"),
        ("epochs", "three", "epochs must be a valid integer"),
        ("fp16", "perhaps", "fp16 must be a valid boolean"),
        ("part.weights", "0.5,much", r"part\.weights\.1 must be a valid number"),
        ("part.kernel", "99", r"part\.kernel must be <= 15"),
    ],
)
def test_a_wrong_change_is_named(name, value, message):
    with pytest.raises(SettingError, match=message):
        changed(Config(), {name: value})


def test_a_file_is_read_as_it_was_written_and_missing_options_have_defaults():
    config = Config(epochs=4, part=Part(weights=(1.0,)))
    assert read(Config, to_dict(config), "a.json", CheckpointError) == config
    assert read(Config, '{"part": {"weights": [1]}}', "a.json", CheckpointError).epochs == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not valid JSON"),
        ("[" * 90_000, "not valid JSON"),
        ("[]", "object"),
        ("3", "object"),
        ('{"epochs": "3"}', "epochs must be a valid integer"),
        ('{"epochs": 1e400}', "epochs"),
        ('{"epochs": true}', "epochs"),
        ('{"momentum": NaN}', "momentum must be a finite number"),
        ('{"part": {"kernel": []}}', r"part\.kernel"),
        ('{"steps": 1, "fp16": true}', "exclude"),
        ({"momentum": float("inf")}, "momentum"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_its_name(content, message):
    with pytest.raises(CheckpointError, match=f"^a.json: .*{message}") as caught:
        read(Config, content, "a.json", CheckpointError)
    assert len(str(caught.value)) < 300


def test_only_json_is_parsed():
    assert parse(b'{"a": [1, NaN]}', "a.json", CheckpointError)["a"][0] == 1
    for text in ("", "{", "[" * 90_000 + "]" * 90_000, "9" * 5000):
        with pytest.raises(CheckpointError, match=r"a\.json is not valid JSON"):
            parse(text, "a.json", CheckpointError)
