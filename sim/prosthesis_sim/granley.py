"""How pulses shape a retinal phosphene: brightness, size and streak of Granley & Beyeler 2021, in the array API.

With amplitude a in multiples of the threshold at 0.45 ms, pulse width t in ms and rate f in Hz, equal charge counts
alike: a' = a (0.054326 + 2.095 t). Then F_bright = 0.1492147 a' + 0.0163851 f, F_size = 1.0812 a' - 0.35338 and
F_streak = 1.56 - 0.54 t^0.21; rho grows by sqrt(F_size), lambda by sqrt(F_streak). The threshold
line is pulse2percept's refit to Argus II data.

The fits rest on Argus I users (Nanduri et al. 2012: 1.25 to 6 times threshold, 15 to 120 Hz; Horsager et al. 2009:
0.075 to 4 ms) and, for the streak, on mouse retina (Weitz et al. 2015: 0.06 to 100 ms, unverified); beyond lies
extrapolation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

Array = Any
# F_size falls below 0 under a third of threshold, F_streak beyond 156 ms: both stop at this radius, as the peer's
SMALLEST_UM = 10.0


@dataclass(frozen=True, slots=True)
class Granley:
    """The three effects on a patient's ``rho_um`` and ``lambda_um``."""

    rho_um: float = 300.0
    lambda_um: float = 500.0

    def __call__(self, amplitude: Array, pulse_width_us: Array, rate_hz: Array) -> tuple[Array, Array, Array]:
        """Return brightness, rho_um and lambda_um [n]; where no pulses come, brightness is 0."""
        xp = array_namespace(amplitude)
        width_ms = pulse_width_us * 1e-3
        charge = amplitude * (0.054326 + 2.095 * width_ms)
        pulsed = (amplitude > 0) & (pulse_width_us > 0) & (rate_hz > 0)
        bright = xp.where(pulsed, 0.1492147 * charge + 0.0163851 * rate_hz, 0.0 * charge)
        size = xp.clip(1.0812 * charge - 0.35338, (SMALLEST_UM / self.rho_um) ** 2, None)
        streak = xp.clip(1.56 - 0.54 * width_ms**0.21, (SMALLEST_UM / self.lambda_um) ** 2, None)
        return bright, self.rho_um * xp.sqrt(size), self.lambda_um * xp.sqrt(streak)
