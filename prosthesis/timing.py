"""Clocks, and percentiles of latency."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class MonotonicClock:
    """The machine's monotonic clock, shared by all processes of one Linux machine."""

    def now_ns(self) -> int:
        """Return CLOCK_MONOTONIC in ns."""
        return time.monotonic_ns()

    def sleep_until(self, t_ns: int) -> None:
        """Sleep until ``t_ns``."""
        wait_ns = t_ns - time.monotonic_ns()
        if wait_ns > 0:
            time.sleep(wait_ns / NS_PER_S)


class ManualClock:
    """A clock that moves only when told to, for tests and for simulating faster than real time.

    >>> clock = ManualClock()
    >>> clock.sleep_until(5)
    >>> clock.sleep_until(3)
    >>> clock.now_ns()
    5
    """

    def __init__(self, t_ns: int = 0) -> None:
        self._t_ns = t_ns

    def now_ns(self) -> int:
        """Return the time last set."""
        return self._t_ns

    def sleep_until(self, t_ns: int) -> None:
        """Jump to ``t_ns``; never back."""
        self._t_ns = max(self._t_ns, t_ns)

    def advance(self, dt_ns: int) -> None:
        """Jump ``dt_ns`` ahead."""
        self._t_ns += dt_ns


@dataclass(frozen=True, slots=True)
class Percentiles:
    """p50, p95 and p99 of ``count`` samples, in milliseconds."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


def percentiles(samples_ns: Sequence[int]) -> Percentiles:
    """Return the percentiles of latencies in ns; all NaN when there are none.

    >>> percentiles([1_000_000, 2_000_000, 9_000_000]).p50_ms
    2.0
    """
    if len(samples_ns) == 0:
        return Percentiles(0, float("nan"), float("nan"), float("nan"))
    p50, p95, p99 = np.percentile(np.asarray(samples_ns, dtype=np.float64), (50, 95, 99)) / NS_PER_MS
    return Percentiles(len(samples_ns), float(p50), float(p95), float(p99))
