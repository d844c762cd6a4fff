"""The best few amplitudes for many: each value is rounded down to a level, and as little as possible is lost in all."""

from __future__ import annotations

import numpy as np

from prosthesis.stimulator.model import I64

_NEVER = np.iinfo(np.int64).max // 4


def round_to_levels(values: I64, most: int) -> I64:
    """Return ``values`` i64[n] >= 0, none raised, with at most ``most`` different ones above zero; zeros stay zero.

    The total that is lost is the least possible: levels are runs of the sorted distinct values, each run taken down to
    its lowest, and the best runs are found exactly by dynamic programming in O(most x distinct^2).
    """
    distinct, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    first = int(distinct[0] == 0) if len(distinct) else 0
    if len(distinct) - first <= most:
        return values
    level = distinct.copy()
    level[first:] = _levels(distinct[first:], counts[first:], most)
    rounded: I64 = level[where].reshape(values.shape)
    return rounded


def _levels(distinct: I64, counts: I64, most: int) -> I64:
    n = len(distinct)
    number, total = np.concatenate([[0], np.cumsum(counts)]), np.concatenate([[0], np.cumsum(counts * distinct)])
    # lost[j, i]: what values i..j-1, taken down to value i, lose
    lost = (total[:, None] - total[None, :-1]) - distinct[None, :] * (number[:, None] - number[None, :-1])
    lost = np.where(np.arange(n + 1)[:, None] > np.arange(n)[None, :], lost, _NEVER)
    best, starts = lost[:, 0].copy(), []
    for _ in range(most - 1):
        # the last run starts at i: before it, the best of one run less
        through = lost + best[None, :n]
        start = through.argmin(axis=1)
        starts.append(start)
        best = through[np.arange(n + 1), start]
        best[0] = _NEVER
    level, end = np.empty(n, np.int64), n
    for start_of in reversed(starts):
        start = int(start_of[end])
        level[start:end], end = distinct[start], start
    level[:end] = distinct[0]
    return level
