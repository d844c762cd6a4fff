"""The implant's heat: the power it takes, and how warm that makes the tissue.

All values are chosen: 20 mW at rest and 10 mW for the link (Omisakin 2021 has about 100 mW for 1000 electrodes), and a
first-order warming by which 100 mW end at 1 degree. At 2 degrees (ISO 14708-1, as cited by Whalen 2023) it stops.
"""

from __future__ import annotations

import math

STATIC_MW, LINK_MW = 20.0, 10.0
C_PER_MW, TAU_S = 0.01, 120.0
WARM_C, HOT_C = 1.0, 2.0
MOST_MW = 100.0
_SMOOTH_S = 0.1


class Vitals:
    """Power in mW, smoothed over a tenth of a second, and warming above the body in degrees."""

    def __init__(self) -> None:
        self.power_mw = STATIC_MW + LINK_MW
        self.warming_c = 0.0
        self.extra_mw = 0.0

    def live(self, charge_pc: float, compliance_v: float, dt_s: float) -> None:
        """Let ``dt_s`` pass in which ``charge_pc`` went out in each of both phases, from the compliance voltage."""
        pulses_mw = 2 * charge_pc * compliance_v * 1e-9 / dt_s
        power = STATIC_MW + LINK_MW + self.extra_mw + pulses_mw
        self.power_mw += (power - self.power_mw) * -math.expm1(-dt_s / _SMOOTH_S)
        self.warming_c += (power * C_PER_MW - self.warming_c) * -math.expm1(-dt_s / TAU_S)

    def trip(self) -> str | None:
        """Return why stimulation must stop, ``None`` if it need not."""
        if self.warming_c >= HOT_C:
            return f"over-temperature: {self.warming_c:.1f} C above the body"
        return None
