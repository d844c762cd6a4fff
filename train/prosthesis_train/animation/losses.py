"""What the animation networks learn from: pictures alike to an eye, keypoints that move as pictures do.

Equivariance: a picture bent by a known thin-plate spline must have its keypoints and their Jacobians bent likewise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as fn
from torch import Tensor

from prosthesis_train.animation.looker import Looker
from prosthesis_train.networks.animation import Points, grid, inverse, warped

KNOTS = 5  # of a bend, across and down
AFFINE, BEND = 0.05, 0.005  # standard deviations of a bend's parts, as in the paper's training
SCALES = (1, 2)
TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Bend:
    """A thin-plate spline in the plane: affine f32[n,2,3] and one weight a knot and axis f32[n,2,knots]."""

    affine: Tensor
    weights: Tensor
    knots: Tensor

    def at(self, places: Tensor) -> Tensor:
        """Return where places f32[n,k,2] go."""
        squares = (places[:, :, None] - self.knots).square().sum(-1) + TINY
        bent = (0.5 * squares * torch.log(squares)) @ self.weights.transpose(1, 2)
        return places @ self.affine[:, :, :2].transpose(1, 2) + self.affine[:, None, :, 2] + bent

    def jacobian(self, places: Tensor) -> Tensor:
        """Return its derivative f32[n,k,2,2] at places f32[n,k,2]."""
        away = places[:, :, None] - self.knots
        slope = (torch.log(away.square().sum(-1) + TINY) + 1)[..., None] * away
        return self.affine[:, None, :, :2] + torch.einsum("nam,nkmb->nkab", self.weights, slope)

    def to(self, device: torch.device) -> Bend:
        """Return the same on another device."""
        return Bend(self.affine.to(device), self.weights.to(device), self.knots.to(device))

    def picture(self, x: Tensor) -> Tensor:
        """Return pictures whose place z shows what ``x`` shows at ``at(z)``."""
        n, _, h, w = x.shape
        return warped(x, self.at(grid(h, w, x).reshape(1, -1, 2).expand(n, -1, -1)).reshape(n, h, w, 2))


def random_bend(n: int, random: torch.Generator) -> Bend:
    """Return ``n`` bends near the identity."""
    affine = torch.eye(2, 3) + AFFINE * torch.randn(n, 2, 3, generator=random)
    knots = grid(KNOTS, KNOTS, affine).reshape(-1, 2) * KNOTS / (KNOTS - 1)
    return Bend(affine, BEND * torch.randn(n, 2, KNOTS * KNOTS, generator=random), knots)


def equivariance(points: Points, of_bent: Points, bend: Bend) -> tuple[Tensor, Tensor]:
    """Return how far keypoints and Jacobians of a bent picture are from those of the picture, bent likewise."""
    at = (points.at - bend.at(of_bent.at)).abs().mean()
    turn = inverse(points.jacobian) @ bend.jacobian(of_bent.at) @ of_bent.jacobian
    return at, (torch.eye(2, device=turn.device) - turn).abs().mean()


def likeness(made: Tensor, true: Tensor, eye: Looker) -> tuple[Tensor, Tensor, Tensor]:
    """Return how unlike pictures f32[n,3,h,w] in 0..1 are, as mean absolute differences.

    Of pixels and of the eye's features, each summed over a pyramid of sizes, and of what it tells: whom it sees, in
    traits about -1..1, and where, in half pictures.
    """
    pixels, seen = made.new_zeros(()), made.new_zeros(())
    for scale in SCALES:
        a, b = (fn.avg_pool2d(x, scale) for x in (made, true))
        pixels = pixels + (a - b).abs().mean()
        with torch.no_grad():
            wanted = eye.features(b)
        for x, y in zip(eye.features(a), wanted, strict=True):
            seen = seen + (x - y).abs().mean()
    with torch.no_grad():
        wanted = eye(true)
    told = sum(((x - y).abs().mean() for x, y in zip(eye(made), wanted, strict=True)), made.new_zeros(()))
    return pixels, seen, told
