"""The implant's door: who may open a session, and which commands of theirs are obeyed."""

from __future__ import annotations

import struct
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from prosthesis import control
from prosthesis.control import Command, Reply
from prosthesis.messages import ImplantState, Refusal
from prosthesis.sealing import Sealing
from prosthesis.wire import (
    Direction,
    Header,
    PacketType,
    Sealer,
    WireError,
    decode_configuration,
    read_header,
)
from prosthesis_sim.implant import MAX_NS, Implant

# commands that change what electrodes will do, by the name they have in ``Heard``
JOURNALLED = {
    Command.CONFIGURE: "configure",
    Command.ARM: "arm",
    Command.STOP: "stop",
    Command.ABORT: "lock",
    Command.RESET: "reset",
    Command.SELF_TEST: "test",
}


class ImplantDoor:
    """Turns OPEN and sealed commands into calls on an ``Implant``.

    A session that was asked for replaces the present one only when its first sealed command proves the device's key: a
    recorded OPEN changes nothing. Without keys (``sealing`` NONE or CRC) anybody may open one. ``record`` gives an
    electrode's evoked rate in Hz, where the array can record.
    """

    def __init__(
        self,
        implant: Implant,
        identity: X25519PrivateKey,
        allowed: frozenset[bytes],
        record: Callable[[int], float] | None = None,
        sealing: Sealing = Sealing.AEAD,
    ) -> None:
        self._implant, self._identity, self._allowed, self._record = implant, identity, allowed, record
        self._sealing = sealing
        self._asked: tuple[int, Sealer, bytes] | None = None
        self._device = b""
        self._last = (0, b"")

    def allow(self, allowed: frozenset[bytes]) -> None:
        """Obey these devices from now on; the session of one that is no longer among them ends here."""
        self._allowed = allowed
        if self._sealing.keyed and self._implant.sealer is not None and self._device not in allowed:
            self._implant.adopt(0, None)

    def answer(self, data: bytes, now_ns: int) -> bytes:
        """Return the reply to one command message; empty when it may not be answered."""
        if data.startswith(control.OPEN_MAGIC):
            return self._open(data, now_ns)
        try:
            header, payload = self._unseal(data)
        except WireError:
            return b""
        if header.seq == self._last[0]:
            return self._last[1]  # a repeated command is answered again, never done again
        if header.seq < self._last[0] or not payload:
            return b""
        refusal, detail = self._obey(payload[0], payload[1:], now_ns)
        reply = self._reply(header.seq, refusal, detail, now_ns)
        self._last = (header.seq, reply)
        return reply

    def _open(self, data: bytes, now_ns: int) -> bytes:
        try:
            request = control.decode_open(data)
        except WireError:
            return b""
        if request.session == self._implant.session:
            return b""
        if not self._sealing.keyed:
            return self._welcome(request, bytes(32), b"", now_ns)
        if request.device_public not in self._allowed:
            return b""
        ephemeral = X25519PrivateKey.generate()
        public = ephemeral.public_key().public_bytes_raw()
        theirs = (request.device_public, request.ephemeral_public)
        try:
            key = control.session_key(request, public, (self._identity, ephemeral), theirs)
        except ValueError:  # a key of small order
            return b""
        return self._welcome(request, public, key, now_ns)

    def _welcome(self, request: control.Open, public: bytes, key: bytes, now_ns: int) -> bytes:
        sealer = Sealer(key, request.session, Direction.UP, self._sealing)
        self._asked = (request.session, sealer, request.device_public)
        reply = self._result(Refusal.NONE, self._implant.electrodes, now_ns)
        return public + sealer.seal(Header(PacketType.REPLY, request.session, 0, now_ns), reply.encode())

    def _unseal(self, data: bytes) -> tuple[Header, bytes]:
        header = read_header(data, self._sealing)
        if header.type is not PacketType.COMMAND:
            raise WireError(Refusal.TYPE)
        if self._asked and header.session == self._asked[0]:
            opened = self._asked[1].open(data)
            self._implant.journal.note("open")
            self._implant.adopt(*self._asked[:2])
            self._device, self._asked, self._last = self._asked[2], None, (0, b"")
            return opened
        if self._implant.sealer is None:
            raise WireError(Refusal.SESSION)
        return self._implant.sealer.open(data)

    def _obey(self, kind: int, body: bytes, now_ns: int) -> tuple[Refusal, int]:
        implant = self._implant
        if kind in JOURNALLED:
            implant.journal.note(JOURNALLED[Command(kind)])
        match kind:
            case Command.CONFIGURE:
                try:
                    return implant.configure(decode_configuration(body)), 0
                except WireError as error:
                    return error.refusal, 0
            case Command.ARM:
                return implant.arm(), 0
            case Command.STOP:
                implant.stop("stopped by host")
            case Command.ABORT:
                implant.lock("aborted by host")
            case Command.RESET:
                implant.reset()
            case Command.OFFSET if len(body) == 8:
                (offset_ns,) = struct.unpack("<q", body)
                if not 0 <= now_ns - offset_ns < MAX_NS:  # the device's time, as its messages hold it
                    return Refusal.LAYOUT, 0
                implant.offset_ns = offset_ns
                implant.journal.note("offset", offset_ns)
            case Command.RECORD if self._record and len(body) == 2:
                (electrode,) = struct.unpack("<H", body)
                if electrode >= implant.electrodes:
                    return Refusal.LAYOUT, 0
                return Refusal.NONE, round(1000 * self._record(electrode))
            case Command.IMPEDANCE if len(body) in (2, 4):
                electrode, *width_us = struct.unpack(f"<{len(body) // 2}H", body)
                if electrode >= implant.electrodes:
                    return Refusal.LAYOUT, 0
                if implant.state is ImplantState.STIMULATING:
                    return Refusal.NOT_READY, 0  # it takes a current of its own
                return Refusal.NONE, implant.monitor.impedance_ohm(electrode, *width_us)
            case Command.READBACK if len(body) == 3:
                electrode, point = struct.unpack("<HB", body)
                if electrode >= implant.electrodes or point > 4:
                    return Refusal.LAYOUT, 0
                return Refusal.NONE, implant.monitor.readback_mv(electrode, point)
            case Command.SELF_TEST:
                return implant.self_test("self-test by host"), 0
            case Command.CLOCK:
                pass  # the reply carries the time
            case _:
                return Refusal.TYPE, 0
        return Refusal.NONE, 0

    def _reply(self, seq: int, refusal: Refusal, detail: int, now_ns: int) -> bytes:
        sealer = self._implant.sealer
        if sealer is None:
            return b""
        header = Header(PacketType.REPLY, self._implant.session, seq, now_ns)
        return sealer.seal(header, self._result(refusal, detail, now_ns).encode())

    def _result(self, refusal: Refusal, detail: int, now_ns: int) -> Reply:
        return Reply(refusal, self._implant.state, now_ns, detail, self._implant.reason)
