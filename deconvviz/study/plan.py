"""Plans: which arms, with how many labels, from which seeds; each is a file in `declared`."""

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field

from deconvviz.errors import SettingError, StudyError
from deconvviz.schema import (
    Count,
    Fraction,
    Positive,
    UnitInterval,
    changed,
    dotted,
    validated,
)
from deconvviz.training import Recipe

Changes = Annotated[Mapping[str, Any], AfterValidator(dotted)]


@validated
class Arm:
    """One way to train.

    Attributes:
        name: Name in records, tables and figures; `FACTOR=VALUE` for a value of a swept factor.
        description: Description of the arm, shown in reports.
        changes: Changes of the plan's recipe, as `schema.changed` takes them, or nested.
        label_noise: Share of the labels that are made wrong.
        epoch_scale: Factor on the number of epochs.
    """

    name: str
    description: str
    changes: Changes = field(default_factory=dict)
    label_noise: Fraction = 0.0
    epoch_scale: Annotated[float, Field(gt=0)] = 1.0


@validated
class Contrast:
    """Two arms that are compared at every budget.

    Attributes:
        base: Name of the arm compared with.
        aim: Difference of accuracy hoped for at the primary budget; contrasts with one decide.
        description: Subject of the contrast, shown in reports; by default the names of both arms.
    """

    arm: str
    base: str
    aim: float | None = None
    description: str = ""

    @property
    def name(self) -> str:
        """Arm minus base."""
        return f"{self.arm} − {self.base}"

    @property
    def subject(self) -> str:
        """The description without the arms, or if there is none the name."""
        return self.description.partition(" (")[0] or self.name


@validated
class Published:
    """Published accuracies that are shown beside an arm, with what they were measured on.

    They are of other networks and recipes: they say where an arm stands, and decide nothing.

    Attributes:
        arm: Name of the arm.
        name: The published network, in the words of its source.
        source: Authors, year, data and whatever else a reader needs to judge the figures.
        accuracy: Labels -> accuracy, from 0 to 1.
    """

    arm: str
    name: str
    source: str
    accuracy: Annotated[Mapping[Positive, UnitInterval], Field(min_length=1)]


class RunSpec(NamedTuple):
    """One run of a plan."""

    arm: Arm
    labels: int
    seed: int

    @property
    def key(self) -> tuple[str, int, int]:
        """Arm, labels and seed, which also name its record."""
        return self.arm.name, self.labels, self.seed

    def __str__(self) -> str:
        return f"{self.arm.name}, {self.labels} labels, seed {self.seed}"


@validated
class Plan:
    """A study that can be run: every arm at every budget of labels, from every seed.

    Runs of one seed are pairs: they have the same labels, initial weights, order and augmentation
    of the labelled pictures. A plan with `contrasts` is judged by these; any other is a sweep,
    whose arms are each compared with the first one.

    Attributes:
        name: Name on the command line and of the file of records.
        question: Question of the study, shown in reports.
        recipe: Recipe that all arms share.
        budgets: Labels -> changes of the recipe that all arms have there; mostly the number of
            steps.
        seeds: Seeds of the pairs.
        dataset: A name of `deconvviz.io.data.registry.DATASETS`.
        hold_out: Training pictures held out to measure on, for plans that choose something; 0
            measures on the test data, which must never choose.
        robustness: Measure accuracy on corrupted pictures too.
        clarity: Measure how clear the projections of the last two layers are, too.
        swept: Arms that are run at every budget; the others at the first one only. Empty: all.
        contrasts: Comparisons that answer the question; empty for a sweep.
        primary: Budget at which the contrasts with an aim decide.
        published: Published figures beside our arms.
    """

    name: str
    question: str
    recipe: Recipe
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]
    budgets: Annotated[Mapping[Positive, Changes], Field(min_length=1)]
    seeds: Annotated[tuple[Count, ...], Field(min_length=1)]
    dataset: str = "cifar10"
    hold_out: Count = 0
    robustness: bool = False
    clarity: bool = False
    swept: tuple[str, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    primary: Positive | None = None
    published: tuple[Published, ...] = ()

    def recipe_of(self, spec: RunSpec) -> Recipe:
        """The recipe of one run; an arm's changes override those of a budget."""
        changes = {**self.budgets[spec.labels], **spec.arm.changes, "seed": spec.seed}
        recipe = changed(self.recipe, changes)
        epochs = math.ceil(recipe.epochs * spec.arm.epoch_scale)
        return replace(recipe, epochs=epochs, lr=recipe.peak_lr)

    def specs(
        self,
        arms: Sequence[str] | None = None,
        labels: Sequence[int] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Iterator[RunSpec]:
        """All runs, or those of some arms, budgets and seeds.

        Seed by seed, so that an early end leaves whole comparisons.

        Raises:
            StudyError: The plan has no such arm, budget or seed.
        """
        named = {arm.name: arm for arm in self.arms}
        some_arms = self._some("arm", named, arms)
        some_budgets = self._some("budget", self.budgets, labels)
        for seed in self._some("seed", self.seeds, seeds):
            for budget in some_budgets:
                for name in some_arms:
                    if (name, budget) in self.points:
                        yield RunSpec(named[name], budget, seed)

    @property
    def points(self) -> tuple[tuple[str, int], ...]:
        """Every arm and budget that are run together."""
        first = next(iter(self.budgets))
        return tuple(
            (arm.name, budget)
            for budget in self.budgets
            for arm in self.arms
            if budget == first or not self.swept or arm.name in self.swept
        )

    def _some(self, kind: str, known: Any, wanted: Sequence[Any] | None) -> list[Any]:
        unknown = [one for one in wanted or () if one not in known]
        if unknown:
            near = get_close_matches(str(unknown[0]), map(str, known), n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise StudyError(
                f"the study {self.name} has no {kind} {unknown[0]}{hint}; there are "
                f"{', '.join(map(str, known))}"
            )
        return list(known if wanted is None else wanted)


def read_plan(path: Path) -> Plan:
    """A plan in a TOML file: the fields of `Plan`; its recipe is changes of the default one.

    Raises:
        StudyError: The file cannot be read, or declares no plan.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
        recipe = content.pop("recipe", {})
        return Plan(recipe=changed(Recipe(), dotted(recipe)), **content)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, SettingError) as error:
        raise StudyError(f"{path} is not a plan: {error}") from None


PLANS: Mapping[str, Plan] = {
    plan.name: plan
    for plan in map(read_plan, sorted((Path(__file__).parent / "declared").glob("*.toml")))
}
"""Every plan that `deconvviz study run` knows by name."""


def find_plan(name: str) -> Plan:
    """The plan of a name, or in a file NAME.toml.

    Raises:
        StudyError: There is none.
    """
    if name.endswith(".toml"):
        return read_plan(Path(name))
    if name not in PLANS:
        raise StudyError(f"no study `{name}`; there are {', '.join(PLANS)}")
    return PLANS[name]
