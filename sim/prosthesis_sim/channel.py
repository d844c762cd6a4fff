"""The air: what delay, a finite bit rate and bursts of loss do to packets.

Loss follows Gilbert and Elliott's two-state chain: p into and r out of the bad state, in which every packet is lost, so
that mean loss is p/(p+r) and the mean burst 1/r packets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np

from prosthesis.config import RadioConfig

NS_PER_MS = 1_000_000


class Channel:
    """Packets go in when sent and come out when they arrive; one ``seed``, one weather."""

    def __init__(self, radio: RadioConfig, seed: int) -> None:
        self._radio = radio
        self._random = np.random.default_rng(seed)
        self._leave_bad = 1.0 / radio.mean_burst
        self._enter_bad = radio.loss * self._leave_bad / (1.0 - radio.loss)
        self._bad = False
        self._free_ns = 0
        self._flying: deque[tuple[int, bytes]] = deque()
        self.lost = 0

    def send(self, packets: Iterable[bytes], now_ns: int) -> None:
        """Put packets on the air at ``now_ns``, one after the other."""
        for packet in packets:
            start_ns = max(now_ns, self._free_ns)
            self._free_ns = start_ns + self._serialisation_ns(packet)
            if self._loses():
                self.lost += 1
            else:
                self._flying.append((self._free_ns + int(self._radio.delay_ms * NS_PER_MS), packet))

    def arrivals(self, now_ns: int) -> list[bytes]:
        """Take the packets that have arrived by ``now_ns``, in order."""
        arrived = []
        while self._flying and self._flying[0][0] <= now_ns:
            arrived.append(self._flying.popleft()[1])
        return arrived

    def next_arrival_ns(self) -> int | None:
        """Return when the next packet arrives, ``None`` when the air is empty."""
        return self._flying[0][0] if self._flying else None

    @property
    def free_ns(self) -> int:
        """When the air is free again; a sender that waits until then never queues stale packets on it."""
        return self._free_ns

    def _serialisation_ns(self, packet: bytes) -> int:
        return int(len(packet) * 8e6 / self._radio.rate_kbps) if self._radio.rate_kbps else 0

    def _loses(self) -> bool:
        if self._radio.loss == 0:
            return False
        change = self._random.random()
        self._bad = change >= self._leave_bad if self._bad else change < self._enter_bad
        return self._bad
