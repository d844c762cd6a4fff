"""Write the air protocol's test vectors: ``python tests/contract/make_air_vectors.py > docs/air-vectors.json``."""

from __future__ import annotations

import json
import struct
from zlib import crc32

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from prosthesis import control
from prosthesis.control import Command, Open, Reply
from prosthesis.messages import ImplantState, Receipt, Refusal, Telemetry, readonly
from prosthesis.sealing import Sealing
from prosthesis.wire import (
    Configuration,
    Direction,
    Header,
    Modulated,
    PacketType,
    Sealer,
    seal_pattern,
    split,
    stop_packet,
    tile_payloads,
)

SESSION, SEQ, T_NS, TTL_MS = 0x01020304, 7, 1_234_567_890_123, 100
BITS, TILE = 10, 16
DENSE = [1023, 0, 1, 512, 3, 300, 301, 302, 303, 304, 305, 306, 307, 308, 309, 310]
SPARSE = [0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1000]


def secret(number: int) -> bytes:
    return bytes([number] * 32)


def public(number: int) -> bytes:
    return X25519PrivateKey.from_private_bytes(secret(number)).public_key().public_bytes_raw()


def configuration() -> Configuration:
    n = len(DENSE) + len(SPARSE)
    rates = np.full(n, 300_000, np.uint32)
    widths, slots = np.full(n, 170, np.uint16), (np.arange(n) % 4).astype(np.uint8)
    return Configuration(Modulated.AMPLITUDE, BITS, 100, TILE, 60, 450, widths, np.zeros(n, np.uint32), rates, slots)


def session() -> tuple[Open, bytes]:
    request = Open(SESSION, public(1), public(2))
    mine = tuple(X25519PrivateKey.from_private_bytes(secret(k)) for k in (1, 2))
    return request, control.session_key(request, public(4), mine, (public(3), public(4)))


def vectors() -> dict[str, object]:
    request, key = session()
    body, codes = configuration().encode(), np.array(DENSE + SPARSE, np.uint16)
    payloads = tile_payloads(codes, BITS, TILE)
    made: dict[str, object] = {
        "crc": {"of": b"123456789".hex(), "is": crc32(b"123456789")},
        "dense": {"bits": BITS, "codes": DENSE, "payload": payloads[0][1].hex()},
        "sparse": {"bits": BITS, "codes": SPARSE, "payload": payloads[1][1].hex()},
        "configure": {
            "modulated": 0, "bits": BITS, "tile_electrodes": TILE, "interphase_us": 60, "slot_us": 450, "lsb": 100,
            "n": len(codes), "pulse_width_us": 170, "amplitude_na": 0, "rate_mhz": 300_000, "slot": "i modulo 4",
            "body": body.hex(), "profile": configuration().profile,
        },
        "stop": {"session": 0, "seq": 0, "packet": stop_packet(0, 0).hex()},
        "pairing": {
            "device_secret": secret(1).hex(), "device_one_time_secret": secret(2).hex(),
            "implant_secret": secret(3).hex(), "implant_one_time_secret": secret(4).hex(),
            "session": SESSION, "open": request.encode().hex(), "implant_one_time_public": public(4).hex(),
            "key": key.hex(),
        },
    }  # fmt: skip
    made["pattern"] = {"session": SESSION, "seq": SEQ, "t_ns": T_NS, "ttl_ms": TTL_MS, "codes": DENSE + SPARSE} | {
        sealing.value: [packet.hex() for packet in split(_pattern(key, sealing, codes))] for sealing in Sealing
    }
    made["commands"] = {command.name: _command(key, command, extra) for command, extra in _bodies(body)}
    made["replies"] = _replies(key)
    return made


def _pattern(key: bytes, sealing: Sealing, codes: np.ndarray) -> bytes:
    sealer = Sealer(key, SESSION, Direction.DOWN, sealing)
    head = Header(PacketType.PATTERN, SESSION, SEQ, T_NS, TTL_MS, profile=configuration().profile)
    return seal_pattern(sealer, head, codes, BITS, TILE)


def _bodies(body: bytes) -> list[tuple[Command, bytes]]:
    extra = {
        Command.CONFIGURE: body,
        Command.OFFSET: struct.pack("<q", -1_000_000),
        Command.RECORD: struct.pack("<H", 5),
    }
    return [(command, extra.get(command, b"")) for command in Command]


def _command(key: bytes, command: Command, extra: bytes) -> dict[str, object]:
    sealer = Sealer(key, SESSION, Direction.DOWN)
    head = Header(PacketType.COMMAND, SESSION, int(command), T_NS)
    payload = bytes([command]) + extra
    return {"seq": int(command), "t_ns": T_NS, "payload": payload.hex(), "packet": sealer.seal(head, payload).hex()}


def _replies(key: bytes) -> dict[str, object]:
    reply = Reply(Refusal.NOT_READY, ImplantState.SAFE, T_NS, 32, "no valid frame for 250 ms")
    charge, refusal = readonly([0, 11356, 2, 3], np.int64), readonly([0, 0, 15, 0], np.uint8)
    receipt = Receipt(SEQ, T_NS, charge, refusal)
    telemetry = Telemetry(SEQ, T_NS, ImplantState.STIMULATING, "fresh frames", SESSION, 14, (0, 0, 3), 1)
    said = {
        PacketType.REPLY: reply.encode(),
        PacketType.RECEIPT: control.encode_receipt(receipt),
        PacketType.TELEMETRY: control.encode_telemetry(telemetry),
    }
    sealer = Sealer(key, SESSION, Direction.UP)
    return {
        kind.name: {
            "seq": 1, "t_ns": T_NS, "payload": payload.hex(),
            "packet": sealer.seal(Header(kind, SESSION, 1, T_NS), payload).hex(),
        }
        for kind, payload in said.items()
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(vectors(), indent=1))
