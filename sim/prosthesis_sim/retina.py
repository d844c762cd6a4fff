"""The retina as Watson (2014) measures it in degrees: visual field to millimetres and back, in the array API.

As in ``retinotopy.LinearRetina`` the retinal image is already turned: ``u_mm`` rises with ``x_deg`` and ``v_mm`` with
the upper field, so ``v_mm`` > 0 is *inferior* retina. Neither map depends on the eye; the optic disc does (``axons``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from prosthesis_sim.retinotopy import Hemisphere

Array = Any
# Watson 2014 eq. A5: mm of retina = r (0.268 + r (3.427e-4 + r (-8.3309e-6))) at r degrees from the fovea
_A, _B, _C = 0.268, 3.427e-4, -8.3309e-6
_RIM_DEG = 90.0
_RIM_MM = _RIM_DEG * (_A + _RIM_DEG * (_B + _RIM_DEG * _C))


@dataclass(frozen=True, slots=True)
class WatsonRetina:
    """Eccentricity in mm by Watson's eq. A5 along every meridian, out to 90 degrees.

    The inverse solves A5 to rounding. Peers evaluate eq. A6 instead, a polynomial fitted apart, which is 4.7 % off at
    the fovea (0.6 degrees at the rim) and does not undo A5.
    """

    def to_tissue(self, x_deg: Array, y_deg: Array, hemisphere: Hemisphere = "left") -> tuple[Array, Array]:
        """Return u_mm, v_mm."""
        scale = self._mm_per_deg(x_deg, y_deg)
        return x_deg * scale, y_deg * scale

    def to_field(self, u_mm: Array, v_mm: Array, hemisphere: Hemisphere = "left") -> tuple[Array, Array]:
        """Return x_deg, y_deg, exact where ``inside``."""
        xp = array_namespace(u_mm)
        r_mm = xp.sqrt(u_mm**2 + v_mm**2)
        r = r_mm / _A
        for _ in range(8):  # Newton; five leave 1e-9 deg at the rim
            r = r - (r * (_A + r * (_B + r * _C)) - r_mm) / (_A + r * (2 * _B + r * 3 * _C))
        scale = _A + r * (_B + r * _C)
        return u_mm / scale, v_mm / scale

    def _mm_per_deg(self, x_deg: Array, y_deg: Array) -> Array:
        """Return the mean from the fovea, r_mm / r_deg; it is also the local one across the meridian."""
        xp = array_namespace(x_deg)
        r = xp.sqrt(x_deg**2 + y_deg**2)
        return _A + r * (_B + r * _C)

    def magnification(self, x_deg: Array, y_deg: Array) -> Array:
        """Return local mm per degree, the geometric mean of along and across, which keeps areas.

        The two differ by 1.8 % at most within 30 degrees, by 5 % at 40.
        """
        xp = array_namespace(x_deg)
        r = xp.sqrt(x_deg**2 + y_deg**2)
        along, across = _A + r * (2 * _B + r * 3 * _C), _A + r * (_B + r * _C)
        return xp.sqrt(along * across)

    def inside(self, u_mm: Array, v_mm: Array) -> Array:
        """Return whether places lie within 90 degrees of the fovea."""
        return u_mm**2 + v_mm**2 <= _RIM_MM**2
