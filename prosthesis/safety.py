"""Hop 5, the guard: what may be delivered. A pure function of pattern, state and time; its limits come with sources.

Two tiers: *hard* limits are enforced (clamped or silenced) and reported, *advisory* ones only reported. The guard never
raises a charge, rounds toward less, turns NaN into silence, and its instantaneous limits are idempotent. A research
simulator's guard, informed by the literature named in ``hardware_configs``; not a safety case.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import numpy.typing as npt

from prosthesis.limits import GuardLimits
from prosthesis.messages import U8, Intervention, StimulationPattern, readonly

F64 = npt.NDArray[np.float64]
Real = npt.NDArray[np.floating]
BUCKET_S = 10.0
NEWS = 1 + 1e-6


@dataclass(frozen=True, slots=True)
class GuardState:
    """What the guard remembers: each electrode's leaky-bucket average and the session's charge when it last allowed.

    ``flow_nc_per_s`` is what it allowed then, and has not booked yet.
    """

    average_nc_per_s: F64
    flow_nc_per_s: F64
    session_uc: float


class Guard:
    """The one place that decides what leaves the device."""

    def __init__(self, limits: GuardLimits) -> None:
        self._limits = limits
        hard, unlimited = [cap for cap in limits.caps if cap.tier == "hard"], np.full(len(limits.enabled), math.inf)
        self._disabled = np.flatnonzero(~limits.enabled)
        self._current_ua = reduce(np.minimum, [cap.current_ua for cap in hard], unlimited)
        self._least_ua = NEWS * reduce(np.minimum, [cap.current_ua for cap in limits.caps], unlimited)
        self._charge_nc = reduce(np.minimum, [cap.charge_nc for cap in hard], unlimited)
        self._least_nc = [NEWS * float(np.min(cap.charge_nc)) for cap in limits.caps]

    def initial(self) -> GuardState:
        """Return the state at the start of a session."""
        nothing = np.zeros(len(self._limits.enabled))
        return GuardState(nothing, nothing, 0.0)

    def allow(
        self, wanted: StimulationPattern, state: GuardState, dt_s: float
    ) -> tuple[StimulationPattern, tuple[Intervention, ...], GuardState]:
        """Return what may be delivered from now on, what was changed or noted, and the new state.

        ``dt_s`` has passed since the pattern that ``state`` remembers; a pattern lost on the air counts as delivered.
        """
        with np.errstate(all="ignore"):  # nonsense input overflows on its way to silence
            return self._allow(wanted, self._book(state, dt_s))

    def _allow(
        self, wanted: StimulationPattern, state: GuardState
    ) -> tuple[StimulationPattern, tuple[Intervention, ...], GuardState]:
        found: list[Intervention] = []
        amplitude, width, rate, slot = self._usable(wanted, found)
        self._report_caps(amplitude, amplitude * width * 1e-3, found)
        allowed = np.minimum(amplitude, self._current_ua)
        np.minimum(allowed, self._charge_nc * 1e3 / width, out=allowed)
        rate = self._limit_rate(rate, found)
        allowed = self._limit_average(allowed, _flow(allowed, width, rate), state, found)
        allowed = self._round_down(allowed, amplitude)
        allowed = self._limit_slots(allowed, slot, found)
        pattern = replace(
            wanted,
            amplitude_ua=readonly(allowed, np.float32),
            rate_hz=readonly(rate, np.float32),
            pulse_width_us=readonly(width, np.float32),
        )
        return pattern, tuple(found), replace(state, flow_nc_per_s=_flow(allowed, width, rate))

    def _book(self, state: GuardState, dt_s: float) -> GuardState:
        """Add what the last pattern delivered until replaced or no longer obeyed; from then on the averages leak."""
        driven_s = min(max(dt_s, 0.0), self._limits.hold_s)
        average = _fill(state.average_nc_per_s, state.flow_nc_per_s, driven_s)
        average *= math.exp(-max(dt_s - driven_s, 0.0) / BUCKET_S)
        session_uc = state.session_uc + float(state.flow_nc_per_s.sum()) * driven_s * 1e-3
        return GuardState(average, state.flow_nc_per_s, session_uc)

    def _usable(self, p: StimulationPattern, found: list[Intervention]) -> tuple[F64, Real, Real, U8]:
        """Return amplitude, width, rate and slot with all that is no pulse, or may not be one, at zero amplitude."""
        amplitude, width, rate = p.amplitude_ua, p.pulse_width_us, p.rate_hz
        off = self._disabled[amplitude[self._disabled] > 0]
        # reductions first: a pattern with nothing wrong costs no more than they do
        sane = amplitude.min() >= 0 and width.min() > 0 and rate.min() >= 0 and p.slot.max() < self._limits.slots
        if sane and np.isfinite(amplitude.max() + width.max() + rate.max()) and not len(off):
            return amplitude.astype(np.float64), width, rate, p.slot
        finite = np.isfinite(amplitude + width + rate)
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
        for cap, least_nc in zip(self._limits.caps, self._least_nc, strict=True):
            if not (over_current if cap.unit == "uA" else most_nc > least_nc):
                continue
            asked, most = (amplitude, cap.current_ua) if cap.unit == "uA" else (charge, cap.charge_nc)
            over = asked > most * NEWS
            if count := int(np.count_nonzero(over)):
                worst = float((asked * cap.in_unit)[over].max())
                found.append(Intervention(cap.rule, cap.tier, count, worst, cap.limit, cap.unit))

    def _limit_rate(self, rate: Real, found: list[Intervention]) -> Real:
        limit = self._limits.max_rate_hz
        if rate.max() <= limit:
            return rate
        count = int(np.count_nonzero(rate > limit))
        found.append(Intervention("rate", "hard", count, float(rate.max()), limit, "Hz"))
        return np.minimum(rate, limit)

    def _limit_average(self, amplitude: F64, flow: F64, state: GuardState, found: list[Intervention]) -> F64:
        """Silence the electrodes whose average would be over the limit if no other pattern followed this one."""
        hard, advisory = self._limits.average_nc_per_s, self._limits.advisory_average_nc_per_s
        worst = float(state.average_nc_per_s.max())
        if worst > advisory:
            over = int(np.count_nonzero(state.average_nc_per_s > advisory))
            found.append(Intervention("average charge", "advisory", over, worst, advisory, "nC/s"))
        coming = _fill(state.average_nc_per_s, flow, self._limits.hold_s)
        spent = (coming > hard) & (flow > 0)
        if not spent.any():
            return amplitude
        found.append(Intervention("average charge", "hard", int(spent.sum()), float(coming[spent].max()), hard, "nC/s"))
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


def _flow(amplitude: F64, width: Real, rate: Real) -> F64:
    flow = amplitude * width * rate
    flow *= 1e-3
    return flow


def _fill(average: F64, flow: F64, driven_s: float) -> F64:
    """Return the averages after ``driven_s`` of ``flow``, both in nC/s: a leaky bucket of ``BUCKET_S``."""
    keep = math.exp(-driven_s / BUCKET_S)
    filled = average * keep
    filled += flow * (1 - keep)
    return filled


def _keep_strongest(amplitude: F64, slot: npt.NDArray[np.integer], most: int) -> F64:
    """Silence all but the ``most`` strongest electrodes of each slot; ties go to the lower index."""
    order = np.lexsort((np.arange(len(slot)), -amplitude, slot))
    first = np.searchsorted(slot[order], slot[order])
    kept = np.zeros_like(amplitude)
    chosen = order[np.arange(len(slot)) - first < most]
    kept[chosen] = amplitude[chosen]
    return kept
