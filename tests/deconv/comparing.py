"""What is compared: a projection with an oracle's, a tape with its model, a model with itself."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from deconvviz.deconv import Deconvnet, Recording, Selection
from deconvviz.deconv.tape import Tape
from tests import oracle

RULES = ("deconvnet", "guided", "gradient")
CHANNELS_LAST = ("features.1.1.block.4",)  # in torch's own hands; on our tape all are first


def deviation(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, relative to the largest value."""
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    assert theirs.abs().max() > 0
    return float((ours - theirs).abs().max() / theirs.abs().max())


def some_units(recording: Recording, layer: str) -> Selection:
    """The strongest units, and a few at the corners."""
    maps = recording[layer]
    n, c, h, w = maps.shape
    best = recording.strongest(layer, k=2)
    return Selection(
        layer,
        torch.cat([best.image, torch.tensor([0, n - 1, n - 1])]),
        torch.cat([best.channel, torch.tensor([0, c // 2, c - 1])]),
        torch.cat([best.y, torch.tensor([0, h - 1, h // 2])]),
        torch.cat([best.x, torch.tensor([0, 0, w - 1])]),
    )


def by_oracle(
    method: Callable[..., Tensor],
    model: nn.Module,
    images: Tensor,
    units: Selection,
    rule: str,
    start: str = "activation",
) -> Tensor:
    rows = torch.arange(len(units))

    def begin(value: Tensor) -> Tensor:
        if units.layer in CHANNELS_LAST:
            return units_of(value.movedim(-1, 1)).movedim(1, -1)
        return units_of(value)

    def units_of(value: Tensor) -> Tensor:
        return oracle.units_at(value, rows, units.channel, units.y, units.x, start)

    return method(model, images[units.image], units.layer, begin, rule).detach()


def output_of(model: nn.Module, layer: str, images: Tensor) -> Tensor:
    """The output of a module's last call, (N, C, H, W)."""
    held: list[Tensor] = []
    handle = model.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, output: held.append(output.detach().clone())
    )
    with torch.no_grad():
        model(images)
    handle.remove()
    return held[-1] if held[-1].dim() == 4 else held[-1][:, :, None, None]


def images_of(size: tuple[int, int] = (18, 21), count: int = 2) -> Tensor:
    return torch.randn(count, 3, *size, dtype=torch.float64)


def check(model: nn.Module, layer: str, images: Tensor, net: Deconvnet | None = None) -> None:
    """Values are the model's own, and projections the oracle's."""
    net = net or Deconvnet(model, (3, 18, 21))
    recording = net.record(images, [layer])
    assert deviation(recording[layer], output_of(model, layer, images)) < 1e-10
    units = some_units(recording, layer)
    for rule in RULES:
        truth = by_oracle(oracle.autograd, model, images, units, rule)
        assert deviation(net.project(recording, units, rule).full(), truth) < 1e-10, rule


def run(tape: Tape, model: nn.Module, images: Tensor) -> Tensor:
    """The last value on the tape."""
    values = {**tape.state(model), tape.input: images}
    for op in tape.operations:
        result = op.call(values).run()
        values[op.name] = result[0] if isinstance(result, tuple) else result
    return values[tape.operations[-1].name]


def fingerprint(model: nn.Module) -> list[object]:
    """Everything of a model that a reader must not change."""
    modules = [
        (name, module.training, *(list(h) for k, h in vars(module).items() if k.endswith("hooks")))
        for name, module in model.named_modules()
    ]
    tensors = [
        (name, id(t), t._version, t.requires_grad, t.grad, t.stride(), t.double().sum().item())
        for name, t in [*model.named_parameters(), *model.named_buffers()]
    ]
    return [*modules, *tensors]
