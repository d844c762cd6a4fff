"""The guard that devices use: most patterns come near no hard limit, which a glance at their largest values shows.

Rounding is then all there is to do, besides telling which advisory charges are exceeded. Any other pattern is looked at
closely, rule by rule; where a glance is enough, both answer the same (``tests/property/test_glance.py``).
"""

from __future__ import annotations

import math
from dataclasses import astuple
from functools import reduce
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from prosthesis.limits import GuardLimits, Totals
from prosthesis.messages import F32, StimulationPattern, readonly
from prosthesis.safety import AS_ASKED, F64, Answer, Found, Guard, GuardState, answer, fill, least_of, most_of

NEARLY = 1 - 1e-9  # rounding never hides from a glance what a close look finds
NONSENSE = 1e30  # sums of larger values are not finite in float32


class _Columns(NamedTuple):
    """What seldom changes from pattern to pattern, by its bytes; ``plain`` if all pulse alike and may pulse so."""

    key: tuple[bytes, bytes, bytes]
    width: F32
    rate: F32
    slot: npt.NDArray[np.intp]
    plain: bool


class QuickGuard(Guard):
    """A ``Guard`` that answers most patterns at a glance."""

    def __init__(self, limits: GuardLimits) -> None:
        super().__init__(limits)
        every_ua = reduce(np.minimum, [cap.current_ua for cap in limits.caps], np.full(len(limits.enabled), math.inf))
        self._charges = [known for known in self.known if known.cap.unit != "uA"]
        self._near_ua = np.where(limits.enabled, every_ua, 0.0)
        self._near_nc = NEARLY * min((float(np.min(k.cap.charge_nc)) for k in self._charges if k.cap.tier == "hard"),
                                     default=math.inf)  # fmt: skip
        tiers = zip(astuple(limits.hard), astuple(limits.advisory), strict=True)
        self._near = Totals(*(min(pair) for pair in tiers))
        near = self._near
        self._any_sum = min(near.total_current_ua, near.array_nc_per_s, near.session_uc) < math.inf
        self._any_dose = self._any_sum or near.average_nc_per_s < math.inf
        self._least_nc = min((known.least for known in self._charges), default=math.inf)
        self._seen: _Columns | None = None

    def allow(self, wanted: StimulationPattern, state: GuardState, dt_s: float) -> Answer:
        """Return what ``Guard.allow`` does."""
        booked = self.book(state, dt_s)
        return self._glance(wanted, booked) or self.look(wanted, booked)

    def _glance(self, p: StimulationPattern, state: GuardState) -> Answer | None:
        """Return what ``look`` would; ``None`` where more than charges may have to be told, or any be changed."""
        seen, near, most = self._columns(p), self._near, most_of(p.amplitude_ua)
        if not (seen.plain and least_of(p.amplitude_ua) >= 0 and most < NONSENSE):
            return None
        width_us, rate_hz = float(seen.width[0]), float(seen.rate[0])
        per_nc, per_ua = width_us * 1e-3, width_us * rate_hz * 1e-3
        if most * per_nc > self._near_nc or most * per_ua * self._limits.mismatch > near.net_current_na:
            return None
        amplitude = p.amplitude_ua.astype(np.float64)
        if np.count_nonzero(amplitude > self._near_ua):
            return None
        found = Found()
        if most * per_nc > self._least_nc:
            self.tell(self._charges, amplitude, amplitude * per_nc, most * per_nc, found)
        allowed = self.round_down(amplitude, amplitude, AS_ASKED)
        flow = allowed * per_ua
        if most_of(np.bincount(seen.slot, allowed)) > near.slot_current_ua:
            return None
        if self._any_dose and not self._within_doses(allowed, flow, state, found):
            return None
        return answer(p, (readonly(allowed, np.float32), seen.width, seen.rate), found, state, flow)

    def _columns(self, p: StimulationPattern) -> _Columns:
        """Return the pattern's other columns, looked at once for all patterns that have the same."""
        key = (p.pulse_width_us.tobytes(), p.rate_hz.tobytes(), p.slot.tobytes())
        if self._seen is None or key != self._seen.key:
            width, rate, counts = p.pulse_width_us.copy(), p.rate_hz.copy(), np.bincount(p.slot)
            pulses = (
                0 < least_of(width) == most_of(width) < NONSENSE and 0 <= least_of(rate) == most_of(rate) < NONSENSE
            )
            fits = most_of(rate) <= self._near.rate_hz and most_of(counts) <= self._near.simultaneous
            plain = pulses and fits and len(counts) <= self._limits.slots
            self._seen = _Columns(
                key, readonly(width, np.float32), readonly(rate, np.float32), p.slot.astype(np.intp), plain
            )
        return self._seen

    def _within_doses(self, amplitude: F64, flow: F64, state: GuardState, found: Found) -> bool:
        """Report an advisory average that is exceeded; tell whether no other sum or dose is."""
        near, hold_s = self._near, self._limits.hold_s
        coming = fill(state.average_nc_per_s, flow, hold_s)
        if self._any_sum:
            session_uc = state.session_uc + float(flow.sum()) * hold_s * 1e-3
            if amplitude.sum() > near.total_current_ua or coming.sum() > near.array_nc_per_s:
                return False
            if session_uc > near.session_uc:
                return False
        if most_of(coming) <= near.average_nc_per_s:
            return True
        coming *= flow > 0
        return not self.over("average charge", "nC/s", "average_nc_per_s", coming, found)
