"""Hop 5, the guard: what may be delivered. A pure function of pattern, state and time; its limits come with sources.

Two tiers: *hard* limits are enforced (clamped or silenced) and reported, *advisory* ones only reported. The guard never
raises a charge, rounds toward less, turns NaN into silence, and its instantaneous limits are idempotent. A research
simulator's guard, informed by the literature named in ``hardware_configs``; not a safety case. ``docs/guard.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from prosthesis.limits import GuardLimits
from prosthesis.messages import U8, Intervention, StimulationPattern, readonly

F64 = npt.NDArray[np.float64]
Real = npt.NDArray[np.floating]
Who: TypeAlias = tuple[U8, F64]
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
    """The one place that decides what leaves the device.

    >>> from prosthesis.config import load_rig
    >>> from prosthesis.limits import guard_limits
    >>> rig = load_rig("utah96")
    >>> guard, n = Guard(guard_limits(rig)), rig.electrodes
    >>> asked = readonly(np.full(n, np.nan), np.float32)  # nonsense
    >>> width, rate = readonly(np.full(n, 170), np.float32), readonly(np.full(n, 300), np.float32)
    >>> pattern = StimulationPattern(1, 0, asked, width, rate, readonly(np.zeros(n), np.uint8))
    >>> allowed, found, _ = guard.allow(pattern, guard.initial(), dt_s=1 / 30)
    >>> float(allowed.amplitude_ua.max()), [one.rule for one in found]
    (0.0, ['not finite'])
    """

    def __init__(self, limits: GuardLimits) -> None:
        self._limits = limits
        hard, unlimited = [cap for cap in limits.caps if cap.tier == "hard"], np.full(len(limits.enabled), math.inf)
        self._together = np.zeros(len(limits.enabled), np.uint8)
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
        flow = _flow(allowed, width, rate)
        left_na = flow * self._limits.mismatch  # nC/s are nA
        if self._over("balance", "nA", "net_current_na", left_na, found):
            allowed *= np.minimum(1.0, self._limits.hard.net_current_na / np.maximum(left_na, 1e-12))
            flow = _flow(allowed, width, rate)
        allowed = self._limit_doses(allowed, flow, state, found)
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

    def _over(
        self,
        rule: str,
        unit: str,
        limit: str,
        values: npt.NDArray[Any],
        found: list[Intervention],
        who: Who | None = None,
    ) -> bool:
        """Report ``values`` above the tiers' ``limit`` (a field of ``Totals``); tell whether the hard one is exceeded.

        There is one value for each electrode, or one for each group of those ``who`` (group u8[n], amplitude f64[n]).
        """
        worst, hard = float(values.max()), getattr(self._limits.hard, limit)
        for tier, most in (("hard", hard), ("advisory", getattr(self._limits.advisory, limit))):
            if worst > most * NEWS:
                over = values > most * NEWS
                count = int(np.count_nonzero(over if who is None else over[who[0][who[1] > 0]]))
                found.append(Intervention(rule, tier, count, worst, most, unit))
        return bool(worst > hard * NEWS)

    def _limit_rate(self, rate: Real, found: list[Intervention]) -> Real:
        over = self._over("rate", "Hz", "rate_hz", rate, found)
        return np.minimum(rate, self._limits.hard.rate_hz) if over else rate

    def _limit_doses(self, amplitude: F64, flow: F64, state: GuardState, found: list[Intervention]) -> F64:
        """Silence each electrode, or all, whose dose would be over its limit if no other pattern followed this one."""
        hold_s, driven = self._limits.hold_s, flow > 0
        if not driven.any():
            return amplitude
        coming = _fill(state.average_nc_per_s, flow, hold_s)
        everyone = (self._together, amplitude)
        session_uc = np.array([state.session_uc + float(flow.sum()) * hold_s * 1e-3])
        spent = self._over("session charge", "uC", "session_uc", session_uc, found, everyone)
        spent |= self._over("array charge", "nC/s", "array_nc_per_s", coming.sum(keepdims=True), found, everyone)
        coming[~driven] = 0.0
        if self._over("average charge", "nC/s", "average_nc_per_s", coming, found):
            amplitude = np.where(coming > self._limits.hard.average_nc_per_s * NEWS, 0.0, amplitude)
        return np.zeros_like(amplitude) if spent else amplitude

    def _limit_slots(self, amplitude: F64, slot: U8, found: list[Intervention]) -> F64:
        limits, hard = self._limits, self._limits.hard
        counts = np.bincount(slot, amplitude > 0, limits.slots)
        if self._over("simultaneous", "electrodes", "simultaneous", counts, found, (slot, amplitude)):
            amplitude = _keep_strongest(amplitude, slot, int(hard.simultaneous))
        totals = np.bincount(slot, amplitude, limits.slots)
        total = totals.sum(keepdims=True)
        over = self._over("slot current", "uA", "slot_current_ua", totals, found, (slot, amplitude))
        over |= self._over("total current", "uA", "total_current_ua", total, found, (self._together, amplitude))
        if not over:
            return amplitude
        scale = np.minimum(hard.slot_current_ua / np.maximum(totals, 1e-12), hard.total_current_ua / total)
        return self._round_down(amplitude * np.minimum(scale, 1.0)[slot], amplitude)

    def _round_down(self, amplitude: F64, wanted: F64) -> F64:
        # 1e-3 LSB forgives float32's rounding of what was asked for in whole LSBs; at a limit float64's is far smaller
        steps = np.floor(amplitude * (1 / self._limits.lsb_ua) + np.where(amplitude < wanted, 1e-6, 1e-3))
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
