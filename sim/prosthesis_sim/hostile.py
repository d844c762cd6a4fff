"""Patterns that no translator would ask for: random ones, ones at the very limits, and nonsense."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis.config import Rig, slot_us
from prosthesis.messages import StimulationPattern, readonly

F64 = npt.NDArray[np.float64]
PATTERNS = (
    "calm",
    "random",
    "sparse",
    "everything",
    "edges",
    "nonsense",
    "widths",
    "rates",
    "slots",
    "bits",
    "alternating",
)
NONSENSE = (np.nan, np.inf, -np.inf, -1.0, -0.0, 1e-45, 3.4e38, 1e9, -1e9)


class Hostile:
    """Makes patterns for one rig by the chance of ``rng``."""

    def __init__(self, rig: Rig, rng: np.random.Generator) -> None:
        self._rng, self._n = rng, rig.electrodes
        config = rig.config.modulator
        self._width, self._rate, self._groups = config.pulse_width_us, config.rate_hz, config.raster_groups
        self._full_ua = rig.stimulator.full_scale_na / 1000
        self._step_ua = rig.stimulator.lsb_na / 1000
        self._max_ua = rig.calibration.column("max_ua")
        self._enabled = rig.calibration.column("enabled")
        self._slot = np.arange(self._n) % self._groups
        self._fastest_hz = 1e6 / (self._groups * slot_us(rig))
        self._edges = self._limits(rig)
        self._turn = False

    def _limits(self, rig: Rig) -> list[float]:
        """Return currents in uA that sit at a limit of some kind."""
        edges = [0.0, self._step_ua, self._full_ua, *np.unique(self._max_ua).tolist()]
        for tier in (rig.array.limits.hard, rig.array.limits.advisory, rig.stimulator.limits.hard):
            if tier.amplitude_ua:
                edges.append(tier.amplitude_ua.value)
            if tier.charge_per_phase_nc:
                edges.append(tier.charge_per_phase_nc.value * 1e3 / self._width)
            if tier.slot_current_ua:
                edges.append(tier.slot_current_ua.value * self._groups / self._n)
            if tier.charge_density_uc_per_cm2:
                area_cm2 = rig.areas_um2[0] * 1e-8
                edges.append(tier.charge_density_uc_per_cm2.value * area_cm2 * 1e6 / self._width)
        return edges

    def make(self, name: str, seq: int, t_ns: int) -> tuple[StimulationPattern, bool]:
        """Return a pattern of the kind ``name``, and whether widths, rates and slots are those configured."""
        rng, n = self._rng, self._n
        amplitude: F64 = rng.uniform(0, 1.2 * self._full_ua, n)
        width, rate = np.full(n, float(self._width)), np.full(n, float(self._rate))
        slot = self._slot
        match name:
            case "calm":  # near no limit, or at some only, as in most of what a translator asks for
                share = float(rng.choice([0.1, 0.3, 1.0]))
                amplitude = share * rng.random() * self._max_ua * (rng.random(n) < share) * self._enabled
            case "sparse":
                amplitude *= rng.random(n) < 0.05
            case "everything":
                amplitude[:] = rng.choice([self._full_ua, float(self._max_ua.max()), 1e6])
            case "edges":
                amplitude = rng.choice(self._edges, n)
                nudge = rng.integers(-2, 3, n)
                amplitude = np.float64(amplitude) + nudge * np.spacing(np.float32(amplitude))
            case "nonsense":
                where = rng.random(n) < 0.3
                amplitude[where] = rng.choice(NONSENSE, int(where.sum()))
            case "widths":
                width = rng.choice([*NONSENSE, 0.0, 1.0, 44.0, 65535.0, width[0]], n)
            case "rates":
                rate = rng.choice([*NONSENSE, 0.0, 1.0, self._fastest_hz, 2 * self._fastest_hz, rate[0]], n)
            case "slots":
                slot = rng.integers(0, 256, n) if rng.random() < 0.5 else np.zeros(n, np.int64)
            case "bits":
                raw = rng.integers(0, 1 << 32, (3, n), dtype=np.uint64).astype(np.uint32).view(np.float32)
                with np.errstate(all="ignore"):  # signalling NaNs
                    amplitude, width, rate = (row.astype(np.float64) for row in raw)
            case "alternating":
                self._turn = not self._turn
                amplitude = self._max_ua * ((np.arange(n) % 2 == 0) == self._turn)
        with np.errstate(all="ignore"):
            a, w, r = (readonly(column, np.float32) for column in (amplitude, width, rate))
            pattern = StimulationPattern(seq, t_ns, a, w, r, readonly(slot, np.uint8))
        return pattern, name not in ("widths", "rates", "slots", "bits")
