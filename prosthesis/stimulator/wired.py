"""A session with a stimulator on the bench: the device in the place of implant and air, by the same verbs.

What is guarded is told to the device as it is; the device falls silent by itself when no pattern follows, as each is
played for no longer than a pattern may be obeyed. Nothing is sealed: keep the device's wire on the machine.
"""

from __future__ import annotations

import contextlib
import math
import struct
from collections import Counter
from collections.abc import Callable

import numpy as np

from prosthesis.control import Command, Reply
from prosthesis.errors import LinkError
from prosthesis.messages import ImplantState, Receipt, Refusal, StimulationPattern, Telemetry, readonly
from prosthesis.protocols import Clock
from prosthesis.stimulator.backend import StimulatorBackend
from prosthesis.stimulator.codes import StimulatorCode, StimulatorError
from prosthesis.stimulator.driver import StimulatorDriver
from prosthesis.stimulator.model import I64
from prosthesis.wire import U16, Configuration, Modulated

TELEMETRY_NS = 50_000_000
GONE = (
    StimulatorCode.DISCONNECTED,
    StimulatorCode.INTERFACE_TIMEOUT,
    StimulatorCode.INTERFACE_READ,
    StimulatorCode.INTERFACE_WRITE,
)
_HEAD = struct.Struct("<IQ")


class WiredSession:
    """A ``StimulatingSession`` with the device that ``connect`` opens; a pattern is obeyed for ``hold_s`` at most.

    ``open`` connects anew. A refusal leaves the device silent and SAFE, and is the telemetry's reason.
    """

    def __init__(
        self, connect: Callable[[], StimulatorBackend], configuration: Configuration, hold_s: float, clock: Clock
    ) -> None:
        self._connect, self._configuration, self._hold_s, self._clock = connect, configuration, hold_s, clock
        self._backend: StimulatorBackend | None = None
        self._driver: StimulatorDriver | None = None
        self._state, self._reason = ImplantState.SILENT, "not connected"
        self._seq = self._t_ns = self._obeyed_ns = self._told_ns = self._accepted = self._skipped = 0
        self._charge_pc: I64 = np.zeros(configuration.electrodes, np.int64)
        self._receipts: list[Receipt] = []
        self.overruled = False

    def open(self) -> None:
        """Connect, and have the device silent with nothing configured; ``LinkError`` says why not."""
        self.close()
        try:
            self._backend = self._connect()
            self._backend.reset()
        except StimulatorError as error:
            raise LinkError(str(error)) from error
        self._driver = StimulatorDriver(self._backend, self._configuration.interphase_us, self._hold_s)
        self._charge_pc = np.zeros(self._configuration.electrodes, np.int64)
        self._become(ImplantState.SILENT, f"{self._backend.capabilities.device} connected")

    def close(self) -> None:
        """Stop and let go of the device."""
        backend, self._backend, self._driver = self._backend, None, None
        if backend is not None:
            try:
                backend.close()
            except StimulatorError as error:
                self._become(ImplantState.SAFE, str(error))

    def arm(self) -> Reply:
        """Be ready to stimulate with the next pattern."""
        if self._backend is None:
            raise LinkError("the stimulator is not connected")
        self.overruled = False
        self._become(ImplantState.ARMED, "armed by host")
        return self._reply()

    def stop(self) -> None:
        """Silence the device."""
        self._become(ImplantState.STOPPED, "stopped by host")
        self._halt()

    def permit(self) -> None:
        """Let ``arm`` be called again after a STOP."""
        self.overruled = False

    def reset(self) -> Reply:
        """Connect anew: a fault that a device keeps ends with its session."""
        self.open()
        return self._reply()

    def align_clock(self) -> None:
        """Do nothing: there is one clock."""

    def seal(self, seq: int, t_ns: int, codes: U16) -> bytes:
        """Return a pattern's number, capture time and codes as bytes."""
        return _HEAD.pack(seq, t_ns) + codes.astype("<u2").tobytes()

    def send(self, message: bytes) -> bool:
        """Tell the device a pattern, ``False`` when it is not obeyed: too old, not armed, or refused."""
        seq, t_ns = _HEAD.unpack_from(message)
        codes = np.frombuffer(message, "<u2", offset=_HEAD.size)
        now_ns = self._clock.now_ns()
        if self._driver is None or self._state not in (ImplantState.ARMED, ImplantState.STIMULATING, ImplantState.HOLD):
            return False
        if now_ns - t_ns > self._hold_s * 1e9:
            self._skipped += 1
            return False
        try:
            self._driver.deliver(self._pattern(seq, t_ns, codes))
        except StimulatorError as error:
            self._fail(error)
            return False
        self._seq, self._t_ns, self._obeyed_ns = seq, t_ns, t_ns
        self._accepted += 1
        if self._state is not ImplantState.STIMULATING:
            self._become(ImplantState.STIMULATING, "fresh frames")
        self._account()
        return True

    def receive(self, timeout_s: float = 0.0) -> Receipt | Telemetry | None:
        """Return what the device delivered (one that counts), then every 50 ms its health."""
        now_ns = self._clock.now_ns()
        if self._state is ImplantState.STIMULATING and now_ns - self._obeyed_ns > self._hold_s * 1e9:
            self._become(ImplantState.HOLD, "no fresh frame within its time to live")
            with contextlib.suppress(LinkError):  # it is the state's reason
                self._halt()
        if self._receipts:
            return self._receipts.pop(0)
        if self._backend is None or now_ns - self._told_ns < TELEMETRY_NS:
            return None
        self._told_ns = now_ns
        return self._telemetry(now_ns)

    def command(self, command: Command, body: bytes = b"", timeout_s: float = 0.0) -> Reply:
        """Answer IMPEDANCE by the device's own measurement, if it has one, and every other command with TYPE."""
        if self._backend is None:
            raise LinkError("the stimulator is not connected")
        if command is not Command.IMPEDANCE or len(body) != 4:
            return self._reply(Refusal.TYPE)
        electrode, width_us = struct.unpack("<HH", body)
        try:
            measured = self._backend.measure(electrode)
        except StimulatorError as error:
            if error.code is StimulatorCode.NOT_IMPLEMENTED:
                return self._reply(Refusal.TYPE)
            raise LinkError(str(error)) from error
        ohm = float(measured.impedance_ohm)
        if measured.millivolts is None:
            # a magnitude at 1 kHz says not how much of it is capacitance: the most that a phase can meet of any share
            ohm *= math.hypot(1.0, 2 * math.pi * 1e-3 * width_us)
        return self._reply(detail=min(round(ohm), 0xFFFFFFFF))

    def _pattern(self, seq: int, t_ns: int, codes: U16) -> StimulationPattern:
        c, value = self._configuration, codes.astype(np.float64) * self._configuration.lsb
        amplitude_na, rate_mhz = value, c.rate_mhz.astype(np.float64)
        if c.modulated is Modulated.RATE:
            amplitude_na, rate_mhz = np.where(value > 0, c.amplitude_na, 0), value
        columns = (amplitude_na * 1e-3, c.pulse_width_us, rate_mhz * 1e-3)
        amplitude, width, rate = (readonly(column, np.float32) for column in columns)
        return StimulationPattern(seq, t_ns, amplitude, width, rate, c.slot)

    def _account(self) -> None:
        """Note what a device that counts has delivered since the last time."""
        told = self._backend.telemetry() if self._backend else None
        if told is not None and told.counted:
            charge_pc = told.charge_pc[: len(self._charge_pc)]
            self._receipts.append(
                Receipt(
                    self._seq,
                    self._t_ns,
                    readonly(charge_pc - self._charge_pc, np.int64),
                    readonly(np.where(told.limited[: len(charge_pc)], Refusal.COMPLIANCE, 0), np.uint8),
                )
            )
            self._charge_pc = charge_pc.copy()

    def _telemetry(self, now_ns: int) -> Telemetry:
        refused = Counter({Refusal.STALE: self._skipped})
        counts = tuple(refused[code] for code in Refusal)
        left_ms = max(0, round((self._obeyed_ns - now_ns) * 1e-6 + 1e3 * self._hold_s))
        numbers = (0, self._accepted, counts, self._skipped, 0.0, 0.0, 0, left_ms)
        return Telemetry(self._seq, now_ns, self._state, self._reason, *numbers)

    def _halt(self) -> None:
        try:
            if self._backend is not None:
                self._backend.stop()
        except StimulatorError as error:
            self._fail(error)
            raise LinkError(str(error)) from error

    def _fail(self, error: StimulatorError) -> None:
        self._become(ImplantState.SAFE, str(error))
        if error.code in GONE:
            self._backend = self._driver = None  # quiet from now on, so that it is looked for again

    def _become(self, state: ImplantState, reason: str) -> None:
        self._state, self._reason = state, reason
        self._told_ns = 0

    def _reply(self, refusal: Refusal = Refusal.NONE, detail: int = 0) -> Reply:
        return Reply(refusal, self._state, self._clock.now_ns(), detail, self._reason)
