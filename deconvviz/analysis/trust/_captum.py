"""captum with types, imported when it is used: that takes a second.

captum sets hooks on the module that it is given. Give it only a function made for one unit
(`deconv.controls.UnitActivation`), never a loaded model, which other threads may be reading.
"""

from torch import Tensor, nn
from torch.nn import functional


def integrated_gradients(unit: nn.Module, image: Tensor, steps: int = 32) -> Tensor:
    """Integrated gradients from a blank to the image (Sundararajan et al. 2017, arXiv:1703.01365).

    Args:
        unit: Images (N, C, H, W) -> activations (N,).
        image: (1, C, H, W).
        steps: Points of the integral, by Gauss and Legendre.

    Returns:
        (C, H, W) in units of the activation; the sum is about how much that differs from a blank's.
    """
    from captum.attr import IntegratedGradients

    image = image.detach().clone().requires_grad_()
    credit: Tensor = IntegratedGradients(unit).attribute(
        image, image.detach() * 0, n_steps=steps, internal_batch_size=steps
    )
    return credit[0].detach()


def occlusion(unit: nn.Module, image: Tensor, side: int, stride: int, at_once: int = 32) -> Tensor:
    """How much the activation falls as a blank square covers the image, the mean over its places.

    Zeiler & Fergus (2014), section 4.2, arXiv:1311.2901.

    Args:
        unit: Images (N, C, H, W) -> activations (N,).
        image: (1, C, H, W).
        side: Side of the square, in pixels.
        stride: Step from one place to the next, in pixels.
        at_once: Images in one forward pass.

    Returns:
        (C, H, W) in units of the activation, the same in all channels.
    """
    from captum.attr import Occlusion

    channels, height, width = image.shape[1:]
    square = (channels, min(side, height), min(side, width))
    steps = (channels, min(stride, square[1]), min(stride, square[2]))
    credit: Tensor = Occlusion(unit).attribute(
        image.detach(), square, steps, baselines=0, perturbations_per_eval=at_once
    )
    return credit[0].detach()


def grad_cam(unit: nn.Module, maps: nn.Module, image: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391): feature maps by their mean gradients.

    Args:
        unit: Images (N, C, H, W) -> activations (N,).
        maps: Part of `unit` whose output is the feature maps.
        image: (1, C, H, W).

    Returns:
        (H, W), not negative; enlarged from the feature maps' size, bilinear.
    """
    from captum.attr import LayerGradCam

    image = image.detach().clone().requires_grad_()
    coarse: Tensor = LayerGradCam(unit, maps).attribute(image, relu_attributions=True)
    size = tuple(image.shape[2:])
    return functional.interpolate(coarse.detach(), size, mode="bilinear")[0, 0]
