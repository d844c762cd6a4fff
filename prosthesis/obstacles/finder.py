"""Everything that is known of obstacles, frame by frame: flow at once, boxes and stereo when they are ready."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prosthesis.messages import F32, U8
from prosthesis.obstacles.alarm import Alarm
from prosthesis.obstacles.boxes import Box
from prosthesis.obstacles.expansion import Expansion, expansion
from prosthesis.obstacles.flow import FlowMeter, without_rotation
from prosthesis.obstacles.stereo import approach, with_distance
from prosthesis.obstacles.tracks import Tracks
from prosthesis.obstacles.urgency import Obstacle, Patches, Smoother, obstacles, urgency
from prosthesis.timing import NS_PER_S

COVERED = 0.5  # a group of patches that lies so far in a box is that object
STALE_S = 0.5
LEAST_SEEN = 0.05  # of the corners that a picture full of texture has
BLIND_S, REMIND_S = 1.0, 10.0
BLIND = "Obstacles cannot be seen: too dark, too fast a turn, or too few frames a second"


@dataclass(frozen=True, slots=True)
class Sight:
    """What was found beside the path in the frame captured at ``t_ns``: boxes, and distances with two cameras.

    ``scale_m_px`` is distance times disparity.
    """

    t_ns: int
    boxes: list[Box]
    distance_m: F32 | None = None
    scale_m_px: float = 1.0


@dataclass(frozen=True, slots=True)
class Findings:
    """What is in a frame: patches' growth in 1/s and brightness f32[rows, columns], obstacles by urgency, the alarm.

    Objects of the boxes have a ``kind``; ``alarm_ns`` is when the alarm began, ``None`` without one.
    """

    growth_per_s: F32
    patches: F32
    obstacles: tuple[Obstacle, ...]
    alarm: Obstacle | None
    alarm_ns: int | None


class Blindness:
    """Says when nothing was seen for ``BLIND_S``, and again every ``REMIND_S``: darkness must not look like safety."""

    def __init__(self) -> None:
        self._saw_ns: int | None = None
        self._told_ns = -(1 << 62)
        self._words: tuple[str, ...] = ()

    def watch(self, sees: bool, t_ns: int) -> None:
        """Take in whether the frame of ``t_ns`` showed enough to judge."""
        if sees or self._saw_ns is None:
            self._saw_ns = t_ns
        elif t_ns - self._saw_ns >= BLIND_S * NS_PER_S and t_ns - self._told_ns >= REMIND_S * NS_PER_S:
            self._told_ns, self._words = t_ns, (BLIND,)

    def said(self) -> tuple[str, ...]:
        """Return what was new since last asked."""
        out, self._words = self._words, ()
        return out


class Finder:
    """Remembers the last frames of one camera; give it every frame in order."""

    def __init__(self, field_deg: tuple[float, float], alarm_s: float) -> None:
        self._meter, self._smoother, self._tracks = FlowMeter(field_deg), Smoother(), Tracks()
        self._alarm, self._sight_lost = Alarm(alarm_s), Blindness()
        self._places: Expansion | None = None
        self._sight: Sight | None = None
        self._growth: tuple[F32, F32] | None = None

    def find(self, rgb: U8, t_ns: int, sight: Sight | None = None) -> Findings:
        """Return what is in the frame captured at ``t_ns``; ``sight`` is the newest there is, new or not."""
        if sight is not None and (self._sight is None or sight.t_ns > self._sight.t_ns):
            self._take(sight)
        flow = self._meter.measure(rgb, t_ns)
        flow = without_rotation(flow) if flow is not None else None
        if flow is not None:
            self._places = expansion(flow)
        patches = self._smoother.add(self._places if flow is not None else None, t_ns)
        self._tracks.move(flow, t_ns)
        self._sight_lost.watch(flow is not None and float(flow.weight.mean()) >= LEAST_SEEN, t_ns)
        if patches is not None:
            patches = self._measured(patches, t_ns)
        things = self._tracks.obstacles(self._meter.half)
        seen = obstacles(patches) if patches is not None else []
        things += [thing for thing in seen if not any(_covers(box, thing) for box in things)]
        things.sort(key=lambda thing: thing.time_s)
        worst = self._alarm.watch(things, t_ns)
        nothing = np.zeros((1, 1), np.float32)
        light = urgency(patches) if patches is not None else nothing
        growth = patches.rate_per_s if patches is not None else nothing
        return Findings(growth, light, tuple(things), worst, self._alarm.since_ns)

    def said(self) -> tuple[str, ...]:
        """Return the alarms that were new since last asked, in words."""
        return self._alarm.said() + self._sight_lost.said()

    def _take(self, sight: Sight) -> None:
        before, self._sight = self._sight, sight
        self._tracks.found(sight.boxes, sight.t_ns)
        self._growth = None
        if before is None or before.distance_m is None or sight.distance_m is None:
            return
        dt_s = (sight.t_ns - before.t_ns) / NS_PER_S
        if dt_s <= STALE_S:
            self._growth = approach(before.distance_m, sight.distance_m, dt_s, sight.scale_m_px)

    def _measured(self, patches: Patches, t_ns: int) -> Patches:
        sight, places = self._sight, self._places
        if sight is None or sight.distance_m is None or places is None:
            return patches
        if t_ns - sight.t_ns > STALE_S * NS_PER_S or sight.distance_m.shape != patches.rate_per_s.shape:
            return patches
        rate, sigma = self._growth or (np.zeros_like(places.x), np.full_like(places.x, np.inf))
        return with_distance(patches, places.x, places.y, sight.distance_m, rate, sigma)


def _covers(box: Obstacle, thing: Obstacle) -> bool:
    width = min(box.right, thing.right) - max(box.left, thing.left)
    height = min(box.bottom, thing.bottom) - max(box.top, thing.top)
    area = max((thing.right - thing.left) * (thing.bottom - thing.top), 1e-9)
    return max(0.0, width) * max(0.0, height) / area >= COVERED
