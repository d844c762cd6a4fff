"""What an attacker on the air can do with packets: change, cut, repeat, keep, forge and mix them, without any key.

An attack makes packets from what was heard. ``fix_crc`` ones make the link's checksum right again, which anyone can.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from prosthesis.wire import HEADER_BYTES, OVERHEAD_BYTES, PacketType

SEQ, T_NS, TTL, TILE, PROFILE = (8, "<I"), (12, "<Q"), (20, "<H"), (24, "<B"), (28, "<I")


@dataclass(slots=True)
class Heard:
    """What the attacker has: the newest message's packets, older ones, other sessions', the implant's own; the time.

    ``late`` is a message the device sealed and the attacker kept from arriving until its time to live was over.
    """

    packets: list[bytes]
    older: list[bytes] = field(default_factory=list)
    others: list[bytes] = field(default_factory=list)
    uplink: list[bytes] = field(default_factory=list)
    late: list[bytes] = field(default_factory=list)
    now_ns: int = 0


Attack = Callable[[Heard, np.random.Generator], list[bytes]]


def fix_crc(packet: bytes) -> bytes:
    """Return the packet with its checksum made right."""
    body = packet[:-4]
    return body + struct.pack("<I", zlib.crc32(body))


def _set(packet: bytes, where: tuple[int, str], value: int) -> bytes:
    changed = bytearray(packet)
    size = struct.calcsize(where[1])
    struct.pack_into(where[1], changed, where[0], value % (1 << (8 * size)))
    return bytes(changed)


def _get(packet: bytes, where: tuple[int, str]) -> int:
    return int(struct.unpack_from(where[1], packet, where[0])[0])


def _pick(heard: list[bytes], rng: np.random.Generator) -> bytes:
    return heard[int(rng.integers(len(heard)))]


def _flip(packet: bytes, rng: np.random.Generator, first: int, last: int) -> bytes:
    changed = bytearray(packet)
    for place in rng.choice(np.arange(first, last), min(int(rng.integers(1, 4)), last - first), replace=False):
        changed[int(place)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _renewed(packet: bytes, heard: Heard, rng: np.random.Generator) -> bytes:
    """Return the packet as if made now, and newer than all before."""
    newest = max(_get(p, SEQ) for p in heard.packets)
    return _set(_set(packet, SEQ, newest + int(rng.integers(1, 4))), T_NS, heard.now_ns)


def flip_payload(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return noise in the payload of a new message's packet."""
    packet = _pick(heard.packets, rng)
    last = max(len(packet) - 20, HEADER_BYTES + 1)
    return [_flip(packet, rng, HEADER_BYTES, last)]


def flip_anywhere(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return noise anywhere."""
    packet = _pick(heard.packets, rng)
    return [_flip(packet, rng, 0, len(packet))]


def flip_and_fix(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return a changed payload with the checksum made right."""
    return [fix_crc(flip_payload(heard, rng)[0])]


def header_and_fix(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return a changed header with the checksum made right."""
    return [fix_crc(_flip(_pick(heard.packets, rng), rng, 3, HEADER_BYTES))]


def truncate(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return a packet's beginning, at times with a right checksum."""
    packet = _pick(heard.packets, rng)
    cut = packet[: int(rng.integers(0, len(packet)))]
    return [fix_crc(cut) if len(cut) > 8 and rng.random() < 0.5 else cut]


def extend(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return a packet with more behind it."""
    more = rng.bytes(int(rng.integers(1, 40)))
    return [fix_crc(_pick(heard.packets, rng) + more)]


def replay(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return an old packet as it was."""
    return [_pick(heard.older, rng)] if heard.older else []


def replay_renewed(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return an old packet with a new number and time."""
    return [fix_crc(_renewed(_pick(heard.older, rng), heard, rng))] if heard.older else []


def stale(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return a genuine message, kept until its time to live was over."""
    return list(heard.late)


def stale_renewed(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return the same, with a longer time to live, a new number and time."""
    return [fix_crc(_set(_renewed(packet, heard, rng), TTL, 0xFFFF)) for packet in heard.late]


def other_session(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return a packet of an earlier session."""
    return [_pick(heard.others, rng)] if heard.others else []


def other_session_renamed(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return a packet of an earlier session, that says it is of this one, and new."""
    if not heard.others:
        return []
    packet = _renewed(_pick(heard.others, rng), heard, rng)
    return [fix_crc(packet[:4] + heard.packets[0][4:8] + packet[8:])]


def splice(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return one packet's header before another's payload, newer than both."""
    if not heard.older:
        return []
    head, body = _pick(heard.packets, rng), _pick(heard.older, rng)
    packet = head[:HEADER_BYTES] + body[HEADER_BYTES:]
    return [fix_crc(_renewed(_set(packet, (22, "<H"), len(body) - OVERHEAD_BYTES), heard, rng))]


def forge(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return a packet of the attacker's own: everything on, in each electrode, with a tag out of the air."""
    packet = bytearray(_renewed(_pick(heard.packets, rng), heard, rng))
    payload = slice(HEADER_BYTES, len(packet) - 20)
    packet[payload] = bytes([0x11]) * (payload.stop - payload.start)
    packet[-20:-4] = rng.bytes(16)
    return [fix_crc(bytes(packet))]


def backwards(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return what the implant itself sent, sent to it, at times as a pattern."""
    if not heard.uplink:
        return []
    packet = _pick(heard.uplink, rng)
    return [fix_crc(_set(packet, (3, "<B"), PacketType.PATTERN)) if rng.random() < 0.5 else packet]


def garbage(heard: Heard, rng: np.random.Generator) -> list[bytes]:
    """Return anything at all, at times with a right beginning and checksum."""
    noise = rng.bytes(int(rng.integers(0, 200)))
    return [noise if rng.random() < 0.5 else fix_crc(heard.packets[0][:4] + noise + bytes(4))]


ATTACKS: dict[str, Attack] = {
    attack.__name__.replace("_", " "): attack
    for attack in (
        flip_payload,
        flip_anywhere,
        flip_and_fix,
        header_and_fix,
        truncate,
        extend,
        replay,
        replay_renewed,
        stale,
        stale_renewed,
        other_session,
        other_session_renamed,
        splice,
        forge,
        backwards,
        garbage,
    )
}
