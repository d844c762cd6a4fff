"""Textures by Gram matrices (Gatys et al. 2015), and how well they keep a simulated V1's mean responses.

Features are those of our own classifier of clothes, no VGG-19: what it does not see, its textures do not keep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from prosthesis.errors import ProsthesisError
from prosthesis_train.methods.classifier import Classifier
from prosthesis_train.reading.dream import layer_outputs
from prosthesis_train.reading.evolution import F32, F64


def convolutions(net: Classifier) -> list[nn.Module]:
    """Return the classifier's rectified layers, from fine to coarse."""
    return [layer for layer in net.body if isinstance(layer, nn.ReLU)]


def gram(features: Tensor) -> Tensor:
    """Return F F^T, f32[n,c,c], of features f32[n,c,h,w]: which channels are active together, wherever that is."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2)


def gram_loss(made: Sequence[Tensor], wanted: Sequence[Tensor], places: Sequence[int]) -> Tensor:
    """Return the sum over layers of ||G - G'||^2 / (4 N^2 M^2): N channels, M ``places`` (Gatys et al. 2015)."""
    terms = [
        (g - w).square().sum() / (4 * g.shape[1] ** 2 * m**2) for g, w, m in zip(made, wanted, places, strict=True)
    ]
    return torch.stack(terms).sum()


def synthesise(
    target: Tensor, net: Classifier, steps: int = 200, seed: int = 0, say: Callable[[str], None] = lambda _: None
) -> Tensor:
    """Return pictures f32[n,1,h,w] in [-1,1] with the Gram matrices of ``target``, from noise, by L-BFGS.

    Raises ``ProsthesisError`` when the loss is no number.
    """
    layers = convolutions(net)
    with torch.no_grad():
        found = layer_outputs(net, layers, target)
    # every layer counts alike, as in Gatys et al., who scaled VGG's to a mean activity of 1
    usual = [f.mean().clamp_min(1e-6) for f in found]
    wanted, places = [gram(f / u) for f, u in zip(found, usual, strict=True)], [f.shape[2] * f.shape[3] for f in found]
    # by tanh, so that no pixel leaves the range; noise of the target's own mean and spread
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(seed))
    start = (target.mean((1, 2, 3), keepdim=True) + target.std((1, 2, 3), keepdim=True) * noise).clamp(-0.95, 0.95)
    raw = torch.atanh(start).requires_grad_()
    optimiser = torch.optim.LBFGS([raw], max_iter=10, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        made = layer_outputs(net, layers, torch.tanh(raw))
        loss = gram_loss([gram(f / u) for f, u in zip(made, usual, strict=True)], wanted, places)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    for step in range(0, steps, 10):
        loss = float(optimiser.step(closure).detach())  # type: ignore[no-untyped-call]
        if not np.isfinite(loss):
            raise ProsthesisError("the texture's loss is no number any more; give pictures in -1..1")
        say(f"texture, step {step + 10} of {steps}: loss {loss:.4g}")
    return torch.tanh(raw).detach()


def pixel_shuffled(images: F32, seed: int = 0) -> F32:
    """Return images with their pixels in random order: the histogram stays, all structure goes."""
    random = np.random.default_rng(seed)
    flat = images.reshape(len(images), -1)
    return random.permuted(flat, axis=1).reshape(images.shape)


def phase_scrambled(images: F32, seed: int = 0) -> F32:
    """Return images with random phases, cut to 0..1: the power spectrum stays, edges and the histogram go."""
    random = np.random.default_rng(seed)
    phase = np.angle(np.fft.fft2(random.standard_normal(images.shape)))
    spectrum = np.fft.fft2(images)
    phase[:, 0, 0] = np.angle(spectrum[:, 0, 0])
    return np.clip(np.fft.ifft2(np.abs(spectrum) * np.exp(1j * phase)).real, 0, 1).astype(np.float32)


def mean_rates(rates_hz: Callable[[F32], F64], images: F32, shifts: int = 16, seed: int = 0) -> F64:
    """Return each unit's rate f64[n,units] to each image, averaged over ``shifts`` circular shifts of it.

    A texture has no place, and a unit has: without shifts, one bright blob in one field would decide.
    """
    random, side = np.random.default_rng(seed), images.shape[-1]
    moves = random.integers(0, side, (shifts, 2))
    total = sum(rates_hz(np.roll(images, tuple(move), (1, 2))) for move in moves)
    return np.asarray(total / shifts, np.float64)


def kept(rates: F64, rates_made: F64) -> F64:
    """Return f64[n]: per image, Pearson's r over units of its mean rates and those of what was made of it.

    Rates are first divided by each unit's mean over the images, for busy units are busy with any picture. Needs two
    images or more.
    """
    if len(rates) < 2 or rates.shape != rates_made.shape:
        raise ProsthesisError(
            f"rates of shapes {rates.shape} and {rates_made.shape}: give two images or more, in pairs"
        )
    usual = np.maximum(rates.mean(0), 1e-9)
    x, y = rates / usual, rates_made / usual
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    return np.asarray((x * y).sum(1) / np.maximum(norms, 1e-12), np.float64)
