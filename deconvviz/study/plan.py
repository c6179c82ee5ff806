"""Declared plans: which arms, with how many labels, from which seeds, and what is held equal."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, NamedTuple

from deconvviz.errors import StudyError
from deconvviz.schema import changed
from deconvviz.training import Recipe

__all__ = ["Arm", "Cell", "Plan"]


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        name: Of its records.
        about: What it is, for people.
        changes: Of the plan's recipe, by name; see `schema.changed`.
        label_noise: The share of the labels that are made wrong.
        longer: It has so many times the epochs that its budget says.
    """

    name: str
    about: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    label_noise: float = 0.0
    longer: float = 1.0


class Cell(NamedTuple):
    """One run of a plan."""

    arm: Arm
    labels: int
    seed: int

    def __str__(self) -> str:
        """For people."""
        return f"{self.arm.name}, {self.labels} labels, seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """A study that can be run: every arm at every budget of labels, from every seed.

    Runs of one seed are pairs: they have the same labels, initial weights, order and augmentation
    of the labelled pictures.

    Attributes:
        name: On the command line, and of the folder of its records.
        asks: The question, for people.
        recipe: What all arms share.
        arms: What they differ in.
        budgets: Labels -> changes of the recipe that all arms have there; the steps, mostly.
        seeds: Of pairs.
        data: A key of `deconvviz.io.data.DATASETS`.
        hold_out: Measure on so many pictures held out of the training data, for a plan that is to
            choose something; 0 measures on the test data, which must never choose.
        robust: Whether accuracy on pictures made worse is measured too.
        varies: The arms that are run at every budget; the others are at the first one only. By
            default all are run at all.
    """

    name: str
    asks: str
    recipe: Recipe
    arms: tuple[Arm, ...]
    budgets: Mapping[int, Mapping[str, Any]]
    seeds: tuple[int, ...]
    data: str = "cifar10"
    hold_out: int = 0
    robust: bool = False
    varies: tuple[str, ...] = ()

    def recipe_of(self, cell: Cell) -> Recipe:
        """How one run is trained; what an arm changes goes before what a budget does."""
        changes = {**self.budgets[cell.labels], **cell.arm.changes, "seed": cell.seed}
        recipe = changed(self.recipe, changes)
        return replace(recipe, epochs=math.ceil(recipe.epochs * cell.arm.longer))

    def cells(
        self,
        arms: Sequence[str] | None = None,
        labels: Sequence[int] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Iterator[Cell]:
        """All runs, or those of some arms, budgets and seeds.

        Seed by seed, so that an early end leaves whole comparisons.

        Raises:
            StudyError: The plan has no such arm, budget or seed.
        """
        named = {arm.name: arm for arm in self.arms}
        wanted = (
            self._some("arm", named, arms),
            self._some("budget", self.budgets, labels),
            self._some("seed", self.seeds, seeds),
        )
        for seed in wanted[2]:
            for budget in wanted[1]:
                for name in wanted[0]:
                    if (name, budget) in self.points:
                        yield Cell(named[name], budget, seed)

    @property
    def points(self) -> tuple[tuple[str, int], ...]:
        """Every arm and budget that are run together."""
        first = next(iter(self.budgets))
        return tuple(
            (arm.name, budget)
            for budget in self.budgets
            for arm in self.arms
            if budget == first or not self.varies or arm.name in self.varies
        )

    def _some(self, what: str, there: Any, wanted: Sequence[Any] | None) -> list[Any]:
        unknown = [one for one in wanted or () if one not in there]
        if unknown:
            near = get_close_matches(str(unknown[0]), map(str, there), n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise StudyError(
                f"the study {self.name} has no {what} {unknown[0]}{hint}; there are "
                f"{', '.join(map(str, there))}"
            )
        return list(there if wanted is None else wanted)
