"""From growing patches to obstacles: what is in the walker's way, how soon it is reached, and how bright that is.

At steady speeds a thing's offset when it is reached, over its distance now, is its flow times its time to contact,
whatever it is and wherever the walker goes. Distance is time times walking speed unless stereo measured it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.messages import F32
from prosthesis.obstacles.expansion import Expansion
from prosthesis.timing import NS_PER_S

WALK_M_PER_S = 1.2  # an unhurried walk
HALF_BODY_M = 0.5  # half the width of a walker with elbows
OVER_HEAD_M, UNDER_EYES_M = 0.4, 1.2  # from the eyes: above passes over the head, below is floor or kerb
SMOOTH_S = 0.12
SIGMA_FLOOR = 0.04  # 1/s: what the least squares cannot know about themselves
FAR_S, NEAR_S = 5.0, 1.0  # what is farther than FAR_S is dark, nearer than NEAR_S as bright as can be
BESIDE = 0.35  # how bright something is that will pass by, relative to something in the way
LEAST_CELLS = 3  # an obstacle's patches, 3 deg each in a 60 deg camera
LEAST_WEIGHT = 0.5  # of a steady stream of estimates: the first two after a cut or a fast turn do not count
NEVER_PER_S = 1e-3


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something in view: its box in fractions of the frame, rows down, and when it is reached.

    ``time_s`` is infinite where nothing approaches; ``ahead`` says that it will hit, not pass; ``kind`` is the class of
    an object box, empty for what only the flow saw, and ``score`` the network's confidence in it, or NaN.
    """

    left: float
    top: float
    right: float
    bottom: float
    time_s: float
    ahead: bool
    kind: str = ""
    score: float = math.nan

    @property
    def side(self) -> str:
        """Return ``left``, ``ahead`` or ``right``: the middle sixth of the picture is ahead."""
        middle = (self.left + self.right) / 2
        return "left" if middle < 0.5 - 1 / 12 else "right" if middle > 0.5 + 1 / 12 else "ahead"


@dataclass(frozen=True, slots=True)
class Patches:
    """Smoothed growth over the frame, f32[rows, columns]: 1 / time, its error, and the forward flow in tangents a s.

    ``distance_m`` is measured by stereo, or NaN.
    """

    rate_per_s: F32
    sigma_per_s: F32
    right_per_s: F32
    down_per_s: F32
    distance_m: F32

    @property
    def sure_rate(self) -> F32:
        """Return a rate that is probably exceeded, 0 where nothing is known."""
        return np.asarray(np.maximum(self.rate_per_s - self.sigma_per_s, 0.0))

    @property
    def time_s(self) -> F32:
        """Return the time until each patch is reached: it was measured a while ago on average, so that much less."""
        return np.asarray(np.maximum(1 / np.maximum(self.rate_per_s, NEVER_PER_S) - SMOOTH_S, 0.05))

    @property
    def place(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return which patches will hit a walker, and which are the floor under the feet."""
        time = 1 / np.maximum(self.rate_per_s, NEVER_PER_S)
        ahead_m = np.where(np.isfinite(self.distance_m), self.distance_m, WALK_M_PER_S * time)
        right, below = self.right_per_s * time * ahead_m, self.down_per_s * time * ahead_m
        floor = below > UNDER_EYES_M
        return (abs(right) <= HALF_BODY_M) & (below >= -OVER_HEAD_M) & ~floor, floor


def in_the_way(right: float, below: float, time_s: float, half_width: float, half_height: float) -> bool:
    """Return whether a thing will hit: its offset and half sizes over its distance, which is time times walking speed.

    >>> in_the_way(0.5, 0.0, 1.0, 0.2, 0.5), in_the_way(0.8, 0.0, 1.0, 0.2, 0.5)
    (True, False)
    """
    ahead_m = WALK_M_PER_S * time_s
    beside = abs(right) * ahead_m > HALF_BODY_M + half_width * ahead_m
    over = (below + half_height) * ahead_m < -OVER_HEAD_M
    under = (below - half_height) * ahead_m > UNDER_EYES_M
    return not (beside or over or under)


class Smoother:
    """Averages expansions over time, each weighted by its certainty; forgets in ``SMOOTH_S``."""

    def __init__(self) -> None:
        self._sums: F32 | None = None  # [4, rows, columns]: certainty, and its products with rate and flow
        self._weight = 0.0
        self._t_ns: int | None = None

    def add(self, found: Expansion | None, t_ns: int) -> Patches | None:
        """Return the average up to ``t_ns``, ``None`` while too little was measured; without input, time passes."""
        step_s = 0.0 if self._t_ns is None else max(0, t_ns - self._t_ns) / NS_PER_S
        keep = math.exp(-step_s / SMOOTH_S)
        self._t_ns = t_ns
        if self._sums is not None:
            self._sums, self._weight = keep * self._sums, keep * self._weight
        if found is not None:
            certainty = 1 / (found.sigma_per_s**2 + np.float32(SIGMA_FLOOR**2))
            flow = (-found.dx / found.dt_s, -found.dy / found.dt_s)
            new = certainty * np.stack([np.ones_like(certainty), found.rate_per_s, *flow])
            if self._sums is None or self._sums.shape != new.shape:
                self._sums, self._weight = np.zeros_like(new), 0.0
            self._sums, self._weight = self._sums + (1 - keep) * new, self._weight + 1 - keep
        if self._sums is None or self._weight < LEAST_WEIGHT:
            return None
        return _patches(self._sums, self._weight)


def _patches(sums: F32, weight: float) -> Patches:
    certainty = np.maximum(sums[0], 1e-6)
    sigma = np.where(sums[0] > 1e-6, np.sqrt(weight / certainty), np.inf).astype(np.float32)
    return Patches(sums[1] / certainty, sigma, sums[2] / certainty, sums[3] / certainty, np.full_like(sigma, np.nan))


def brightness(time_s: Any) -> F32:
    """Return how bright something in the way is shown: 1 up to ``NEAR_S``, 0 from ``FAR_S``, even between.

    >>> brightness(3.0).item()
    0.5
    """
    return np.asarray(np.clip((FAR_S - np.asarray(time_s, np.float32)) / np.float32(FAR_S - NEAR_S), 0.0, 1.0))


def urgency(patches: Patches) -> F32:
    """Return the brightness of each patch f32[rows, columns]: what passes beside is dim, the floor dark."""
    ahead, floor = patches.place
    time = 1 / np.maximum(patches.sure_rate, NEVER_PER_S)
    light = np.where(ahead, 1.0, np.where(floor, 0.0, BESIDE)).astype(np.float32)
    return np.asarray(brightness(time) * light)


def obstacles(patches: Patches) -> list[Obstacle]:
    """Return groups of neighbouring patches that are reached within ``FAR_S``, the most urgent first.

    What will hit and what will pass are grouped apart.
    """
    near = patches.sure_rate > 1 / FAR_S
    ahead, floor = patches.place
    out = []
    for mask, will_hit in ((near & ahead, True), (near & ~ahead & ~floor, False)):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        large = [k for k in range(1, count) if stats[k, cv2.CC_STAT_AREA] >= LEAST_CELLS]
        out += [_obstacle(patches, labels == k, will_hit) for k in large]
    return sorted(out, key=lambda obstacle: obstacle.time_s)


def _obstacle(patches: Patches, own: npt.NDArray[np.bool_], ahead: bool) -> Obstacle:
    """Return a group as one obstacle; its time is that of its more urgent half, weighted by certainty."""
    rate, certainty = patches.rate_per_s[own], 1 / patches.sigma_per_s[own] ** 2
    core = rate >= np.median(rate)
    mean = float(np.average(rate[core], weights=certainty[core]))
    edges = []
    for lines, count in ((own.any(axis=0), own.shape[1]), (own.any(axis=1), own.shape[0])):
        at = np.flatnonzero(lines)
        edges.append(((at[0] - 0.25) / count, (at[-1] + 0.75) / count))  # a patch's cell is the first of STEP
    (left, right), (top, bottom) = edges
    return Obstacle(
        max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0), max(1 / mean - SMOOTH_S, 0.05), ahead
    )
