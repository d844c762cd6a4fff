"""What must never be delivered, written down a second time from a rig's own numbers: the judge of guard and implant.

It shares no code with either. Where they round to steps of the DAC, it allows a thousandth of a step.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import numpy.typing as npt

from prosthesis.config import Rig
from prosthesis.messages import Delivered

F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Scalars = tuple[float, float, float, float, float, float, float, float, float, float]
BUCKET_S = 10.0
COMPLIANCE_SHARE = 0.9
SLACK = 1 + 1e-5
RULES = (
    "not a number", "negative", "current", "disabled", "charge", "density", "Shannon", "rate", "balance",
    "slot current", "total current", "simultaneous",
)  # fmt: skip


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
        k = self._least("shannon_k") if self._macro else math.inf
        self._each = (self._most_ua, self._off, self._area_cm2)
        names = ("charge_per_phase_nc", "charge_density_uc_per_cm2")
        self._scalars = (
            self._step_ua, *(self._least(name) for name in names), 10**k if k < math.inf else math.inf, self._rate_hz,
            self._mismatch, self._least("net_current_na"), self._least("slot_current_ua"),
            self._least("total_current_ua"), self._least("simultaneous"),
        )  # fmt: skip
        self._doses = tuple(
            self._least(name) for name in ("average_charge_nc_per_s", "array_charge_nc_per_s", "session_charge_uc")
        )
        self.broken: dict[str, int] = {}
        self.judged = 0

    def _least(self, name: str) -> float:
        limits = [getattr(tier, name) for tier in self._tiers]
        return min((limit.value for limit in limits if limit is not None), default=math.inf)

    def _break(self, rule: str, broken: bool) -> None:
        if broken:
            self.broken[rule] = self.broken.get(rule, 0) + 1

    def pulses(self, amplitude_ua: F64, width_us: F64, rate_hz: F64, slot: npt.NDArray[np.integer]) -> None:
        """Judge what may pulse from now on, all f64[n]: as a guard lets it through, or as an implant drives it."""
        self.judged += 1
        columns = (amplitude_ua, width_us, rate_hz, slot.astype(np.uint8))
        found = _breaches(*columns, *self._each, self._scalars)
        if found:
            for number, rule in enumerate(RULES):
                self._break(rule, bool(found >> number & 1))

    def delivered(self, piece: Delivered) -> None:
        """Judge one interval of delivery: the pulses, and all doses so far."""
        amplitude, width = piece.amplitude_ua.astype(np.float64), piece.pulse_width_us.astype(np.float64)
        self.pulses(amplitude * (piece.pulses > 0), width, np.zeros(len(amplitude)), piece.slot)
        dt_s = piece.dt_ns * 1e-9
        most = self._rate_hz * SLACK * dt_s + 1
        charge_nc, one_nc, over, fast = _dose(
            amplitude, width, piece.pulses, dt_s, self._average, self._most_ua, self._doses[0], most
        )
        self._break("rate", fast)
        self._break("average charge", over)
        self._array = self._array * math.exp(-dt_s / BUCKET_S) + charge_nc / BUCKET_S
        self._session_uc += charge_nc * 1e-3
        self._break("array charge", self._array > self._doses[1] * 1.001 + 10 * one_nc)
        self._break("session charge", self._session_uc > self._doses[2] * 1.001 + 0.1 * one_nc)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _breaches(
    amplitude_ua: F64, width_us: F64, rate_hz: F64, slot: U8, most_ua: F64, off: Mask, area_cm2: F64, limits: Scalars
) -> int:
    """Return a bit for each of ``RULES`` that any electrode or slot breaks."""
    step, most_nc, most_density, shannon, most_hz, mismatch, most_na, most_slot, most_total, most_count = limits
    found, spare = 0, 2e-3 * step
    sums, counts = np.zeros(256), np.zeros(256)
    for n in range(len(amplitude_ua)):
        amplitude, width, rate = amplitude_ua[n], width_us[n], rate_hz[n]
        if not (math.isfinite(amplitude) and math.isfinite(width) and math.isfinite(rate)):
            found |= 1 << 0
        if amplitude < 0:
            found |= 1 << 1
        if amplitude > most_ua[n] * SLACK + spare:
            found |= 1 << 2
        if off[n] and amplitude > 0:
            found |= 1 << 3
        charge_nc = max(amplitude - spare, 0.0) * width * 1e-3 / SLACK
        density = charge_nc * 1e-3 / area_cm2[n]
        if charge_nc > most_nc:
            found |= 1 << 4
        if density > most_density:
            found |= 1 << 5
        if charge_nc * 1e-3 * density > shannon * SLACK:
            found |= 1 << 6
        if rate > most_hz * SLACK:
            found |= 1 << 7
        if charge_nc * rate * mismatch > most_na * SLACK:
            found |= 1 << 8
        if amplitude > 0:
            sums[slot[n]] += amplitude - (SLACK - 1) * amplitude - spare
            counts[slot[n]] += 1
    if sums.max() > most_slot:
        found |= 1 << 9
    if sums.sum() > most_total:
        found |= 1 << 10
    if counts.max() > most_count:
        found |= 1 << 11
    return found


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _dose(
    amplitude_ua: F64,
    width_us: F64,
    pulses: npt.NDArray[np.int32],
    dt_s: float,
    average: F64,
    most_ua: F64,
    most_average: float,
    most_pulses: float,
) -> tuple[float, float, bool, bool]:
    """Fill the averages; return the charge, one fullest pulse of all, shared by the bucket, and what is exceeded.

    The guard's average spreads pulses evenly; where frames change they fall one more or less to a frame, which over the
    bucket's 300 frames adds up like a random walk.
    """
    keep, total, ones, over, fast = math.exp(-dt_s / BUCKET_S), 0.0, 0.0, False, False
    for n in range(len(amplitude_ua)):
        charge_nc = pulses[n] * amplitude_ua[n] * width_us[n] * 1e-3
        one = most_ua[n] * width_us[n] * 1e-3 / BUCKET_S
        average[n] = average[n] * keep + charge_nc / BUCKET_S
        total += charge_nc
        ones += one
        over |= average[n] > most_average * 1.001 + 60 * one
        fast |= pulses[n] > most_pulses
    return total, ones, over, fast
