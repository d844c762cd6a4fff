"""Phosphenes that rise and fade: leaky integrators solved exactly for a drive that is constant over a step.

tau dB/dt = D - B. Peers step this by Euler every 5 us; here one step of any length equals any subdivision of it. The
state is one number an electrode (two for ``fade_twice``), so the image is drawn once a frame; any array library.
"""

from __future__ import annotations

import math
from typing import Any

Array = Any


def fade(brightness: Array, drive: Array, dt_s: float, tau_s: float = 0.1) -> Array:
    """Return brightness [n] ``dt_s`` later under ``drive`` [n]; 100 ms as in published retinal models."""
    return drive + (brightness - drive) * math.exp(-dt_s / tau_s)


def fade_twice(within: Array, brightness: Array, drive: Array, dt_s: float, tau_s: float = 0.1) -> tuple[Array, Array]:
    """Return the inner stage and brightness [n] ``dt_s`` later: two equal stages, for subretinal arrays.

    The second stage follows the first, so that light comes on late and smoothly: a pulse peaks after tau.
    """
    keep, above = math.exp(-dt_s / tau_s), within - drive
    return drive + above * keep, drive + (brightness - drive + above * (dt_s / tau_s)) * keep
