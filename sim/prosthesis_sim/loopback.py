"""The same implant and patient in the device's own process: the link's bytes without sockets, in any clock's time."""

from __future__ import annotations

from prosthesis.errors import LinkError
from prosthesis.protocols import Clock
from prosthesis_sim.emulator import Emulator

TELEMETRY_NS = 50_000_000


class LoopbackLink:
    """A ``Link`` to an ``Emulator`` in this process; time passes as the shared ``clock`` says."""

    def __init__(self, emulator: Emulator, clock: Clock) -> None:
        self._emulator, self._clock = emulator, clock
        self._uplink: list[bytes] = []
        self._telemetry_ns = -(1 << 62)

    def send(self, data: bytes) -> bool:
        """Put the message on the emulator's air and let it arrive if the air is quick."""
        self._emulator.hear(data)
        self._emulator.step()
        self._emulator.receipt()
        return True

    def receive(self, timeout_s: float) -> bytes | None:
        """Return the next uplink packet; time does not pass while waiting."""
        self._emulator.step()
        now_ns = self._clock.now_ns()
        if now_ns - self._telemetry_ns >= TELEMETRY_NS:
            self._telemetry_ns = now_ns
            self._emulator.telemetry()
        self._uplink += self._emulator.arrived_up()
        return self._uplink.pop(0) if self._uplink else None

    def request(self, data: bytes, timeout_s: float) -> bytes:
        """Return the reply to a command."""
        reply = self._emulator.command(data)
        if reply is None:
            raise LinkError("no implant answers; check that it has power and is in reach")
        return reply

    def close(self) -> None:
        """Nothing to release."""
