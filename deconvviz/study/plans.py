"""The plans of the study, by name: each is a file in the folder `declared`."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from deconvviz.errors import SettingError, StudyError
from deconvviz.schema import changed
from deconvviz.study.plan import Plan, dotted
from deconvviz.training import Recipe


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
