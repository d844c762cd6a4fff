"""What must never be delivered, written down a second time from a rig's own numbers: the judge of guard and implant.

It shares no code with either. Where they round to steps of the DAC, it allows a thousandth of a step.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from prosthesis.config import Rig
from prosthesis.messages import Delivered

F64 = npt.NDArray[np.float64]
BUCKET_S = 10.0
COMPLIANCE_SHARE = 0.9
SLACK = 1 + 1e-5


class Judge:
    """Watches everything an implant delivers, by the hard limits of ``rig``; ``broken`` counts breaches by rule."""

    def __init__(self, rig: Rig) -> None:
        self._tiers = (rig.array.limits.hard, rig.stimulator.limits.hard)
        self._step_ua, self._slots = rig.stimulator.lsb_na * 1e-3, rig.config.modulator.raster_groups
        self._mismatch = rig.stimulator.phase_mismatch
        self._area_cm2 = np.asarray(rig.areas_um2) * 1e-8
        self._macro = rig.array.contact.scale == "macro"
        share = min(COMPLIANCE_SHARE, self._least("compliance_share"))
        volts_ua = share * 1e3 * rig.stimulator.compliance_v / rig.calibration.column("impedance_kohm")
        full_ua = ((1 << rig.stimulator.dac_bits) - 1) * self._step_ua
        most = min(full_ua, self._least("amplitude_ua"))
        self._most_ua: F64 = np.minimum(np.minimum(rig.calibration.column("max_ua"), volts_ua), most)
        self._off = ~rig.calibration.column("enabled").astype(bool)
        self._rate_hz = min(self._least("rate_hz"), rig.stimulator.rate_hz[1])
        self._average = np.zeros(rig.electrodes)
        self._array, self._session_uc = 0.0, 0.0
        self.broken: dict[str, int] = {}
        self.judged = 0

    def _least(self, name: str) -> float:
        limits = [getattr(tier, name) for tier in self._tiers]
        return min((limit.value for limit in limits if limit is not None), default=math.inf)

    def _break(self, rule: str, broken: bool | np.bool_) -> None:
        if broken:
            self.broken[rule] = self.broken.get(rule, 0) + 1

    def pulses(self, amplitude_ua: F64, width_us: F64, rate_hz: F64, slot: npt.NDArray[np.integer]) -> None:
        """Judge what may pulse from now on, all f64[n]: as a guard lets it through, or as an implant drives it."""
        self.judged += 1
        slack = SLACK * amplitude_ua.clip(0) + 2e-3 * self._step_ua
        self._break(
            "not a number", not (np.isfinite(amplitude_ua) & np.isfinite(width_us) & np.isfinite(rate_hz)).all()
        )
        self._break("negative", (amplitude_ua < 0).any())
        most = self._most_ua * SLACK + 2e-3 * self._step_ua
        self._break("current", (amplitude_ua > most).any())
        self._break("disabled", (amplitude_ua[self._off] > 0).any())
        charge_nc = (amplitude_ua - 2e-3 * self._step_ua).clip(0) * width_us * 1e-3 / SLACK
        self._break("charge", charge_nc.max() > self._least("charge_per_phase_nc"))
        density = charge_nc * 1e-3 / self._area_cm2
        self._break("density", density.max() > self._least("charge_density_uc_per_cm2"))
        if self._macro:
            k = self._least("shannon_k")
            self._break("Shannon", (charge_nc * 1e-3 * density > 10**k * SLACK).any() if math.isfinite(k) else False)
        self._break("rate", rate_hz.max() > self._rate_hz * SLACK)
        left_na = charge_nc * rate_hz * self._mismatch
        self._break("balance", left_na.max() > self._least("net_current_na") * SLACK)
        together = np.bincount(slot, amplitude_ua, 256)
        allowed = np.bincount(slot, slack - amplitude_ua, 256)
        self._break("slot current", ((together - allowed) > self._least("slot_current_ua")).any())
        self._break("total current", together.sum() - allowed.sum() > self._least("total_current_ua"))
        self._break(
            "simultaneous", np.bincount(slot[amplitude_ua > 0], minlength=1).max() > self._least("simultaneous")
        )

    def delivered(self, piece: Delivered) -> None:
        """Judge one interval of delivery: the pulses, and all doses so far."""
        amplitude, width = piece.amplitude_ua.astype(np.float64), piece.pulse_width_us.astype(np.float64)
        self.pulses(amplitude * (piece.pulses > 0), width, np.zeros(len(amplitude)), piece.slot)
        dt_s = piece.dt_ns * 1e-9
        self._break("rate", (piece.pulses > self._rate_hz * SLACK * dt_s + 1).any())
        charge_nc = piece.pulses * amplitude * width * 1e-3
        keep = math.exp(-dt_s / BUCKET_S)
        # the guard's average spreads pulses evenly; where frames change they fall one more or less to a frame, which
        # over the bucket's 300 frames adds up like a random walk
        one = self._most_ua * width * 1e-3 / BUCKET_S
        self._average = self._average * keep + charge_nc / BUCKET_S
        self._array = self._array * keep + float(charge_nc.sum()) / BUCKET_S
        self._session_uc += float(charge_nc.sum()) * 1e-3
        over = self._average > self._least("average_charge_nc_per_s") * 1.001 + 60 * one
        self._break("average charge", over.any())
        self._break("array charge", self._array > self._least("array_charge_nc_per_s") * 1.001 + 10 * float(one.sum()))
        extra_uc = 0.1 * float(one.sum())
        self._break("session charge", self._session_uc > self._least("session_charge_uc") * 1.001 + extra_uc)
