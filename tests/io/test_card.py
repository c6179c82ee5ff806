"""The readable card of a checkpoint."""

from dataclasses import replace

from deconvviz.io.card import card, inert
from deconvviz.io.checkpoint import Description

DESCRIPTION = Description(
    model="vgg",
    channels=3,
    size=32,
    classes=("cat", "dog"),
    mean=(0.5,) * 3,
    std=(0.2,) * 3,
    data={"title": "CIFAR-10, JPEG copy", "fingerprint": "0123456789abcdef" * 4},
    training={
        "recipe": {"epochs": 15, "seed": 3, "precision": "bf16", "deconv_weight": 0.0},
        "epochs": 12,
        "pictures": 50_000,
        "device": "abacus",
        "seconds": 120.0,
        "test": {"title": "CIFAR-10, JPEG copy", "pictures": 10_000, "accuracy": 0.9123},
    },
    versions={"torch": "2.99"},
)


def test_says_all_that_a_figure_must_come_with():
    text = card(DESCRIPTION, "mine")
    for fact in (
        "# mine",
        "91.23% of 10 000 pictures",
        "CIFAR-10, JPEG copy",
        "accuracy on it is lower than on the original pixels",
        "12 of 15, seed 3",
        "abacus, bf16",
        "torch 2.99",
    ):
        assert fact in text
    assert "decoder" not in text


def test_a_decoder_is_named_with_its_weight():
    recipe = {**DESCRIPTION.training["recipe"], "deconv_weight": 0.3}
    twin = replace(DESCRIPTION, training={**DESCRIPTION.training, "recipe": recipe})
    assert "deconvolution decoder" in card(twin, "twin")
    assert "weight 0.3" in card(twin, "twin")


def test_teachers_are_named_with_their_digests():
    recipe = {**DESCRIPTION.training["recipe"], "teachers": ["a", "b"], "distillation_weight": 0.75}
    training = {**DESCRIPTION.training, "recipe": recipe, "teacher_sha256": ("1" * 64, "2" * 64)}
    text = card(replace(DESCRIPTION, training=training), "pupil")
    assert "75% of every target" in text
    assert "`a` (sha256 111111111111) and `b` (sha256 222222222222)" in text
    assert "of every target" not in card(DESCRIPTION, "mine")


def test_an_attack_in_training_and_one_afterwards_are_named():
    adversary = {"norm": "l2", "radius": 1.0, "steps": 1, "delay": 0.25}
    robust = {"norm": "linf", "radius": 2 / 255, "steps": 20, "pictures": 1000, "accuracy": 0.512}
    training = {
        **DESCRIPTION.training,
        "recipe": {**DESCRIPTION.training["recipe"], "adversary": adversary},
        "robust": [robust],
        "notes": "Radius chosen on held-out pictures.",
    }
    clear = replace(
        DESCRIPTION, size=128, training=training, data={**DESCRIPTION.data, "title": "photos20"}
    )
    text = card(clear, "clear")
    for fact in (
        "**51.2% of 1 000 pictures** (linf radius 0.007843 of pixels in [0, 1], PGD, 20 steps",
        "1 gradient step up to an l2 distance of 1",
        "Radius chosen on held-out pictures.",
        "non-commercial research",
        "data set of 128x128 pictures",
    ):
        assert fact in text
    assert "attack" not in card(DESCRIPTION, "mine").lower()


def test_what_is_not_recorded_is_left_out():
    text = card(replace(DESCRIPTION, training={}), "mine")
    assert "Epochs" not in text
    assert "How it was trained" not in text


def test_text_of_a_file_has_no_effect_in_markdown():
    evil = "![x](http://x.org/a.png) <script> $x^2$ | `code\n# heading"
    data = {"title": evil, "fingerprint": evil}
    training = {**DESCRIPTION.training, "device": evil, "notes": evil, "test": None}
    del training["test"]
    changed = replace(
        DESCRIPTION, data=data, classes=(evil,), training=training, versions={evil: evil}
    )
    text = card(changed, evil)
    assert "](" not in text
    assert "\n# " not in text
    for sign in ("<script", "$x", "`code"):
        assert text.count(sign) == text.count(f"\\{sign}") > 0
    assert inert("see `a[0]<`, not :red[1]", code=True) == r"see `a[0]<`, not \:red\[1]"
    assert inert("nets:small at 12:30: 1") == r"nets\:small at 12:30: 1"  # else a directive
    assert inert("one ` alone <", code=True) == r"one \` alone \<"
