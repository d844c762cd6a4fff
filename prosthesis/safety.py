"""Hop 5, the guard: what may be delivered. A pure function of pattern, state and time; its limits come with sources.

Two tiers: *hard* limits are enforced (clamped or silenced) and reported, *advisory* ones only reported. The guard never
raises a charge, rounds toward less, turns NaN into silence, and its instantaneous limits are idempotent. A research
simulator's guard, informed by the literature named in ``hardware_configs``; not a safety case. ``docs/guard.md``.

``prosthesis/glance.py`` has the one that devices use: it answers the same, in a third of the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from prosthesis.limits import Cap, GuardLimits
from prosthesis.messages import F32, U8, Intervention, StimulationPattern, readonly

F64 = npt.NDArray[np.float64]
Real = npt.NDArray[np.floating]
Who: TypeAlias = tuple[U8, F64]
Found: TypeAlias = list[Intervention]
Answer: TypeAlias = "tuple[StimulationPattern, tuple[Intervention, ...], GuardState]"
BUCKET_S = 10.0
NEWS = 1 + 1e-6
# of a step: float32's rounding of what was asked for in whole ones; at a limit float64's, which is far smaller
AS_ASKED, AT_A_LIMIT = 1e-3, 1e-6


@dataclass(frozen=True, slots=True)
class GuardState:
    """What the guard remembers: each electrode's leaky-bucket average and the session's charge when it last allowed.

    ``flow_nc_per_s`` is what it allowed then, and has not booked yet.
    """

    average_nc_per_s: F64
    flow_nc_per_s: F64
    session_uc: float


class KnownCap(NamedTuple):
    """A cap, the values above which it is news, the least of them, and whether all electrodes have the same."""

    cap: Cap
    above: float | F64
    least: float
    same: bool


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
        self._charge_nc = reduce(np.minimum, [cap.charge_nc for cap in hard], unlimited)
        # float32 may round a value at its limit up by 1e-7: that is clamped, but is no news
        news = [(cap, NEWS * (cap.current_ua if cap.unit == "uA" else cap.charge_nc)) for cap in limits.caps]
        self.known = [KnownCap(c, above, float(np.min(above)), not np.ndim(above + c.in_unit)) for c, above in news]

    def initial(self) -> GuardState:
        """Return the state at the start of a session."""
        nothing = np.zeros(len(self._limits.enabled))
        return GuardState(nothing, nothing, 0.0)

    def allow(self, wanted: StimulationPattern, state: GuardState, dt_s: float) -> Answer:
        """Return what may be delivered from now on, what was changed or noted, and the new state.

        ``dt_s`` has passed since the pattern that ``state`` remembers; a pattern lost on the air counts as delivered.
        """
        return self.look(wanted, self.book(state, dt_s))

    @np.errstate(all="ignore")  # nonsense input overflows on its way to silence
    def look(self, wanted: StimulationPattern, state: GuardState) -> Answer:
        """Return the answer by every rule in turn."""
        found = Found()
        amplitude, width, rate, slot = self._usable(wanted, found)
        width_us = width.astype(np.float64)
        charge = amplitude * (width_us * 1e-3)
        self.tell(self.known, amplitude, charge, most_of(charge), found)
        allowed = np.minimum(amplitude, self._current_ua)
        np.minimum(allowed, self._charge_nc * 1e3 / width_us, out=allowed)
        if self.over("rate", "Hz", "rate_hz", rate, found):
            rate = np.minimum(rate, self._limits.hard.rate_hz)
        per_ua = width_us * rate * 1e-3
        left_na = allowed * per_ua * self._limits.mismatch  # nC/s are nA
        if self.over("balance", "nA", "net_current_na", left_na, found):
            allowed *= np.minimum(1.0, self._limits.hard.net_current_na / np.maximum(left_na, 1e-12))
        allowed = self._round_down(allowed, amplitude)
        allowed = self._limit_doses(allowed, allowed * per_ua, state, found)
        allowed = self._limit_slots(allowed, slot, found)
        columns = (readonly(allowed, np.float32), readonly(width, np.float32), readonly(rate, np.float32))
        return answer(wanted, columns, found, state, allowed * per_ua)

    def book(self, state: GuardState, dt_s: float) -> GuardState:
        """Add what the last pattern delivered until replaced or no longer obeyed; from then on the averages leak."""
        driven_s = min(max(dt_s, 0.0), self._limits.hold_s)
        average = fill(state.average_nc_per_s, state.flow_nc_per_s, driven_s)
        if dt_s > driven_s:
            average *= math.exp((driven_s - dt_s) / BUCKET_S)
        session_uc = state.session_uc + float(state.flow_nc_per_s.sum()) * driven_s * 1e-3
        return GuardState(average, state.flow_nc_per_s, session_uc)

    def _usable(self, p: StimulationPattern, found: Found) -> tuple[F64, Real, Real, U8]:
        """Return amplitude, width, rate and slot with all that is no pulse, or may not be one, at zero amplitude."""
        amplitude, width, rate = p.amplitude_ua, p.pulse_width_us, p.rate_hz
        finite = np.isfinite(amplitude + width + rate)
        positive = (amplitude >= 0) & (width > 0) & (rate >= 0) & (p.slot < self._limits.slots)
        off = amplitude[self._disabled] > 0
        counts = (("not finite", ~finite), ("not a pulse", finite & ~positive), ("disabled electrode", off))
        for rule, where in counts:
            if count := int(np.count_nonzero(where)):
                found.append(Intervention(rule, "hard", count, float("nan"), 0.0, ""))
        good = finite & positive
        allowed = np.where(good & self._limits.enabled, amplitude, 0.0)
        slot = np.where(good, p.slot, 0).astype(np.uint8)
        return allowed.astype(np.float64), np.where(good, width, 1.0), np.where(good, rate, 0.0), slot

    def tell(self, caps: list[KnownCap], amplitude: F64, charge: F64, most_nc: float, found: Found) -> None:
        """Report what exceeds ``caps``; ``most_nc`` is the largest charge."""
        for cap, above, least, same in caps:
            if (by_charge := cap.unit != "uA") and most_nc <= least:
                continue
            asked = charge if by_charge else amplitude
            over = asked > above
            if count := int(np.count_nonzero(over)):
                worst = most_nc * cap.in_unit if by_charge and same else (asked * cap.in_unit)[over].max()
                found.append(Intervention(cap.rule, cap.tier, count, float(worst), cap.limit, cap.unit))

    def over(
        self, rule: str, unit: str, limit: str, values: npt.NDArray[Any], found: Found, who: Who | None = None
    ) -> bool:
        """Report ``values`` above the tiers' ``limit`` (a field of ``Totals``); tell whether the hard one is exceeded.

        There is one value for each electrode, or one for each group of those ``who`` (group u8[n], amplitude f64[n]).
        """
        worst, hard = most_of(values), getattr(self._limits.hard, limit)
        for tier, most in (("hard", hard), ("advisory", getattr(self._limits.advisory, limit))):
            if worst > most * NEWS:
                over = values > most * NEWS
                count = int(np.count_nonzero(over if who is None else over[who[0][who[1] > 0]]))
                found.append(Intervention(rule, tier, count, worst, most, unit))
        return bool(worst > hard * NEWS)

    def _limit_doses(self, amplitude: F64, flow: F64, state: GuardState, found: Found) -> F64:
        """Silence each electrode, or all, whose dose would be over its limit if no other pattern followed this one."""
        hold_s, driven = self._limits.hold_s, flow > 0
        if not driven.any():
            return amplitude
        coming = fill(state.average_nc_per_s, flow, hold_s)
        everyone = (self._together, amplitude)
        session_uc = np.array([state.session_uc + float(flow.sum()) * hold_s * 1e-3])
        spent = self.over("session charge", "uC", "session_uc", session_uc, found, everyone)
        spent |= self.over("array charge", "nC/s", "array_nc_per_s", coming.sum(keepdims=True), found, everyone)
        coming[~driven] = 0.0
        if self.over("average charge", "nC/s", "average_nc_per_s", coming, found):
            amplitude = np.where(coming > self._limits.hard.average_nc_per_s * NEWS, 0.0, amplitude)
        return np.zeros_like(amplitude) if spent else amplitude

    def _limit_slots(self, amplitude: F64, slot: U8, found: Found) -> F64:
        limits, hard = self._limits, self._limits.hard
        counts = np.bincount(slot, amplitude > 0, limits.slots)
        if self.over("simultaneous", "electrodes", "simultaneous", counts, found, (slot, amplitude)):
            amplitude = _keep_strongest(amplitude, slot, int(hard.simultaneous))
        totals = np.bincount(slot, amplitude, limits.slots)
        total = totals.sum(keepdims=True)
        over = self.over("slot current", "uA", "slot_current_ua", totals, found, (slot, amplitude))
        over |= self.over("total current", "uA", "total_current_ua", total, found, (self._together, amplitude))
        if not over:
            return amplitude
        scale = np.minimum(hard.slot_current_ua / np.maximum(totals, 1e-12), hard.total_current_ua / total)
        return self._round_down(amplitude * np.minimum(scale, 1.0)[slot], amplitude)

    def _round_down(self, amplitude: F64, wanted: F64) -> F64:
        return self.round_down(amplitude, wanted, np.where(amplitude < wanted, AT_A_LIMIT, AS_ASKED))

    def round_down(self, amplitude: F64, wanted: F64, forgiven: float | F64) -> F64:
        """Return whole steps of the DAC, nowhere more than ``wanted``, where ``forgiven`` of a step may be missing."""
        steps = amplitude * (1 / self._limits.lsb_ua)
        steps += forgiven
        np.floor(steps, out=steps)
        steps *= self._limits.lsb_ua
        return np.minimum(steps, wanted, out=steps)


def answer(p: StimulationPattern, columns: tuple[F32, F32, F32], found: Found, state: GuardState, flow: F64) -> Answer:
    """Return what ``Guard.allow`` does, of amplitudes, widths and rates allowed; ``flow`` in nC/s is theirs."""
    allowed = StimulationPattern(p.seq, p.t_ns, *columns, p.slot)
    return allowed, tuple(found), GuardState(state.average_nc_per_s, flow, state.session_uc)


def least_of(values: npt.NDArray[Any]) -> float:
    """Return the least, NaN if there is one; its place is found in a quarter of the time of ``min``."""
    return float(values[values.argmin()])


def most_of(values: npt.NDArray[Any]) -> float:
    """Return the largest, NaN if there is one."""
    return float(values[values.argmax()])


def fill(average: F64, flow: F64, driven_s: float) -> F64:
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
