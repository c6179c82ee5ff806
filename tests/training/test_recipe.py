"""The recipe: what it refuses, how its rates go, and how one is changed by names."""

from dataclasses import replace

import pytest

from deconvviz.errors import SettingError
from deconvviz.training import DecoderConfig, Recipe, changed

RECIPE = Recipe(warmup=0.25)


@pytest.mark.parametrize(
    ("schedule", "paces"),
    [
        ("one-cycle", [0, 0.5, 1, 0.5, 0]),
        ("cosine", [0, 0.5, 1, 0.5, 0]),
        ("step", [0, 0.5, 1, 0.1, 0.01]),
        ("constant", [0, 0.5, 1, 1, 1]),
    ],
)
def test_rates_rise_to_their_peaks_and_fall_as_the_schedule_says(schedule, paces):
    recipe = replace(RECIPE, schedule=schedule)
    assert [recipe.pace(p) for p in (0, 0.125, 0.25, 0.625, 1)] == pytest.approx(paces)


def test_without_warmup_the_first_step_has_the_peak():
    assert replace(RECIPE, warmup=0.0).pace(0) == 1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"precision": "int4"}, "no precision `int4`; there are auto, bf16, float32"),
        ({"optimiser": "lion"}, "no optimiser `lion`; there are sgd, muon, adam, adamw"),
        ({"schedule": "square"}, "no schedule `square`; there are one-cycle, cosine, step, const"),
        ({"loss": "hinge"}, "no loss `hinge`; there are cross-entropy, focal, mse"),
        ({"epochs": 0}, "epochs 0 cannot be; it is 1 or more"),
        ({"batch_size": 1}, "batch_size 1 cannot be"),
        ({"lr": float("nan")}, "lr nan cannot be"),
        ({"warmup": 1.0}, "warmup 1.0 cannot be; it is a share"),
        ({"distillation_weight": 1.5}, "distillation_weight 1.5 cannot be; it is a share"),
        ({"max_kernel_rms": -0.1}, "max_kernel_rms -0.1 cannot be; it is 0 or more"),
        (
            {"mixup": 0.2, "decoder": DecoderConfig(inpaint=True)},
            "wants them back whole; leave one",
        ),
        ({"max_kernel_rms": 0.1, "optimiser": "muon"}, "both set how long kernels are; leave one"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings, says):
    with pytest.raises(SettingError, match=says):
        replace(RECIPE, **settings)


def test_options_are_changed_by_name_and_by_text():
    told = {
        "epochs": "3",
        "lr": "0.5",
        "fp16": "yes",
        "decoder.switches": "true",
        "decoder.stages": "0.5,1",
        "augmentation.flip": False,
        "snapshots": "0,1",
        "teachers": "demo, runs/x/model.safetensors",
        "loss": "focal",
    }
    new = changed(RECIPE, told)
    assert (new.epochs, new.lr, new.half, new.loss) == (3, 0.5, True, "focal")
    assert (new.decoder.switches, new.decoder.stages, new.snapshots) == (True, (0.5, 1.0), (0, 1))
    assert new.teachers == ("demo", "runs/x/model.safetensors")
    assert not new.augmentation.flip
    assert (
        replace(
            new,
            epochs=RECIPE.epochs,
            lr=RECIPE.lr,
            fp16=False,
            loss=RECIPE.loss,
            decoder=RECIPE.decoder,
            snapshots=RECIPE.snapshots,
            teachers=(),
            augmentation=RECIPE.augmentation,
        )
        == RECIPE
    )


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("epoch", "3", "no option `epoch`; there are model, epochs"),
        ("decoder.colour", "3", "no option `colour`; there are switches, tied"),
        ("epochs.more", "3", "no option `epochs.more`"),
        ("decoder", "3", "`decoder` has parts; set one of decoder.switches, decoder.tied"),
        ("epochs", "three", "`epochs` cannot be `three`; it is a whole number"),
        ("fp16", "perhaps", "`half` cannot be `perhaps`; it is yes or no"),
        ("decoder.stages", "much", "cannot be `much`; it is numbers with commas"),
        ("decoder.kernel", "99", "no decoder of kernel 99"),
    ],
)
def test_a_change_that_cannot_be_is_refused(name, value, says):
    with pytest.raises(SettingError, match=says):
        changed(RECIPE, {name: value})
