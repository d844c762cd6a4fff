"""From tissue to spots of light: size, brightness, visibility, and the reference rendering, in the array API."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from prosthesis_sim.tissue import TissueState

Array = Any


@dataclass(frozen=True, slots=True)
class ChargeBrightness:
    """B = 1 / (1 + exp(-slope (A - half))): van der Grinten et al. 2024, fit to Fernandez et al. 2021 fig. 6A.

    The values are those of the published code; the text prints both ten times off.
    """

    slope_per_ua_s: float = 19.1526
    half_ua_s: float = 0.105763

    def __call__(self, state: TissueState, threshold: Array) -> Array:
        """Return brightness 0..1 [n]; habituation acts before it, in the law itself."""
        xp = array_namespace(state.activation)
        return 1 / (1 + xp.exp(-self.slope_per_ua_s * (state.activation - self.half_ua_s)))

    def reaching(self, brightness: float, threshold: Array) -> Array:
        """Return the activation [n] that is seen as bright as this when not habituated."""
        xp = array_namespace(threshold)
        reached = self.half_ua_s + math.log(brightness / (1 - brightness)) / self.slope_per_ua_s
        return reached * xp.ones_like(threshold)


@dataclass(frozen=True, slots=True)
class PulseBrightness:
    """B = 1 / (1 + (half / x)^exponent) / (1 + Q), x being current over threshold.

    With ``PulseLaw``'s rho and 1/m as ``rheobase`` and ``root``, x = rho + (1 - rho) A^(1/m) is the current at which
    the reference train activates as much. Naka-Rushton, fit to Fernandez et al. 2021 fig. 6A; division by 1 + Q follows
    the accommodation of Schmidt et al. 1996 (``docs/results/human_cortex.md``).
    """

    half: float
    exponent: float
    rheobase: float = 0.5
    root: float = 1.0

    def __call__(self, state: TissueState, threshold: Array) -> Array:
        """Return brightness 0..1 [n]."""
        # a tiny floor keeps the gradients of powers at 0 finite
        current = self.rheobase + (1 - self.rheobase) * (state.activation + 1e-12) ** self.root
        return 1 / (1 + (self.half / current) ** self.exponent) / (1 + state.trace)

    def reaching(self, brightness: float, threshold: Array) -> Array:
        """Return the activation [n] that is seen as bright as this when not habituated."""
        xp = array_namespace(threshold)
        current = self.half * (brightness / (1 - brightness)) ** (1 / self.exponent)
        reached = ((current - self.rheobase) / (1 - self.rheobase)) ** (1 / self.root)
        return reached * xp.ones_like(threshold)


def visible(activation: Array, threshold: Array, softness: float = 0.0) -> Array:
    """Return 1.0 above threshold, 0.0 below; with ``softness`` (share of threshold) a logistic step."""
    xp = array_namespace(activation)
    if softness == 0.0:
        return xp.astype(activation > threshold, activation.dtype)
    # infinite thresholds, of electrodes that evoke nothing, must not make NaN
    return 1 / (1 + xp.exp(xp.clip((1 - activation / threshold) / softness, -80.0, 80.0)))


def spread_radius_mm(current_ua: Array, k_ua_per_mm2: float) -> Array:
    """Return how far a current activates: sqrt(I / K), K = 675 uA/mm2 (Tehovnik et al. 2006)."""
    xp = array_namespace(current_ua)
    # an electrode never driven has size 0, and the slope of a root at 0 would be infinite
    return xp.sqrt(xp.maximum(current_ua, 1e-12 + 0 * current_ua) / k_ua_per_mm2)


def saturating_radius_mm(current_ua: Array, diameter_mm: float, half_ua: float, slope_per_ua: float) -> Array:
    """Return half of D / (1 + exp(-slope (I - half))): Bosking et al. 2017, rescaled for microelectrodes."""
    xp = array_namespace(current_ua)
    return 0.5 * diameter_mm / (1 + xp.exp(-slope_per_ua * (current_ua - half_ua)))


def erf(x: Array) -> Array:
    """Return the error function: the library's own, or to 1.5e-7 (Abramowitz & Stegun 7.1.26)."""
    xp = array_namespace(x)
    if hasattr(xp, "erf"):
        return xp.erf(x)
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
