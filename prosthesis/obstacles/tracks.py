"""Objects over time: boxes that come seldom and late are carried along by the flow, and by how fast they grow."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from prosthesis.obstacles.boxes import Box, inside
from prosthesis.obstacles.expansion import growth_of
from prosthesis.obstacles.flow import Flow
from prosthesis.obstacles.urgency import SIGMA_FLOOR, SMOOTH_S, Obstacle, in_the_way
from prosthesis.timing import NS_PER_S

SAME = 0.3  # overlap from which a new box is an old object
FORGET_S = 0.7
HISTORY_S = 1.0
LEAST_SEEN = 2  # boxes until an object is believed
SIZE_ERROR = 0.1  # of the logarithm of a box's size, and with a walker's gait it drifts: measured on the street clip
SIZE_DRIFT = 0.25  # 1/s
LEAST_SIZES = 4
EDGE = 0.02  # of the frame
GONE_SIGMA = 1.0  # 1/s: a growth not better known than this says nothing


@dataclass(slots=True)
class Track:
    """One object: where it is now, when it was last found, its sizes then, and its smoothed growth by the flow."""

    box: Box
    seen_ns: int
    sizes: list[tuple[int, float]] = field(default_factory=list)
    seen: int = 1
    rate_per_s: float = 0.0
    sigma_per_s: float = math.inf
    dx_per_s: float = 0.0
    dy_per_s: float = 0.0


class Tracks:
    """All objects in view."""

    def __init__(self) -> None:
        self._tracks: list[Track] = []
        self._t_ns = 0

    def found(self, boxes: list[Box], t_ns: int) -> None:
        """Take in the boxes of the frame captured at ``t_ns``."""
        free = list(self._tracks)
        for box in boxes:
            same = max(free, key=lambda track: track.box.overlap(box), default=None)
            if same is not None and same.box.overlap(box) >= SAME:
                free.remove(same)
                same.box, same.seen_ns, same.seen = box, t_ns, same.seen + 1
            else:
                same = Track(box, t_ns)
                self._tracks.append(same)
            same.sizes = _sizes(same, t_ns)

    def move(self, flow: Flow | None, t_ns: int) -> None:
        """Carry the objects along to the frame of ``t_ns`` and measure their growth there; forget the long unseen."""
        step_s = max(0, t_ns - self._t_ns) / NS_PER_S if self._t_ns else 0.0
        self._t_ns = t_ns
        self._tracks = [track for track in self._tracks if t_ns - track.seen_ns <= FORGET_S * NS_PER_S]
        if flow is None:
            return
        half_x, half_y = float(flow.half[0]), float(flow.half[1])
        for track in self._tracks:
            own = inside(track.box, 0.5 + flow.x / (2 * half_x), 0.5 + flow.y / (2 * half_y))
            rate, sigma, dx, dy = growth_of(flow, own)
            if not sigma < GONE_SIGMA:
                track.sigma_per_s = math.inf
                continue
            _smooth(track, rate, sigma, dx / flow.dt_s, dy / flow.dt_s, step_s)
            track.box = _carried(track, step_s, half_x, half_y)

    def obstacles(self, half: tuple[float, float]) -> list[Obstacle]:
        """Return the objects that were found at least twice; ``half`` is that of the flow."""
        return [_obstacle(track, half) for track in self._tracks if track.seen >= LEAST_SEEN]


def _sizes(track: Track, t_ns: int) -> list[tuple[int, float]]:
    """Return a track's sizes with its newest; none while it is cut off by the frame's edge, where it only comes in."""
    box = track.box
    if min(box.left, box.top, 1 - box.right, 1 - box.bottom) < EDGE:
        return []
    recent = [(t, size) for t, size in track.sizes if t_ns - t <= HISTORY_S * NS_PER_S]
    return [*recent, (t_ns, 0.5 * math.log(max(box.area, 1e-6)))]


def growth_of_sizes(sizes: list[tuple[int, float]]) -> tuple[float, float]:
    """Return the growth by a box's own sizes (t_ns, logarithm) and its standard error, 1/s; infinite for few.

    >>> rate, sigma = growth_of_sizes([(k * 250_000_000, k * 0.125) for k in range(5)])
    >>> round(rate, 3), round(sigma, 3)
    (0.5, 0.28)
    """
    if len(sizes) < LEAST_SIZES:
        return 0.0, math.inf
    t = np.array([t_ns / NS_PER_S for t_ns, _ in sizes])
    size = np.array([size for _, size in sizes])
    spread = float(((t - t.mean()) ** 2).sum())
    if spread < 1e-3:
        return 0.0, math.inf
    slope = float(((t - t.mean()) * size).sum() / spread)
    return slope, math.hypot(SIZE_ERROR / math.sqrt(spread), SIZE_DRIFT)


def fused(track: Track) -> tuple[float, float]:
    """Return an object's growth by flow and by sizes, each weighted by its certainty, and its standard error."""
    size_rate, size_sigma = growth_of_sizes(track.sizes)
    certainty = [1 / (sigma**2 + SIGMA_FLOOR**2) for sigma in (track.sigma_per_s, size_sigma)]
    if sum(certainty) < 1 / GONE_SIGMA**2:
        return 0.0, math.inf
    rate = (certainty[0] * track.rate_per_s + certainty[1] * size_rate) / sum(certainty)
    return rate, sum(certainty) ** -0.5


def _smooth(track: Track, rate: float, sigma: float, dx_per_s: float, dy_per_s: float, step_s: float) -> None:
    keep = math.exp(-step_s / SMOOTH_S) if math.isfinite(track.sigma_per_s) else 0.0
    track.rate_per_s = keep * track.rate_per_s + (1 - keep) * rate
    track.sigma_per_s = sigma if keep == 0.0 else keep * track.sigma_per_s + (1 - keep) * sigma
    track.dx_per_s = keep * track.dx_per_s + (1 - keep) * dx_per_s
    track.dy_per_s = keep * track.dy_per_s + (1 - keep) * dy_per_s


def _carried(track: Track, step_s: float, half_x: float, half_y: float) -> Box:
    box = track.box
    right, down = -track.dx_per_s * step_s / (2 * half_x), -track.dy_per_s * step_s / (2 * half_y)
    grow = min(max(1 + track.rate_per_s * step_s, 0.9), 1.1)
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    w, h = (box.right - box.left) / 2 * grow, (box.bottom - box.top) / 2 * grow
    return replace(box, left=x + right - w, right=x + right + w, top=y + down - h, bottom=y + down + h)


def _obstacle(track: Track, half: tuple[float, float]) -> Obstacle:
    rate, sigma = fused(track)
    box = track.box
    sure = rate - sigma if math.isfinite(sigma) else 0.0
    time_s = max(1 / sure - SMOOTH_S, 0.05) if sure > 1e-3 else math.inf
    radius = (box.right - box.left) * half[0]
    ahead = math.isfinite(time_s) and in_the_way(
        -track.dx_per_s * time_s, -track.dy_per_s * time_s, time_s, radius, (box.bottom - box.top) * half[1]
    )
    return Obstacle(box.left, box.top, box.right, box.bottom, time_s, ahead, box.kind, box.score)
