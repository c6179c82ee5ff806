"""The registry of analyses, from which commands, a page and the table in the docs are made.

An analysis is a module of `deconvviz.analysis` that declares `ANALYSIS`, a module of its name in
`deconvviz.plots` with `figure` and `summary`, and its test. Nothing else lists it.
"""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from deconvviz.analysis.inputs import Inputs
from deconvviz.analysis.result import Result

Need = Literal["network", "snapshots", "dataset", "training data", "picture", "unit", "folder"]
"""One input of an analysis: see the fields of `Inputs`."""


@dataclass(frozen=True)
class Analysis:
    """One analysis that commands and pages offer.

    Attributes:
        question: The question and the method, in one or two sentences.
        source: The figure or table of Zeiler & Fergus (2014), or another paper, that is followed.
        needs: Inputs of the analysis.
        function: The analysis; its parameters are `options`, a `schema.validated` dataclass, and
            fields of `Inputs`.
        on_page: Whether the page Experiments offers it; others have a place of their own, or need
            choices that the page does not have.
        defaults: Other defaults for the command's parameters of its needs, by name.
        is_slow: Whether it takes long even with a small network, so that a page asks first.
        quick: Other values of options, by name, for a look that takes seconds.
    """

    title: str
    question: str
    source: str
    needs: tuple[Need, ...]
    function: Callable[..., Result]
    on_page: bool = True
    defaults: Mapping[str, Any] = field(default_factory=dict)
    is_slow: bool = False
    quick: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        """Name of the command, of the result and of its files."""
        return str(get_type_hints(self.function)["return"].name)

    @cached_property
    def options(self) -> Any:
        """Its options at their defaults."""
        kind = get_type_hints(self.function)["options"]
        return (get_args(kind) or (kind,))[0]()  # of `Options | None`

    def run(self, inputs: Inputs, options: Any = None) -> Result:
        """The result on some inputs."""
        names = vars(inputs).keys() & signature(self.function).parameters.keys()
        given = {name: getattr(inputs, name) for name in names}
        return self.function(**given, options=options or self.options)


@cache
def analyses() -> Mapping[str, Analysis]:
    """All analyses by name, found in the modules of `deconvviz.analysis`."""
    modules = pkgutil.walk_packages([str(Path(__file__).parent)], "deconvviz.analysis.")
    declared = (getattr(import_module(one.name), "ANALYSIS", None) for one in modules)
    found = {one.name: one for one in declared if isinstance(one, Analysis)}
    return dict(sorted(found.items()))


def table() -> str:
    """All analyses as a table in Markdown, as the docs show it."""
    rows = [f"| `{one.name}` | {one.source} | {one.question} |" for one in analyses().values()]
    return "\n".join(["| analysis | source | question |", "| --- | --- | --- |", *rows])
