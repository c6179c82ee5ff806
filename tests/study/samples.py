"""Made-up records of runs."""

from deconvviz.study import Record, analyse, find_plan
from deconvviz.study.plan import Arm, Plan
from deconvviz.study.record import record_file
from deconvviz.training import Recipe


def record(arm="A", labels=1000, seed=0, accuracy=0.6, **changes):
    """A record whose numbers are plausible and mean nothing."""
    values = {
        "study": "helps",
        "arm": arm,
        "labels": labels,
        "seed": seed,
        "test_accuracy": accuracy,
        "train_accuracy": 0.99,
        "nll": 1.2,
        "ece": 0.1,
        "robustness": {"noise": (0.5, 0.4, 0.3, 0.2, 0.15)},
        "parameters": 306_000,
        "multiply_adds": 20_000_000,
        "training_parameters": 500_000,
        "training_multiply_adds": 40_000_000,
        "seconds": 100.0,
        "configuration": {"epochs": 2},
        "data": {"title": "shapes"},
        "subset": "abc",
        "epochs": (
            {"epoch": 1, "train_loss": 2.0, "test_accuracy": accuracy / 2},
            {"epoch": 2, "train_loss": 1.0, "test_accuracy": accuracy},
        ),
        "versions": {"torch": "2.13"},
        "device": "a processor",
    }
    return Record(**{**values, **changes})


def keep(folder, *records):
    """Add records to the files of their studies."""
    for one in records:
        record_file(folder / f"{one.study}.jsonl").append(one)


def helps(records):
    """The report of the plan with contrasts."""
    return analyse(find_plan("helps"), records)


def sweep(records, declared=(("base", 1000),)):
    """The report of a plan without contrasts that declares some arms at some budgets."""
    plan = Plan(
        name="sweep",
        question="What counts?",
        recipe=Recipe(precision="float32"),
        arms=tuple(Arm(arm, arm) for arm in dict.fromkeys(arm for arm, _ in declared)),
        budgets={labels: {} for _, labels in declared},
        swept=tuple(arm for arm, labels in declared if labels != declared[0][1]),
        seeds=(0,),
    )
    return analyse(plan, records)
