"""The air: what a finite bit rate, delay, loss in bursts, wrong bits, duplicates, disorder and outages do to packets.

Loss follows Gilbert and Elliott's two-state chain: p into and r out of the bad state, in which every packet is lost, so
that mean loss is p/(p+r) and the mean burst 1/r packets. With ``parity`` bytes a block the radio corrects wrong bytes
by Reed and Solomon's code; what it cannot correct it hands on as it came, for the packet's CRC to find.
"""

from __future__ import annotations

import heapq
import importlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from prosthesis.config import RadioConfig
from prosthesis.errors import MissingExtraError
from prosthesis.radio import BLOCK, air_bytes

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
FOREVER_NS = 1 << 62


class Channel:
    """Packets go in when sent and come out when they arrive; one ``seed``, one weather.

    ``lost`` counts packets that the air swallowed, ``spoiled`` those handed on with wrong bits, ``mended`` those whose
    wrong bits the code corrected.
    """

    def __init__(self, radio: RadioConfig, seed: int) -> None:
        self._radio = radio
        self._random = np.random.default_rng(seed)
        self._leave_bad = 1.0 / radio.mean_burst
        self._enter_bad = radio.loss * self._leave_bad / (1.0 - radio.loss)
        self._bad = False
        self._free_ns = self._last_ns = 0
        self._flying: list[tuple[int, int, bytes]] = []
        self._sent = self.lost = self.spoiled = self.mended = 0
        self._cuts: list[tuple[int, int]] = []
        self._slip: tuple[int, int] | None = None
        self._code = _reed_solomon(radio.parity) if radio.parity else None

    def send(self, packets: Iterable[bytes], now_ns: int) -> None:
        """Put packets on the air at ``now_ns``, one after the other."""
        for packet in packets:
            start_ns = max(now_ns, self._free_ns)
            self._free_ns = start_ns + self._serialisation_ns(packet)
            if self._loses() or self._out(start_ns):
                self.lost += 1
                continue
            arrives_ns = self._free_ns + self._delay_ns()
            packet = self._spoil(packet)
            for _ in range(1 + self._happens(self._radio.duplicate)):
                self._sent += 1
                heapq.heappush(self._flying, (arrives_ns, self._sent, packet))

    def cut(self, from_ns: int = 0, until_ns: int = FOREVER_NS) -> None:
        """Let nothing through that is sent between these times."""
        self._cuts.append((from_ns, until_ns))

    def mend(self) -> None:
        """Undo every ``cut``."""
        self._cuts.clear()

    def arrivals(self, now_ns: int) -> list[bytes]:
        """Take the packets that have arrived by ``now_ns``, in order of arrival."""
        arrived = []
        while self._flying and self._flying[0][0] <= now_ns:
            arrived.append(heapq.heappop(self._flying)[2])
        return arrived

    def next_arrival_ns(self) -> int | None:
        """Return when the next packet arrives, ``None`` when the air is empty."""
        return self._flying[0][0] if self._flying else None

    @property
    def free_ns(self) -> int:
        """When the air is free again; a sender that waits until then never queues stale packets on it."""
        return self._free_ns

    def _serialisation_ns(self, packet: bytes) -> int:
        if self._radio.rate_kbps is None:
            return 0
        return int(air_bytes(len(packet), self._radio.parity) * 8e6 / self._radio.rate_kbps)

    def _delay_ns(self) -> int:
        """Return delay and jitter of this packet; one out of order is ``reorder_ms`` later, and passed."""
        radio = self._radio
        delay_ms = radio.delay_ms
        if radio.jitter_ms:
            delay_ms += float(self._random.exponential(radio.jitter_ms))
        if self._happens(radio.reorder):
            return int((delay_ms + radio.reorder_ms) * NS_PER_MS)
        # a radio keeps its packets in order: jitter holds up those behind
        self._last_ns = max(self._last_ns, self._free_ns + int(delay_ms * NS_PER_MS))
        return self._last_ns - self._free_ns

    def _happens(self, share: float) -> bool:
        return share > 0 and bool(self._random.random() < share)

    def _loses(self) -> bool:
        if self._radio.loss == 0:
            return False
        change = self._random.random()
        self._bad = change >= self._leave_bad if self._bad else change < self._enter_bad
        return self._bad

    def _out(self, now_ns: int) -> bool:
        return any(start <= now_ns < end for start, end in self._cuts) or self._slips(now_ns)

    def _slips(self, now_ns: int) -> bool:
        """Tell whether the coil has slipped: at random times, ``outage_every_s`` apart on average."""
        every_s = self._radio.outage_every_s
        if every_s is None:
            return False
        while self._slip is None or self._slip[1] <= now_ns:
            began = now_ns if self._slip is None else self._slip[1]
            start = began + int(self._random.exponential(every_s) * NS_PER_S)
            self._slip = start, start + int(self._random.uniform(*self._radio.outage_s) * NS_PER_S)
        return self._slip[0] <= now_ns

    def _spoil(self, packet: bytes) -> bytes:
        if self._radio.bit_error == 0:
            return packet
        bits = 8 * air_bytes(len(packet), self._radio.parity)
        wrong = int(self._random.binomial(bits, self._radio.bit_error))
        if not wrong:
            return packet  # coding and decoding would give back the same
        places = self._random.choice(bits, wrong, replace=False)
        if self._code is None:
            self.spoiled += 1
            return _flipped(packet, places)
        received = _flipped(bytes(self._code.encode(packet)), places)
        decoded = _decode(self._code, received, self._radio.parity)
        self.mended += decoded == packet
        self.spoiled += decoded != packet
        return decoded


def _flipped(data: bytes, places: np.ndarray) -> bytes:
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    bits[places] ^= 1
    return np.packbits(bits).tobytes()


def _reed_solomon(parity: int) -> Any:
    try:
        reedsolo = importlib.import_module("reedsolo")
    except ImportError:
        raise MissingExtraError("a radio with 'parity' needs reedsolo; run: pip install 'prosthesis[fec]'") from None
    return reedsolo.RSCodec(parity, nsize=BLOCK)


def _decode(code: Any, received: bytes, parity: int) -> bytes:
    """Return the packet block by block, each corrected or, with too many wrong bytes, as it came."""
    packet = b""
    for start in range(0, len(received), BLOCK):
        block = received[start : start + BLOCK]
        try:
            packet += bytes(code.decode(block)[0])
        except Exception as error:  # reedsolo's own, without importing it where no code is asked for
            if type(error).__name__ != "ReedSolomonError":
                raise
            packet += block[:-parity]
    return packet
