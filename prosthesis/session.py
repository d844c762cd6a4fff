"""The device's side of one session with an implant: keys, configuration, arming, patterns, and what comes back."""

from __future__ import annotations

import contextlib
import secrets
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from prosthesis import control
from prosthesis.control import Command, Open, Reply
from prosthesis.errors import LinkError
from prosthesis.messages import ImplantState, Receipt, Refusal, Telemetry
from prosthesis.protocols import Clock, Link
from prosthesis.sealing import Sealing
from prosthesis.wire import (
    U16,
    Configuration,
    Direction,
    Header,
    PacketType,
    Sealer,
    WireError,
    seal_pattern,
    stop_packet,
)

REQUEST_S = 0.5
PINGS = 5
# a subscriber's queue: more packets in a row that are not ours must not hold the device up
UPLINK_QUEUE = 1000


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are and whom we trust: our long-term secret and the implant's public key (32 raw bytes)."""

    identity: X25519PrivateKey
    implant_public: bytes


class Session:
    """Sealed traffic with one implant over any ``Link``; ``open`` makes a new session, also after a lost one.

    ``overruled`` turns true when the implant says that it was told to STOP after we armed it. Our own STOP is the last
    thing we send, so it was somebody else's, and only a person may have ``arm`` called again.
    """

    def __init__(
        self,
        link: Link,
        credentials: Credentials,
        configuration: Configuration,
        ttl_ms: int,
        clock: Clock,
        sealing: Sealing = Sealing.AEAD,
    ) -> None:
        self._link, self._credentials, self._clock = link, credentials, clock
        self._configuration, self._ttl_ms, self._sealing = configuration, ttl_ms, sealing
        self._body, self._profile = configuration.encode(), configuration.profile
        self._sealer: Sealer | None = None
        self._number = self._commands = self._heard = 0
        self._armed_ns: int | None = None
        self.overruled = False

    def open(self, timeout_s: float = REQUEST_S) -> None:
        """Agree on a key, align the implant's clock with ours, and configure it.

        Raises ``LinkError`` when nobody answers, when the peer cannot prove who it is, or when it refuses.
        """
        number = secrets.randbits(32)
        ephemeral = X25519PrivateKey.generate()
        mine = (self._credentials.identity, ephemeral)
        request = Open(number, mine[0].public_key().public_bytes_raw(), ephemeral.public_key().public_bytes_raw())
        answer = self._link.request(request.encode(), timeout_s)
        theirs, proof = answer[:32], answer[32:]
        if len(theirs) != 32 or not proof:
            raise LinkError("the implant refused the session: this device's key is not among its allowed keys")
        sealer = Sealer(self._key(request, theirs, mine), number, Direction.DOWN, self._sealing)
        reply = self._open_reply(sealer, 0, proof)
        if reply.detail != self._configuration.electrodes:
            raise LinkError(
                f"the implant has {reply.detail} electrodes, this rig {self._configuration.electrodes}; "
                "start both ends with the same rig"
            )
        self._sealer, self._number, self._commands, self._heard = sealer, number, 0, 0
        self.align_clock()
        self._require(Command.CONFIGURE, self._body)

    def _key(self, request: Open, theirs: bytes, mine: tuple[X25519PrivateKey, X25519PrivateKey]) -> bytes:
        if not self._sealing.keyed:
            return b""
        try:
            return control.session_key(request, theirs, mine, (self._credentials.implant_public, theirs))
        except ValueError as error:  # of small order
            raise LinkError(
                "the implant's answer is no usable key; check that implant.key is the implant's own"
            ) from error

    def arm(self) -> Reply:
        """Ask to stimulate; the reply's refusal says why not (``NOT_READY`` until ten valid frames after a stop)."""
        reply = self.command(Command.ARM)
        if reply.refusal is Refusal.NONE:
            self._armed_ns, self.overruled = reply.now_ns, False
        return reply

    def permit(self) -> None:
        """Let ``arm`` be called again after somebody's STOP, because a person says so."""
        self._armed_ns, self.overruled = None, False

    def stop(self) -> None:
        """Silence the implant: an unsealed STOP that nothing can refuse, then the acknowledged command."""
        self._link.send(stop_packet(self._number, 0))
        self.command(Command.STOP)

    def reset(self) -> Reply:
        """Unlock an implant that latched a fault."""
        return self.command(Command.RESET)

    def seal(self, seq: int, t_ns: int, codes: U16) -> bytes:
        """Return the sealed message of one pattern."""
        if self._sealer is None:
            raise LinkError("no session with the implant is open")
        head = Header(PacketType.PATTERN, self._number, seq, t_ns, self._ttl_ms, profile=self._profile)
        c = self._configuration
        return seal_pattern(self._sealer, head, codes, c.bits, c.tile_electrodes)

    def send(self, message: bytes) -> bool:
        """Send a sealed pattern; ``False`` when the link cannot take it now."""
        return self._link.send(message)

    def receive(self, timeout_s: float = 0.0) -> Receipt | Telemetry | None:
        """Return the next genuine receipt or telemetry, ``None`` when there is none in time."""
        for _ in range(UPLINK_QUEUE):
            packet = self._link.receive(timeout_s)
            if packet is None or self._sealer is None:
                return None
            with contextlib.suppress(WireError):  # an older session's, replayed, or forged: not ours to read
                return self._read(self._sealer, packet)
        return None

    def _read(self, sealer: Sealer, packet: bytes) -> Receipt | Telemetry:
        header, payload = sealer.open(packet)
        if header.type not in (PacketType.RECEIPT, PacketType.TELEMETRY):
            raise WireError(Refusal.TYPE)
        if header.seq <= self._heard:
            raise WireError(Refusal.REPLAYED)
        self._heard = header.seq
        if header.type is PacketType.RECEIPT:
            return control.decode_receipt(payload)
        telemetry = control.decode_telemetry(payload)
        # both times are the implant's: a report from before it was armed speaks of an earlier STOP
        since_armed = self._armed_ns is not None and telemetry.t_ns > self._armed_ns
        self.overruled |= since_armed and telemetry.state is ImplantState.STOPPED
        return telemetry

    def command(self, command: Command, body: bytes = b"", timeout_s: float = REQUEST_S) -> Reply:
        """Send a sealed command and return the implant's authenticated reply."""
        if self._sealer is None:
            raise LinkError("no session with the implant is open")
        self._commands += 1
        header = Header(PacketType.COMMAND, self._number, self._commands, self._clock.now_ns())
        packet = self._sealer.seal(header, bytes([command]) + body)
        return self._open_reply(self._sealer, header.seq, self._link.request(packet, timeout_s))

    def _require(self, command: Command, body: bytes) -> None:
        reply = self.command(command, body)
        if reply.refusal is not Refusal.NONE:
            raise LinkError(f"the implant refused {command.name}: {reply.refusal.name} ({reply.reason})")

    def _open_reply(self, sealer: Sealer, seq: int, packet: bytes) -> Reply:
        try:
            header, payload = sealer.open(packet)
            if header.type is not PacketType.REPLY:
                raise WireError(Refusal.TYPE)
            if header.seq != seq:
                raise WireError(Refusal.REPLAYED)
            return control.decode_reply(payload)
        except WireError as error:
            raise LinkError(
                f"the implant's answer is not authentic ({error}); check that implant.key is the implant's own"
            ) from error

    def align_clock(self) -> None:
        """Tell the implant by how much its clock is ahead of ours, from the quickest of a few round trips."""
        trips = []
        for _ in range(PINGS):
            before = self._clock.now_ns()
            reply = self.command(Command.CLOCK)
            after = self._clock.now_ns()
            trips.append((after - before, reply.now_ns - (before + after) // 2))
        offset_ns = min(trips)[1]
        self._require(Command.OFFSET, struct.pack("<q", offset_ns))
