"""What is said beside the pattern stream: opening a session, commands and their replies, receipts and telemetry.

A session opens with an authenticated key agreement (X25519, all four of ephemeral-ephemeral, ephemeral-static,
static-ephemeral and static-static, into HKDF-SHA256), so each session has its own key, a recorded session is worthless
to an attacker, and neither end can be impersonated without its secret file. Everything after OPEN is sealed.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from prosthesis.messages import ImplantState, Receipt, Refusal, Telemetry, readonly
from prosthesis.wire import WireError

OPEN_MAGIC = b"PVOPEN1\0"
_OPEN = struct.Struct("<8sI32s32s")
_REPLY = struct.Struct("<BBQI")
_RECEIPT = struct.Struct("<IQ")
_TELEMETRY = struct.Struct("<IQBIQQffiHB")


class Command(IntEnum):
    """The first byte of a sealed command. STOP and ABORT towards silence are always obeyed.

    RECORD names an electrode (u16) whose evoked rate the reply's ``detail`` gives, in mHz: arrays record as well as
    stimulate; one that cannot answers TYPE. IMPEDANCE names an electrode (u16), ``detail`` is its impedance at 1 kHz in
    ohm; with a width in us (u16) after it, what a test pulse's first phase of that width meets at its end: voltage over
    current, in ohm. READBACK names an electrode and one of five points (u8) of a pulse as driven now (before, end of
    the first phase, of the gap, of the second phase, after), ``detail`` is the voltage in mV, signed. SELF_TEST runs
    the test of power-up again, where nothing is driven.
    """

    CONFIGURE = 1
    ARM = 2
    STOP = 3
    ABORT = 4
    CLOCK = 5
    OFFSET = 6
    RESET = 7
    RECORD = 8
    IMPEDANCE = 9
    READBACK = 10
    SELF_TEST = 11


@dataclass(frozen=True, slots=True)
class Open:
    """A device's request for a session: its number, the device's long-term and one-time public keys."""

    session: int
    device_public: bytes
    ephemeral_public: bytes

    def encode(self) -> bytes:
        """Return the bytes of OPEN."""
        return _OPEN.pack(OPEN_MAGIC, self.session, self.device_public, self.ephemeral_public)


def decode_open(data: bytes) -> Open:
    """Invert ``Open.encode``; ``WireError`` when it is not one."""
    if len(data) != _OPEN.size or not data.startswith(OPEN_MAGIC):
        raise WireError(Refusal.TYPE)
    return Open(*_OPEN.unpack(data)[1:])


def session_key(
    request: Open,
    implant_ephemeral: bytes,
    mine: tuple[X25519PrivateKey, X25519PrivateKey],
    theirs: tuple[bytes, bytes],
) -> bytes:
    """Return the session's 32-byte key. ``mine`` and ``theirs`` are (static, ephemeral).

    Both ends mix the same four shared secrets; the two mixed ones are ordered device's first.
    """
    i_am_device = mine[0].public_key().public_bytes_raw() == request.device_public
    static, ephemeral = (X25519PublicKey.from_public_bytes(key) for key in theirs)
    both_ephemeral, both_static = mine[1].exchange(ephemeral), mine[0].exchange(static)
    crossed = [mine[1].exchange(static), mine[0].exchange(ephemeral)]
    secret = both_ephemeral + b"".join(crossed if i_am_device else crossed[::-1]) + both_static
    transcript = hashlib.sha256(request.encode() + implant_ephemeral).digest()
    return HKDF(SHA256(), 32, salt=transcript, info=b"prosthesis air 1").derive(secret)


@dataclass(frozen=True, slots=True)
class Reply:
    """The implant's answer to a command: ``refusal`` NONE means done; ``now_ns`` is the implant's clock.

    ``detail`` is the number asked for (OPEN: the electrodes; RECORD: mHz), ``reason`` a plain sentence.
    """

    refusal: Refusal
    state: ImplantState
    now_ns: int
    detail: int
    reason: str

    def encode(self) -> bytes:
        """Return the reply's payload."""
        return _REPLY.pack(self.refusal, self.state, self.now_ns, self.detail) + self.reason.encode()


def decode_reply(data: bytes) -> Reply:
    """Invert ``Reply.encode``."""
    try:
        refusal, state, now_ns, detail = _REPLY.unpack_from(data)
        return Reply(Refusal(refusal), ImplantState(state), now_ns, detail, data[_REPLY.size :].decode())
    except (struct.error, ValueError):
        raise WireError(Refusal.LAYOUT) from None


def encode_receipt(receipt: Receipt) -> bytes:
    """Return seq, t_ns, charges in pC as u32[n] and refusals as u8[n]."""
    head = _RECEIPT.pack(receipt.seq, receipt.t_ns)
    return head + receipt.charge_pc.astype("<u4").tobytes() + receipt.refusal.tobytes()


def decode_receipt(payload: bytes) -> Receipt:
    """Invert ``encode_receipt``."""
    n, rest = divmod(len(payload) - _RECEIPT.size, 5)
    if rest or n < 0:
        raise WireError(Refusal.LAYOUT)
    seq, t_ns = _RECEIPT.unpack_from(payload)
    charge = np.frombuffer(payload, "<u4", n, _RECEIPT.size)
    refusal = np.frombuffer(payload, np.uint8, n, _RECEIPT.size + 4 * n)
    return Receipt(seq, t_ns, readonly(charge, np.int64), readonly(refusal, np.uint8))


def encode_telemetry(t: Telemetry) -> bytes:
    """Return the telemetry's payload."""
    health = (t.power_mw, t.warming_c, t.net_charge_pc, t.watchdog_ms)
    head = _TELEMETRY.pack(t.seq, t.t_ns, t.state, t.session, t.accepted, t.skipped, *health, len(t.refused))
    return head + np.asarray(t.refused, "<u8").tobytes() + t.reason.encode()


def decode_telemetry(payload: bytes) -> Telemetry:
    """Invert ``encode_telemetry``."""
    try:
        seq, t_ns, state, session, accepted, skipped, *health, kinds = _TELEMETRY.unpack_from(payload)
        refused = np.frombuffer(payload, "<u8", kinds, _TELEMETRY.size)
        reason = payload[_TELEMETRY.size + 8 * kinds :].decode()
        counts = tuple(int(x) for x in refused)
        return Telemetry(seq, t_ns, ImplantState(state), reason, session, accepted, counts, skipped, *health)
    except (struct.error, ValueError):
        raise WireError(Refusal.LAYOUT) from None
