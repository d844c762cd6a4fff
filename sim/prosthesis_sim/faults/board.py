"""Which faults are there now, and what they do to one emulated implant and its link; more may be added at any time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prosthesis_sim.faults import effects
from prosthesis_sim.faults.air import BACK, DOWN, FaultyAir
from prosthesis_sim.faults.catalogue import Fault, Kind
from prosthesis_sim.implant import Implant

NS_PER_S = 1_000_000_000
NEVER_NS = 1 << 62


class FaultBoard:
    """Faults of one emulator, each with the time from which its onset counts (ns); ``seed`` is the link's weather."""

    def __init__(self, faults: Sequence[Fault], now_ns: int, seed: int = 0) -> None:
        self._faults = [(now_ns, fault) for fault in faults]
        self._ever = {fault.kind.value: None for fault in faults}
        self._active: tuple[Fault, ...] = ()
        self._skew_ns = 0
        self._drift_from_ns = now_ns
        self._command: bytes | None = None
        self.air = FaultyAir(seed)

    def add(self, fault: Fault, now_ns: int) -> None:
        """Let a fault begin ``onset_s`` from now."""
        self._faults.append((now_ns, fault))
        self._ever[fault.kind.value] = None

    def clear(self) -> None:
        """End all faults now."""
        self._faults = []

    def told(self) -> tuple[str, ...]:
        """Return the kinds of all faults there ever were or will be, for recordings."""
        return tuple(self._ever)

    def active(self, now_ns: int) -> tuple[Fault, ...]:
        """Return the faults that are there at ``now_ns``."""
        return tuple(fault for since, fault in self._faults if fault.active((now_ns - since) / NS_PER_S))

    def next_change_ns(self, now_ns: int) -> int:
        """Return when the next fault begins or ends."""
        changes = []
        for since, fault in self._faults:
            begins = since + int(fault.onset_s * NS_PER_S)
            ends = NEVER_NS if fault.duration_s is None else begins + int(fault.duration_s * NS_PER_S)
            changes += [t_ns for t_ns in (begins, ends) if t_ns > now_ns]
        return min(changes, default=NEVER_NS)

    def apply(self, implant: Implant, now_ns: int) -> None:
        """Bring the implant to what the faults that are there now make of it."""
        active = self.active(now_ns)
        if active == self._active:
            return
        before, self._active = self._active, active
        for fault in before:
            if fault not in active:
                effects.end(fault, implant)
        implant.front.set_defects(effects.defects(active, implant.electrodes))
        for fault in active:
            if fault not in before:
                effects.begin(fault, implant)
                if fault.kind is Kind.CLOCK_SKEW:
                    self._skew_ns += int(fault.size * 1e6)
                if fault.kind is Kind.CLOCK_DRIFT:
                    self._drift_from_ns = now_ns

    def clock_ns(self, now_ns: int) -> int:
        """Return the implant's clock at ``now_ns``: jumped, or too fast."""
        drift = sum(fault.size for fault in self._active if fault.kind is Kind.CLOCK_DRIFT)
        return now_ns + self._skew_ns + int(drift * 1e-6 * (now_ns - self._drift_from_ns))

    def hears(self, message: bytes, now_ns: int) -> list[bytes]:
        """Return what arrives of a message."""
        return [] if self._dead() else self.air.take(message, now_ns, self._active)

    def late(self, now_ns: int) -> list[bytes]:
        """Return what was held back until now."""
        return self.air.due(now_ns, self._active)

    def answers(self, implant: Implant) -> bool:
        """Tell whether commands reach the implant, and their replies come back."""
        return not (implant.hung or self._dead() or any(fault.kind in (*DOWN, *BACK) for fault in self._active))

    def talks(self, implant: Implant) -> bool:
        """Tell whether receipts and telemetry come back."""
        return not (implant.hung or self._dead() or any(fault.kind in BACK for fault in self._active))

    def again(self, answer: Callable[[bytes], bytes], command: bytes | None = None) -> None:
        """Remember the last ``command``, or repeat it where it is stuck."""
        if command is not None:
            self._command = command
        elif self._command is not None and any(fault.kind is Kind.STUCK_COMMAND for fault in self._active):
            answer(self._command)

    def _dead(self) -> bool:
        return any(fault.kind is Kind.BROWN_OUT for fault in self._active)
