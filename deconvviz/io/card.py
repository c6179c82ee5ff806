"""The readable card of a checkpoint: what it is, how it was made, how good it is."""

from deconvviz.io.checkpoint import Description

__all__ = ["card"]

_ORIGIN = {
    "CIFAR-10": "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    "CIFAR-10, JPEG copy": (
        "all 60 000 pictures of CIFAR-10 (A. Krizhevsky, Learning Multiple Layers of Features from "
        "Tiny Images, 2009) as JPEG files of quality 75; accuracy on it is lower than on the "
        "original pixels"
    ),
}


def card(description: Description, name: str) -> str:
    """A Markdown page made from the checkpoint's own record alone; what that lacks is left out.

    Args:
        description: Of the checkpoint.
        name: How the checkpoint is called, the stem of its file.
    """
    parts = [_heading(description, name), _facts(description), _recipe(description), _limits()]
    return "\n".join(parts)


def _heading(d: Description, name: str) -> str:
    kind = "the convolutional stages of " if d.stages_only else ""
    return f"# {name}\n\n{kind}`{d.model}`, trained on {d.data['title']}.\n"


def _facts(d: Description) -> str:
    t = d.training
    rows = [
        ("Input", f"{d.channels} x {d.size} x {d.size}"),
        ("Classes", ", ".join(d.classes)),
    ]
    if "test" in t:
        test = t["test"]
        measured = f"{test['accuracy']:.2%} of {test['pictures']:,} pictures".replace(",", " ")
        how = "last epoch, weights as stored, float32, each picture once as it is"
        rows.append(("Test accuracy", f"**{measured}** ({how})"))
    rows.append(("Data", d.data["title"] + _origin(d.data["title"])))
    rows.append(("Data fingerprint", f"`{d.data['fingerprint'][:16]}`"))
    if "pictures" in t:
        rows.append(("Training pictures", f"{t['pictures']:,}".replace(",", " ")))
    if "recipe" in t:
        recipe = t["recipe"]
        rows.append(("Epochs", f"{t['epochs']} of {recipe['epochs']}, seed {recipe['seed']}"))
        rows.append(("Device", f"{t['device']}, {recipe['precision']}"))
        rows.append(("Time", f"{t['seconds'] / 60:.0f} minutes"))
    rows.append(("Versions", ", ".join(f"{k} {v}" for k, v in d.versions.items())))
    return "\n".join(["| | |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows), ""])


def _origin(title: str) -> str:
    return f": {_ORIGIN[title]}" if title in _ORIGIN else ""


def _recipe(d: Description) -> str:
    if "recipe" not in d.training:
        return ""
    settings = ", ".join(f"{k} {v}" for k, v in d.training["recipe"].items())
    paragraphs = ["## How it was trained", f"{settings}.", _ensemble(d), _decoder(d)]
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def _ensemble(d: Description) -> str:
    """Whom it learnt from; nothing where it was from labels alone."""
    recipe = d.training["recipe"]
    named = zip(recipe.get("teachers", ()), d.training.get("ensemble", ()), strict=False)
    networks = " and ".join(f"`{name}` (sha256 {digest[:12]})" for name, digest in named)
    if not networks:
        return ""
    return (
        f"{recipe['distillation_weight']:.0%} of every target was the mean of the class probabilities "
        f"that {networks} gave the same view of the picture; the rest was its label."
    )


def _decoder(d: Description) -> str:
    """What was trained beside it; nothing where it was alone."""
    weight = d.training["recipe"]["deconv_weight"]
    if not weight:
        return ""
    return (
        "Beside the classifier a deconvolution decoder was trained to give the picture back from "
        f"the last stage's features, weight {weight} of its mean squared error; it is not stored."
    )


def _limits() -> str:
    return (
        "## What it is for\n\n"
        "Looking at what a small network's units respond to, and comparing networks. One seed, one "
        "data set of 32x32 pictures: no judgement about real photographs should rest on its "
        "classes.\n"
    )
