"""Kernel distance of features (Binkowski et al. 2018): unbiased, so it also serves small sets."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torchmetrics.image.kid import KernelInceptionDistance

from prosthesis_train.scores.ready import Ready, check, seeded


@dataclass(frozen=True, slots=True)
class Kid:
    """Mean and standard deviation over subsets of the squared MMD with kernel (x.y/k + 1)^3."""

    value: float
    sd: float


def kid(reference: Tensor, features: Tensor, subsets: int = 50, subset_size: int = 1000, seed: int = 0) -> Kid:
    """Return the distance between two sets f32[n,k]; subsets are drawn by ``seed``."""
    check(reference, features)
    size = min(subset_size, len(reference), len(features))
    with seeded(seed):
        metric = KernelInceptionDistance(feature=Ready(reference.shape[1]), subsets=subsets, subset_size=size)
        metric.update(reference, real=True)
        metric.update(features, real=False)
        mean, sd = metric.compute()
    return Kid(float(mean), float(sd))
