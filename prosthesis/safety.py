"""Hop 5, the guard: what may be delivered. A pure function of pattern, state and time; its limits come with sources.

Two tiers: *hard* limits are enforced (clamped or silenced) and reported, *advisory* ones only reported. The guard never
raises a charge, rounds toward less, turns NaN into silence, and its instantaneous limits are idempotent. A research
simulator's guard, informed by the literature named in ``hardware_configs``; not a safety case.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from prosthesis.config import Rig, Tier, slot_us
from prosthesis.messages import U8, Intervention, StimulationPattern, readonly

F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
BUCKET_S = 10.0
COMPLIANCE_MARGIN = 0.9
NEWS = 1 + 1e-6


@dataclass(frozen=True, slots=True)
class Cap:
    """One limit on a single electrode's pulse: ``current_ua`` and ``charge_nc`` f64[n], infinite where it is not one.

    ``limit`` and ``unit`` are the rule's own, ``per_nc`` f64[n] turns charge into that unit (0: a rule on current).
    """

    rule: str
    tier: str
    limit: float
    unit: str
    current_ua: F64
    charge_nc: F64
    per_nc: F64


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """Everything the guard enforces on n electrodes; built by ``guard_limits`` from a rig."""

    caps: tuple[Cap, ...]
    enabled: Mask
    lsb_ua: float
    max_rate_hz: float
    slots: int
    slot_current_ua: float
    simultaneous: int
    average_nc_per_s: float


@dataclass(frozen=True, slots=True)
class GuardState:
    """What the guard remembers: each electrode's leaky-bucket average (nC/s) and the session's charge (uC)."""

    average_nc_per_s: F64
    session_uc: float


def guard_limits(rig: Rig) -> GuardLimits:
    """Collect a rig's limits: the array's charge limits, the stimulator's currents, the calibration's maxima."""
    hard = (rig.array.limits.hard, rig.stimulator.limits.hard)
    caps = [cap for tier in hard for cap in _caps(rig, tier, "hard")]
    caps += [
        c for tier in (rig.array.limits.advisory, rig.stimulator.limits.advisory) for c in _caps(rig, tier, "advisory")
    ]
    n = rig.electrodes
    maximum = rig.calibration.column("max_ua")
    compliance_ua = COMPLIANCE_MARGIN * 1e3 * rig.stimulator.compliance_v / rig.calibration.column("impedance_kohm")
    caps.append(_current_cap("calibrated maximum", "hard", float(maximum.max()), maximum))
    caps.append(_current_cap("compliance voltage", "hard", float(compliance_ua.min()), compliance_ua))
    period_hz = 1e6 / (rig.config.modulator.raster_groups * slot_us(rig))
    return GuardLimits(
        tuple(caps),
        rig.calibration.column("enabled").astype(bool),
        rig.stimulator.lsb_na / 1000,
        min([period_hz, rig.stimulator.rate_hz[1]] + [t.rate_hz.value for t in hard if t.rate_hz]),
        rig.config.modulator.raster_groups,
        min([np.inf] + [t.slot_current_ua.value for t in hard if t.slot_current_ua]),
        int(min([n] + [t.simultaneous.value for t in hard if t.simultaneous])),
        min([np.inf] + [t.average_charge_nc_per_s.value for t in hard if t.average_charge_nc_per_s]),
    )


def _current_cap(rule: str, tier: str, limit: float, current_ua: F64) -> Cap:
    n = len(current_ua)
    return Cap(rule, tier, limit, "uA", current_ua, np.full(n, np.inf), np.zeros(n))


def _caps(rig: Rig, tier: Tier, name: str) -> list[Cap]:
    n, area_cm2 = rig.electrodes, rig.array.contact.area_um2 * 1e-8
    caps = []
    if tier.amplitude_ua:
        caps.append(_current_cap("amplitude", name, tier.amplitude_ua.value, np.full(n, tier.amplitude_ua.value)))
    charges = []
    if tier.charge_per_phase_nc:
        charges.append(("charge per phase", tier.charge_per_phase_nc.value, "nC", 1.0))
    if tier.charge_density_uc_per_cm2:
        charges.append(("charge density", tier.charge_density_uc_per_cm2.value, "uC/cm2", 1e-3 / area_cm2))
    for rule, limit, unit, per_nc in charges:
        caps.append(Cap(rule, name, limit, unit, np.full(n, np.inf), np.full(n, limit / per_nc), np.full(n, per_nc)))
    # Shannon 1992, log D = k - log Q; microelectrodes do not follow it (Cogan 2016)
    if tier.shannon_k and rig.array.contact.scale == "macro":
        charge_nc = 1e3 * np.sqrt(10**tier.shannon_k.value * area_cm2)
        infinite = np.full(n, np.inf)
        caps.append(Cap("Shannon", name, charge_nc, "nC", infinite, np.full(n, charge_nc), np.ones(n)))
    return caps


class Guard:
    """The one place that decides what leaves the device."""

    def __init__(self, limits: GuardLimits) -> None:
        self._limits = limits
        hard = [cap for cap in limits.caps if cap.tier == "hard"]
        n = len(limits.enabled)
        self._current_ua = np.minimum.reduce([cap.current_ua for cap in hard] or [np.full(n, np.inf)])
        self._charge_nc = np.minimum.reduce([cap.charge_nc for cap in hard] or [np.full(n, np.inf)])

    def initial(self) -> GuardState:
        """Return the state at the start of a session."""
        return GuardState(np.zeros(len(self._limits.enabled)), 0.0)

    def allow(
        self, wanted: StimulationPattern, state: GuardState, dt_s: float
    ) -> tuple[StimulationPattern, tuple[Intervention, ...], GuardState]:
        """Return what may be delivered for the next ``dt_s``, what was changed or noted, and the new state."""
        with np.errstate(all="ignore"):  # nonsense input overflows on its way to silence
            return self._allow(wanted, state, dt_s)

    def _allow(
        self, wanted: StimulationPattern, state: GuardState, dt_s: float
    ) -> tuple[StimulationPattern, tuple[Intervention, ...], GuardState]:
        found: list[Intervention] = []
        usable = self._usable(wanted, found)
        width = np.where(usable, wanted.pulse_width_us, 1.0).astype(np.float64)
        amplitude = np.where(usable, wanted.amplitude_ua, 0.0).astype(np.float64)
        rate = np.where(usable, wanted.rate_hz, 0.0).astype(np.float64)
        self._report_caps(amplitude, width, found)
        allowed = np.minimum(np.minimum(amplitude, self._current_ua), self._charge_nc * 1e3 / width)
        rate = self._limit_rate(rate, found)
        allowed = self._limit_average(allowed, state, found)
        allowed = self._limit_slots(self._round_down(allowed, amplitude), wanted.slot, found)
        allowed = self._round_down(allowed, amplitude)
        pattern = replace(
            wanted,
            amplitude_ua=readonly(allowed, np.float32),
            rate_hz=readonly(rate, np.float32),
            pulse_width_us=readonly(np.where(usable, wanted.pulse_width_us, 0.0), np.float32),
        )
        return pattern, tuple(found), self._charge(state, allowed, width, rate, dt_s)

    def _usable(self, p: StimulationPattern, found: list[Intervention]) -> Mask:
        total = p.amplitude_ua + p.pulse_width_us + p.rate_hz
        finite: Mask = np.isfinite(total)
        positive = (p.amplitude_ua >= 0) & (p.pulse_width_us > 0) & (p.rate_hz >= 0) & (p.slot < self._limits.slots)
        off = finite & positive & ~self._limits.enabled & (p.amplitude_ua > 0)
        for rule, bad in (("not finite", ~finite), ("not a pulse", finite & ~positive), ("disabled electrode", off)):
            if bad.any():
                found.append(Intervention(rule, "hard", int(bad.sum()), float("nan"), 0.0, ""))
        return finite & positive & self._limits.enabled

    def _report_caps(self, amplitude: F64, width: F64, found: list[Intervention]) -> None:
        charge = amplitude * width * 1e-3
        for cap in self._limits.caps:
            on_current = not cap.per_nc.any()
            # float32 may round a value at its limit up by 1e-7: that is clamped below, but is no news
            over = amplitude > cap.current_ua * NEWS if on_current else charge > cap.charge_nc * NEWS
            count = int(np.count_nonzero(over))
            if count:
                worst = amplitude[over].max() if on_current else (charge * cap.per_nc)[over].max()
                found.append(Intervention(cap.rule, cap.tier, count, float(worst), cap.limit, cap.unit))

    def _limit_rate(self, rate: F64, found: list[Intervention]) -> F64:
        limit = self._limits.max_rate_hz
        over = rate > limit
        if over.any():
            found.append(Intervention("rate", "hard", int(over.sum()), float(rate.max()), limit, "Hz"))
        return np.minimum(rate, limit)

    def _limit_average(self, amplitude: F64, state: GuardState, found: list[Intervention]) -> F64:
        limit = self._limits.average_nc_per_s
        spent = (state.average_nc_per_s > limit) & (amplitude > 0)
        if not spent.any():
            return amplitude
        worst = float(state.average_nc_per_s.max())
        found.append(Intervention("average charge", "hard", int(spent.sum()), worst, limit, "nC/s"))
        return np.where(spent, 0.0, amplitude)

    def _limit_slots(self, amplitude: F64, slot: U8, found: list[Intervention]) -> F64:
        limits = self._limits
        # electrodes silenced above may carry any slot number
        slot = np.where(slot < limits.slots, slot, 0)
        counts = np.bincount(slot, amplitude > 0, limits.slots)
        if counts.max() > limits.simultaneous:
            worst, over = float(counts.max()), int(np.maximum(counts - limits.simultaneous, 0).sum())
            found.append(Intervention("simultaneous", "hard", over, worst, limits.simultaneous, "electrodes"))
            amplitude = _keep_strongest(amplitude, slot, limits.simultaneous)
        totals = np.bincount(slot, amplitude, limits.slots)
        if totals.max() > limits.slot_current_ua * NEWS:
            scale = np.minimum(1.0, limits.slot_current_ua / np.maximum(totals, 1e-12))[slot]
            changed = int(np.count_nonzero((scale < 1) & (amplitude > 0)))
            found.append(
                Intervention("slot current", "hard", changed, float(totals.max()), limits.slot_current_ua, "uA")
            )
            amplitude = amplitude * scale
        return amplitude

    def _round_down(self, amplitude: F64, wanted: F64) -> F64:
        # 1e-3 LSB forgives float32's rounding of a whole number of LSBs; the minimum keeps it from ever raising
        steps = np.floor(amplitude / self._limits.lsb_ua + 1e-3)
        return np.minimum(steps * self._limits.lsb_ua, wanted)

    def _charge(self, state: GuardState, amplitude: F64, width: F64, rate: F64, dt_s: float) -> GuardState:
        flow = amplitude * width * rate * 1e-3
        keep = float(np.exp(-max(dt_s, 0.0) / BUCKET_S))
        average = state.average_nc_per_s * keep + flow * (1 - keep)
        return GuardState(average, state.session_uc + float(flow.sum()) * max(dt_s, 0.0) * 1e-3)


def _keep_strongest(amplitude: F64, slot: npt.NDArray[np.integer], most: int) -> F64:
    """Silence all but the ``most`` strongest electrodes of each slot; ties go to the lower index."""
    order = np.lexsort((np.arange(len(slot)), -amplitude, slot))
    first = np.searchsorted(slot[order], slot[order])
    kept = np.zeros_like(amplitude)
    chosen = order[np.arange(len(slot)) - first < most]
    kept[chosen] = amplitude[chosen]
    return kept
