"""Faults of the link: what becomes of each message on its way down, and whether anything comes back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from prosthesis.wire import HEADER_BYTES, split
from prosthesis_sim.attacks import fix_crc
from prosthesis_sim.faults.catalogue import Fault, Kind

NS_PER_MS = 1_000_000
DOWN = (Kind.OUTAGE, Kind.CRASH)  # nothing passes towards the implant
BACK = (Kind.OUTAGE, Kind.CRASH, Kind.UPLINK_DEAD)  # nothing comes back


class FaultyAir:
    """Takes messages and gives them back changed, late, twice or never; ``seed`` is the weather."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._held: list[tuple[int, bytes]] = []
        self._kept: list[bytes] = []
        self._first: bytes | None = None
        self._waiting: bytes | None = None
        self._count = 0

    def take(self, message: bytes, now_ns: int, faults: Iterable[Fault]) -> list[bytes]:
        """Return what arrives of one message now; the rest may be ``due`` later."""
        messages = [message]
        for fault in faults:
            messages = [out for one in messages for out in self._through(fault, one, now_ns)]
        self._first = self._first or message
        return messages

    def due(self, now_ns: int, faults: Iterable[Fault]) -> list[bytes]:
        """Return what was held back and arrives by now."""
        arrived = [message for at_ns, message in self._held if at_ns <= now_ns]
        self._held = [(at_ns, message) for at_ns, message in self._held if at_ns > now_ns]
        kinds = {fault.kind for fault in faults}
        if Kind.STALE not in kinds and self._kept:
            arrived, self._kept = self._kept + arrived, []
        if Kind.REORDER not in kinds and self._waiting is not None:
            arrived, self._waiting = [self._waiting, *arrived], None
        return arrived

    def _through(self, fault: Fault, message: bytes, now_ns: int) -> list[bytes]:
        packets, random, size = list(split(message)), self._random, fault.size
        match fault.kind:
            case Kind.OUTAGE | Kind.CRASH:
                return []
            case Kind.LOSS:
                return [b"".join(packet for packet in packets if random.random() >= size)]
            case Kind.CORRUPTION | Kind.MISALIGNMENT:
                return [b"".join(self._spoilt(p) if random.random() < size else p for p in packets)]
            case Kind.CORRUPTION_PRE_CRC:
                return [b"".join(fix_crc(self._spoilt(packet)) for packet in packets)]
            case Kind.TRUNCATION:
                return [message[: max(1, len(packets[0]) // 2)]]
            case Kind.DUPLICATE:
                return [message, message]
            case Kind.REORDER:
                if self._waiting is None:
                    self._waiting = message
                    return []
                earlier, self._waiting = self._waiting, None
                return [message, earlier]
            case Kind.DELAY:
                self._held.append((now_ns + int(size * NS_PER_MS), message))
                return []
            case Kind.RATE_DROP:
                self._count += 1
                return [message] if self._count % max(int(size), 1) == 0 else []
            case Kind.REPLAY:
                return [self._first, message] if self._first else [message]
            case Kind.STALE:
                self._kept.append(message)
                return []
            case _:
                return [message]

    def _spoilt(self, packet: bytes) -> bytes:
        """Return the packet with a byte after its header changed."""
        changed = bytearray(packet)
        changed[int(self._random.integers(HEADER_BYTES, len(packet) - 4))] ^= int(self._random.integers(1, 256))
        return bytes(changed)
