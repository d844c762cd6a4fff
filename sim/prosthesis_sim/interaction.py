"""Neighbours that pulse at the same moment add their currents; those in other raster slots do not.

The field of a point source falls off as 1 / (1 + k d^2), k = 6.75 per mm2 (Fine & Boynton 2024): two electrodes add
almost fully when close, half at 0.4 mm, an eighth at a millimetre, so that beyond it the sum is far below the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
# beyond this a neighbour adds less than 2 % of its current
REACH_MM = 2.7


@dataclass(frozen=True, slots=True)
class Neighbours:
    """For electrode i the entries ``start[i]:start[i + 1]`` of ``electrode`` i64 and ``share`` f64 of its current."""

    start: I64
    electrode: I64
    share: F64


def neighbours(u_mm: F64, v_mm: F64, strength: float, per_mm2: float) -> Neighbours:
    """Return who adds how much to whom, within ``REACH_MM``; ``strength`` 1 is the bare field, 0 is independence.

    Places are binned in squares of that size, so memory and time grow with the electrodes, not with their square.
    """
    n = len(u_mm)
    if strength == 0.0:
        return Neighbours(np.zeros(n + 1, np.int64), np.zeros(0, np.int64), np.zeros(0))
    bins: dict[tuple[int, int], list[int]] = {}
    cell = np.floor(np.stack([u_mm, v_mm], 1) / REACH_MM).astype(int)
    for i, (a, b) in enumerate(cell.tolist()):
        bins.setdefault((a, b), []).append(i)
    start, electrode, share = np.zeros(n + 1, np.int64), [], []
    for i, (a, b) in enumerate(cell.tolist()):
        near = np.array([j for p in (-1, 0, 1) for q in (-1, 0, 1) for j in bins.get((a + p, b + q), ())])
        d2 = (u_mm[near] - u_mm[i]) ** 2 + (v_mm[near] - v_mm[i]) ** 2
        kept = (near != i) & (d2 < REACH_MM**2)
        electrode.append(near[kept])
        share.append(strength / (1 + per_mm2 * d2[kept]))
        start[i + 1] = start[i] + kept.sum()
    return Neighbours(start, np.concatenate(electrode).astype(np.int64), np.concatenate(share))


def in_same_slot(near: Neighbours, slot: U8) -> Neighbours:
    """Return only the neighbours that share an electrode's raster slot u8[n]: worked out once per raster."""
    owner = np.repeat(np.arange(len(slot)), np.diff(near.start))
    kept = slot[owner] == slot[near.electrode]
    start = np.concatenate([[0], np.cumsum(np.bincount(owner[kept], minlength=len(slot)))]).astype(np.int64)
    return Neighbours(start, near.electrode[kept], near.share[kept])


def dense_shares(u_mm: F64, v_mm: F64, strength: float, per_mm2: float) -> F64:
    """Return the same shares as a matrix f64[n, n], row i what each adds to i: for the differentiable path."""
    near, n = neighbours(u_mm, v_mm, strength, per_mm2), len(u_mm)
    shares = np.zeros((n, n))
    shares[np.repeat(np.arange(n), np.diff(near.start)), near.electrode] = near.share
    return shares


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def add_currents(start: I64, electrode: I64, share: F64, amplitude_ua: F32, pulses: I32, summed_ua: F64) -> None:
    """Fill ``summed_ua`` f64[n]: a pulsing electrode's current and the shares of those that pulse beside it."""
    for i in range(len(amplitude_ua)):
        total = float(amplitude_ua[i])
        if total > 0.0 and pulses[i] > 0:
            for k in range(start[i], start[i + 1]):
                j = electrode[k]
                if pulses[j] > 0:
                    total += share[k] * amplitude_ua[j]
        summed_ua[i] = total
