"""Made-up records of runs."""

from deconvviz.study import Record


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
