"""How long each hop took over the last seconds, from the two ends' hop times."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from prosthesis.messages import HopTimes
from prosthesis.timing import NS_PER_MS

WINDOW = 300  # frames: ten seconds at 30 a second
WAITING = 128  # device frames whose percept has not come yet
TOTAL = "capture to percept"
RANKS = (5, 50, 95, 99)


@dataclass(frozen=True, slots=True)
class Spread:
    """One hop's percentiles in ms over ``count`` frames."""

    hop: str
    p5: float
    p50: float
    p95: float
    p99: float
    count: int


class Latency:
    """Keeps the newest ``WINDOW`` durations of every hop, and of the whole path, which are ``trace`` in order.

    The world's first hop counts from the device's last: it is the air. A pattern's tiles may arrive one by one: its
    percept is complete with the last, so a frame counts when the next one has come.
    """

    def __init__(self) -> None:
        self._took: dict[str, deque[float]] = {}
        self._device: dict[int, HopTimes] = {}
        self.trace: deque[float] = deque(maxlen=WINDOW)
        self._last: HopTimes | None = None

    def device(self, times: HopTimes) -> None:
        """Take the device's hop times of one frame."""
        self._device[times.seq] = times
        while len(self._device) > WAITING:
            del self._device[next(iter(self._device))]
        self._steps(times, times.t_ns)

    def world(self, times: HopTimes) -> None:
        """Take the implant's and patient's hop times of one frame, or of one more tile of it."""
        last, self._last = self._last, times
        if last is not None and last.seq != times.seq:
            self._finish(last)

    def _finish(self, times: HopTimes) -> None:
        sent = self._device.pop(times.seq, None)
        if sent is not None:
            self._steps(times, sent.stamps_ns[-1])
        total = (times.stamps_ns[-1] - times.t_ns) / NS_PER_MS
        self._add(TOTAL, total)
        self.trace.append(total)

    def spreads(self) -> list[Spread]:
        """Return each hop's percentiles in the order of the path, the whole path last."""
        hops = [hop for hop in self._took if hop != TOTAL] + ([TOTAL] if TOTAL in self._took else [])
        found = []
        for hop in hops:
            took = self._took[hop]
            p5, p50, p95, p99 = np.percentile(np.asarray(took), RANKS).tolist()
            found.append(Spread(hop, p5, p50, p95, p99, len(took)))
        return found

    def _steps(self, times: HopTimes, before_ns: int) -> None:
        for hop, stamp_ns in zip(times.hops, times.stamps_ns, strict=True):
            self._add(hop, (stamp_ns - before_ns) / NS_PER_MS)
            before_ns = stamp_ns

    def _add(self, hop: str, took_ms: float) -> None:
        self._took.setdefault(hop, deque(maxlen=WINDOW)).append(took_ms)
