"""Three independent clocks make pulses: frames set amplitudes, pulse clocks say when one is due, the raster who may.

The raster sweeps all slots once in a period that never changes; at each visit of its slot an electrode's pulse clock
moves on by its rate, and a pulse that is due starts there. So no two slots ever pulse together, a frame restarts
nothing, and rounding only lengthens: an electrode is never driven faster than asked. A pulse that has started is
finished whatever happens: what is counted is whole pulses, at their start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from prosthesis.messages import U8, readonly
from prosthesis.wire import Configuration

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
SLOTS = 256


@dataclass(frozen=True, slots=True)
class Pulse:
    """One charge-balanced pulse: cathodic first, then a gap, then as much of the other sign; nA and us, times in ns."""

    electrode: int
    start_ns: int
    amplitude_na: int
    width_us: int
    interphase_us: int

    @property
    def end_ns(self) -> int:
        """When its second phase is over."""
        return self.start_ns + 1000 * (2 * self.width_us + self.interphase_us)

    def edges(self) -> tuple[tuple[int, int], ...]:
        """Return (time in ns, current in nA from then on) of its four edges."""
        first = self.start_ns + 1000 * self.width_us
        second = first + 1000 * self.interphase_us
        current = self.amplitude_na
        return ((self.start_ns, -current), (first, 0), (second, current), (self.end_ns, 0))


class Raster:
    """The raster and the pulse clocks of one configuration, started at ``now_ns``."""

    def __init__(self, configuration: Configuration, now_ns: int) -> None:
        self._slot, self._slot_ns = configuration.slot, configuration.slot_us * 1000
        self._origin_ns = now_ns
        # rounded up: a period is only ever lengthened
        self.period_ns = -(-(10**12) // max(int(configuration.rate_mhz.max()), 1))
        self._offset_ns = np.arange(SLOTS, dtype=np.int64) * self._slot_ns
        self._step = np.zeros(len(self._slot))
        self.set_rates(configuration.rate_mhz.astype(np.int64))
        self.phase = 1.0 - self._step  # whoever may, pulses in the first sweep

    def set_rates(self, rate_mhz: I64) -> None:
        """Let the pulse clocks run at ``rate_mhz`` i64[n] from now on; none faster than the raster visits."""
        np.minimum(rate_mhz * (self.period_ns * 1e-12), 1.0, out=self._step)

    def visits(self, t0_ns: int, t1_ns: int) -> I64:
        """Return how often each slot i64[SLOTS] is visited in ``[t0_ns, t1_ns)``."""
        before = self._origin_ns + self._offset_ns
        return _ceil(t1_ns - before, self.period_ns) - _ceil(t0_ns - before, self.period_ns)

    def pulses(self, t0_ns: int, t1_ns: int, amplitude_na: I64, pulses: I32) -> None:
        """Fill ``pulses`` i32[n] started in ``[t0_ns, t1_ns)``; silent electrodes' clocks run as well."""
        count(self.visits(t0_ns, t1_ns), self._slot, self._step, self.phase, amplitude_na, pulses)

    def train(self, t0_ns: int, t1_ns: int, amplitude_na: I64, configuration: Configuration) -> list[Pulse]:
        """Return the pulses started in ``[t0_ns, t1_ns)`` one by one, in order of time; moves the clocks like that."""
        started = []
        pulses = np.zeros(len(self._slot), np.int32)
        for at_ns in self._times(t0_ns, t1_ns):
            self.pulses(at_ns, at_ns + 1, amplitude_na, pulses)
            for n in np.flatnonzero(pulses).tolist():
                width = int(configuration.pulse_width_us[n])
                started.append(Pulse(n, at_ns, int(amplitude_na[n]), width, configuration.interphase_us))
        return started

    def _times(self, t0_ns: int, t1_ns: int) -> list[int]:
        """Return every visit of a slot that has electrodes, in order."""
        times = set()
        for slot in np.unique(self._slot).tolist():
            first = self._origin_ns + slot * self._slot_ns
            first += max(0, -(-(t0_ns - first) // self.period_ns)) * self.period_ns
            times |= set(range(first, t1_ns, self.period_ns))
        return sorted(times)


def _ceil(span_ns: I64, period_ns: int) -> I64:
    return np.maximum(-(-span_ns // period_ns), 0)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def count(visits: I64, slot: U8, step: F64, phase: F64, amplitude_na: I64, pulses: I32) -> None:
    """Move each pulse clock ``phase`` f64[n] by its slot's visits and count whole pulses of electrodes in use.

    1e-9 of a pulse forgives the sum's own rounding, so that a third of a pulse three times is one.
    """
    for n in range(len(phase)):
        at = phase[n] + visits[slot[n]] * step[n]
        whole = math.floor(at + 1e-9)
        phase[n] = at - whole
        pulses[n] = whole if amplitude_na[n] > 0 else 0


def warm_up() -> None:
    """Compile ``count``, before time matters."""
    none, zero = np.zeros(SLOTS, np.int64), np.zeros(1)
    count(none, readonly(zero, np.uint8), zero, zero.copy(), none[:1], np.zeros(1, np.int32))
