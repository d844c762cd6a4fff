"""Visual field (degrees) to flattened tissue (mm) and back, once, in the array API.

Polimeni, Balasubramanian & Schwartz 2006: with z = x + iy in the right half of the visual field, monopole
w = k ln(1 + z/a), dipole w = k ln(b (z + a) / (a (z + b))), wedge-dipole the dipole of z with its angle times alpha.
``u_mm`` is the real part of w (from the fovea along the horizontal meridian), ``v_mm`` the imaginary part: v rises with
the upper field. A left hemisphere sees the right half of the field (x > 0); a right one mirrors x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from array_api_compat import array_namespace

Array = Any
Hemisphere = Literal["left", "right"]


def _side(hemisphere: Hemisphere) -> float:
    return 1.0 if hemisphere == "left" else -1.0


@dataclass(frozen=True, slots=True)
class WedgeDipole:
    """The dipole map with its meridians squeezed by ``alpha``; alpha 1 is the dipole, b infinite the monopole."""

    k_mm: float
    a_deg: float
    b_deg: float = math.inf
    alpha: float = 1.0

    def to_tissue(self, x_deg: Array, y_deg: Array, hemisphere: Hemisphere = "left") -> tuple[Array, Array]:
        """Return u_mm, v_mm of points in the contralateral half field."""
        xp = array_namespace(x_deg)
        r = xp.sqrt(x_deg**2 + y_deg**2)
        angle = self.alpha * xp.atan2(y_deg, _side(hemisphere) * x_deg)
        re, im = r * xp.cos(angle), r * xp.sin(angle)
        u = 0.5 * xp.log(((re + self.a_deg) ** 2 + im**2) / self.a_deg**2)
        v = xp.atan2(im, re + self.a_deg)
        if math.isfinite(self.b_deg):
            u = u - 0.5 * xp.log(((re + self.b_deg) ** 2 + im**2) / self.b_deg**2)
            v = v - xp.atan2(im, re + self.b_deg)
        return self.k_mm * u, self.k_mm * v

    def to_field(self, u_mm: Array, v_mm: Array, hemisphere: Hemisphere = "left") -> tuple[Array, Array]:
        """Invert ``to_tissue`` exactly where ``inside``."""
        xp = array_namespace(u_mm)
        r, angle = self._polar(u_mm, v_mm)
        angle = angle / self.alpha
        return _side(hemisphere) * r * xp.cos(angle), r * xp.sin(angle)

    def _polar(self, u_mm: Array, v_mm: Array) -> tuple[Array, Array]:
        """Return eccentricity in degrees and the squeezed angle in radians."""
        xp = array_namespace(u_mm)
        grow = xp.exp(u_mm / self.k_mm)
        p, q = grow * xp.cos(v_mm / self.k_mm), grow * xp.sin(v_mm / self.k_mm)
        re, im = self.a_deg * (p - 1), self.a_deg * q
        if math.isfinite(self.b_deg):
            # z = a b (e - 1) / (b - a e), by the conjugate of its denominator
            dr, di = self.b_deg - self.a_deg * p, -self.a_deg * q
            scale = self.b_deg / (dr**2 + di**2)
            re, im = scale * (re * dr + im * di), scale * (im * dr - re * di)
        return xp.sqrt(re**2 + im**2), xp.atan2(im, re)

    def magnification(self, x_deg: Array, y_deg: Array) -> Array:
        """Return mm of tissue per degree at a place, by the usual M = k (1/(r+a) - 1/(r+b)) that ignores alpha."""
        xp = array_namespace(x_deg)
        r = xp.sqrt(x_deg**2 + y_deg**2)
        return self.k_mm * (1 / (r + self.a_deg) - 1 / (r + self.b_deg))

    def inside(self, u_mm: Array, v_mm: Array) -> Array:
        """Return whether tissue places lie in the map: a quarter turn of field at most to either side, 90 deg out."""
        xp = array_namespace(u_mm)
        r, angle = self._polar(u_mm, v_mm)
        # asked before the angle is divided by alpha, which would wrap it round into the map again
        within = xp.abs(angle) <= self.alpha * math.pi / 2 + 1e-9
        return (u_mm >= 0) & within & (r <= 90.0) & (xp.abs(v_mm) < math.pi * self.k_mm)


@dataclass(frozen=True, slots=True)
class LinearRetina:
    """The retina as a flat screen of ``mm_per_deg`` (0.28: Curcio et al. 1990); v is turned up with the field."""

    mm_per_deg: float

    def to_tissue(self, x_deg: Array, y_deg: Array, hemisphere: Hemisphere = "left") -> tuple[Array, Array]:
        """Return u_mm, v_mm."""
        return x_deg * self.mm_per_deg, y_deg * self.mm_per_deg

    def to_field(self, u_mm: Array, v_mm: Array, hemisphere: Hemisphere = "left") -> tuple[Array, Array]:
        """Return x_deg, y_deg."""
        return u_mm / self.mm_per_deg, v_mm / self.mm_per_deg

    def magnification(self, x_deg: Array, y_deg: Array) -> Array:
        """Return mm per degree, the same everywhere."""
        return self.mm_per_deg + 0 * x_deg

    def inside(self, u_mm: Array, v_mm: Array) -> Array:
        """Return whether places lie within 45 degrees of the fovea."""
        return u_mm**2 + v_mm**2 <= (45 * self.mm_per_deg) ** 2
