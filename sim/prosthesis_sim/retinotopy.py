"""Visual field (degrees) to flattened tissue (mm) and back, once, in the array API.

Polimeni, Balasubramanian & Schwartz 2006: with z = x + iy in the right half of the visual field, monopole
w = k ln(1 + z/a), dipole w = k ln(b (z + a) / (a (z + b))), wedge-dipole the dipole of z with its angle squeezed.
V1, V2 and V3 are three wedges beside each other that share the dipole: each area has its own squeeze alpha, and V2
is V1's mirror image. ``u_mm`` is the real part of w (from the fovea along the horizontal meridian), ``v_mm`` the
imaginary part: in V1 v rises with the upper field. A left hemisphere sees the right half of the field (x > 0); a right
one mirrors x.
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
    """The dipole map with each area's meridians squeezed by its ``alpha``.

    ``alpha`` 1 is the plain dipole in V1, ``b_deg`` infinite the monopole. ``alpha2``, ``alpha3`` are V2's and V3's
    (1/3 and 1/4 in Polimeni et al. 2006); with 0 the map ends where V1 does.

    >>> import numpy as np
    >>> cortex = WedgeDipole(k_mm=15.0, a_deg=0.7)
    >>> u_mm, v_mm = cortex.to_tissue(np.array([2.0]), np.array([0.0]))
    >>> x_deg, y_deg = cortex.to_field(u_mm, v_mm)
    >>> round(float(u_mm[0]), 3), round(15.0 * math.log(1 + 2.0 / 0.7), 3), round(float(x_deg[0]), 3)
    (20.249, 20.249, 2.0)
    """

    k_mm: float
    a_deg: float
    b_deg: float = math.inf
    alpha: float = 1.0
    alpha2: float = 0.0
    alpha3: float = 0.0

    def to_tissue(
        self, x_deg: Array, y_deg: Array, hemisphere: Hemisphere = "left", area: int = 1
    ) -> tuple[Array, Array]:
        """Return u_mm, v_mm of points in the contralateral half field, in V``area``."""
        xp = array_namespace(x_deg)
        r = xp.sqrt(x_deg**2 + y_deg**2)
        angle = self._squeeze(xp.atan2(y_deg, _side(hemisphere) * x_deg), area)
        re, im = r * xp.cos(angle), r * xp.sin(angle)
        u = 0.5 * xp.log(((re + self.a_deg) ** 2 + im**2) / self.a_deg**2)
        v = xp.atan2(im, re + self.a_deg)
        if math.isfinite(self.b_deg):
            u = u - 0.5 * xp.log(((re + self.b_deg) ** 2 + im**2) / self.b_deg**2)
            v = v - xp.atan2(im, re + self.b_deg)
        return self.k_mm * u, self.k_mm * v

    def to_field(self, u_mm: Array, v_mm: Array, hemisphere: Hemisphere = "left") -> tuple[Array, Array]:
        """Invert ``to_tissue`` exactly where ``inside``, in whichever area the place lies."""
        xp = array_namespace(u_mm)
        r, wedge = self._polar(u_mm, v_mm)
        angle = self._unsqueeze(wedge)
        return _side(hemisphere) * r * xp.cos(angle), r * xp.sin(angle)

    def area(self, u_mm: Array, v_mm: Array) -> Array:
        """Return the visual area of tissue places: 1, 2 or 3, and 0 beyond the map."""
        xp = array_namespace(u_mm)
        r, wedge = self._polar(u_mm, v_mm)
        size, (v1, v2, v3) = xp.abs(wedge), self._borders
        number = 3 - xp.astype(size <= v1 + 1e-9, xp.int32) - xp.astype(size <= v2 + 1e-9, xp.int32)
        within = (u_mm >= 0) & (r <= 90.0) & (xp.abs(v_mm) < math.pi * self.k_mm) & (size <= v3 + 1e-9)
        return xp.where(within, number, 0 * number)

    def inside(self, u_mm: Array, v_mm: Array) -> Array:
        """Return whether tissue places lie in the map: up to 90 deg out, in an area that it has."""
        return self.area(u_mm, v_mm) > 0

    def magnification(self, x_deg: Array, y_deg: Array) -> Array:
        """Return mm of tissue per degree at a place, by the usual M = k (1/(r+a) - 1/(r+b)) that ignores alpha."""
        xp = array_namespace(x_deg)
        r = xp.sqrt(x_deg**2 + y_deg**2)
        return self.k_mm * (1 / (r + self.a_deg) - 1 / (r + self.b_deg))

    @property
    def _borders(self) -> tuple[float, float, float]:
        """The wedge angles at which V1, V2 and V3 end."""
        v1 = self.alpha * math.pi / 2
        v2 = v1 + self.alpha2 * math.pi / 2
        return v1, v2, v2 + self.alpha3 * math.pi / 2

    def _squeeze(self, angle: Array, area: int) -> Array:
        xp = array_namespace(angle)
        _, v2, _ = self._borders
        sign = xp.where(angle < 0, -xp.ones_like(angle), xp.ones_like(angle))
        if area == 1:
            return self.alpha * angle
        if area == 2:  # from the vertical meridian, which it shares with V1, back to the horizontal
            return sign * v2 - self.alpha2 * angle
        return sign * v2 + self.alpha3 * angle

    def _unsqueeze(self, wedge: Array) -> Array:
        xp = array_namespace(wedge)
        v1, v2, _ = self._borders
        sign = xp.where(wedge < 0, -xp.ones_like(wedge), xp.ones_like(wedge))
        angle, size = wedge / self.alpha, xp.abs(wedge)
        if self.alpha2:
            angle = xp.where(size > v1 + 1e-9, sign * (v2 - size) / self.alpha2, angle)
        if self.alpha3:
            angle = xp.where(size > v2 + 1e-9, sign * (size - v2) / self.alpha3, angle)
        return angle

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
