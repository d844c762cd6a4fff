"""Frechet distance between the Gaussians fitted to two sets of features (Heusel et al. 2017, eq. 6)."""

from __future__ import annotations

from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance

from prosthesis.errors import ProsthesisError
from prosthesis_train.scores.ready import Ready, check


def frechet(reference: Tensor, features: Tensor) -> float:
    """Return the distance between two sets f32[n,k], in squared feature units; biased upwards in 1/n, so fix n.

    >>> import torch
    >>> features = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    >>> abs(round(frechet(features, features), 6)), round(frechet(features, features + 3), 3)  # 4 numbers moved by 3
    (0.0, 36.0)
    """
    check(reference, features)
    metric = FrechetInceptionDistance(feature=Ready(reference.shape[1]))
    metric.update(reference.double(), real=True)
    metric.update(features.double(), real=False)
    return float(metric.compute())


def normalised(score: float, floor: float, noise: float) -> float:
    """Return 0 for a score like real against real, 1 for one like noise."""
    if not noise > floor:
        raise ProsthesisError(f"noise scores {noise:.4g}, no worse than real {floor:.4g}: the network is blind")
    return (score - floor) / (noise - floor)
