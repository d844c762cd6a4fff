"""Images that drive a unit or a layer, by gradient ascent in octaves with jitter: DeepDream (Mordvintsev et al. 2015).

The same ascent makes stimuli for a neuron through a differentiable model of it (Bashivan et al. 2019; Walker et al.
2019).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from prosthesis.errors import ProsthesisError

Objective = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class DreamSettings:
    """Octaves, their ratio and the iterations in each are those of the published notebook; 32 pixels are few.

    So ``jitter_px`` and ``step`` (mean change of a pixel in -1..1 each iteration) are ours.
    """

    octaves: int = 4
    ratio: float = 1.4
    iterations: int = 10
    step: float = 0.02
    jitter_px: int = 4


def dream(objective: Objective, start: Tensor, settings: DreamSettings | None = None, seed: int = 0) -> Tensor:
    """Return pictures f32[n,c,h,w] in [-1,1] that raise ``objective``, f32[n] of pictures, starting from ``start``.

    What is added in an octave is coarse at first and finer each time; the network always sees the full side, so a
    model of one size will do.
    """
    s = settings or DreamSettings()
    random, side = torch.Generator().manual_seed(seed), start.shape[-1]
    shown = start.detach().clone()
    for octave in range(s.octaves - 1, -1, -1):
        small = max(4, round(side / s.ratio**octave))
        for _ in range(s.iterations):
            down, right = torch.randint(-s.jitter_px, s.jitter_px + 1, (2,), generator=random).tolist()
            shown = _raised(objective, shown.roll((down, right), (2, 3)), small, s.step).roll((-down, -right), (2, 3))
    return shown


def _raised(objective: Objective, pictures: Tensor, side: int, step: float) -> Tensor:
    added = torch.zeros(*pictures.shape[:2], side, side, requires_grad=True)
    objective(pictures + _resized(added, pictures.shape[-1])).sum().backward()  # type: ignore[no-untyped-call]
    if added.grad is None or not added.grad.isfinite().all():
        raise ProsthesisError(
            "the objective has no finite gradient; is every step from picture to unit differentiable?"
        )
    change = _resized(added.grad, pictures.shape[-1])
    change = change / change.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-12)
    return (pictures + step * change).clamp(-1, 1)


def _resized(pictures: Tensor, side: int) -> Tensor:
    if pictures.shape[-1] == side:
        return pictures
    return fn.interpolate(pictures, size=(side, side), mode="bilinear", align_corners=False)


def activity(network: nn.Module, layer: str, channel: int | None = None) -> Objective:
    """Return the objective of a layer, half its mean square, or of one channel, its mean over places.

    ``layer`` is a name as ``network.named_modules`` gives them; raises ``ProsthesisError`` when there is none.
    """
    modules = dict(network.named_modules())
    if layer not in modules:
        raise ProsthesisError(f"the network has no layer '{layer}'; there are: {', '.join(n for n in modules if n)}")

    def objective(pictures: Tensor) -> Tensor:
        out = layer_outputs(network, [modules[layer]], pictures)[0]
        if channel is None:
            return out.flatten(1).square().mean(1) / 2
        return out[:, channel].reshape(len(out), -1).mean(1)

    return objective


def layer_outputs(network: nn.Module, layers: list[nn.Module], pictures: Tensor) -> list[Tensor]:
    """Return what each of the layers puts out for pictures, in their order."""
    caught: dict[int, Tensor] = {}

    def catch(module: nn.Module, _: object, out: Tensor) -> None:
        caught[id(module)] = out

    hooks = [layer.register_forward_hook(catch) for layer in layers]
    try:
        network(pictures)
    finally:
        for hook in hooks:
            hook.remove()
    return [caught[id(layer)] for layer in layers]
