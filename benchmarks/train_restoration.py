"""Train the networks that restore pictures, and those they are compared with.

    python benchmarks/train_restoration.py RUNS sr2 sr3      # some of them; a stopped run resumes
    python benchmarks/train_restoration.py RUNS --install sr2      # puts it into the package

RUNS is a folder for the runs. T91, Train400 and photos20 are found as always, by DECONVVIZ_DATA or
in the cache. Test pictures choose nothing: every figure during training is of pictures held out of
the training part. Minutes are of one thread of an EPYC processor.

`sr3` and `sr4` start from the features of `sr2`, which must be trained first; Dong et al. (2016)
trained all but the last layer once, too. The three `x3-...` start from random weights and differ in
their last layer alone.
"""

import argparse
import contextlib
from pathlib import Path

from dense_recipes import RECIPES as DENSE
from dense_recipes import RUN_OF, Named

from deconvviz.io.card import card
from deconvviz.io.checkpoint import amend_checkpoint
from deconvviz.io.files import write_atomically
from deconvviz.restoration import RestorationRecipe, train_restoration
from deconvviz.schema import changed

SHIPPED = Path(__file__).parent.parent / "deconvviz" / "demo"


SR = RestorationRecipe(
    task="sr",
    network="fsrcnn:scale=2",
    epochs=50,
    steps_per_epoch=1000,
    batch_size=16,
    patch=32,
    lr=2e-3,
    precision="bf16",
)
SAME_SIZE = changed(SR, {"patch": 48, "lr": 2e-3, "max_grad_norm": 1.0})
COLOUR = changed(SAME_SIZE, {"channels": 3})
FROM_X2 = {"init": "sr2/model.safetensors", "lr": 1e-3}

RECIPES = {
    "sr2": Named(SR, 39),
    "sr3": Named(changed(SR, {"network": "fsrcnn:scale=3", **FROM_X2, "epochs": 40}), 31),
    "sr4": Named(
        changed(SR, {"network": "fsrcnn:scale=4", **FROM_X2, "epochs": 40, "patch": 24}), 20
    ),
    "denoise-grey": Named(
        changed(SAME_SIZE, {"task": "denoise", "network": "half:width=64:blocks=5", "epochs": 65}),
        148,
    ),
    "denoise-colour": Named(
        changed(COLOUR, {"task": "denoise", "network": "half:width=64:blocks=4", "epochs": 30}),
        57,
    ),
    "deblur": Named(
        changed(COLOUR, {"task": "deblur", "network": "half:width=48:blocks=4", "epochs": 40}), 48
    ),
    "inpaint": Named(
        changed(
            COLOUR,
            {
                "task": "inpaint",
                "network": "half:width=48:blocks=4:dilated=true:alpha=true",
                "epochs": 40,
            },
        ),
        52,
    ),
    **{
        f"x3-{last}": Named(
            changed(SR, {"network": f"fsrcnn:scale=3:last={last}", "epochs": 6}), minutes
        )
        for last, minutes in (("transposed", 5), ("resize", 26), ("shuffle", 4))
    },
    **DENSE,
}
SHIPS = ("sr2", "sr3", "sr4", "denoise-grey", "denoise-colour", "deblur", "inpaint", *RUN_OF)
NOTES = "Test pictures decided nothing."
# by `python benchmarks/restoration.py` and `dense.py`, from the file that is installed
MEASURED = {
    "sr2": "On the luma of Set5, enlarged 2 times: 37.22 dB (bicubic interpolation: 33.67).",
    "sr3": "On the luma of Set5, enlarged 3 times: 33.20 dB (bicubic interpolation: 30.40).",
    "sr4": "On the luma of Set5, enlarged 4 times: 30.84 dB (bicubic interpolation: 28.43).",
    "denoise-grey": "On BSD68 in grey, with noise of 15, 25, 50 of 255: 31.13, 28.72, 25.85 dB "
    "(published for BM3D: 31.07, 28.57, 25.62; for DnCNN-S: 31.73, 29.23, 26.23). With "
    "--self-ensemble 28.83 dB at 25.",
    "denoise-colour": "On Set5 in colour, with noise of 15, 25, 50 of 255: 33.73, 31.56, 28.50 dB "
    "(non-local means, given the noise: 31.49, 29.14, 25.73).",
    "inpaint": "On Set5 in colour, with 25, 50, 75 % of the pixels missing one by one: 37.84, "
    "33.16, 28.64 dB (linear interpolation 36.52, 32.42, 28.57; biharmonic equations, which are "
    "better at each: 38.71, 33.94, 29.59).",
    "segment": "On CamVid's 233 test pictures of 240 x 180 pixels, 11 classes: mean IoU 54.4 %, of "
    "boundaries 30.1 %.",
    "generate-mnist": "Fréchet distance of 5000 samples to the test pictures, in the features of a "
    "classifier of three stages: 2.73 (held-out pictures 0.03, uniform noise 52.89).",
    "generate-cifar10": "Fréchet distance of 5000 samples to the test pictures, in the features of "
    "`demo`: 20.27 (held-out pictures 0.28, uniform noise 83.91). What it draws has the colours of "
    "photographs, and nothing in it can be named.",
    "deblur": "On Set5 in colour, blurred by a Gaussian of 1.6 pixels with noise of 2 of 255: "
    "32.95 dB (Richardson-Lucy 30.53, Wiener 30.51, both given the blur; blurred 27.38).",
}


def train(runs: Path, name: str) -> None:
    """Train one network in RUNS/name, or resume it."""
    # inside RUNS, so that the records name no folder of this machine
    with contextlib.chdir(runs):
        done = train_restoration(RECIPES[name].recipe, Path(name))
    figures = ", ".join(f"{figure} {value:g}" for figure, value in done.held_out.items())
    print(f"{name:20} {figures} (held out)", flush=True)  # noqa: T201


def install(run: Path, name: str) -> None:
    """Put a run's checkpoint and its card into the package."""
    target = SHIPPED / f"{name}.safetensors"
    write_atomically(target, (run / "model.safetensors").read_bytes())
    description = amend_checkpoint(target, notes=f"{MEASURED.get(name, '')} {NOTES}".strip())
    write_atomically(target.with_suffix(".md"), card(description, name))


def main() -> None:
    """Train what is named and not trained yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    known = ", ".join(f"{name} ({one.minutes} min)" for name, one in RECIPES.items())
    parser.add_argument("names", nargs="*", metavar="NAME", help=known)
    parser.add_argument("--install", action="append", choices=SHIPS, help="put it into the package")
    options = parser.parse_args()
    if unknown := set(options.names).difference(RECIPES):
        parser.error(f"no network `{min(unknown)}`")
    options.runs.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        train(options.runs, name)
    for name in options.install or ():
        install(options.runs / RUN_OF.get(name, name), name)


if __name__ == "__main__":
    main()
