"""Reconstruction 2AFC by machine: which of two reconstructions, its own or another's, is more like a picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from prosthesis.errors import ProsthesisError

BLOCK = 1000


@dataclass(frozen=True, slots=True)
class Choice:
    """Share of right choices over all ordered pairs (ties half), with a 95 % interval; chance is 0.5."""

    share: float
    low: float
    high: float


def two_afc(pictures: Tensor, reconstructions: Tensor) -> Choice:
    """Return how often Pearson's r finds the right one of two reconstructions, over all n (n - 1) pairs.

    Both are f32[n,...] in any space, row i of one belonging to row i of the other. Pairs share pictures, so the
    interval is that of a U-statistic: variance 4 var(h) / n of Hoeffding's projection h (Hoeffding 1948).

    >>> pictures = torch.randn(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> two_afc(pictures, pictures).share, round(two_afc(pictures, pictures.roll(1, 0)).share, 1)  # and each another's
    (1.0, 0.5)
    """
    if pictures.shape != reconstructions.shape or len(pictures) < 3:
        raise ProsthesisError(
            f"2AFC needs three pairs or more of one shape, not {tuple(pictures.shape)} and "
            f"{tuple(reconstructions.shape)}"
        )
    x, y = unit_rows(pictures), unit_rows(reconstructions)
    own = (x * y).sum(1)
    as_target, as_other = torch.zeros(len(x), dtype=torch.float64), torch.zeros(len(x), dtype=torch.float64)
    for start in range(0, len(x), BLOCK):
        part = slice(start, start + BLOCK)
        right = _right(own[part, None], x[part] @ y.T)
        right[torch.arange(len(right)), torch.arange(start, start + len(right))] = 0
        as_target[part] = right.sum(1).double()
        as_other += right.sum(0)
    projected = (as_target + as_other) / (2 * (len(x) - 1))
    share, half = float(projected.mean()), float(1.96 * 2 * projected.std() / len(x) ** 0.5)
    return Choice(share, max(share - half, 0.0), min(share + half, 1.0))


def _right(own: Tensor, others: Tensor) -> Tensor:
    # rounding must not decide a tie: equal reconstructions differ by about 1e-7
    tie = (own - others).abs() < 1e-6
    return torch.where(tie, 0.5, (own > others).float())


def unit_rows(images: Tensor) -> Tensor:
    """Return rows of mean 0 and norm 1, or all 0 where a row is constant: such a one correlates with nothing."""
    flat = images.flatten(1).float()
    return torch.nn.functional.normalize(flat - flat.mean(1, keepdim=True), dim=1)


def wilson(right: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of independent trials (Wilson 1927).

    >>> low, high = wilson(50, 100)
    >>> round(low, 3), round(high, 3)
    (0.404, 0.596)
    """
    z2, share = 1.96**2, right / n
    centre, half = share + z2 / (2 * n), 1.96 * (share * (1 - share) / n + z2 / (4 * n * n)) ** 0.5
    return (centre - half) / (1 + z2 / n), (centre + half) / (1 + z2 / n)
