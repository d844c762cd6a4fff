"""Fidelity and diversity apart: precision and recall (Kynkaanniemi 2019), density and coverage (Naeem 2020).

A set's manifold is the union of balls about its features, each as large as the distance to the k-th neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from prosthesis.errors import ProsthesisError
from prosthesis_train.scores.ready import check

BLOCK = 1000


@dataclass(frozen=True, slots=True)
class Manifold:
    """Shares in 0..1; density may exceed 1 where samples crowd about common pictures."""

    precision: float
    recall: float
    density: float
    coverage: float


def manifold(reference: Tensor, features: Tensor, k: int = 5, real_radius: Tensor | None = None) -> Manifold:
    """Return the four scores of two sets f32[n,d]; k = 5 as in Naeem et al. 2020, whose strict comparison is kept.

    ``real_radius``: ``radii(reference, k)`` where many sets are compared with one.
    """
    check(reference, features)
    if min(len(reference), len(features)) <= k:
        raise ProsthesisError(f"precision and recall with {k} neighbours need more than {k} pictures in each set")
    real_radius = radii(reference, k) if real_radius is None else real_radius
    fake_radius = radii(features, k)
    in_real = torch.zeros(len(features), dtype=torch.long)  # how many real balls hold each fake
    recalled, covered = [], []
    for start in range(0, len(reference), BLOCK):
        part = slice(start, start + BLOCK)
        distance = torch.cdist(reference[part], features)
        held = distance < real_radius[part, None]
        in_real += held.sum(0)
        covered.append(held.any(1))
        recalled.append((distance < fake_radius[None]).any(1))
    return Manifold(
        precision=float((in_real > 0).float().mean()),
        recall=float(torch.cat(recalled).float().mean()),
        density=float(in_real.float().mean() / k),
        coverage=float(torch.cat(covered).float().mean()),
    )


def radii(features: Tensor, k: int) -> Tensor:
    """Return each feature's distance to its k-th nearest other."""
    out = []
    for start in range(0, len(features), BLOCK):
        distance = torch.cdist(features[start : start + BLOCK], features)
        # by index, for a duplicate is a neighbour at distance 0 and the point itself is none
        distance[torch.arange(len(distance)), torch.arange(start, start + len(distance))] = torch.inf
        out.append(distance.topk(k, dim=1, largest=False).values[:, -1])
    return torch.cat(out)
