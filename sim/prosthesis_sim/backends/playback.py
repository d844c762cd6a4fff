"""When the pulses of a program fall, in integers and closed form, so that no way of asking loses or doubles one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from prosthesis.stimulator.model import I64, UNLIMITED, Capabilities, Group, Program, Sync, Wait, Waveform

NS_PER_US = 1000


class Playback:
    """One program with its waveforms, fixed when it started: who pulses when, in ns of program time.

    ``electrode``, waveform ``slot`` and raster ``group`` i64[m] tell the m trains of one pass. A pass of a device of
    programs ends with its last command; where trains run on while the program proceeds, with its last train. At
    ``end_ns`` all passes are over. ``single``: no electrode has two trains.
    """

    def __init__(self, program: Program, bank: Mapping[int, Waveform], capabilities: Capabilities) -> None:
        self._c = capabilities
        trains: list[tuple[int, int, Waveform]] = []
        syncs: list[tuple[int, int]] = []
        at_ns, last_ns = 0, 0
        for command in program.commands:
            match command:
                case Wait(us):
                    at_ns += us * NS_PER_US
                case Sync(line):
                    syncs.append((at_ns, line))
                case Group(stimuli):
                    trains += [(at_ns, electrode, bank[slot]) for electrode, slot in stimuli]
                    group_ns = max(self._train_ns(bank[slot]) for _, slot in stimuli)
                    last_ns = max(last_ns, at_ns + group_ns)
                    at_ns += 0 if capabilities.concurrent else group_ns
        self.electrode = np.array([electrode for _, electrode, _ in trains], np.int64)
        starts = sorted({start for start, _, _ in trains})
        self.group = np.searchsorted(starts, [start for start, _, _ in trains]) % 256
        self._waveforms = [waveform for _, _, waveform in trains]
        self.slot = np.array([waveform.slot for _, _, waveform in trains], np.int64)
        self._start_ns = np.array([start for start, _, _ in trains], np.int64)
        self._period_ns = np.array([self._ns(waveform.period_us) for _, _, waveform in trains], np.int64)
        self._pulses = np.array([waveform.pulses or UNLIMITED for _, _, waveform in trains], np.int64)
        self._over_ns = np.array([start + self._train_ns(waveform) for start, _, waveform in trains], np.int64)
        self.single = len({electrode for _, electrode, _ in trains}) == len(trains)
        self._syncs, self._pass_ns = syncs, max(at_ns, last_ns)
        self._passes = program.repeats or UNLIMITED
        self.end_ns = self._pass_ns * self._passes

    def busy(self, at_ns: int) -> I64:
        """Return the electrodes whose trains are not over at ``at_ns`` of program time, in any pass."""
        return self.electrode if self._passes > 1 else self.electrode[at_ns < self._over_ns]

    def waveform(self, k: int) -> Waveform:
        """Return the waveform of train ``k``."""
        return self._waveforms[k]

    def _ns(self, us: int) -> int:
        return self._c.cycles(us) * 1_000_000_000 // self._c.clock_hz

    def _train_ns(self, w: Waveform) -> int:
        if not w.pulses:
            return UNLIMITED * NS_PER_US
        return (w.pulses - 1) * self._ns(w.period_us) + (w.pulse_us + self._c.recovery_us) * NS_PER_US

    def started(self, until_ns: int) -> I64:
        """Return how many pulses of each train have started before ``until_ns`` of program time: i64[m]."""
        whole = min(max(until_ns, 0) // self._pass_ns, self._passes)
        pulses = self._pulses * whole if whole else np.zeros_like(self._pulses)
        if whole < self._passes:
            since = until_ns - whole * self._pass_ns - self._start_ns
            pulses += np.clip(-(-since // self._period_ns), 0, self._pulses)
        return pulses

    def syncs(self, from_ns: int, until_ns: int) -> list[tuple[int, int]]:
        """Return the sync pulses in ``[from_ns, until_ns)`` of program time as (time, line)."""
        if not self._syncs:
            return []
        found = []
        for k in range(from_ns // self._pass_ns, min(-(-until_ns // self._pass_ns), self._passes)):
            times = ((k * self._pass_ns + at, line) for at, line in self._syncs)
            found += [(at, line) for at, line in times if from_ns <= at < until_ns]
        return found
