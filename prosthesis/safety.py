"""Hop 5, the guard: what may be delivered. A pure function of pattern, state and time; its limits come with sources.

Two tiers: *hard* limits are enforced (clamped or silenced) and reported, *advisory* ones only reported. The guard never
raises a charge, rounds toward less, turns NaN into silence, and its instantaneous limits are idempotent. A research
simulator's guard, informed by the literature named in ``hardware_configs``; not a safety case.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from prosthesis.config import Rig, Tier, slot_us
from prosthesis.messages import U8, Intervention, StimulationPattern, readonly

F64 = npt.NDArray[np.float64]
Real = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]
BUCKET_S = 10.0
COMPLIANCE_MARGIN = 0.9
NEWS = 1 + 1e-6


@dataclass(frozen=True, slots=True)
class Cap:
    """One limit on a single electrode's pulse: either ``current_ua`` or ``charge_nc`` is finite, a number or f64[n].

    ``limit`` and ``unit`` are the rule's own; ``per_nc`` turns charge into that unit, and is 0 for a rule on current.
    """

    rule: str
    tier: str
    limit: float
    unit: str
    current_ua: float | F64
    charge_nc: float
    per_nc: float


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
    advisory_average_nc_per_s: float


@dataclass(frozen=True, slots=True)
class GuardState:
    """What the guard remembers: each electrode's leaky-bucket average (nC/s) and the session's charge (uC)."""

    average_nc_per_s: F64
    session_uc: float


def guard_limits(rig: Rig) -> GuardLimits:
    """Collect a rig's limits: the array's charge limits, the stimulator's currents, the calibration's maxima."""
    hard = (rig.array.limits.hard, rig.stimulator.limits.hard)
    advisory = (rig.array.limits.advisory, rig.stimulator.limits.advisory)
    caps = [cap for tier in hard for cap in _caps(rig, tier, "hard")]
    caps += [cap for tier in advisory for cap in _caps(rig, tier, "advisory")]
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
        int(min([rig.electrodes] + [t.simultaneous.value for t in hard if t.simultaneous])),
        _least_average(hard),
        _least_average(advisory),
    )


def _least_average(tiers: tuple[Tier, Tier]) -> float:
    return min([math.inf] + [tier.average_charge_nc_per_s.value for tier in tiers if tier.average_charge_nc_per_s])


def _current_cap(rule: str, tier: str, limit: float, current_ua: float | F64) -> Cap:
    return Cap(rule, tier, limit, "uA", current_ua, math.inf, 0.0)


def _charge_cap(rule: str, tier: str, limit: float, unit: str, per_nc: float) -> Cap:
    return Cap(rule, tier, limit, unit, math.inf, limit / per_nc, per_nc)


def _caps(rig: Rig, tier: Tier, name: str) -> list[Cap]:
    area_cm2 = rig.array.contact.area_um2 * 1e-8
    caps = []
    if tier.amplitude_ua:
        caps.append(_current_cap("amplitude", name, tier.amplitude_ua.value, tier.amplitude_ua.value))
    if tier.charge_per_phase_nc:
        caps.append(_charge_cap("charge per phase", name, tier.charge_per_phase_nc.value, "nC", 1.0))
    if tier.charge_density_uc_per_cm2:
        density = tier.charge_density_uc_per_cm2.value
        caps.append(_charge_cap("charge density", name, density, "uC/cm2", 1e-3 / area_cm2))
    # Shannon 1992, log D = k - log Q; microelectrodes do not follow it (Cogan 2016)
    if tier.shannon_k and rig.array.contact.scale == "macro":
        charge_nc = 1e3 * math.sqrt(10**tier.shannon_k.value * area_cm2)
        caps.append(_charge_cap("Shannon", name, charge_nc, "nC", 1.0))
    return caps


class Guard:
    """The one place that decides what leaves the device."""

    def __init__(self, limits: GuardLimits) -> None:
        self._limits = limits
        hard = [cap for cap in limits.caps if cap.tier == "hard"]
        n = len(limits.enabled)
        self._disabled = np.flatnonzero(~limits.enabled)
        self._current_ua = np.full(n, math.inf)
        for cap in hard:
            np.minimum(self._current_ua, cap.current_ua, out=self._current_ua)
        self._least_ua = NEWS * self._current_ua
        for cap in limits.caps:
            np.minimum(self._least_ua, NEWS * cap.current_ua, out=self._least_ua)
        self._charge_nc = min((cap.charge_nc for cap in hard), default=math.inf)

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
        amplitude, width, rate, slot = self._usable(wanted, found)
        self._report_caps(amplitude, amplitude * width * 1e-3, found)
        allowed = np.minimum(amplitude, self._current_ua)
        np.minimum(allowed, self._charge_nc * 1e3 / width, out=allowed)
        rate = self._limit_rate(rate, found)
        allowed = self._limit_average(allowed, state, found)
        allowed = self._round_down(allowed, amplitude)
        allowed = self._limit_slots(allowed, slot, found)
        pattern = replace(
            wanted,
            amplitude_ua=readonly(allowed, np.float32),
            rate_hz=readonly(rate, np.float32),
            pulse_width_us=readonly(width, np.float32),
        )
        return pattern, tuple(found), self._charge(state, allowed, width, rate, dt_s)

    def _usable(self, p: StimulationPattern, found: list[Intervention]) -> tuple[F64, Real, Real, U8]:
        """Return amplitude, width, rate and slot with all that is no pulse, or may not be one, at zero amplitude."""
        amplitude, width, rate = p.amplitude_ua, p.pulse_width_us, p.rate_hz
        off = self._disabled[amplitude[self._disabled] > 0]
        # reductions first: a pattern with nothing wrong costs no more than they do
        sane = amplitude.min() >= 0 and width.min() > 0 and rate.min() >= 0 and p.slot.max() < self._limits.slots
        if sane and np.isfinite(amplitude.max() + width.max() + rate.max()) and not len(off):
            return amplitude.astype(np.float64), width, rate, p.slot
        finite: Mask = np.isfinite(amplitude + width + rate)
        positive = (amplitude >= 0) & (width > 0) & (rate >= 0) & (p.slot < self._limits.slots)
        counts = (("not finite", (~finite).sum()), ("not a pulse", (finite & ~positive).sum()))
        for rule, count in (*counts, ("disabled electrode", len(off))):
            if count:
                found.append(Intervention(rule, "hard", int(count), float("nan"), 0.0, ""))
        good = finite & positive
        allowed = np.where(good & self._limits.enabled, amplitude, 0.0)
        slot = np.where(good, p.slot, 0).astype(np.uint8)
        return allowed.astype(np.float64), np.where(good, width, 1.0), np.where(good, rate, 0.0), slot

    def _report_caps(self, amplitude: F64, charge: F64, found: list[Intervention]) -> None:
        # float32 may round a value at its limit up by 1e-7: that is clamped below, but is no news
        over_current = bool((amplitude > self._least_ua).any())
        most_nc = float(charge.max())
        for cap in self._limits.caps:
            if not (most_nc > cap.charge_nc * NEWS if cap.per_nc else over_current):
                continue
            over = charge > cap.charge_nc * NEWS if cap.per_nc else amplitude > cap.current_ua * NEWS
            count = int(np.count_nonzero(over))
            if count:
                worst = most_nc * cap.per_nc if cap.per_nc else float(amplitude[over].max())
                found.append(Intervention(cap.rule, cap.tier, count, worst, cap.limit, cap.unit))

    def _limit_rate(self, rate: Real, found: list[Intervention]) -> Real:
        limit = self._limits.max_rate_hz
        if rate.max() <= limit:
            return rate
        count = int(np.count_nonzero(rate > limit))
        found.append(Intervention("rate", "hard", count, float(rate.max()), limit, "Hz"))
        return np.minimum(rate, limit)

    def _limit_average(self, amplitude: F64, state: GuardState, found: list[Intervention]) -> F64:
        hard, advisory = self._limits.average_nc_per_s, self._limits.advisory_average_nc_per_s
        worst = float(state.average_nc_per_s.max())
        if worst > advisory:
            over = int(np.count_nonzero(state.average_nc_per_s > advisory))
            found.append(Intervention("average charge", "advisory", over, worst, advisory, "nC/s"))
        if worst <= hard:
            return amplitude
        spent = (state.average_nc_per_s > hard) & (amplitude > 0)
        found.append(Intervention("average charge", "hard", int(spent.sum()), worst, hard, "nC/s"))
        return np.where(spent, 0.0, amplitude)

    def _limit_slots(self, amplitude: F64, slot: U8, found: list[Intervention]) -> F64:
        limits = self._limits
        counts = np.bincount(slot, amplitude > 0, limits.slots)
        if counts.max() > limits.simultaneous:
            worst, over = float(counts.max()), int(np.maximum(counts - limits.simultaneous, 0).sum())
            found.append(Intervention("simultaneous", "hard", over, worst, limits.simultaneous, "electrodes"))
            amplitude = _keep_strongest(amplitude, slot, limits.simultaneous)
        totals = np.bincount(slot, amplitude, limits.slots)
        if totals.max() > limits.slot_current_ua * NEWS:
            scale = np.minimum(1.0, limits.slot_current_ua / np.maximum(totals, 1e-12))[slot]
            changed = int(np.count_nonzero((scale < 1) & (amplitude > 0)))
            worst, limit = float(totals.max()), limits.slot_current_ua
            found.append(Intervention("slot current", "hard", changed, worst, limit, "uA"))
            amplitude = self._round_down(amplitude * scale, amplitude)
        return amplitude

    def _round_down(self, amplitude: F64, wanted: F64) -> F64:
        # 1e-3 LSB forgives float32's rounding of a whole number of LSBs; the minimum keeps it from ever raising
        steps = np.floor(amplitude * (1 / self._limits.lsb_ua) + 1e-3)
        steps *= self._limits.lsb_ua
        return np.minimum(steps, wanted)

    def _charge(self, state: GuardState, amplitude: F64, width: Real, rate: Real, dt_s: float) -> GuardState:
        dt_s = max(dt_s, 0.0)
        flow = amplitude * width * rate
        flow *= 1e-3
        keep = math.exp(-dt_s / BUCKET_S)
        average = state.average_nc_per_s * keep
        average += flow * (1 - keep)
        return GuardState(average, state.session_uc + float(flow.sum()) * dt_s * 1e-3)


def _keep_strongest(amplitude: F64, slot: npt.NDArray[np.integer], most: int) -> F64:
    """Silence all but the ``most`` strongest electrodes of each slot; ties go to the lower index."""
    order = np.lexsort((np.arange(len(slot)), -amplitude, slot))
    first = np.searchsorted(slot[order], slot[order])
    kept = np.zeros_like(amplitude)
    chosen = order[np.arange(len(slot)) - first < most]
    kept[chosen] = amplitude[chosen]
    return kept
