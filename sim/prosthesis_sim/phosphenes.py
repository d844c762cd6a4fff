"""From tissue to spots of light: size, brightness, visibility, and the reference rendering, in the array API."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

Array = Any


@dataclass(frozen=True, slots=True)
class Brightness:
    """B = 1 / (1 + exp(-slope (A - half))): van der Grinten et al. 2024, fit to Fernandez et al. 2021 fig. 6A.

    The values are those of the published code; the text prints both ten times off.
    """

    slope_per_ua_s: float = 19.1526
    half_ua_s: float = 0.105763

    def __call__(self, activation: Array) -> Array:
        """Return brightness 0..1 of activation (uA s)."""
        xp = array_namespace(activation)
        return 1 / (1 + xp.exp(-self.slope_per_ua_s * (activation - self.half_ua_s)))


def spread_radius_mm(current_ua: Array, k_ua_per_mm2: float) -> Array:
    """Return how far a current activates: sqrt(I / K), K = 675 uA/mm2 (Tehovnik et al. 2006)."""
    xp = array_namespace(current_ua)
    return xp.sqrt(current_ua / k_ua_per_mm2)


def erf(x: Array) -> Array:
    """Return the error function to 1.5e-7 (Abramowitz & Stegun 7.1.26), in any array library."""
    xp = array_namespace(x)
    size = xp.abs(x)
    t = 1 / (1 + 0.3275911 * size)
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return xp.sign(x) * (1 - poly * xp.exp(-size * size))


def _profile(edges: Array, centre: Array, sigma: Array) -> Array:
    """Return the mean over each pixel of exp(-d^2 / 2 sigma^2), [n, pixels]."""
    xp = array_namespace(edges)
    width = edges[1] - edges[0]
    # one that was never driven has no size: 0 / 0 on a pixel's edge would spoil the whole image
    sigma = xp.where(sigma > 1e-3 * width, sigma, 1e-3 * width)
    scaled = (edges[None, :] - centre[:, None]) / (math.sqrt(2) * sigma[:, None])
    integral = erf(scaled) * (sigma[:, None] * math.sqrt(math.pi / 2))
    return (integral[:, 1:] - integral[:, :-1]) / width


def render_reference(
    x_edges_deg: Array, y_edges_deg: Array, x_deg: Array, y_deg: Array, sigma_deg: Array, brightness: Array
) -> Array:
    """Return the image [h, w] in 0..1 of Gaussian phosphenes of peak ``brightness``, averaged over each pixel.

    Point sampling, as the peers do, lets a small phosphene's light change a hundredfold as it moves within a pixel.
    ``y_edges_deg`` rises; row 0 of the image is the top of the field.
    """
    xp = array_namespace(x_deg)
    across = _profile(x_edges_deg, x_deg, sigma_deg)
    up = _profile(y_edges_deg, y_deg, sigma_deg) * brightness[:, None]
    return xp.flip(xp.clip(xp.matmul(up.T, across), 0.0, 1.0), axis=0)
