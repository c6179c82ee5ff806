"""The readable card of a checkpoint: network, training and accuracy."""

import re

from deconvviz.io.checkpoint import Description
from deconvviz.io.data.benchmarks import BENCHMARKS
from deconvviz.io.data.camvid import ORIGIN as CAMVID
from deconvviz.io.data.photos20 import PHOTOS20
from deconvviz.io.data.torchvision_datasets import CIFAR10, CIFAR100, MNIST

_ORIGIN = {
    **{one.title: one.origin for one in (CIFAR10, CIFAR100, MNIST, PHOTOS20)},
    **{one.title: one.origin for one in BENCHMARKS.values()},
    "CamVid train": CAMVID,
    "T91 and photos20, reduced to 64 pixels": (
        f"{BENCHMARKS['t91'].origin}; and {PHOTOS20.origin}"
    ),
    "CIFAR-10, JPEG copy": (
        "all 60 000 pictures of CIFAR-10 (A. Krizhevsky, Learning Multiple Layers of Features from "
        "Tiny Images, 2009) as JPEG files of quality 75; accuracy on it is lower than on the "
        "original pixels"
    ),
}


def inert(text: str, *, code: bool = False) -> str:
    """Text from a file without effect in Markdown: no links, pictures, HTML, colours or lines.

    `code` keeps pieces between backticks, as in messages of errors.
    """
    parts = re.split(r"(`[^`\n]*`)" if code else r"(?!)", " ".join(text.split()))
    parts[::2] = [
        re.sub(r"([\\<$|`]|(?<=\])[(\[]|(?<=\w)\[|:(?=[^\W\d]))", r"\\\1", one)
        for one in parts[::2]
    ]
    return "".join(parts)


def card(description: Description, name: str) -> str:
    """A Markdown page made from the checkpoint's own record; what that lacks is left out.

    Args:
        description: The checkpoint's description.
        name: Name of the checkpoint, the stem of its file.
    """
    kind = "the convolutional stages of " if description.stages_only else ""
    title = inert(description.data["title"])
    heading = f"# {inert(name)}\n\n{kind}`{description.model}`, trained on {title}.\n"
    return "\n".join([heading, _table(description), _training(description), _limits(description)])


def _table(d: Description) -> str:
    t = d.training
    recipe = t.get("recipe", {})
    title = d.data["title"]
    rows = [("Input", f"{d.channels} x {d.size} x {d.size}")]
    if d.task:
        rows = [("Task", inert(d.task)), ("Training input", rows[0][1])]
    if d.classes:
        rows.append(("Classes", inert(", ".join(d.classes))))
    if "test" in t:
        accuracy = (
            f"**{t['test']['accuracy']:.2%} of {spaced(t['test']['pictures'], ' ')} pictures**"
        )
        how = "last epoch, weights as stored, float32, each picture once as it is"
        rows.append(("Test accuracy", f"{accuracy} ({how})"))
    if held_out := t.get("held_out"):
        figures = ", ".join(f"{inert(name)} {value:g}" for name, value in held_out.items())
        rows.append(("Held out", f"{figures} (training pictures held out, weights as stored)"))
    for one in t.get("robust", ()):
        attacked = f"{inert(one['norm'])} radius {one['radius']:.4g} of pixels in [0, 1], PGD, "
        attacked += f"{one['steps']} steps from the picture itself"
        measured = (
            f"**{one['accuracy']:.1%} of {spaced(one['pictures'], ' ')} pictures** ({attacked})"
        )
        rows.append(("Under attack", measured))
    rows.append(("Data", f"{title}: {_ORIGIN[title]}" if title in _ORIGIN else inert(title)))
    rows.append(("Data fingerprint", f"`{inert(d.data['fingerprint'][:16])}`"))
    if "pictures" in t:
        rows.append(("Training pictures", spaced(t["pictures"], " ")))
    if "epochs" in t and "epochs" in recipe:
        seed = f", seed {recipe['seed']}" if "seed" in recipe else ""
        epochs = f"{t['epochs']} of {recipe['epochs']}"
        if t["epochs"] > recipe["epochs"]:  # of a mean of networks, all that went into it
            epochs = f"{t['epochs']} in all, the last {recipe['epochs']} as below"
        rows.append(("Epochs", f"{epochs}{seed}"))
    if "device" in t:
        precision = f", {recipe['precision']}" if "precision" in recipe else ""
        rows.append(("Device", inert(f"{t['device']}{precision}")))
    if "seconds" in t:
        rows.append(("Time", f"{t['seconds'] / 60:.0f} minutes"))
    rows.append(("Versions", inert(", ".join(f"{k} {v}" for k, v in d.versions.items()))))
    return "\n".join(["| | |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows), ""])


def spaced(number: int, space: str = "\N{NARROW NO-BREAK SPACE}") -> str:
    """A whole number with its thousands apart."""
    return f"{number:,}".replace(",", space)


def _training(d: Description) -> str:
    recipe = d.training.get("recipe")
    if not recipe:
        return ""
    options = ", ".join(f"{name} {value}" for name, value in recipe.items())
    paragraphs = ["## How it was trained", f"{inert(options)}."]
    named = zip(recipe.get("teachers", ()), d.training.get("teacher_sha256", ()), strict=False)
    networks = " and ".join(
        f"`{inert(name.replace('`', ''))}` (sha256 {inert(digest[:12])})" for name, digest in named
    )
    if networks:
        paragraphs.append(
            f"Distilled: {recipe.get('distillation_weight', 0):.0%} of every target is the mean of "
            f"the class probabilities of {networks} for the same view of the picture, the rest its "
            "label."
        )
    if start := recipe.get("init"):
        digest = inert(d.training.get("init_sha256", "")[:12])
        known = f" (sha256 {digest})" if digest else ""
        paragraphs.append(
            f"Training started from the weights of `{inert(start.replace('`', ''))}`{known}."
        )
    if weight := recipe.get("deconv_weight", 0):
        paragraphs.append(
            "A deconvolution decoder was trained beside the classifier to reconstruct the picture "
            f"from the last stage's features, weight {weight} of its mean squared error; it is not "
            "in this file."
        )
    if (adversary := recipe.get("adversary")) and (radius := adversary["radius"]):
        steps = f"{adversary['steps']} gradient step{'s' * (adversary['steps'] != 1)}"
        paragraphs.append(
            f"Trained on pictures changed against it, by {steps} up to "
            f"an {inert(adversary['norm'])} distance of {radius:g} of pixels in [0, 1]. Such "
            "training trades accuracy for clearer projections."
        )
    if notes := d.training.get("notes", ""):
        paragraphs.append(inert(notes, code=True))
    return "\n\n".join(paragraphs) + "\n"


def _limits(d: Description) -> str:
    if d.task:
        return (
            "## What it is for\n\n"
            "Looking at what a small encoder-decoder does, and comparing designs. One seed, few "
            "training pictures: what it adds to a picture is plausible, not evidence.\n"
        )
    return (
        "## What it is for\n\n"
        "Looking at what a small network's units respond to, and comparing networks. One seed, one "
        f"data set of {d.size}x{d.size} pictures: no judgement about other pictures should rest on "
        "its classes.\n"
    )
