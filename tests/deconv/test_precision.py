"""Projections of lower precision, held to those of float64 with the same switches and masks."""

import pytest
import torch

import deconvviz as dv
from deconvviz.deconv.precision import finite, signal_dtype
from deconvviz.deconv.rules import RULES, Rule
from deconvviz.errors import SettingError
from tests.deconv.networks import FAMILIES, deconvnet

# Of the length of all pixels. A rounding to bfloat16 is off by up to 2^-9, and there are one or two
# in each operation.
LARGEST = 0.03


def distance(ours: torch.Tensor, precise: torch.Tensor) -> float:
    return float((ours - precise).norm() / precise.norm())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_is_near_float64_at_equal_masks(family: str, rule: Rule) -> None:
    net, (_, size, layers) = deconvnet(family), FAMILIES[family]
    assert next(net.model.parameters()).dtype == torch.float64
    generator = torch.Generator().manual_seed(0)
    recording = net.record(torch.randn(2, *size, generator=generator, dtype=torch.float64), layers)
    for layer in layers:
        selection = recording.strongest(layer, k=3)
        precise = net.project(recording, selection, rule)
        low = net.project(recording, selection, rule, precision="bf16")
        assert low.pixels.dtype == torch.float64
        assert torch.equal(low.boxes, precise.boxes)
        assert 1e-4 < distance(low.pixels, precise.pixels) < LARGEST


def test_pixels_have_the_models_dtype_and_chunks_do_not_matter() -> None:
    bundle = dv.load("demo")
    net = dv.Deconvnet(bundle.model, check=False)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    recording = net.record(images)
    layer = net.default_layers[-1]
    selection = recording.strongest(layer, k=8)
    whole = net.project(recording, selection, precision="bf16").pixels
    parts = net.project(recording, selection, precision="bf16", max_bytes=2**16).pixels
    assert whole.dtype == torch.float32
    assert distance(parts, whole) < LARGEST
    assert distance(whole, net.project(recording, selection).pixels) < LARGEST


def test_full_is_the_models_own_dtype() -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        assert signal_dtype("full", dtype, torch.device("mps")) == dtype


@pytest.mark.parametrize(
    ("precision", "device", "dtype"),
    [
        ("bf16", "cpu", torch.bfloat16),
        ("bf16", "cuda", torch.bfloat16),
        ("fp16", "cuda", torch.float16),
    ],
)
def test_which_precisions_there_are(precision: str, device: str, dtype: torch.dtype) -> None:
    assert signal_dtype(precision, torch.float32, torch.device(device)) == dtype  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("precision", "device", "message"),
    [
        ("fp16", "cpu", "^no precision fp16 on cpu; use full or bf16$"),
        ("bf16", "mps", "^no precision bf16 on mps; use full$"),
        ("half", "cpu", "^no precision `half`; there are full, bf16, fp16$"),
    ],
)
def test_other_precisions_are_refused(precision: str, device: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        signal_dtype(precision, torch.float32, torch.device(device))  # type: ignore[arg-type]


def test_a_projection_refuses_them_too() -> None:
    net = deconvnet("demo")
    recording = net.record(torch.randn(1, 3, 32, 32, dtype=torch.float64))
    with pytest.raises(SettingError, match="no precision fp16 on cpu"):
        net.project(recording, recording.strongest(recording.layers[0]), precision="fp16")


def test_signals_that_float16_cannot_hold_are_refused() -> None:
    pixels = torch.tensor([1.0, torch.inf])
    with pytest.raises(SettingError, match="use precision bf16 or full"):
        finite(pixels, "fp16")
    assert finite(pixels, "full") is pixels
