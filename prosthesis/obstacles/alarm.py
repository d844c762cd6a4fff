"""When to give alarm: something in the way for long enough, and for how long afterwards."""

from __future__ import annotations

from prosthesis.obstacles.urgency import Obstacle
from prosthesis.timing import NS_PER_S

HOLD_S = 0.1  # in the way for so long: single wrong flows are shorter
RELEASE_S = 0.5
REPEAT_S = 2.0  # between spoken alarms that go on


class Alarm:
    """Watches for something that is reached in less than ``limit_s``; ``since_ns`` is when the alarm began.

    A gap of one frame does not end the waiting.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._first_ns: int | None = None
        self._last_ns = self._said_ns = -(1 << 62)
        self._words: list[str] = []
        self.since_ns: int | None = None

    def watch(self, obstacles: list[Obstacle], t_ns: int) -> Obstacle | None:
        """Take in the obstacles at ``t_ns``; return the one that is nearest in time while there is an alarm."""
        near = [thing for thing in obstacles if thing.ahead and thing.time_s < self._limit_s]
        worst = min(near, key=lambda thing: thing.time_s, default=None)
        if worst is not None:
            self._last_ns = t_ns
            self._first_ns = t_ns if self._first_ns is None else self._first_ns
            if self.since_ns is None and t_ns - self._first_ns >= HOLD_S * NS_PER_S:
                self.since_ns = t_ns
        elif t_ns - self._last_ns > RELEASE_S * NS_PER_S:
            self.since_ns = None
        if worst is None and t_ns - self._last_ns > HOLD_S / 2 * NS_PER_S:
            self._first_ns = None
        if worst is not None and self.since_ns is not None and t_ns - self._said_ns >= REPEAT_S * NS_PER_S:
            self._said_ns = t_ns
            self._words.append(words(worst))
        return worst if self.since_ns is not None else None

    def said(self) -> tuple[str, ...]:
        """Return what was new since last asked."""
        out, self._words = tuple(self._words), []
        return out


def words(thing: Obstacle) -> str:
    """Return an alarm in words.

    >>> words(Obstacle(0.0, 0.2, 0.3, 0.9, 1.42, True, "person"))
    'Stop: person on the left, 1.4 seconds'
    """
    where = "ahead" if thing.side == "ahead" else f"on the {thing.side}"
    return f"Stop: {thing.kind or 'obstacle'} {where}, {thing.time_s:.1f} seconds"
